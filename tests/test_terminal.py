"""Text on the terminal: one place prints, and nothing that it prints can hide or overwrite another line."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from pricerl.errors import DataError
from pricerl.terminal import MOST_CHARACTERS, clean, print_notes, shown, write_lines

PACKAGE = Path(__file__).parents[1] / "pricerl"
PRINTERS = {"terminal.py", "progress.py"}
"""Modules that may print; the stages of ``progress.py`` are constants."""


def prints(tree: ast.AST) -> bool:
    """Whether a module calls ``print`` or writes to a standard stream itself."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = {ast.unparse(call.func) for call in calls}
    return bool(names & {"print", "sys.stdout.write", "sys.stderr.write", "traceback.print_exc"})


def test_texts_of_files_reach_the_terminal_through_one_module() -> None:
    files = [path for path in PACKAGE.rglob("*.py") if prints(ast.parse(path.read_text(encoding="utf-8")))]
    assert {str(path.relative_to(PACKAGE)) for path in files} == PRINTERS


def test_control_and_direction_characters_go_and_joined_emoji_stay_in_texts_of_files_and_typed_ones() -> None:
    assert clean("abc\u202edef\u200f\x00\x1b\ufeff") == "abcdef"
    assert clean("a\r\nb\tc\u2028d") == "a b cd"
    assert clean("\x1b[2J\x9b31m\x1b]0;title\x07") == "[2J31m]0;title"
    assert clean("caf\udce9") == "caf"
    assert clean("👩\u200d🔧") == "👩\u200d🔧"
    assert len(clean("x" * 5000)) == MOST_CHARACTERS
    assert shown("a\nb\u202ec\x00d \t e") == "a bcd e"
    assert shown("x" * 500) == "x" * 159 + "…"
    assert shown("\n\u200f ") == ""
    assert shown("caf\udce9") == "caf"


def test_every_line_stays_one_line_also_of_a_problem_that_quotes_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    write_lines(["one\ntwo", "\x1b[Athree"])
    print_notes(["four\u202e\r\nfive"])
    assert capsys.readouterr() == ("one two\n[Athree\n", "note: four five\n")
    error = DataError("a\nb.csv", ["line 1: found 'x\ny\x1b[2J'", "line 2"])
    assert str(error).split("\n") == ["a b.csv has 2 problems:", "  line 1: found 'x y[2J'", "  line 2"]
