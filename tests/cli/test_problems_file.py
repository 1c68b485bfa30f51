"""``problems.csv``: the problems of products without advice, next to the advice on the others."""

from __future__ import annotations

import csv
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from command_line import FAST, run, seller_lines, write_lines

from pricerl.market import fitting
from pricerl.training import pricing_data


@pytest.mark.slow
def test_fit_and_predict_write_the_problems_of_skipped_products(tmp_path: Path) -> None:
    header, *rows = seller_lines(product="Lamp")
    good = [header, *(",".join([*row.split(",")[:2], f"EUR {row.split(',')[2]}", *row.split(",")[3:]]) for row in rows)]
    bad = [f"Bad,2025-01-{day:02},EUR ten,1,1,12,9" for day in range(1, 31)]
    write_lines(tmp_path / "shop.csv", [*good, *bad])
    result = run(tmp_path, "fit", *FAST, "--data.path", "shop.csv", "--run_name", "shop")
    assert result.code in (0, 4), result.err
    folder = tmp_path / "checkpoints" / "shop"
    rows = list(csv.reader((folder / "problems.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 31 and rows[1][:4] == ["92", "Product Price", "Bad", "EUR ten"]
    assert json.loads((folder / "advice.json").read_text(encoding="utf-8"))["currency"] == "EUR"
    write_lines(tmp_path / "whole.csv", good)
    for file, found in (("shop.csv", True), ("whole.csv", False)):
        words = ["--ckpt_path", str(folder / "best.ckpt"), "--data.path", file, "--out", "fresh"]
        assert run(tmp_path, "predict", *words).code in (0, 4)
        assert (tmp_path / "fresh" / "problems.csv").exists() == found
    assert run(tmp_path, "predict", "--ckpt_path", str(folder / "best.ckpt"), "--out", "stored").code in (0, 4)
    assert (tmp_path / "stored" / "problems.csv").exists()  # shop.csv, read again: whole.csv brought no new advice
    assert json.loads((tmp_path / "stored" / "advice.json").read_text(encoding="utf-8"))["currency"] == "EUR"
    other = ("--ckpt_path", str(folder / "best.ckpt"), "--out", "other", "--data.currency", "USD")
    for words, source in ((other, "shop.csv"), ((*other, "--data.path", "shop.csv"), "shop.csv")):
        contradicted = run(tmp_path, "predict", *words)
        own = f"EUR, the currency of {source}, or be left out"
        assert contradicted.code == 2 and f"--data.currency: must be {own}, found 'USD'" in contradicted.err
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
