"""The files of an advice: columns, dates, numbers, guardrails, safety, and the workbook of its tables."""

from __future__ import annotations

import json
import re
import zipfile
from datetime import date, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from advice_outputs import Document, joined, lowering_policy, read_document, read_outputs, without_head
from command_line import FAST, OUTPUTS, Result, run, seller_lines, write_lines

from pricerl import errors
from pricerl.advice import files
from pricerl.advice.block import block_lines
from pricerl.advice.exports import check_workbook, write_workbook
from pricerl.advice.files import About
from pricerl.advice.report.render import render_pages
from pricerl.advice.report.view import MOST_DAYS
from pricerl.advice.sentences.next_steps import Place
from pricerl.advice.sentences.verdict import explain
from pricerl.advice.stored import StoredAdvice
from pricerl.errors import UsageError
from pricerl.formatting import PLAIN, Formatter, unit_digits
from pricerl.operations.exports import Publication, write_files
from pricerl.operations.log.decision_log import NOTHING, verify
from pricerl.operations.outbox import COLUMNS as PRICE_COLUMNS
from pricerl.operations.outbox import fill_outbox
from pricerl.shop.database import FILE, writing

LAST_DAY = date(2025, 1, 1) + timedelta(days=89)

COLUMNS = (
    "Product,Date,Current Price,Recommended Price,Price Low,Price High,Expected Units,Units Low,Units High,"
    "Expected Sales,Sales Low,Sales High,Expected Profit,Profit Low,Profit High,Organic Conversion Percentage,"
    "Ad Conversion Percentage,Chance Better,Grade,Source,Reason"
)
FORBIDDEN_WORDS = ("optimal", "will increase", "guarantee", "100 %", "100%", "nan", "None", "inf ")

EVIL_NAMES = {
    "<script>alert(1)</script>": "&lt;script&gt;alert(1)&lt;/script&gt;",
    "=cmd()": "=cmd()",
    "{{7*7}}": "{{7*7}}",
    "long " * 1000: "long long",
    "abc\u202edef\u200f": "abc",
    "🧼 soap & nuts": "🧼 soap &amp; nuts",
}


@pytest.fixture(params=["gated", "moved"])
def outputs(request: pytest.FixtureRequest, trained_once: Path, moved: Path) -> Path:
    return trained_once if request.param == "gated" else moved


def predict(trained: Path, *words: str, folder: Path | None = None, file: str = "seller.csv") -> Result:
    """Advise with the best policy of a run."""
    chosen = ("--ckpt_path", str(trained / "best.ckpt"), "--data.path", file)
    return run(folder or trained.parents[1], "predict", *chosen, *words)


def test_the_table_has_the_contracts_columns_a_row_a_day_after_the_history_and_the_documents_numbers(
    outputs: Path,
) -> None:
    assert (outputs / "advice.csv").read_text(encoding="utf-8").splitlines()[0] == COLUMNS
    rows, (product,), _ = read_outputs(outputs)
    horizon = 28 if outputs.name == "moved" else 14
    assert [row["Date"] for row in rows] == [str(LAST_DAY + timedelta(days=day + 1)) for day in range(horizon)]
    for row, day in zip(rows, product["days"], strict=True):
        assert row["Recommended Price"] == f"{day['recommended_price']:.2f}"
        assert row["Current Price"] == f"{product['current_price']:.2f}"
        for name in ("Units", "Sales", "Profit"):
            mean, low, high = day[name.lower()]
            cells = [row[f"{name} Low"], row[f"Expected {name}"], row[f"{name} High"]]
            assert cells == [f"{value:.2f}" for value in (low, mean, high)] and low <= mean <= high
        assert row["Organic Conversion Percentage"] == f"{day['organic'][0]:.2f}"
        assert row["Reason"] == product["reason"]
        assert (row["Grade"], row["Source"]) == (product["decision"]["grade"], product["decision"]["source"])


def test_the_document_has_a_line_per_product_whatever_its_texts_hold(outputs: Path, tmp_path: Path) -> None:
    head, line, end = (outputs / "advice.json").read_bytes().splitlines()
    assert json.loads(head + b"]}")["format"] == files.FORMAT and end == b"]}"
    (product,) = read_outputs(outputs)[1]
    assert json.loads(line) == product
    odd = {**product, "product": "line\u2028 break\x85\n", "reason": 'say "[\n]}"'}
    stored = [StoredAdvice.of(record, PLAIN) for record in (product, odd)]
    pieces = files.render_files(stored, files.About("seller.csv", "profit"), PLAIN)
    (tmp_path / "advice.json").write_text(joined(pieces)["advice.json"], encoding="utf-8", newline="")
    known = files.read_advice(tmp_path)
    assert known is not None and known["products"] == [product, odd]
    assert [item.to_dict() for item in stored] == [product, odd]


def test_the_pages_are_those_of_the_document_alone(outputs: Path) -> None:
    assert dict(render_pages(read_document(outputs))) == {"report.html": read_outputs(outputs).html}


def test_page_block_and_reason_state_which_lost_buyers_stay_in_the_category(outputs: Path) -> None:
    document = read_document(outputs)
    found = {"category": "<b>tea\u202e\n", "share": [0.38, 0.2, 0.57]}
    product = {**document["products"][0], "substitution": found}
    said = "Of 100 buyers whom a higher price loses, 38 (90 %: 20 to 57) take another product of “<b>tea”"
    html = dict(render_pages({**document, "products": [product]}))["report.html"]
    assert said in unescape(html).replace("\N{NO-BREAK SPACE}", " ") and found["category"] not in html
    assert said in " ".join(" ".join(block_lines([product], PLAIN, Place())).split())
    assert said in explain(product, PLAIN)


def test_the_report_shows_the_documents_numbers(outputs: Path) -> None:
    _, (product,), html = read_outputs(outputs)
    assert 14 <= len(product["days"]) <= MOST_DAYS
    digits = unit_digits(*(value for day in product["days"] for value in day["units"]))
    for day in product["days"]:
        mean, low, high = (PLAIN.number(value, digits) for value in day["units"])
        units = f'<span class="value">{mean}</span> <span class="range">{low} to {high}</span>'
        row = html[html.index(f'<tr><th scope="row">{PLAIN.weekday_date(day["date"])}') :].split("</tr>")[0]
        assert units in row and PLAIN.number(day["organic"][0], 1) in row


def test_the_report_shows_every_horizon_of_the_backtest(trained_once: Path) -> None:
    _, (product,), html = read_outputs(trained_once)
    scores = product["backtest"]["scores"]
    assert [row["days_ahead"] for row in scores] == [1, 7, 14]
    table = html[html.index("Forecasts of the past") :]
    for row in scores:
        errors = [PLAIN.percent(row[key]).replace(" ", "\u00a0") for key in ("wape_market", "wape_mean_7")]
        cells = [str(row["days_ahead"]), *errors, PLAIN.number(row["skill"], plus="+")]
        shown = [f'<span class="value">{cell}</span>' for cell in cells]
        line = next(line for line in table.splitlines() if shown[0] in line and shown[1] in line)
        assert all(cell in line for cell in shown) and f"of {row['days']}<" in line
    assert "; its 90\u00a0% intervals contained " in table


def test_texts_claim_nothing_and_show_no_programmers_words_and_the_report_loads_and_runs_nothing(outputs: Path) -> None:
    _, (product,), html = read_outputs(outputs)
    visible = re.sub(r"<style.*?</style>|<[^>]*>", " ", html, flags=re.DOTALL)
    visible = " ".join(unescape(visible).split())  # also no-break spaces, so that no "100 %" hides
    texts = [product["reason"], (outputs / "advice.csv").read_text(encoding="utf-8"), visible]
    assert [word for word in FORBIDDEN_WORDS for text in texts if word in text] == []
    for word in ("http://", "https://", "style=", "<script", "src=", "@import"):
        assert word not in html.lower()
    assert html.count("url(") == html.count("url(#") == 1
    assert "Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-" in unescape(html)
    assert len(html.encode()) < 150_000


def test_predict_repeats_fits_advice_byte_for_byte_on_the_same_file_which_it_reads_if_none_is_named(
    trained: Path, tmp_path: Path
) -> None:
    assert predict(trained, "--out", str(tmp_path)).code in (0, 4)
    for name in OUTPUTS:
        assert without_head((tmp_path / name).read_bytes()) == without_head((trained / name).read_bytes())
    before = (trained / "advice.csv").read_bytes()
    assert run(trained.parents[1], "predict", "--out", "out").code in (0, 4)
    assert (trained.parents[1] / "out" / "advice.csv").read_bytes() == before == (trained / "advice.csv").read_bytes()


def test_a_fresher_file_moves_the_dates(trained: Path, tmp_path: Path) -> None:
    write_lines(tmp_path / "sales.csv", seller_lines(97))
    said = predict(trained, "--out", "out", "--horizon", "3", folder=tmp_path, file="sales.csv")
    assert said.code in (0, 4)
    rows = read_outputs(tmp_path / "out").rows
    assert [row["Date"] for row in rows] == [str(LAST_DAY + timedelta(days=day)) for day in (8, 9, 10)]


def test_products_get_a_row_a_day_each_and_their_names_are_harmless(tmp_path: Path) -> None:
    lines: list[str] = []
    for name in EVIL_NAMES:
        more = seller_lines(40, product=f'"{name}"')
        lines += more[1:] if lines else more
    write_lines(tmp_path / "sales.csv", lines)
    result = run(tmp_path, "fit", "--data.path", "sales.csv", "--run_name", "all", "--horizon", "5", *FAST)
    assert result.code in (0, 4), result.err
    folder = tmp_path / "checkpoints" / "all"
    rows, products, html = read_outputs(folder)
    assert len(rows) == 5 * len(products) == 5 * len(EVIL_NAMES)
    assert [row["Product"] for row in rows if row["Product"].startswith(("=", "+", "-", "@"))] == []
    assert "'=cmd()" in {row["Product"] for row in rows}
    assert "49" not in {row["Product"] for row in rows} and all(shown in html for shown in EVIL_NAMES.values())
    for page, shown in zip(sorted((folder / "report").iterdir()), EVIL_NAMES.values(), strict=True):
        text = page.read_text(encoding="utf-8")
        assert "<script" not in html + text and shown in text


def _lowered(trained: Path, *words: str) -> tuple[list[dict[str, str]], dict[str, Any]]:
    with lowering_policy():
        result = predict(trained, "--out", "lowered", "--horizon", "7", *words)
    assert result.code == 0, result.err
    rows, (product,), _ = read_outputs(trained.parents[1] / "lowered")
    return rows, product


def test_an_unproven_change_is_no_reason_to_stay_above_the_ceiling(trained: Path) -> None:
    now = float(seller_lines()[-1].split(",")[1])
    words = ["--data.guardrails.ceiling", f"{now - 0.2:.2f}", "--decision.min_chance", "1", "--decision.min_days", "91"]
    rows, product = _lowered(trained, *words)
    assert float(rows[-1]["Recommended Price"]) == pytest.approx(now - 0.2)
    assert (rows[0]["Grade"], rows[0]["Source"]) == ("C", "limits")
    assert product["reason"].startswith("Lower to") and "moves to the nearest one" in product["reason"]


def test_a_change_smaller_than_half_a_price_step_is_still_a_change(trained: Path) -> None:
    now = float(seller_lines()[-1].split(",")[1])
    step = f"{(now - 0.3) / 2}"
    rows, product = _lowered(trained, "--data.guardrails.price_step", step, "--decision.min_chance", "0")
    assert float(rows[-1]["Recommended Price"]) == pytest.approx(now - 0.3, abs=0.01)
    assert product["decision"]["follow"] == "path"


def test_a_folder_of_the_users_in_the_place_of_the_table_is_refused_before_anything_is_written(
    trained: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "out" / "advice.csv" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine", encoding="utf-8")
    log = verify(trained / "shop.db")
    refused = predict(trained, "--out", str(tmp_path / "out"))
    assert refused.code == 2 and refused.err.startswith(f"error: {mine.parent} is a folder, where a file is to be")
    assert mine.read_text() == "mine" and {*tmp_path.rglob("*")} == {mine.parents[1], mine.parent, mine}
    assert verify(trained / "shop.db") == log


def test_the_workbook_holds_the_numbers_of_the_advice_and_no_formula(changed: Document, tmp_path: Path) -> None:
    changed["products"][0]["product"] = '=HYPERLINK("http://x")'
    (tmp_path / "advice.json").write_text(json.dumps(changed))
    written = []
    for _ in range(2):
        write_workbook(tmp_path, [PRICE_COLUMNS, ("=1+1", "2026-01-01", "9.50", "EUR", "2026-01-14", "0")])
        written.append((tmp_path / "advice.xlsx").read_bytes())
    assert written[0] == written[1]
    with zipfile.ZipFile(tmp_path / "advice.xlsx") as book:
        sheets = [book.read(f"xl/worksheets/sheet{number}.xml").decode() for number in (1, 2, 3, 4)]
        assert "=HYPERLINK" in book.read("xl/sharedStrings.xml").decode()
    assert not any("<f>" in sheet or "<hyperlink" in sheet for sheet in sheets)
    product = changed["products"][0]
    lengths = [len(product["days"]), len(product["baselines"])]
    assert [sheet.count("<row ") - 1 for sheet in sheets[1:3]] == lengths
    assert f"<v>{product['recommended_price']:.16g}</v>" in sheets[0]
    assert f"<v>{product['days'][0]['units'][0]:.16G}</v>" in sheets[1]


def test_excel_is_a_word_on_the_command_line_and_needs_its_package(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert predict(trained, "--out", str(tmp_path), "--excel").code in (0, 4)
    assert (tmp_path / "advice.xlsx").read_bytes()[:2] == b"PK"

    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(errors, "import_module", missing)
    with pytest.raises(UsageError, match=r'pip install -e "\.\[excel\]"'):
        check_workbook()
    refused = predict(trained, "--out", str(tmp_path), "--excel")
    assert refused.code == 2 and "--excel needs xlsxwriter" in refused.err


def test_pages_of_earlier_products_go_and_files_of_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = fill_outbox(NOTHING, "", date(2026, 1, 1))
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
