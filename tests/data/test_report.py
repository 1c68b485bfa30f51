from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from fixture_types import Daily, Read

from pricerl.advice.sentences.answers import say
from pricerl.advice.sentences.data_report import report_lines
from pricerl.arrays import to_plain
from pricerl.data.cleaning.quality import MIN_USABLE_DAYS, ProductReport, Verdict
from pricerl.reasons import Reason


def test_lines_start_with_the_verdict_and_list_every_count(read: Read, daily: Daily) -> None:
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


def test_percentages_that_look_like_shares_are_noted(read: Read, daily: Daily) -> None:
    header = "Report Date,Product Price,Total Sales,Organic Conversion Percentage,Coupon Percentage"
    for cells, noted in {"0.05,10": [3], "0,10": [], ",10": [], "1.2,10": [], "5,0.1": [4]}.items():
        notes = read(daily([f"10,20,{cells}"] * 10, header)).reports[0].notes
        shares = [note.split(":")[0] for note in notes if "Multiply by 100 if these are shares" in note]
        assert shares == [header.split(",")[column] for column in noted]


@pytest.mark.parametrize(
    ("cells", "min_days", "verdict"),
    [
        (["10,20", "11,22", "12,24"] * 10, 28, ("PASS", ())),
        (["10,20", "11,22", "12,24"] * 10, 31, ("FAIL", (Reason("too_few_days", {"usable": 30, "needed": 31}),))),
        (["10,20", "11,22", "12,24"] * 9, 20, ("REVIEW", (Reason("few_priced_days", {"days": 27}),))),
        (["10,20", "11,22", "12,24"] * 9, 28, ("FAIL", (Reason("too_few_days", {"usable": 27, "needed": 28}),))),
        (["10,20", "11,22"] * 15, 28, ("REVIEW", (Reason("few_prices", {"prices": 2}),))),
        (["10,20"] * 30, 28, ("FAIL", (Reason("one_price"),))),
    ],
)
def test_the_verdict_uses_the_minimum_days_in_force(
    cells: list[str], min_days: int, verdict: tuple[str, tuple[Reason, ...]], read: Read, daily: Daily
) -> None:
    report = read(daily(cells)).reports[0]
    quality, findings = verdict
    assert report.judge(min_days) == verdict
    if min_days == MIN_USABLE_DAYS:
        said = [f"  {say(finding)}" for finding in findings]
        assert report_lines(report)[: len(said) + 1] == [f"sales: {quality}", *said]
    plain = report.to_dict(min_days)
    assert (plain["quality"], plain["findings"], plain["min_days"]) == (quality, to_plain(findings), min_days)


def test_a_history_of_few_sales_needs_a_review(read: Read, daily: Daily) -> None:
    def verdict(step: int) -> Verdict:
        cells = [f"{10 + day // 45},{(10 + day // 45) * (day % step == 0)}" for day in range(180)]
        return read(daily(cells)).reports[0].judge()

    assert verdict(60) == ("REVIEW", (Reason("few_sold_days", {"days": 3}),))
    assert verdict(9).quality == "PASS"


def test_report_survives_json(read: Read, daily: Daily) -> None:
    report = replace(read(daily(["10,20"] * 10)).reports[0], doubts=(Reason("refunds", {"share": 0.5, "days": 10}),))
    stored = json.loads(json.dumps(report.to_dict()))
    assert ProductReport.from_dict(stored) == report
    older = ProductReport.from_dict({**stored, "doubts": ["50% of 10 days are refunds"]})
    assert [say(doubt) for doubt in older.doubts] == ["50% of 10 days are refunds"]


def test_importing_the_package_loads_neither_readers_of_parquet_nor_torch() -> None:
    code = "import sys, pricerl.data; sys.exit('pyarrow.parquet' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
