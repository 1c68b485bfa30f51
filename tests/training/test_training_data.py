"""A checkpoint brings the forecasts of its history and the pooled prior of its catalogue.

A part of the catalogue gets the same markets, and what made the forecasts is not needed again.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from pricerl.data.config import DataConfig
from pricerl.data.forecasters import FORECASTERS, SalesForecast
from pricerl.errors import UsageError
from pricerl.market.demand.config import DemandConfig
from pricerl.market.demand.pooling import FEWEST_POOLED, NO_EVIDENCE, Pool
from pricerl.market.fitting import find_pool
from pricerl.operations.engine import Engine
from pricerl.runs.checkpoint import read_saved, save
from pricerl.simulation.seller import SellerConfig, simulate
from pricerl.training.pricing_data import PricingDataModule

MARKET = DemandConfig(num_draws=8)
READING = DataConfig(forecaster="weekday_mean")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return simulate(SellerConfig(days=60, units=30.0, products=FEWEST_POOLED + 2, seed=5))[0]


@pytest.fixture(scope="module")
def trained(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> PricingDataModule:
    path = tmp_path_factory.mktemp("catalogue") / "sales.csv"
    table.to_csv(path, index=False)
    return PricingDataModule(str(path), market=MARKET)


def test_one_product_of_a_catalogue_gets_the_market_of_the_catalogue(
    table: pd.DataFrame, trained: PricingDataModule, tmp_path: Path
) -> None:
    name = trained.preprocessor.names[3]
    path = tmp_path / "one.csv"
    table[table["Product"] == name].to_csv(path, index=False)
    alone = PricingDataModule(str(path), market=MARKET)
    unpooled = alone.market.log_curves
    save(tmp_path / "state", trained.state_dict())
    alone.load_state_dict(read_saved(tmp_path / "state"))
    torch.testing.assert_close(alone.market.log_curves[0], trained.market.log_curves[3])
    assert not torch.equal(alone.market.log_curves, unpooled)
    workers = Engine(1, "highest")
    gathered = find_pool(alone.preprocessor.products, MARKET, alone.evidence, workers.map)
    assert trained.pool is not None and gathered is not None
    own, known = gathered.prior(name), trained.pool.prior(name)
    assert own is not None and known is not None
    np.testing.assert_allclose(own.normal, known.normal, rtol=1e-12)


def test_the_season_of_a_product_whose_price_never_varied_stays_in_the_checkpoint(
    trained: PricingDataModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, other = trained.preprocessor.names[:2]
    season = ((0.3, 0.02), (0.1, 0.02), (0.0, 0.02), (0.0, 0.02))
    evidence = {name: NO_EVIDENCE._replace(season=season), other: NO_EVIDENCE}
    monkeypatch.setitem(trained.__dict__, "pool", Pool(evidence, MARKET.resolved()))
    save(tmp_path / "state", trained.state_dict())
    again = PricingDataModule(trained.path, market=MARKET)
    again.load_state_dict(read_saved(tmp_path / "state"))
    np.testing.assert_array_equal(again.evidence[name].season, season)
    assert not again.evidence[name].known and again.evidence[other] == NO_EVIDENCE


def test_training_sees_a_sample_that_stays_when_others_come_and_go(
    table: pd.DataFrame, trained: PricingDataModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = trained.preprocessor.names
    assert trained.sample is trained.market
    monkeypatch.setattr(PricingDataModule, "most_trained", 4)
    data = PricingDataModule(trained.path, market=MARKET)
    sample = data.sample
    drawn = sample.preprocessor.names
    assert len(drawn) == 4 and data.dynamics.market.num_products == 4 and "market" not in vars(data)
    torch.testing.assert_close(sample.log_curves, trained.market.select([*map(names.index, drawn)]).log_curves)
    path = tmp_path / "fewer.csv"
    table[table["Product"].isin([*drawn, *names[:2]])].to_csv(path, index=False)
    assert PricingDataModule(str(path), market=MARKET).sample.preprocessor.names == drawn


def test_without_enough_products_a_checkpoint_holds_no_evidence() -> None:
    data = PricingDataModule(seller=SellerConfig(days=60), market=MARKET)
    assert data.state_dict()["evidence"] == {} and data.pool is None


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
