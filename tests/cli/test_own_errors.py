"""An exception of the user's making is named with its place, and never called a bug in pricerl."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import FAST, run
from own_package import own_package

NAME = "my_shop_rl"


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Path]:
    with own_package(tmp_path / "packages") as place:
        yield place


FAILING = {
    "callback": (["--trainer.callbacks", f"{NAME}.parts.Failing"], "fail", "ValueError: no such thing"),
    "callback while saving": (
        ["--trainer.callbacks", f"{NAME}.parts.Failing", "--trainer.callbacks.hook", "on_save_checkpoint"],
        "fail",
        "ValueError: no such thing",
    ),
    "module": (["--model", f"{NAME}.parts.FailingModule"], "training_step", "RuntimeError: "),
    "data": (["--data", f"{NAME}.parts.FailingData"], "build_env", "KeyError: 'env'"),
}


@pytest.mark.parametrize("case", FAILING)
def test_an_error_in_an_own_package_names_its_place(case: str, package: Path, tmp_path: Path) -> None:
    words, function, message = FAILING[case]
    result = run(tmp_path, "fit", *FAST, "--run_name", "own", "--allow", NAME, *words)
    line = result.err.splitlines()[-1]
    assert result.code == 1 and line.startswith(f"error in {NAME}.parts."), result.err
    assert f"{function} ({package / 'parts.py'}:" in line and message in line
    assert "bug" not in result.err and "Traceback" not in result.err


def test_an_error_while_an_own_package_is_imported_names_its_place(package: Path, tmp_path: Path) -> None:
    (package / "__init__.py").write_text("import gymnasium\n\n1 / 0\n", encoding="utf-8")
    result = run(tmp_path, "fit", "--allow", NAME)
    place = f"{NAME}.<module> ({package / '__init__.py'}:3)"
    assert (result.code, result.err) == (1, f"error in {place}: ZeroDivisionError: division by zero\n")


def test_debug_shows_the_traceback_of_an_own_error(package: Path, tmp_path: Path) -> None:
    words = ["--trainer.callbacks", f"{NAME}.parts.Failing", "--debug"]
    result = run(tmp_path, "fit", *FAST, "--run_name", "own", "--allow", NAME, *words)
    assert result.code == 1 and "Traceback" in result.err and str(package) in result.err


def test_an_error_of_pricerl_stays_a_bug(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pricerl.training.collector.SampleStream.__len__", lambda self: 1 // 0)
    result = run(tmp_path, "fit", *FAST, "--run_name", "own", "--allow", NAME)
    assert result.code == 1 and "a bug in pricerl, please report it: ZeroDivisionError" in result.err
