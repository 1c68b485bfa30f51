"""Stages of a command on standard error: when they appear, and when they do not."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import FAST, run, seller_lines, write_lines

from pricerl.progress import show_stages, stage


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def shown() -> Iterator[None]:
    show_stages(True)
    yield
    show_stages(False)


def test_a_stage_leaves_one_line_with_its_duration_once_stages_are_shown(
    capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    with stage("reading"):
        pass
    assert capsys.readouterr() == ("", "")
    request.getfixturevalue("shown")
    with stage("planning the prices"):
        with stage("a part of it"):
            pass
        assert capsys.readouterr().err == ""
    with pytest.raises(KeyError), stage("a stage that fails"):
        raise KeyError
    with stage("the next"):
        pass
    assert re.fullmatch(r"planning the prices: 0\.\d s\nthe next: 0\.\d s\n", capsys.readouterr().err)


@pytest.mark.usefixtures("shown")
def test_a_terminal_shows_a_stage_from_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    with stage("reading"):
        assert screen.getvalue() == "reading …"
    assert re.fullmatch(r"reading …\r\x1b\[2Kreading: 0\.\d s\n", screen.getvalue())


@pytest.mark.slow
def test_fit_names_its_stages_unless_the_bar_is_turned_off(tmp_path: Path) -> None:
    write_lines(tmp_path / "seller.csv", seller_lines())
    off = FAST.index("--trainer.enable_progress_bar")
    words = ["fit", "--data.path", "seller.csv", *FAST]
    assert run(tmp_path, *words).err == ""
    loud = run(tmp_path, *words[:3], *FAST[:off], *FAST[off + 2 :], "--run_name", "other")
    stages = [line.partition(":")[0] for line in loud.err.splitlines() if re.search(r": \d+\.\d s$", line)]
    assert stages == [
        "reading the history",
        "fitting the market",
        "planning the prices",
        "deciding on the prices",
        "writing the report",
    ]
    bar = loud.err.split("fitting the market")[1].split("deciding on the prices")[0]
    assert re.search(r"training .*100%.*0:00:00 left", " ".join(bar.split()))
