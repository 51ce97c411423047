"""What scripts/mutate goes by, so that a room that moves or a line that changes is noticed before the night."""

import pytest

from testproject.mutate import ROOMS, ROOT, SURVIVORS, Mutant, is_wording, line_of, read_survivors


def test_the_rooms_and_their_tests_exist():
    assert [path for room, tests in ROOMS.items() for path in (room, *tests) if not (ROOT / path).exists()] == []


def test_each_change_that_may_live_is_of_a_line_that_is_still_there():
    for mutant, argument in read_survivors(SURVIVORS).items():
        lines = [line.strip() for line in (ROOT / mutant.path).read_text().splitlines()]
        assert argument and any(mutant.old.startswith(line) for line in lines if line), mutant


def test_one_argument_may_stand_for_several_changes(tmp_path):
    path = tmp_path / "survivors.txt"
    path.write_text("# why\n\na.py: because\n- x = 1\n+ x = 2\n+ x = 3\n")
    assert read_survivors(path) == {Mutant("a.py", "x = 1", new): "because" for new in ("x = 2", "x = 3")}


@pytest.mark.parametrize("text", ["a.py\n", "+ x = 2\n", "a.py: because\n+ x = 2\n", "a.py: because\n- x\nwhat?\n"])
def test_what_argues_for_nothing_is_named_with_its_line(tmp_path, text):
    path = tmp_path / "survivors.txt"
    path.write_text(text)
    with pytest.raises(SystemExit, match=r"survivors\.txt:\d: neither"):
        read_survivors(path)


@pytest.mark.parametrize(
    ("old", "new", "is_so"),
    [
        ('said = _("No such row.")', 'said = _("XXNo such row.XX")', True),
        ('said = _("No such row.")', 'said = _("NO SUCH ROW.")', True),
        ('said = _("No such row.")', "said = _(None)", False),
        ('if kind == "all":', 'if kind == "XXallXX":', False),
        ('if kind == "all":', 'if kind == "ALL":', False),
    ],
)
def test_only_the_words_of_a_sentence_are_left_to_those_who_read_them(old, new, is_so):
    assert is_wording(Mutant("a.py", old, new)) is is_so


@pytest.mark.parametrize(
    ("name", "line"), [("a.x_one__mutmut_3", 2), ("a.xǁBǁone__mutmut_11", 5), ("a.x_none__mutmut_1", 1)]
)
def test_a_change_has_the_line_of_its_function(tmp_path, name, line):
    path = tmp_path / "a.py"
    path.write_text("def one():\n    return 1\nclass B:\n    def one(self):\n        return 2\n")
    assert line_of(path, name, [f"return {2 if line == 5 else 1}"]) == line
