"""Exports: ``prices.csv`` to upload, and a workbook with the tables of the advice."""

from __future__ import annotations

import csv
import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from command_line import run

from pricerl.advice import exports
from pricerl.advice.exports import PRICE_COLUMNS, NewPrice, next_changes, render_prices, write_workbook
from pricerl.errors import UsageError
from pricerl.formatting import safe_text


@pytest.fixture
def changed(moved: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((moved / "advice.json").read_text(encoding="utf-8"))
    return found


def test_the_price_file_holds_the_first_change_of_each_product_and_no_price_that_stays(
    moved: Path, trained: Path
) -> None:
    product = json.loads((moved / "advice.json").read_text(encoding="utf-8"))["products"][0]
    lines = (moved / "prices.csv").read_text(encoding="utf-8").splitlines()
    first = next(day for day in product["days"] if day["recommended_price"] != product["current_price"])
    assert lines == ["Product,Date,Price,Currency", f"seller,{first['date']},{product['recommended_price']:.2f},"]
    kept = json.loads((trained / "advice.json").read_text(encoding="utf-8"))["products"]
    assert len((trained / "prices.csv").read_text(encoding="utf-8").splitlines()) == 1 + len(list(next_changes(kept)))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠", "﹣"])
def test_a_name_that_a_spreadsheet_would_compute_is_escaped(start: str) -> None:
    text = render_prices([NewPrice(f"{start}1+1", "2026-01-01", 9.5)], "EUR", 2)
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        list(PRICE_COLUMNS),
        [f"'{start}1+1", "2026-01-01", "9.50", "EUR"],
    ]
    assert safe_text(f"a{start}") == f"a{start}"


def test_the_workbook_holds_the_numbers_of_the_advice_and_no_formula(changed: dict[str, Any], tmp_path: Path) -> None:
    changed["products"][0]["product"] = '=HYPERLINK("http://x")'
    for name in ("one.xlsx", "two.xlsx"):
        write_workbook(changed, tmp_path / name)
    assert (tmp_path / "one.xlsx").read_bytes() == (tmp_path / "two.xlsx").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.xlsx") as book:
        sheets = [book.read(f"xl/worksheets/sheet{number}.xml").decode() for number in (1, 2, 3, 4)]
        assert "=HYPERLINK" in book.read("xl/sharedStrings.xml").decode()
    assert not any("<f>" in sheet or "<hyperlink" in sheet for sheet in sheets)
    product = changed["products"][0]
    assert sheets[1].count("<row ") == 1 + len(product["days"]) and sheets[2].count("<row ") == 1 + len(
        product["baselines"]
    )
    assert f"<v>{product['recommended_price']:.16g}</v>" in sheets[0]
    assert f"<v>{product['days'][0]['units'][0]:.16G}</v>" in sheets[1]


def test_excel_is_a_word_on_the_command_line_and_needs_its_package(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path
    shutil.copytree(trained.parents[1] / "checkpoints", folder / "checkpoints")  # the log of others stays as it is
    words = ("predict", "--ckpt_path", "checkpoints/seller/best.ckpt", "--out", "excel", "--excel")
    assert run(folder, *words).code in (0, 4)
    assert (folder / "excel" / "advice.xlsx").read_bytes()[:2] == b"PK"

    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(exports, "import_module", missing)
    with pytest.raises(UsageError, match=r'pip install "pricerl\[excel\]"'):
        exports.check_workbook()
    refused = run(folder, *words)
    assert refused.code == 2 and "--excel needs xlsxwriter" in refused.err
