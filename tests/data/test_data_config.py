"""Settings of the data that are refused, and the holidays of a country."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from pricerl.data.config import DataConfig
from pricerl.data.days import day_types, find_holidays
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.errors import UsageError

FIRST, LAST = np.datetime64("2024-12-01"), np.datetime64("2025-02-01")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"decimal": ";"}, "decimal must be one of"),
        ({"sales": "revenu"}, "did you mean 'revenue'"),
        ({"max_gap_days": -1}, "max_gap_days must be 0 or more"),
        ({"window": 0}, "window must be 1 to 365"),
        ({"date_format": "%d.%m"}, "date_format must give day, month and year"),
        ({"date_format": "%d.%m.%Y %Q"}, "date_format must give day, month and year"),
        ({"date_format": "day"}, "date_format must give day, month and year"),
    ],
)
def test_wrong_settings_are_refused(settings, words):
    with pytest.raises(UsageError, match=words):
        DataConfig(**settings)


@pytest.mark.parametrize("date_format", ["%d.%m.%Y", "%m/%d/%y", "%Y%m%d", "%d %B %Y"])
def test_complete_date_formats_are_accepted(date_format):
    assert DataConfig(date_format=date_format).date_format == date_format


def days(*dates):
    return np.array(dates, dtype="datetime64[D]")


def test_holidays_reach_from_the_first_year_to_four_years_after_the_last():
    found = find_holidays("GB", FIRST, LAST)
    assert {"2024-01-01", "2024-12-25", "2025-12-26", "2029-12-25"} <= set(found.astype(str))
    assert found[0] >= np.datetime64("2024-01-01") and found[-1] <= np.datetime64("2029-12-31")
    assert (np.diff(found.astype(int)) > 0).all() and found.dtype == "datetime64[D]"


def test_a_part_of_a_country_may_have_more_and_case_does_not_matter():
    corpus_christi = np.datetime64("2025-06-19")
    assert corpus_christi in find_holidays("de-by", FIRST, LAST)
    assert corpus_christi not in find_holidays("DE", FIRST, LAST)


def test_a_date_is_a_holiday_or_the_day_before_one_or_ordinary():
    dates = days("2025-12-23", "2025-12-24", "2025-12-25", "2025-12-26", "2025-12-27")
    assert day_types(dates, days("2025-12-25", "2025-12-26")).tolist() == [0, 1, 2, 2, 0]
    assert day_types(dates, None).tolist() == [0] * 5


@pytest.mark.parametrize("country", ["Germany", "GX", "", "DE-XX"])
def test_an_unknown_country_is_refused_with_the_form_of_codes(country):
    with pytest.raises(UsageError, match=f"country must be an ISO code such as GB, .*found '{country}': ") as caught:
        DataConfig(country=country)
    assert "\n" not in str(caught.value)


def test_without_the_library_a_country_is_refused_with_the_remedy_and_no_country_needs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(UsageError, match=r'pip install -e "\.\[holidays\]" or omit it'):
        DataConfig(country="GB")
    assert DataConfig().country is None


def test_the_report_counts_the_holidays_of_the_history(read, daily):
    lines = daily(["10,20"] * 150)
    del lines[1 + 107]  # Good Friday, 2025-04-18
    history = read(lines, DataConfig(country="GB"))
    assert "Public holidays in the history: 4, 3 of them with known price and sales." in history.reports[0].notes
    few = read(daily(["10,20"] * 60), DataConfig(country="GB")).reports[0].notes
    assert any("history: 1, 1 of them with known price and sales; at least 3 are needed" in note for note in few)
    assert not any("oliday" in note for note in read(daily(["10,20"] * 60)).reports[0].notes)


def test_holidays_survive_a_checkpoint_whole_and_their_absence_too(read, daily):
    for country in ("GB", None):
        fitted = DataPreprocessor.fit(read(daily(["10,20"] * 60), DataConfig(country=country)), DataConfig())
        loaded = DataPreprocessor.from_state_dict(fitted.state_dict())
        kept, saved = loaded.first_days(0, 30).products[0].holidays, fitted.products[0].holidays
        if country is None:
            assert kept is None
        else:
            np.testing.assert_array_equal(kept, saved)
            assert kept.dtype == "datetime64[D]" and len(kept) > 30
