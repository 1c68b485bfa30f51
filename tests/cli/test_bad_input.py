"""A wrong file or checkpoint: one message, the right exit code, nothing lost; and the problems of some products."""

from __future__ import annotations

import csv
import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import FAST, OUTPUTS, listing, run, seller_lines, write_lines
from saying import QUICK, refuses, says

from pricerl.market import fitting
from pricerl.runs.checkpoint import save
from pricerl.training import pricing_data

Spoil = Callable[[Path], object]


def _many_problems(path: Path) -> None:
    lines = seller_lines()
    for row, text in ((4, "abc"), (8, "-5")):
        day, _, *rest = lines[row].split(",")
        lines[row] = ",".join([day, text, *rest])
    lines[11] = lines[10]
    write_lines(path, lines)


SHORT = "fewer days than a window"
"""A file that is enough where a shop has other days."""
BAD_FILES: dict[str, tuple[Spoil, tuple[str, ...]]] = {
    "missing": (lambda path: None, ("there is no such file",)),
    "folder": (lambda path: path.mkdir(), ("is a folder",)),
    SHORT: (lambda path: write_lines(path, seller_lines(3)), ("3 days", "at least 8")),
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


@pytest.mark.parametrize(
    ("kind", "command"),
    [(kind, name) for kind in BAD_FILES for name in ("check", "fit", "predict") if (kind, name) != (SHORT, "predict")],
)
def test_a_bad_file_gives_one_message_and_leaves_nothing(
    kind: str, command: str, trained: Path, tmp_path: Path
) -> None:
    spoil, told = BAD_FILES[kind]
    spoil(tmp_path / "sales.csv")
    before = listing(tmp_path)
    words = {
        "check": "check sales.csv",
        "fit": f"fit --data.path sales.csv {QUICK}",
        "predict": f"predict --ckpt_path {trained / 'best.ckpt'} --data.path sales.csv --out new",
    }
    result = run(tmp_path, *words[command].split())
    assert (result.code, result.out) == (3, "") and result.err.startswith("error: sales.csv")
    assert result.err.count("error:") == 1 and "Traceback" not in result.err
    assert all(part in result.err for part in told), result.err
    assert listing(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write every file")
def test_a_file_and_a_folder_without_permission_are_named(trained: Path, tmp_path: Path) -> None:
    write_lines(tmp_path / "sales.csv", seller_lines()).chmod(0)
    says(tmp_path, "check sales.csv", "permission", code=3)
    (tmp_path / "locked").mkdir(mode=0o500)
    says(tmp_path, f"predict --ckpt_path {trained / 'best.ckpt'} --out locked/new", "no permission", code=2)


def test_a_failed_fit_keeps_what_an_earlier_run_wrote(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "checkpoints" / "seller")
    _many_problems(tmp_path / "sales.csv")
    before = listing(tmp_path)
    assert run(tmp_path, "fit", "--data.path", "sales.csv", "--run_name", "seller", *FAST).code == 3
    assert listing(tmp_path) == before


BAD_CHECKPOINTS: dict[str, tuple[Spoil, str]] = {
    "missing": (lambda path: None, "does not exist"),
    "folder": (lambda path: path.mkdir(), "is a folder"),
    "text": (lambda path: path.write_text("hello"), "is not a checkpoint, or it is damaged"),
    "other file of torch": (lambda path: torch.save({"a": 1}, path), "is not a pricerl checkpoint"),
    "other tree": (lambda path: save(path, {"a": 1}), "not a pricerl checkpoint"),
    "odd key": (lambda path: save(path, {"pricerl": 3}), "not a pricerl checkpoint"),
    "no weights": (lambda path: save(path, {"pricerl": {"format": 10, "version": "1"}}), "not a valid"),
    "other format": (
        lambda path: save(path, {"pricerl": {"format": 99, "version": "2.0"}, "state_dict": {}}),
        "has checkpoint format 99, written by pricerl 2.0",
    ),
}


@pytest.mark.parametrize("command", ["fit", "predict"])
@pytest.mark.parametrize("kind", BAD_CHECKPOINTS)
def test_a_bad_checkpoint_is_named_and_nothing_starts(kind: str, command: str, tmp_path: Path) -> None:
    write_lines(tmp_path / "sales.csv", seller_lines())
    make, told = BAD_CHECKPOINTS[kind]
    make(tmp_path / "bad.ckpt")
    words = f"{command} --ckpt_path bad.ckpt --data.path sales.csv --out new"
    refuses(tmp_path, words, "error: bad.ckpt", told, code=5)


@pytest.mark.parametrize("command", ["fit", "validate", "test"])
def test_a_checkpoint_of_another_network_is_refused(command: str, trained: Path, tmp_path: Path) -> None:
    write_lines(tmp_path / "sales.csv", seller_lines())
    words = f"{command} --ckpt_path {trained / 'best.ckpt'} --data.path sales.csv --model.network.hidden [16]"
    refuses(tmp_path, f"{words} --trainer.enable_progress_bar false", "trained with a different network", code=5)


def test_scoring_and_advice_need_a_checkpoint_and_last_without_a_run_is_named(tmp_path: Path) -> None:
    for command in ("predict", "validate", "test"):
        refuses(tmp_path, command, "checkpoints holds no run with best.ckpt yet; start with: pricerl advise FILE")
    for command in ("fit", "predict"):
        missing = "checkpoints/nowhere/last.ckpt does not exist"
        refuses(tmp_path, f"{command} --ckpt_path last --run_name nowhere", missing, code=5)


def test_products_that_the_checkpoint_does_not_know_join_the_shop(trained: Path, tmp_path: Path) -> None:
    lines = seller_lines(product="Mug") + seller_lines(product="Bowl")[1:]
    write_lines(tmp_path / "sales.csv", lines)
    words = ["--ckpt_path", str(trained / "best.ckpt"), "--data.path", "sales.csv", "--out", "new"]
    result = run(tmp_path, "predict", *words)
    assert result.code in (0, 4) and "'Mug', 'Bowl': new since the training, advised all the same" in result.err
    products = json.loads((tmp_path / "new" / "advice.json").read_text(encoding="utf-8"))["products"]
    assert [item["product"] for item in products] == ["seller", "Mug", "Bowl"]


@pytest.mark.parametrize("command", ["fit", "predict"])
def test_an_out_or_a_run_folder_that_is_a_file_is_refused_before_anything_starts(
    command: str, trained: Path, tmp_path: Path
) -> None:
    write_lines(tmp_path / "sales.csv", seller_lines())
    start = QUICK if command == "fit" else f"--ckpt_path {trained / 'best.ckpt'}"
    words = f"{command} --data.path sales.csv --out sales.csv {start}"
    refuses(tmp_path, words, "error: --out ", "is a file; name a folder")
    (tmp_path / "checkpoints").touch()
    refuses(tmp_path, f"fit {QUICK}", "is a file; name a folder")


def test_outputs_that_cannot_be_replaced_are_reported_and_kept(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = f"predict --ckpt_path {trained / 'best.ckpt'} --data.path {trained.parents[1] / 'seller.csv'} --out out"
    says(tmp_path, words)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(OUTPUTS)
    opened = Path.open

    def refuse(self: Path, *args: Any, **options: Any) -> Any:
        if "wb" in args:
            raise OSError(28, "No space left on device", str(self))
        return opened(self, *args, **options)

    monkeypatch.setattr(Path, "open", refuse)
    refuses(tmp_path, f"{words} --horizon 5", "No space left on device", "earlier files are untouched")


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
    write_lines(tmp_path / "own.yaml", [text, "model: {init: scratch}", "trainer: {max_steps: 5}"])
    refuses(tmp_path, f"predict --ckpt_path {trained / 'best.ckpt'} --config own.yaml", told)


@pytest.mark.slow
def test_fit_and_predict_write_the_problems_of_skipped_products(tmp_path: Path) -> None:
    header, *rows = seller_lines(product="Lamp")
    good = [header, *(",".join([*row.split(",")[:2], f"EUR {row.split(',')[2]}", *row.split(",")[3:]]) for row in rows)]
    bad = [f"Bad,2025-01-{day:02},EUR ten,1,1,12,9" for day in range(1, 31)]
    write_lines(tmp_path / "shop.csv", [*good, *bad])
    says(tmp_path, f"fit {QUICK} --data.path shop.csv --run_name shop")
    folder = tmp_path / "checkpoints" / "shop"
    rows = list(csv.reader((folder / "problems.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 31 and rows[1][:4] == ["92", "Product Price", "Bad", "EUR ten"]
    assert json.loads((folder / "advice.json").read_text(encoding="utf-8"))["currency"] == "EUR"
    predict = f"predict --ckpt_path {folder / 'best.ckpt'}"
    says(tmp_path, f"{predict} --out stored")
    kept = tmp_path / "stored" / "problems.csv"  # the shop has read shop.csv
    assert kept.read_bytes() == (folder / "problems.csv").read_bytes()
    write_lines(tmp_path / "whole.csv", good)
    for file, found in (("shop.csv", True), ("whole.csv", False)):
        says(tmp_path, f"{predict} --data.path {file} --out fresh")
        assert (tmp_path / "fresh" / "problems.csv").exists() == found
    says(tmp_path, f"{predict} --out stored")
    assert not kept.exists()  # whole.csv, which was read last, has none
    assert json.loads((tmp_path / "stored" / "advice.json").read_text(encoding="utf-8"))["currency"] == "EUR"
    contradicted = "--data.currency: must be EUR, the currency of shop.csv, or be left out, found 'USD'"
    for words in ("", " --data.path shop.csv"):
        says(tmp_path, f"{predict} --out other --data.currency USD{words}", contradicted, code=2)
    refused = run(tmp_path, "fit", *FAST, "--data.path", "shop.csv", "--data.reading.strict", "true")
    assert refused.code == 3 and "has 30 problems:" in refused.err and refused.err.count("Product Price:") == 20
    assert "… and 10 more; `check shop.csv --problems problems.csv` lists them" in refused.err


@pytest.fixture
def no_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the market of one product have no fit."""
    usual = fitting._fit_product

    def fit(given: Any, **settings: Any) -> Any:
        if given[0].product == "Bad":
            raise FloatingPointError("no\nfit")
        return usual(given, **settings)

    monkeypatch.setattr(fitting, "_fit_product", fit)


@pytest.mark.slow
def test_a_product_that_cannot_be_computed_keeps_its_price_with_a_reason(tmp_path: Path, no_fit: None) -> None:
    lines = [*seller_lines(product="Lamp"), *seller_lines(product="Bad")[1:]]
    write_lines(tmp_path / "shop.csv", lines)
    write_lines(tmp_path / "one.csv", lines[:91])
    name = ("--run_name", "shop")
    for command, file in (("fit", "shop.csv"), ("fit", "one.csv"), ("predict", "shop.csv")):
        result = run(tmp_path, command, *(FAST if command == "fit" else ()), "--data.path", file, *name)
        assert result.code == 7, result.err
        folder = tmp_path / "checkpoints" / "shop"
        document = json.loads((folder / "advice.json").read_text(encoding="utf-8"))
        assert [item["product"] for item in document["products"]] == ["Lamp"]
        assert (folder / "problems.csv").exists()
    rows = list(csv.reader((folder / "problems.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[1] == ["", "", "Bad", "", r"no new advice: FloatingPointError('no\nfit')"]
    assert "'Bad': no new advice; problems.csv has the reasons" in result.err
    assert "Bad" not in (folder / "prices.csv").read_text(encoding="utf-8")
    watched = run(tmp_path, "watch", "shop", "--data.path", "shop.csv")
    assert watched.code == 6 and "Bad is not in the model" in watched.out


def test_fit_trains_on_some_products_and_advises_on_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pricerl")
    monkeypatch.setattr(pricing_data.PricingDataModule, "most_trained", 1)
    write_lines(tmp_path / "shop.csv", [*seller_lines(product="Lamp"), *seller_lines(product="Mug")[1:]])
    words = [*FAST, "--data.path", "shop.csv", "--run_name", "shop", "--decision.compare_plan", "true"]
    result = run(tmp_path, "fit", *words)
    assert result.code in (0, 4), result.err
    assert "fitting the market of 1 of 2 products" in caplog.text
    document = json.loads((tmp_path / "checkpoints" / "shop" / "advice.json").read_text(encoding="utf-8"))
    assert [item["product"] for item in document["products"]] == ["Lamp", "Mug"]


@pytest.mark.slow
def test_a_share_of_a_tenth_without_advice_is_a_warning(tmp_path: Path, no_fit: None) -> None:
    names = [*(f"Lamp {number}" for number in range(9)), "Bad"]
    header = seller_lines(product="Lamp", days=30)[0]
    write_lines(tmp_path / "shop.csv", [header, *(row for name in names for row in seller_lines(30, product=name)[1:])])
    assert run(tmp_path, "fit", *FAST, "--data.path", "shop.csv", "--run_name", "shop").code == 6


def test_only_products_that_cannot_be_computed_are_an_error(tmp_path: Path, no_fit: None) -> None:
    write_lines(tmp_path / "shop.csv", seller_lines(product="Bad"))
    assert run(tmp_path, "fit", *FAST, "--data.path", "shop.csv").code == 1
