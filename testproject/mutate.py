"""Mutation tests: whether a test notices when one of the rooms that decide decides otherwise.

mutmut does the work: it finds out which tests come by a function, runs only those, and forks for each mutant, so that
several a second are tried. It leaves alone what stands outside of functions (tables, regular expressions), and
functions with a decorator. cosmic-ray changes those too, but starts a process with Django and a database for each
mutant, which takes seconds; what it would add is for tests of the tables themselves.
"""

import argparse
import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

#: The rooms that decide, each with the fast tests that belong to it. When a room moves, this is what has to follow,
#: and its path in scripts/mutate_survivors.txt.
ROOMS = {
    "dbmail/delivery/headers.py": ("tests/delivery/test_headers.py",),
    "dbmail/delivery/return_path.py": ("tests/delivery/test_return_path.py",),
    "dbmail/delivery/header_block.py": ("tests/delivery/test_header_block.py",),
    "dbmail/incoming/match.py": ("tests/incoming/test_match.py",),
    "dbmail/incoming/rules.py": ("tests/incoming/test_rules.py",),
    "dbmail/queue/meter.py": ("tests/queue/test_meter.py",),
    "dbmail/queue/decide.py": ("tests/queue/test_decide.py",),
    "dbmail/queue/throttle.py": ("tests/queue/test_throttle.py",),
    "dbmail/rendering/guard.py": ("tests/rendering/test_secrets.py", "tests/rendering/test_variables.py"),
    "dbmail/rendering/relations.py": ("tests/rendering/test_relations.py",),
    "dbmail/signing.py": ("tests/delivery/test_return_path.py", "tests/suppression/test_links.py"),
    "dbmail/suppression/tokens.py": ("tests/suppression/test_links.py", "tests/suppression/test_views.py"),
}
ROOT = Path(__file__).resolve().parent.parent
SURVIVORS = ROOT / "scripts" / "mutate_survivors.txt"
#: What mutmut calls them. All else is a mutant that lived: "survived", or "no tests" where none comes by.
NOTICED, NOT_TRIED = ("killed", "timeout"), ("not checked", "check was interrupted by user")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: `old` became `new` (lines, stripped and joined). Without its place, which moves with other lines."""

    path: str
    old: str
    new: str


@dataclass(slots=True)
class Result:
    """What became of a room's mutants; `unnoticed` with the place of each as "path:line"."""

    noticed: int = 0
    not_tried: int = 0
    unnoticed: list[tuple[str, Mutant]] = field(default_factory=list)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/mutate", description="Says which changes no test notices.")
    parser.add_argument("rooms", nargs="*", metavar="FILE", help=f"any of {', '.join(ROOMS)} (default: all)")
    parser.add_argument("--minutes", type=float, default=60, help="stop after this time (default: %(default)s)")
    parser.add_argument("--jobs", "-j", type=int, default=os.cpu_count() or 1, help="at a time (default: %(default)s)")
    options = parser.parse_args(arguments)
    if unknown := [room for room in options.rooms if room not in ROOMS]:
        parser.error(f"{', '.join(unknown)}: no room with tests in the table of {Path(__file__).relative_to(ROOT)}")
    argued = read_survivors(SURVIVORS)
    deadline = time.monotonic() + 60 * options.minutes
    bad = 0
    for room in options.rooms or ROOMS:
        result = mutate(room, ROOMS[room], options.jobs, deadline)
        new = [(place, mutant) for place, mutant in result.unnoticed if mutant not in argued]
        bad += len(new)
        left = f", {result.not_tried} not tried: the time was up" if result.not_tried else ""
        fine = len(result.unnoticed) - len(new)
        print(f"{room}: {result.noticed} noticed, {fine} argued for, {len(new)} survived{left}")
        for place, mutant in new:
            print(f"\n{place}\n  - {mutant.old}\n  + {mutant.new}")
        lived = {mutant for _, mutant in result.unnoticed}
        for mutant in [] if result.not_tried else [m for m in argued if m.path == room and m not in lived]:
            print(f"\n{SURVIVORS.name} argues in vain, this is noticed now:\n  - {mutant.old}\n  + {mutant.new}")
        sys.stdout.flush()
    return 1 if bad else 0


def read_survivors(path: Path) -> dict[Mutant, str]:
    """The mutants that may live, each with the argument for it.

    A block is a line "PATH: argument", a line "- OLD", and a line "+ NEW" for each of its mutants.
    """
    found: dict[Mutant, str] = {}
    room = argument = old = ""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        sign, _, text = line.strip().partition(" ")
        if not sign or line.startswith("#"):
            continue
        if sign == "-":
            old = text
        elif sign == "+" and argument and old:
            found[Mutant(room, old, text)] = argument
        elif sign.endswith(":") and text:
            room, argument, old = sign[:-1], text, ""
        else:
            sys.exit(f'{path.name}:{number}: neither "PATH: argument" nor "- OLD" nor "+ NEW" below one: {line!r}')
    return found


def mutate(room: str, tests: Iterable[str], jobs: int, deadline: float) -> Result:
    """What became of the mutants of one room, tried on a copy of the tree."""
    with tempfile.TemporaryDirectory(prefix="dbmail-mutate-") as name:
        tree = Path(name)
        copy(tree)
        with (tree / "pyproject.toml").open("a") as settings:
            settings.write(settings_for(room, list(tests), tree))
        command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(jobs)]
        with (tree / "output").open("w+b") as output:
            process = subprocess.Popen(command, cwd=tree, stdout=output, stderr=output, start_new_session=True)  # noqa: S603
            try:
                failed = process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGTERM)  # results are kept one by one
                process.wait()
                failed = 0
            if failed:
                output.seek(0)
                said = output.read().decode(errors="replace").replace("\r", "\n")
                sys.exit(f"{room}: its tests fail without a change, or mutmut did. It said:\n{said[-4000:]}")
        result = Result()
        for mutant, status in statuses(tree):
            if status in NOTICED:
                result.noticed += 1
            elif status in NOT_TRIED:
                result.not_tried += 1
            else:
                result.unnoticed += describe(tree, room, mutant)
        return result


def copy(tree: Path) -> None:
    """The files of the checkout as they lie there, without what git ignores."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout  # noqa: S603
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)


def settings_for(room: str, tests: list[str], tree: Path) -> str:
    others = sorted(p.name for p in tree.iterdir() if p.name not in ("dbmail", "tests", "pyproject.toml"))
    return f"""
[tool.mutmut]
source_paths = ["dbmail"]
only_mutate = ["{room}"]
also_copy = {others}
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:xdist"]
pytest_add_cli_args_test_selection = {tests}
use_git_change_detection = false
"""


def mutmut(tree: Path, *words: str) -> str:
    command = [sys.executable, "-m", "mutmut", *words]
    return subprocess.run(command, cwd=tree, check=True, capture_output=True, text=True).stdout  # noqa: S603


def statuses(tree: Path) -> Iterator[tuple[str, str]]:
    """mutmut's name of each mutant, and what became of it."""
    for line in mutmut(tree, "results", "--all", "true").splitlines():
        name, colon, status = line.strip().rpartition(": ")
        if colon:
            yield name, status


def describe(tree: Path, room: str, name: str) -> list[tuple[str, Mutant]]:
    """The place and the change, or nothing where only the wording of a sentence has changed."""
    lines = mutmut(tree, "show", name).splitlines()[3:]  # after the names of the files
    old = [line[1:].strip() for line in lines if line.startswith("-")]
    new = [line[1:].strip() for line in lines if line.startswith("+")]
    mutant = Mutant(room, " ".join(old), " ".join(new))
    return [] if is_wording(mutant) else [(f"{room}:{line_of(tree / room, name, old)}", mutant)]


def is_wording(mutant: Mutant) -> bool:
    """Whether a sentence (a text with blanks in it) was only marked with XX, or written in other letters: what
    sentences say is for those who read and translate them."""
    if mutant.new.replace("XX", "").casefold() != mutant.old.casefold():
        return False
    texts = [re.findall(r'"[^"]*"', line) for line in (mutant.old, mutant.new)]
    return any(" " in old for old, new in zip(*texts, strict=False) if old != new)


def line_of(path: Path, name: str, old: list[str]) -> int:
    """Where the first changed line stands, in the function that the mutant is of."""
    function = re.sub(r"__mutmut_\d+$", "", name).rpartition(".")[2].rpartition("ǁ")[2].removeprefix("x_")
    source = path.read_text()
    nodes = (n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef) and n.name == function)
    for node in nodes:
        for number, line in enumerate(source.splitlines()[node.lineno - 1 : node.end_lineno], node.lineno):
            if old and line.strip() == old[0]:
                return number
    return 1


if __name__ == "__main__":
    sys.exit(main())
