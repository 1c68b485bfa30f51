from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from pricerl.advice.sentences.answers import say
from pricerl.advice.sentences.data_report import report_lines
from pricerl.arrays import to_plain
from pricerl.data.cleaning.quality import MIN_USABLE_DAYS, ProductReport, Verdict
from pricerl.data.history import History
from pricerl.reasons import Reason

Daily = Callable[..., list[str]]


def test_lines_start_with_the_verdict_and_list_every_count(read: Callable[..., History], daily: Daily) -> None:
    lines = daily(["10,20"] * 9 + [",", "11,22", "12,36"] + [","])
    del lines[4]
    text = report_lines(read(lines).reports[0])
    assert text[:2] == ["sales: FAIL", "  only 11 usable days; at least 28 are needed"]
    assert "  history          2025-01-01 to 2025-01-12, 12 days" in text
    assert "  rows             12: 11 history, 1 future" in text
    assert "  prices           3 distinct, 10.00 to 12.00" in text
    assert "  zero-sale days   1, 1 of them with a blank price" in text
    assert "  missing days     1" in text
    assert "  Total Sales      revenue; whole units on 100% of days with sales" in text
    assert "  filled cells     Product Price 1, Total Sales 1" in text
    assert "  forecast         mean_7; too few days to score it" in text


def test_conversions_that_look_like_shares_are_noted(read: Callable[..., History], daily: Daily) -> None:
    header = "Report Date,Product Price,Total Sales,Organic Conversion Percentage,Ad Conversion Percentage"
    for cells, noted in (("0.05,5", True), ("0,5", False), (",5", False), ("1.2,5", False)):
        notes = read(daily([f"10,20,{cells}"] * 10, header)).reports[0].notes
        shares = [note for note in notes if "Multiply by 100 if these are shares" in note]
        assert [note.split(":")[0] for note in shares] == ["Organic Conversion Percentage"] * noted


@pytest.mark.parametrize(
    ("cells", "min_days", "quality", "findings"),
    [
        (["10,20", "11,22", "12,24"] * 10, 28, "PASS", ()),
        (["10,20", "11,22", "12,24"] * 10, 31, "FAIL", (Reason("too_few_days", {"usable": 30, "needed": 31}),)),
        (["10,20", "11,22", "12,24"] * 9, 20, "REVIEW", (Reason("few_priced_days", {"days": 27}),)),
        (["10,20", "11,22", "12,24"] * 9, 28, "FAIL", (Reason("too_few_days", {"usable": 27, "needed": 28}),)),
        (["10,20", "11,22"] * 15, 28, "REVIEW", (Reason("few_prices", {"prices": 2}),)),
        (["10,20"] * 30, 28, "FAIL", (Reason("one_price"),)),
    ],
)
def test_the_verdict_uses_the_minimum_days_in_force(
    cells: list[str],
    min_days: int,
    quality: str,
    findings: tuple[Reason, ...],
    read: Callable[..., History],
    daily: Daily,
) -> None:
    report = read(daily(cells)).reports[0]
    assert report.judge(min_days) == (quality, findings)
    if min_days == MIN_USABLE_DAYS:
        said = (f"  {say(finding)}" for finding in findings)
        assert report_lines(report)[: len(findings) + 1] == [f"sales: {quality}", *said]
    plain = report.to_dict(min_days)
    assert (plain["quality"], plain["findings"], plain["min_days"]) == (quality, to_plain(findings), min_days)


def test_a_history_of_few_sales_needs_a_review(read: Callable[..., History], daily: Daily) -> None:
    def verdict(step: int) -> Verdict:
        cells = [f"{10 + day // 45},{(10 + day // 45) * (day % step == 0)}" for day in range(180)]
        return read(daily(cells)).reports[0].judge()

    assert verdict(60) == ("REVIEW", (Reason("few_sold_days", {"days": 3}),))
    assert verdict(9).quality == "PASS"


def test_report_survives_json(read: Callable[..., History], daily: Daily) -> None:
    report = replace(read(daily(["10,20"] * 10)).reports[0], doubts=(Reason("refunds", {"share": 0.5, "days": 10}),))
    stored = json.loads(json.dumps(report.to_dict()))
    assert ProductReport.from_dict(stored) == report
    older = ProductReport.from_dict({**stored, "doubts": ["50% of 10 days are refunds"]})
    assert [say(doubt) for doubt in older.doubts] == ["50% of 10 days are refunds"]


def test_importing_the_package_loads_neither_readers_of_parquet_nor_torch() -> None:
    code = "import sys, pricerl.data; sys.exit('pyarrow.parquet' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
