"""Texts of files that would move the cursor, clear the screen or reverse a line: no command prints them as they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import FAST, HEADER, Result, run, seller_lines, write_lines

ESCAPE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp\u2066\u200f"
"""Clears the screen, sets the window's title, colours, and reverses what follows."""

NAME = f"Mug {ESCAPE}"
FOLDER = f"run {ESCAPE}"
BEST = f"checkpoints/{FOLDER}/best.ckpt"
RUN = ("--ckpt_path", BEST)
DATA = ("--data.path", "seller.csv", "--trainer.enable_progress_bar", "false")


def harmless(result: Result) -> bool:
    """Whether both streams of a command hold nothing but printable characters and line ends."""
    return all(char.isprintable() or char == "\n" for char in result.out + result.err)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose name, and whose product's name, are hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    write_lines(folder / "seller.csv", seller_lines(product=NAME))
    result = run(folder, "fit", *DATA, "--run_name", "run", *FAST)
    assert result.code in (0, 4), result.err
    assert harmless(result) and "Mug" in result.out
    (folder / "checkpoints" / "run").rename(folder / "checkpoints" / FOLDER)
    return folder


COMMANDS = {
    "check": ("check", "seller.csv"),
    "validate": ("validate", *RUN, *DATA),
    "predict": ("predict", *RUN, *DATA),
    "what-if": ("what-if", *RUN, *DATA, "--price", "10"),
    "override": ("override", *RUN, "--price", "10", "--until", "2025-05-01", "--reason", ESCAPE + "x", "--by", ESCAPE),
    "pause": ("pause", *RUN, "--until", "2025-05-01", "--reason", ESCAPE + "x", "--by", ESCAPE),
    "history": ("history", *RUN),
    "audit verify": ("audit", "verify", *RUN),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_prints_control_or_direction_characters(command: str, shop: Path) -> None:
    result = run(shop, *COMMANDS[command])
    assert result.code in (0, 4), result.err
    assert result.out and harmless(result)


MISTAKES = {
    "an unknown product": ("what-if", *RUN, *DATA, "--price", "10", "--product", f"Bowl{ESCAPE}"),
    "an unknown run": ("history", "--run_name", f"other{ESCAPE}"),
    "an unknown command": (f"fit{ESCAPE}",),
    "an unknown option": ("predict", *RUN, f"--data.{ESCAPE}", "1"),
    "an absent file": ("check", f"{ESCAPE}.csv"),
    "an absent checkpoint": ("predict", "--ckpt_path", f"{ESCAPE}.ckpt"),
    "a wrong value": ("predict", *RUN, *DATA, "--horizon", ESCAPE),
    "a wrong setting": ("predict", *RUN, *DATA, "--config", json.dumps({"data": {"reading": {"country": ESCAPE}}})),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_no_message_prints_control_or_direction_characters(mistake: str, shop: Path) -> None:
    result = run(shop, *MISTAKES[mistake])
    assert result.code in (2, 3, 5) and result.err.startswith("error: ") and harmless(result)


@pytest.mark.parametrize("place", ["header", "cell", "date", "product twice"])
def test_no_problem_of_a_file_prints_control_or_direction_characters(place: str, tmp_path: Path) -> None:
    lines = seller_lines(product=NAME)
    if place == "header":
        lines[0] = lines[0].replace(HEADER[1], f"Product Prise{ESCAPE}")
    elif place == "product twice":
        lines.append(lines[-1])
    else:
        cells = lines[5].split(",")
        cells[1 if place == "date" else 3] = f"abc{ESCAPE}"
        lines[5] = ",".join(cells)
    write_lines(tmp_path / f"file {ESCAPE[:3]}.csv", lines)
    result = run(tmp_path, "check", f"file {ESCAPE[:3]}.csv")
    assert result.code == 3 and harmless(result), repr(result.err)
