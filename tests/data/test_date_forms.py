from __future__ import annotations

import numpy as np
import pytest

from pricerl.data.reading.dates import read_dates


@pytest.mark.parametrize(
    "text",
    [
        "20240901",
        "Sep 01, 2024",
        "September 1, 2024",
        "1. September 2024",
        "1 septembre 2024",
        "1 de septiembre de 2024",
        "1 settembre 2024",
        "1 de setembro de 2024",
        "01-Sep-2024",
        "01-Sep-24",
        "01.Sep.24",
        "2024-09-01T00:00:00+02:00",
        "2024-09-01 00:00:00 UTC",
    ],
)
def test_a_form_that_can_mean_one_day_only_is_read(text: str) -> None:
    days, problems = read_dates([text], [2], None)
    assert days[0] == np.datetime64("2024-09-01") and not problems


def test_years_of_two_digits_are_read_where_the_column_shows_the_order() -> None:
    days, problems = read_dates(["9/1/24", "9/13/24"], [2, 3], None)
    assert days.astype(str).tolist() == ["2024-09-01", "2024-09-13"] and not problems
    assert "set --data.reading.date_format" in read_dates(["9/1/24", "9/2/24"], [2, 3], None)[1][0].text


@pytest.mark.parametrize(
    "text", ["20241301", "Foo 01, 2024", "Sep 31, 2024", "1. 2024", "99991231", "2024-09-01T10:00"]
)
def test_other_forms_are_refused(text: str) -> None:
    days, problems = read_dates([text], [2], None)
    assert np.isnat(days[0]) and len(problems) == 1
