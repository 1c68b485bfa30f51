"""Facts about real sellers' files that any reader must get right."""

from __future__ import annotations

import numpy as np
import pytest
from fixture_types import Shared
from observation_windows import every_window

from pricerl.data.config import DataConfig
from pricerl.data.history import History
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading.reader import read_history


@pytest.fixture
def soapnuts(shared: Shared) -> History:
    return read_history(shared("soapnuts.csv"), DataConfig())


def test_soapnuts_report_counts_the_days_of_the_file(soapnuts: History) -> None:
    report = soapnuts.reports[0]
    assert (report.rows, report.history_rows, report.history_days, report.future_days) == (163, 132, 132, 31)
    assert (report.priced_days, report.distinct_prices) == (120, 36)
    assert (report.zero_sale_days, report.blank_price_days, report.refund_days) == (12, 12, 1)
    assert (report.first_day, report.last_day) == ("2024-08-13", "2024-12-22")
    assert (report.price_min, report.price_max) == (10.35, 18.0)
    assert (report.missing_days, report.dropped_leading_days, report.gap_days) == (0, 0, 0)
    assert (report.sales_measure, report.whole_unit_share, report.judge().quality) == ("revenue", 1.0, "PASS")


def test_soapnuts_forecast_has_no_skill_and_is_not_used(soapnuts: History) -> None:
    data = DataPreprocessor.fit(soapnuts, DataConfig())
    report = data.reports[0]
    assert report.forecast_errors["supplied"] > report.forecast_errors["mean_7"]
    assert report.forecast_used == data.forecasts[0].source == "mean_7"


def test_soapnuts_has_a_refund_days_without_a_price_and_forecasts_of_its_future(soapnuts: History) -> None:
    product = soapnuts.products[0]
    (refund,) = np.flatnonzero(~product.observed)
    assert str(product.dates[refund]) == "2024-11-24" and not product.profit_known[refund]
    assert product.profit[refund] == -35.94
    assert product.sales[refund] == pytest.approx(product.sales[refund - 7 : refund].mean())
    (blank,) = np.flatnonzero(product.dates == np.datetime64("2024-12-07"))
    assert (product.price[blank], product.sales[blank], product.units[blank]) == (15.55, 0.0, 0.0)
    assert product.observed[blank] and product.profit_known[blank]
    assert str(product.future_dates[0]) == "2024-12-23" and str(product.future_dates[-1]) == "2025-01-22"
    assert product.future_predicted[0] == pytest.approx(99.77747507)
    assert np.isfinite(product.future_predicted).all()
    assert product.organic.max() == 100.0


def test_woolballs_starts_at_its_first_sale(shared: Shared) -> None:
    report = read_history(shared("woolballs.csv"), DataConfig()).reports[0]
    assert (report.rows, report.history_rows, report.dropped_leading_days) == (112, 81, 18)
    assert (report.first_day, report.history_days, report.missing_days) == ("2024-10-11", 73, 10)
    assert (report.priced_days, report.distinct_prices, report.future_days) == (50, 10, 31)
    assert (report.price_min, report.price_max) == (22.7, 26.5)


@pytest.mark.parametrize("name", ["onlineretail_85123A.csv", "onlineretail_22423.csv"])
def test_closed_days_are_unknown_and_price_and_sales_are_enough(shared: Shared, name: str) -> None:
    history = read_history(shared(name), DataConfig())
    product, report = history.products[0], history.reports[0]
    assert report.missing_days == 374 - 305 == (~product.observed).sum()
    assert np.isnan(product.organic).all() and np.isnan(product.ad).all() and np.isnan(product.predicted).all()
    assert not product.profit_known.any()
    assert sum(note.endswith("blank throughout the history; not used.") for note in report.notes) == 4


@pytest.mark.parametrize("name", ["soapnuts.csv", "woolballs.csv", "onlineretail_85123A.csv"])
def test_real_observations_lie_between_0_and_1(shared: Shared, name: str) -> None:
    data = DataPreprocessor.fit(read_history(shared(name), DataConfig()), DataConfig())
    windows = every_window(data, 0)
    assert windows.shape == (len(data.products[0].dates) - 6, 84)
    assert np.isfinite(windows).all() and windows.min() >= 0 and windows.max() <= 1
