"""Exports: the workbook with the tables of the advice and the outbox."""

from __future__ import annotations

import json
import shutil
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from command_line import run

from pricerl import errors
from pricerl.advice.exports import check_workbook, write_workbook
from pricerl.advice.files import About
from pricerl.errors import UsageError
from pricerl.formatting import Formatter
from pricerl.operations.exports import Publication, write_files
from pricerl.operations.log.decision_log import Head
from pricerl.operations.outbox import COLUMNS, fill_outbox
from pricerl.shop.database import FILE, writing


@pytest.fixture
def changed(moved: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((moved / "advice.json").read_text(encoding="utf-8"))
    return found


def test_the_workbook_holds_the_numbers_of_the_advice_and_no_formula(changed: dict[str, Any], tmp_path: Path) -> None:
    changed["products"][0]["product"] = '=HYPERLINK("http://x")'
    (tmp_path / "advice.json").write_text(json.dumps(changed))
    written = []
    for _ in range(2):
        write_workbook(tmp_path, [COLUMNS, ("=1+1", "2026-01-01", "9.50", "EUR", "2026-01-14", "0")])
        written.append((tmp_path / "advice.xlsx").read_bytes())
    assert written[0] == written[1]
    with zipfile.ZipFile(tmp_path / "advice.xlsx") as book:
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
    shutil.copy(trained.parents[1] / "seller.csv", folder)
    words = ("predict", "--ckpt_path", "checkpoints/seller/best.ckpt", "--out", "excel", "--excel")
    assert run(folder, *words).code in (0, 4)
    assert (folder / "excel" / "advice.xlsx").read_bytes()[:2] == b"PK"

    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(errors, "import_module", missing)
    with pytest.raises(UsageError, match=r'pip install -e "\.\[excel\]"'):
        check_workbook()
    refused = run(folder, *words)
    assert refused.code == 2 and "--excel needs xlsxwriter" in refused.err


def test_pages_of_earlier_products_go_and_files_of_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = fill_outbox([], Head(), "", date(2026, 1, 1))
    for model, names in (("1", ("001-mug.html", "002-bowl.html")), ("2", ("001-mug.html", "002-plate.html"))):
        pages = [(f"report/{name}", f"page of {model}") for name in names]
        monkeypatch.setattr("pricerl.operations.exports.render_files", lambda *_, pages=pages: iter(pages))
        with writing(tmp_path / FILE) as database:
            Publication(About("sales.csv", "balanced", model), Formatter()).keep(database, [], {})
            write_files(database, tmp_path, [], outbox)
        for name in ("notes.html", "1-x.html"):
            (tmp_path / "report" / name).touch()
    left = sorted(path.name for path in (tmp_path / "report").iterdir())
    assert left == ["001-mug.html", "002-plate.html", "1-x.html", "notes.html"]
    assert (tmp_path / "report/001-mug.html").read_text() == "page of 2"
