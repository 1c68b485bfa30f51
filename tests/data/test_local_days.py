from __future__ import annotations

import numpy as np
import pytest

from pricerl.data.config import DataConfig
from pricerl.data.platforms.presets import Dates
from pricerl.data.reading.dates import read_days

FORMATS = ("%b %d, %Y", "%m/%d/%y", "%d/%m/%y", "%Y%m%d")


def days_of(*texts: str, zone: str | None = None, date_format: str | None = None) -> list[str]:
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
def test_day_is_the_written_one_or_that_of_the_zone(text: str, as_written: str, in_new_york: str) -> None:
    assert days_of(text) == [as_written]
    assert days_of(text, zone="America/New_York") == [in_new_york]


def test_zone_knows_summer_time() -> None:
    assert days_of("2024-01-01T23:30:00Z", "2024-07-01T22:30:00Z", zone="Europe/Berlin") == ["2024-01-02", "2024-07-02"]


def test_order_of_day_and_month_is_that_of_the_only_format_that_fits_all() -> None:
    assert days_of("09/05/24", "09/13/24") == ["2024-09-05", "2024-09-13"]
    assert days_of("05/09/24", "13/09/24") == ["2024-09-05", "2024-09-13"]
    _, problems, _ = read_days(["09/05/24", "09/06/24"], [2, 3], Dates("day", FORMATS), DataConfig())
    assert problems


def test_format_of_the_user_overrides_those_of_the_preset() -> None:
    assert days_of("09/05/24", date_format="%d/%m/%y") == ["2024-05-09"]


def test_time_stamps_in_utc_are_noted() -> None:
    assert read_days(["2024-09-02T02:30:00Z"], [2], Dates("day"), DataConfig())[2] == [
        "Days are in UTC; data.reading.time_zone sets another zone."
    ]
    assert read_days(["2024-09-02T02:30:00+02:00"], [2], Dates("day"), DataConfig())[2] == []


def test_impossible_time_is_a_problem() -> None:
    days, problems, _ = read_days(["2024-09-02 25:30"], [2], Dates("day"), DataConfig())
    assert np.isnat(days).all()
    assert [problem.line for problem in problems] == [2]
