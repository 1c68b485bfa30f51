"""A wrong file or checkpoint: one message, the right exit code, nothing left behind, nothing lost."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import FAST, HEADER, OUTPUTS, Result, listing, run, seller_lines, write_lines
from safetensors.torch import save_file

from pricerl.runs.checkpoint import save

Spoil = Callable[[Path], object]


def _cell(lines: list[str], row: int, column: int, text: str) -> None:
    cells = lines[row].split(",")
    cells[column] = text
    lines[row] = ",".join(cells)


def _misspelt(path: Path) -> None:
    write_lines(path, [line.replace("Product Price", "Product Prise") for line in seller_lines()])


def _without_sales(path: Path) -> None:
    write_lines(path, [",".join(line.split(",")[:2]) for line in seller_lines()])


def _many_problems(path: Path) -> None:
    lines = seller_lines()
    _cell(lines, 4, 1, "abc")
    _cell(lines, 8, 1, "-5")
    lines[11] = lines[10]
    write_lines(path, lines)


BAD_FILES: dict[str, tuple[Spoil, tuple[str, ...]]] = {
    "missing": (lambda path: None, ("there is no such file",)),
    "folder": (lambda path: path.mkdir(), ("is a folder",)),
    "empty": (lambda path: path.touch(), ("is empty",)),
    "header only": (lambda path: write_lines(path, [",".join(HEADER)]), ("no rows",)),
    "binary": (lambda path: path.write_bytes(bytes(range(256)) * 40), ("is not text",)),
    "workbook": (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(900)), ("Excel",)),
    "misspelt column": (_misspelt, ("'Product Price' is missing", "did you mean 'Product Prise'")),
    "missing column": (_without_sales, ("'Total Sales' is missing",)),
    "fewer days than a window": (lambda path: write_lines(path, seller_lines(3)), ("3 days", "at least 8")),
    "no priced day": (
        lambda path: write_lines(path, [",".join(HEADER), *(f"2025-01-{day:02d},,,,," for day in range(1, 29))]),
        ("no day has both a price and sales",),
    ),
    "several problems": (
        _many_problems,
        (
            "3 problems:",
            "line 5, Product Price: must be a number, found 'abc'",
            "line 9, Product Price: must be positive, found -5",
            "line 12, Report Date: 2025-01-10 is already on line 11",
        ),
    ),
}


SHORT = ("fewer days than a window", "no priced day")
"""Files that are enough where a shop has other days."""


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        (kind, name)
        for kind in BAD_FILES
        for name in ("check", "fit", "predict")
        if name != "predict" or kind not in SHORT
    ],
)
def test_a_bad_file_gives_one_message_and_leaves_nothing(
    kind: str, command: str, trained: Path, tmp_path: Path
) -> None:
    spoil, told = BAD_FILES[kind]
    spoil(tmp_path / "sales.csv")
    before = listing(tmp_path)
    words = {
        "check": ["check", "sales.csv"],
        "fit": ["fit", "--data.path", "sales.csv", *FAST],
        "predict": ["predict", "--ckpt_path", str(trained / "best.ckpt"), "--data.path", "sales.csv", "--out", "new"],
    }
    result = run(tmp_path, *words[command])
    assert result.code == 3
    assert result.out == ""
    assert result.err.startswith("error: sales.csv")
    assert result.err.count("error:") == 1 and "Traceback" not in result.err
    assert all(part in result.err for part in told), result.err
    assert listing(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "sales.csv", seller_lines())
    path.chmod(0)
    result = run(tmp_path, "check", "sales.csv")
    assert result.code == 3 and "permission" in result.err


def test_a_failed_fit_keeps_what_an_earlier_run_wrote(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "checkpoints" / "seller")
    _many_problems(tmp_path / "sales.csv")
    before = listing(tmp_path)
    assert run(tmp_path, "fit", "--data.path", "sales.csv", "--run_name", "seller", *FAST).code == 3
    assert listing(tmp_path) == before


def _truncate(path: Path, good: bytes) -> None:
    path.write_bytes(good[: len(good) // 2])


BAD_CHECKPOINTS: dict[str, tuple[Callable[[Path, bytes], object], str]] = {
    "missing": (lambda path, good: None, "does not exist"),
    "folder": (lambda path, good: path.mkdir(), "is a folder"),
    "empty": (lambda path, good: path.touch(), "is not a checkpoint, or it is damaged"),
    "text": (lambda path, good: path.write_text("hello"), "is not a checkpoint, or it is damaged"),
    "truncated": (_truncate, "is not a checkpoint, or it is damaged"),
    "other file of torch": (lambda path, good: torch.save({"a": 1}, path), "is not a pricerl checkpoint"),
    "pickle": (
        lambda path, good: path.write_bytes(pickle.dumps({"pricerl": 1})),
        "is not a checkpoint, or it is damaged",
    ),
    "plain safetensors": (lambda path, good: save_file({"a": torch.ones(1)}, path), "is not a checkpoint"),
    "other tree": (lambda path, good: save(path, {"a": 1}), "not a pricerl checkpoint"),
    "odd key": (lambda path, good: save(path, {"pricerl": 3}), "not a pricerl checkpoint"),
    "no weights": (lambda path, good: save(path, {"pricerl": {"format": 10, "version": "1"}}), "not a valid"),
    "other format": (
        lambda path, good: save(path, {"pricerl": {"format": 99, "version": "2.0"}, "state_dict": {}}),
        "has checkpoint format 99, written by pricerl 2.0",
    ),
}


@pytest.mark.parametrize("command", ["fit", "predict"])
@pytest.mark.parametrize("kind", BAD_CHECKPOINTS)
def test_a_bad_checkpoint_is_named_and_nothing_starts(kind: str, command: str, trained: Path, tmp_path: Path) -> None:
    write_lines(tmp_path / "sales.csv", seller_lines())
    make, told = BAD_CHECKPOINTS[kind]
    make(tmp_path / "bad.ckpt", (trained / "best.ckpt").read_bytes())
    before = listing(tmp_path)
    result = run(tmp_path, command, "--ckpt_path", "bad.ckpt", "--data.path", "sales.csv", "--out", "new")
    assert result.code == 5
    assert result.err.startswith("error: bad.ckpt") and told in result.err
    assert result.err.count("\n") == 1 and result.out == ""
    assert listing(tmp_path) == before


@pytest.mark.parametrize("command", ["fit", "validate", "test"])
def test_a_checkpoint_of_another_network_is_refused(command: str, trained: Path, tmp_path: Path) -> None:
    write_lines(tmp_path / "sales.csv", seller_lines())
    before = listing(tmp_path)
    words = ["--ckpt_path", str(trained / "best.ckpt"), "--data.path", "sales.csv", "--model.network.hidden", "[16]"]
    result = run(tmp_path, command, *words, "--trainer.enable_progress_bar", "false")
    assert result.code == 5
    assert "was trained with a different network" in result.err and result.err.count("\n") == 1
    assert listing(tmp_path) == before


@pytest.mark.parametrize("command", ["predict", "validate", "test"])
def test_scoring_and_advice_need_a_checkpoint(command: str, tmp_path: Path) -> None:
    result = run(tmp_path, command)
    assert result.code == 2
    assert result.err == "error: checkpoints holds no run with best.ckpt yet; start with: pricerl advise FILE\n"


@pytest.mark.parametrize("command", ["fit", "predict"])
def test_last_without_a_run_is_named(command: str, tmp_path: Path) -> None:
    result = run(tmp_path, command, "--ckpt_path", "last", "--run_name", "nowhere")
    assert result.code == 5
    assert "checkpoints/nowhere/last.ckpt does not exist" in result.err.replace("\\", "/")
    assert listing(tmp_path) == {}


def test_products_that_the_checkpoint_does_not_know_join_the_shop(trained: Path, tmp_path: Path) -> None:
    lines = seller_lines(product="Mug") + seller_lines(product="Bowl")[1:]
    write_lines(tmp_path / "sales.csv", lines)
    words = ["--ckpt_path", str(trained / "best.ckpt"), "--data.path", "sales.csv", "--out", "new"]
    result = run(tmp_path, "predict", *words)
    assert result.code in (0, 4) and "'Mug', 'Bowl': new since the training, advised all the same" in result.err
    products = json.loads((tmp_path / "new" / "advice.json").read_text(encoding="utf-8"))["products"]
    assert [item["product"] for item in products] == ["seller", "Mug", "Bowl"]


@pytest.mark.parametrize("command", ["fit", "predict"])
def test_an_out_that_is_a_file_is_refused_before_anything_starts(command: str, trained: Path, tmp_path: Path) -> None:
    write_lines(tmp_path / "sales.csv", seller_lines())
    before = listing(tmp_path)
    start = FAST if command == "fit" else ["--ckpt_path", str(trained / "best.ckpt")]
    result = run(tmp_path, command, "--data.path", "sales.csv", "--out", "sales.csv", *start)
    assert result.code == 2
    assert result.err.startswith("error: --out ") and "is a file; name a folder" in result.err
    assert listing(tmp_path) == before


def test_a_run_folder_that_is_a_file_is_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").touch()
    result = run(tmp_path, "fit", *FAST)
    assert result.code == 2 and "is a file; name a folder" in result.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_out_is_refused(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    result = run(tmp_path, "predict", "--ckpt_path", str(trained / "best.ckpt"), "--out", "locked/new")
    assert result.code == 2 and "no permission" in result.err


def test_outputs_that_cannot_be_replaced_are_reported_and_kept(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    words = ["predict", "--ckpt_path", str(trained / "best.ckpt"), "--out", "out"]
    words += ["--data.path", str(trained.parents[1] / "seller.csv")]
    assert run(tmp_path, *words).code in (0, 4)
    assert sorted(path.name for path in out.iterdir()) == sorted(OUTPUTS)
    before = listing(tmp_path)

    opened = Path.open

    def refuse(self: Path, *args: Any, **options: Any) -> Any:
        if "wb" in args:
            raise OSError(28, "No space left on device", str(self))
        return opened(self, *args, **options)

    monkeypatch.setattr(Path, "open", refuse)
    result = run(tmp_path, *words, "--horizon", "5")
    assert result.code == 2
    assert "No space left on device" in result.err and "earlier files are untouched" in result.err
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("data: 3", "data must hold settings, found 3"),
        ("data: {guardrails: 5}", "data.guardrails must hold settings, found 5"),
        ("data:\n  reward:", "data.reward must hold settings, found None"),
    ],
)
def test_a_value_in_place_of_settings_is_one_sentence_and_a_training_s_own_are_left_aside(
    text: str, told: str, trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "own.yaml").write_text(
        f"{text}\nmodel: {{init: scratch}}\ntrainer: {{max_steps: 5}}\n", encoding="utf-8"
    )
    words = ["--ckpt_path", str(trained / "best.ckpt"), "--config", str(tmp_path / "own.yaml")]
    assert run(tmp_path, "predict", *words) == Result(2, "", f"error: {told}\n")
