"""Histories of weeks: one row is one step of seven days."""

from __future__ import annotations

import numpy as np
import pytest
from fixture_types import Daily, Lines, Problems, Read, Shared

from pricerl.advice.sentences.data_report import report_lines
from pricerl.data.config import DataConfig
from pricerl.data.days import DAY
from pricerl.data.forecasters import FORECASTERS
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading.reader import read_history
from pricerl.errors import DataError

HEADER = "Report Date,Product Price,Total Sales"
DAILY = DataConfig()


def weeks(count: int, skipped: tuple[int, ...] = (), first: str = "2025-01-05") -> Lines:
    """A file of weeks at 10, 11 and 12 that sell 20, 21, 22 ... units."""
    start = np.datetime64(first)
    rows = [f"{start + 7 * week * DAY},{10 + week % 3},{(10 + week % 3) * (20 + week)}" for week in range(count)]
    return [HEADER, *(row for week, row in enumerate(rows) if week not in skipped)]


def test_rows_seven_days_apart_are_a_history_of_weeks(read: Read) -> None:
    history = read(weeks(40))
    product, report = history.products[0], history.reports[0]
    assert (product.step_days, len(product.dates), str(product.dates[1])) == (7, 40, "2025-01-12")
    assert product.observed.all() and product.units.tolist() == list(range(20, 60))
    assert (report.step_days, report.usable_days) == (7, 40)
    lines = [line.split() for line in report_lines(report)]
    assert ["history", "2025-01-05", "to", "2025-10-05,", "40", "weeks"] in lines


def test_a_week_without_a_row_is_unknown_not_zero(read: Read) -> None:
    history = read(weeks(40, skipped=(12, 13)))
    product = history.products[0]
    assert np.flatnonzero(~product.observed).tolist() == [12, 13]
    assert product.units[12] == pytest.approx(np.mean(range(25, 32)))
    assert history.reports[0].missing_days == 2


@pytest.mark.parametrize("spacing", [(7, 7, 7, 8), (7, 6, 7, 7), (14,), (30, 31)])
def test_rows_that_are_neither_days_nor_weeks_are_refused(spacing: tuple[int, ...], problems: Problems) -> None:
    dates = np.datetime64("2025-01-05") + np.cumsum(np.resize(spacing, 20))
    (found,) = problems([HEADER, *(f"{date},10,20" for date in dates)])
    apart = np.median(np.resize(spacing, 20)[1:])
    assert found.startswith(f"Report Date: rows are {apart:g} days apart (median); export one row per day, or one per")
    assert found.endswith("set --data.reading.missing_days zero")


def test_products_of_days_and_of_weeks_are_refused_in_one_file(problems: Problems) -> None:
    daily = [f"{np.datetime64('2025-01-01') + day * DAY},10,20" for day in range(40)]
    rows = [f"{row},weekly" for row in weeks(20, first="2024-12-01")[1:]] + [f"{row},daily" for row in daily]
    days, weekly = problems([f"{HEADER},Product", *rows])
    assert days.startswith("Report Date: rows of product 'daily' are days, other products' rows are not")
    assert weekly.startswith("Report Date: rows of product 'weekly' are weeks, other products' rows are not")


def test_the_weekday_of_weeks_is_the_constant_one_half_also_after_a_restart(read: Read) -> None:
    data = DataPreprocessor.fit(read(weeks(40)), DAILY)
    scaled = data.scaler.transform(data.features[0], 0)
    assert scaled.shape == (40, 12)
    assert (scaled[:, 3] == 0.5).all()
    assert np.ptp(scaled[:, 4]) > 0
    restored = DataPreprocessor.from_state_dict(data.state_dict())
    assert restored.step_days == 7 and restored.reports == data.reports
    np.testing.assert_array_equal(restored.features[0], data.features[0])


def test_a_policy_of_weeks_refuses_days_and_the_reverse(read: Read, daily: Daily) -> None:
    of_weeks, of_days = read(weeks(40)), read(daily(["10,20", "11,22"] * 20))
    for fresh, known, words in ((of_days, of_weeks, "days.* on weeks"), (of_weeks, of_days, "weeks.* on days")):
        with pytest.raises(DataError, match=f"rows are {words}; run fit"):
            DataPreprocessor.refit(fresh, DataPreprocessor.fit(known, DAILY).state_dict())


def test_the_last_week_is_one_row_before() -> None:
    sales = np.arange(1.0, 41.0)
    found = FORECASTERS["last_week"](sales, 3, 1)
    assert found.past[1:].tolist() == sales[:-1].tolist() and found.future.tolist() == [40.0] * 3
    assert FORECASTERS["weekday_mean"](sales, 2, 1).future.tolist() == [38.5, 38.5]


@pytest.mark.parametrize(
    ("name", "count"), [("cheese_dominick.csv", 61), ("cheese_pathmark.csv", 61), ("cheese_tops.csv", 68)]
)
def test_scanner_files_are_read_as_weeks(name: str, count: int, shared: Shared) -> None:
    history = read_history(shared(name), DAILY)
    assert (history.products[0].step_days, history.reports[0].usable_days) == (7, count)
