"""One module changes the state of a broadcast once it is there, and one that of a mail."""

import ast
from pathlib import Path

import dbmail

ROOT = Path(dbmail.__file__).parent
#: The doors. An incoming message has states as well: they are no business of these.
DOORS = {"broadcasts/control.py", "broadcasts/mails.py"}


def changes_of_state(source: str) -> list[str]:
    """The places where a state is written into rows that are there: by update(), by a value made for it, by SQL."""
    return [ast.unparse(node) for node in ast.walk(ast.parse(source)) if _changes(node)]


def _changes(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(attr="update"), keywords=keywords):
            named = [keyword for keyword in keywords if keyword.arg == "state"]
            return bool(named) and not _of_incoming(node)
        case ast.Call(func=ast.Attribute(attr="bulk_update"), args=[_, fields, *_]):
            return "'state'" in ast.unparse(fields)
        case ast.Dict(keys=keys, values=values):
            pairs = zip(keys, values, strict=True)
            return any(
                isinstance(k, ast.Constant) and k.value == "state" and "State." in ast.unparse(v) for k, v in pairs
            )
        case ast.Assign(targets=targets):
            return any(isinstance(target, ast.Attribute) and target.attr == "state" for target in targets)
        case ast.Constant(value=str(text)):
            return "SET state" in text
    return False


def _of_incoming(node: ast.AST) -> bool:
    return "IncomingMessage." in ast.unparse(node)


def test_no_other_module_changes_the_state_of_a_broadcast_or_a_mail():
    modules = [path for path in ROOT.rglob("*.py") if "migrations" not in path.parts]
    found = {str(path.relative_to(ROOT)): changes_of_state(path.read_text()) for path in modules}
    assert {name for name, changes in found.items() if changes} == DOORS


def test_a_change_of_state_is_seen_however_it_is_written():
    for source in (
        "TextOfEmail.objects.filter(pk=1).update(state=State.SENT)",
        "rows.update(**{'state': State.SENT})",
        "fields = {'state': State.FAILED, 'sent': now}",
        "request.state = State.DONE",
        "MessageRequest.objects.bulk_update(rows, ['state'])",
        "cursor.execute('UPDATE dbmail_textofemail SET state = %s')",
    ):
        assert changes_of_state(source), source
    for source in (
        "TextOfEmail(state=State.QUEUED)",
        "IncomingMessage.objects.update(state=IncomingMessage.State.FAILED)",
        "context = {'state': group.state}",
        "rows.filter(state=State.SENT)",
    ):
        assert not changes_of_state(source), source
