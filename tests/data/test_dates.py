from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricerl.data.config import DataConfig
from pricerl.data.history import History
from pricerl.data.reading.dates import read_dates

Problems = Callable[..., tuple[str, ...]]
Daily = Callable[..., list[str]]


def days_of(texts: list[str], date_format: str | None = None) -> list[str]:
    days, problems = read_dates(texts, list(range(2, 2 + len(texts))), date_format)
    assert problems == []
    return [str(day) for day in days]


def problems_of(texts: list[str], date_format: str | None = None) -> list[str]:
    return [str(problem) for problem in read_dates(texts, list(range(2, 2 + len(texts))), date_format)[1]]


FIRST_OF_SEPTEMBER = (
    *("2024-09-01", "2024/09/01", "2024-9-1", " 2024-09-01 ", "2024-09-01 00:00:00", "2024-09-01T00:00:00Z"),
    *("20240901", "2024-09-01T00:00:00+02:00", "2024-09-01 00:00:00 UTC", "Sep 01, 2024", "September 1, 2024"),
    *("1. September 2024", "1 septembre 2024", "1 de septiembre de 2024", "1 settembre 2024"),
    *("1 de setembro de 2024", "01-Sep-2024", "01-Sep-24", "01.Sep.24"),
)


def test_a_form_that_can_mean_one_day_only_is_read() -> None:
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
def test_day_above_12_or_equal_to_the_month_decides_the_order(texts: list[str], days: list[str]) -> None:
    assert days_of(texts) == days


def test_undecided_order_is_refused_with_the_setting() -> None:
    assert problems_of(["1.1.2026", "1.2.2026", "3.4.2026"]) == [
        "line 3, Report Date: 1.2.2026 can be 1 Feb or 2 Jan; set --data.reading.date_format"
    ]


def test_contradicting_orders_are_refused() -> None:
    assert problems_of(["13.2.2026", "2.13.2026"]) == [
        "line 3, Report Date: 2.13.2026 has the month first, 13.2.2026 on line 2 the day; use one order"
    ]


def test_stated_format_decides() -> None:
    assert days_of(["1.2.2026"], "%d.%m.%Y") == ["2026-02-01"]
    assert days_of(["1 Feb 26"], "%d %b %y") == ["2026-02-01"]
    assert days_of(["2026-02-01"], "%d.%m.%Y") == ["2026-02-01"]


def test_iso_is_no_fallback_for_another_year_first_format() -> None:
    assert problems_of(["2026-01-13"], "%Y-%d-%m") == [
        "line 2, Report Date: '2026-01-13' does not fit the date format '%Y-%d-%m'"
    ]


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
def test_text_that_is_not_a_date_is_refused(text: str, words: str) -> None:
    (problem,) = problems_of([text])
    assert problem.startswith("line 2, Report Date: ") and words in problem


def test_garbage_is_reported_together_with_an_undecided_order() -> None:
    assert [problem.split(":")[0] for problem in problems_of(["1.2.2026", "never"])] == [
        "line 2, Report Date",
        "line 3, Report Date",
    ]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.text(max_size=14), max_size=4))
def test_any_text_is_a_day_or_a_problem(texts: list[str]) -> None:
    days, problems = read_dates(texts, list(range(2, 2 + len(texts))), None)
    assert days.shape == (len(texts),)
    assert bool(np.isnat(days).any()) == bool(problems)


def test_same_day_twice_names_both_lines(problems: Problems, daily: Daily) -> None:
    lines = daily(["10,20"] * 10)
    assert problems([*lines, lines[3]]) == (
        "line 12, Report Date: 2025-01-03 is already on line 4; keep one row per day",
    )


def test_two_products_may_share_a_day(read: Callable[..., History], daily: Daily) -> None:
    lines = daily(["10,20,A"] * 10, "Report Date,Product Price,Total Sales,Product")
    history = read([*lines, *(line.replace(",A", ",B") for line in lines[1:])])
    assert [product.product for product in history.products] == ["A", "B"]


def test_a_row_years_from_all_others_is_refused(problems: Problems, daily: Daily) -> None:
    lines = daily(["10,20"] * 30)
    assert problems([*lines, "2034-01-06,10,20"]) == (
        "line 32, Report Date: 2034-01-06 is 3,263 days from the nearest row, 2025-01-30 on line 31; "
        "is the year right? Otherwise keep the rows after the gap",
    )
    (early,) = problems([lines[0], "2015-01-06,10,20", *lines[1:]])
    assert early.startswith("line 2, Report Date: 2015-01-06 is 3,648 days from the nearest row, 2025-01-01 on line 3")


def test_typo_in_a_year_is_found(problems: Problems, daily: Daily) -> None:
    lines = daily(["10,20"] * 10)
    far = problems([*lines, "2099-01-01,10,20"])
    found = "line 12, Report Date: 2099-01-01 is 27,019 days from the nearest row, 2025-01-10 on line 11"
    assert far == (f"{found}; is the year right? Otherwise keep the rows after the gap",)
    assert problems([*lines, "2925-01-01,10,20"]) == (
        "line 12, Report Date: year must lie in 1970-2100, found 2925-01-01",
    )


def test_order_of_rows_does_not_matter(read: Callable[..., History], daily: Daily) -> None:
    lines = daily([f"{10 + day % 3},{(10 + day % 3) * day}" for day in range(1, 20)])
    forward, backward = read(lines).products[0], read([lines[0], *reversed(lines[1:])]).products[0]
    np.testing.assert_array_equal(forward.sales, backward.sales)
    np.testing.assert_array_equal(forward.dates, backward.dates)


def test_stated_format_reads_a_file(read: Callable[..., History]) -> None:
    rows = [f"{day}/1/2025,10,20" for day in range(1, 11)]
    config = DataConfig(date_format="%d/%m/%Y")
    product = read(["Report Date,Product Price,Total Sales", *rows], config).products[0]
    assert (str(product.dates[0]), str(product.dates[-1])) == ("2025-01-01", "2025-01-10")


def test_a_column_without_any_date_is_one_problem(problems: Problems) -> None:
    lines = ["Report Date,Product Price,Total Sales", *(f"{week},10,20" for week in range(30))]
    (problem,) = problems(lines)
    assert problem.startswith("line 2, Report Date: '0' is not a date") and "nor is any other cell" in problem
