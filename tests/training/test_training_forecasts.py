"""A checkpoint brings the forecasts of its history; what made them is not needed again."""

from __future__ import annotations

import numpy as np
import pytest

from pricerl.data.config import DataConfig
from pricerl.data.forecasters import FORECASTERS, SalesForecast
from pricerl.errors import UsageError
from pricerl.simulation.seller import SellerConfig
from pricerl.training.pricing_data import PricingDataModule

READING = DataConfig(forecaster="weekday_mean")


def foresee(sales: np.ndarray, days: int, week: int) -> SalesForecast:
    return SalesForecast(sales.copy(), np.full(days, 7.0))


def refuse(sales: np.ndarray, days: int, week: int) -> SalesForecast:
    raise UsageError("the package is absent")


def test_a_trained_history_is_used_where_the_forecasters_package_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    seller = SellerConfig(days=60)
    monkeypatch.setitem(FORECASTERS, "weekday_mean", foresee)
    trained = PricingDataModule(reading=READING, seller=seller)
    trained.setup("fit")
    state = trained.state_dict()

    monkeypatch.setitem(FORECASTERS, "weekday_mean", refuse)
    later = PricingDataModule(reading=READING, seller=seller)
    later.setup("predict")
    later.load_state_dict(state)
    (forecast,) = later.preprocessor.forecasts
    assert forecast.source == "weekday_mean" and (forecast.future == 7).all()
    np.testing.assert_array_equal(later.preprocessor.features[0], trained.preprocessor.features[0])


def test_training_is_refused_before_it_starts_where_the_package_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORECASTERS, "weekday_mean", refuse)
    with pytest.raises(UsageError, match="the package is absent"):
        PricingDataModule(reading=READING, seller=SellerConfig(days=60)).setup("fit")
