from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricerl.data.config import DataConfig
from pricerl.data.platforms.presets import Dates
from pricerl.data.reading.dates import read_dates, read_days


def days_of(texts: list[str], date_format: str | None = None) -> list[str]:
    days, problems = read_dates(texts, range(2, 2 + len(texts)), date_format)
    assert problems == []
    return [str(day) for day in days]


def problems_of(texts: list[str], date_format: str | None = None) -> list[str]:
    return [str(problem) for problem in read_dates(texts, range(2, 2 + len(texts)), date_format)[1]]


FIRST_OF_SEPTEMBER = (
    *("2024-09-01", "2024/09/01", "2024-9-1", " 2024-09-01 ", "2024-09-01 00:00:00", "2024-09-01T00:00:00Z"),
    *("20240901", "2024-09-01T00:00:00+02:00", "2024-09-01 00:00:00 UTC", "Sep 01, 2024", "September 1, 2024"),
    *("1. September 2024", "1 septembre 2024", "1 de septiembre de 2024", "1 settembre 2024"),
    *("1 de setembro de 2024", "01-Sep-2024", "01-Sep-24", "01.Sep.24"),
)


def test_a_form_that_can_mean_one_day_only_is_read():
    assert [text for text in FIRST_OF_SEPTEMBER if days_of([text]) != ["2024-09-01"]] == []


@pytest.mark.parametrize(
    ("texts", "days"),
    [
        (["1.2.2026", "13.2.2026"], ["2026-02-01", "2026-02-13"]),
        (["1/2/2026", "1/13/2026"], ["2026-01-02", "2026-01-13"]),
        (["9/1/24", "9/13/24"], ["2024-09-01", "2024-09-13"]),
        (["1.1.2026", "2.2.2026"], ["2026-01-01", "2026-02-02"]),
    ],
)
def test_day_above_12_or_equal_to_the_month_decides_the_order(texts, days):
    assert days_of(texts) == days


@pytest.mark.parametrize(
    ("texts", "date_format", "problems"),
    [
        (
            ["1.1.2026", "1.2.2026", "3.4.2026"],
            None,
            {3: "1.2.2026 can be 1 Feb or 2 Jan; set --data.reading.date_format"},
        ),
        (
            ["13.2.2026", "2.13.2026"],
            None,
            {3: "2.13.2026 has the month first, 13.2.2026 on line 2 the day; use one order"},
        ),
        (["2026-01-13"], "%Y-%d-%m", {2: "'2026-01-13' does not fit the date format '%Y-%d-%m'"}),
        (["1.2.2026", "never"], None, {2: "1.2.2026 can be 1 Feb or 2 Jan", 3: "'never' is not a date"}),
    ],
)
def test_an_order_of_day_and_month_that_is_not_clear_or_fits_no_format_is_refused(texts, date_format, problems):
    found = problems_of(texts, date_format)
    assert len(found) == len(problems)
    for problem, (line, words) in zip(found, problems.items(), strict=True):
        assert problem.startswith(f"line {line}, Report Date: {words}")


def test_stated_format_decides():
    assert days_of(["1.2.2026"], "%d.%m.%Y") == ["2026-02-01"]
    assert days_of(["1 Feb 26"], "%d %b %y") == ["2026-02-01"]
    assert days_of(["2026-02-01"], "%d.%m.%Y") == ["2026-02-01"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is blank"),
        ("n/a", "is blank"),
        ("2025-02-30", "not a day of the calendar"),
        ("31.31.2025", "not a day of the calendar"),
        ("yesterday", "write YYYY-MM-DD or set --data.reading.date_format"),
        ("45658", "is not a date"),
        ("2025-02-01 13:30:00", "has a time of day"),
        ("2024-09-01T10:00", "has a time of day"),
        ("20241301", "not a day of the calendar"),
        ("Sep 31, 2024", "not a day of the calendar"),
        *((text, "is not a date") for text in ("Foo 01, 2024", "1. 2024", "99991231")),
    ],
)
def test_text_that_is_not_a_date_is_refused(text, words):
    (problem,) = problems_of([text])
    assert problem.startswith("line 2, Report Date: ") and words in problem


@given(st.lists(st.text(max_size=14), max_size=4))
def test_any_text_is_a_day_or_a_problem(texts):
    days, problems = read_dates(texts, list(range(2, 2 + len(texts))), None)
    assert days.shape == (len(texts),)
    assert bool(np.isnat(days).any()) == bool(problems)


def test_same_day_twice_names_both_lines(problems, daily):
    lines = daily(["10,20"] * 10)
    assert problems([*lines, lines[3]]) == (
        "line 12, Report Date: 2025-01-03 is already on line 4; keep one row per day",
    )


def test_a_row_years_from_all_others_is_refused(problems, daily):
    lines = daily(["10,20"] * 30)
    assert problems([*lines, "2034-01-06,10,20"]) == (
        "line 32, Report Date: 2034-01-06 is 3,263 days from the nearest row, 2025-01-30 on line 31; "
        "is the year right? Otherwise keep the rows after the gap",
    )
    (early,) = problems([lines[0], "2015-01-06,10,20", *lines[1:]])
    assert early.startswith("line 2, Report Date: 2015-01-06 is 3,648 days from the nearest row, 2025-01-01 on line 3")
    assert problems([*lines, "2925-01-01,10,20"]) == (
        "line 32, Report Date: year must lie in 1970-2100, found 2925-01-01",
    )


def test_order_of_rows_does_not_matter(read, daily):
    lines = daily([f"{10 + day % 3},{(10 + day % 3) * day}" for day in range(1, 20)])
    forward, backward = read(lines).products[0], read([lines[0], *reversed(lines[1:])]).products[0]
    np.testing.assert_array_equal(forward.sales, backward.sales)
    np.testing.assert_array_equal(forward.dates, backward.dates)


def test_stated_format_reads_a_file(read):
    rows = [f"{day}/1/2025,10,20" for day in range(1, 11)]
    config = DataConfig(date_format="%d/%m/%Y")
    product = read(["Report Date,Product Price,Total Sales", *rows], config).products[0]
    assert (str(product.dates[0]), str(product.dates[-1])) == ("2025-01-01", "2025-01-10")


def test_a_column_without_any_date_is_one_problem(problems):
    lines = ["Report Date,Product Price,Total Sales", *(f"{week},10,20" for week in range(30))]
    (problem,) = problems(lines)
    assert problem.startswith("line 2, Report Date: '0' is not a date") and "nor is any other cell" in problem


FORMATS = ("%b %d, %Y", "%m/%d/%y", "%d/%m/%y", "%Y%m%d")


def local_days(*texts: str, zone: str | None = None, date_format: str | None = None) -> list[str]:
    config = DataConfig(date_format=date_format, time_zone=zone)
    days, problems, _ = read_days(list(texts), range(2, 2 + len(texts)), Dates("day", FORMATS), config)
    assert problems == []
    return [str(day) for day in days]


@pytest.mark.parametrize(
    ("text", "as_written", "in_new_york"),
    [
        ("2024-09-02T02:30:00+00:00", "2024-09-02", "2024-09-01"),
        ("2024-09-02 23:30:00 -0700", "2024-09-02", "2024-09-03"),
        ("2024-09-02T02:30:00.123Z", "2024-09-02", "2024-09-01"),
        ("Sep 2, 2024 12:30:00 AM PDT", "2024-09-02", "2024-09-02"),
        ("Sep 2, 2024 11:30:00 PM PDT", "2024-09-02", "2024-09-03"),
        ("Sep 2, 2024, 2:30 a.m. GMT+9", "2024-09-02", "2024-09-01"),
        ("2024-09-02 02:30", "2024-09-02", "2024-09-02"),
        ("2024-09-02 02:30:00 XYZ", "2024-09-02", "2024-09-02"),
        ("20240902", "2024-09-02", "2024-09-02"),
        ("2024-09-02", "2024-09-02", "2024-09-02"),
    ],
)
def test_day_is_the_written_one_or_that_of_the_zone(text, as_written, in_new_york):
    assert local_days(text) == [as_written]
    assert local_days(text, zone="America/New_York") == [in_new_york]


def test_zone_knows_summer_time():
    assert local_days("2024-01-01T23:30:00Z", "2024-07-01T22:30:00Z", zone="Europe/Berlin") == [
        "2024-01-02",
        "2024-07-02",
    ]


def test_order_of_day_and_month_is_that_of_the_only_format_that_fits_all():
    assert local_days("09/05/24", "09/13/24") == ["2024-09-05", "2024-09-13"]
    assert local_days("05/09/24", "13/09/24") == ["2024-09-05", "2024-09-13"]
    _, problems, _ = read_days(["09/05/24", "09/06/24"], [2, 3], Dates("day", FORMATS), DataConfig())
    assert problems


def test_format_of_the_user_overrides_those_of_the_preset():
    assert local_days("09/05/24", date_format="%d/%m/%y") == ["2024-05-09"]


def test_time_stamps_in_utc_are_noted():
    assert read_days(["2024-09-02T02:30:00Z"], [2], Dates("day"), DataConfig())[2] == [
        "Days are in UTC; data.reading.time_zone sets another zone."
    ]
    assert read_days(["2024-09-02T02:30:00+02:00"], [2], Dates("day"), DataConfig())[2] == []


def test_impossible_time_is_a_problem():
    days, problems, _ = read_days(["2024-09-02 25:30"], [2], Dates("day"), DataConfig())
    assert np.isnat(days).all()
    assert [problem.line for problem in problems] == [2]
