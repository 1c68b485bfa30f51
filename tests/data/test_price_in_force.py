"""The current price: the last posted price, or the price in force behind averages of what buyers paid."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from fixture_types import Shared

from pricerl.arrays import BoolArray, FloatArray
from pricerl.data.config import DataConfig
from pricerl.data.features import build_features
from pricerl.data.history import History, ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.price_setting import find_prices_in_force
from pricerl.data.reading.reader import history_from_text, read_history
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.planner.rollout import hold_left
from pricerl.reasons import Reason

DAILY = DataConfig()
REGULAR = DataConfig(current_price="regular")


def averages(posted: FloatArray, seed: int = 0, bulk: float = 0.7) -> FloatArray:
    """Average price of each day: most days some buyers pay up to 20 % more or less than the posted price."""
    generator = np.random.default_rng(seed)
    paid = posted * np.exp(generator.normal(0.0, 0.08, len(posted)))
    return np.round(np.where(generator.random(len(posted)) < bulk, paid, posted), 4)


def file_of(prices: FloatArray, units: FloatArray) -> list[str]:
    """Lines of a file with a row per day from 2025-01-01."""
    days = np.datetime64("2025-01-01", "D") + np.arange(len(prices))
    rows = [f"{day},{price},{price * count:.6f}" for day, price, count in zip(days, prices, units, strict=True)]
    return ["Report Date,Product Price,Total Sales", *rows]


def read(lines: list[str], config: DataConfig = DAILY) -> History:
    return history_from_text("\n".join(lines), "sales.csv", config)


def test_a_posted_price_that_changed_yesterday_is_in_force() -> None:
    product = read(file_of(np.repeat([9.99, 10.49], [39, 1]), np.full(40, 10))).products[0]
    assert product.in_force is None and product.current_price == 10.49


@pytest.mark.parametrize(
    "prices",
    [
        np.random.default_rng(1).choice([9.99, 10.49, 10.99], 120),
        np.round(10 * (1 + np.random.default_rng(2).integers(-10, 11, 120) / 100), 2),
        np.round(np.random.default_rng(3).uniform(8, 12, 120), 2),
        np.repeat(np.round(np.random.default_rng(4).uniform(8, 12, 12), 4), 10),
        np.tile([10.0, 10.0, 10.0, 10.0, 10.0, 12.0, 12.0], 12),
        np.round(20 * np.exp(0.1 * np.random.default_rng(0).normal(size=200)), 2),
    ],
    ids=["price test", "fine price test", "new price every day", "fractions of a cent", "dearer weekends", "repricer"],
)
def test_posted_prices_are_in_force_as_recorded(prices: FloatArray) -> None:
    assert find_prices_in_force(prices) is None


def found_in_force(prices: FloatArray, **given: Any) -> FloatArray:
    found = find_prices_in_force(prices, **given)
    assert found is not None
    return found


@pytest.mark.parametrize("digits", [4, 2])
def test_the_repeated_price_is_in_force_among_averages(digits: int) -> None:
    prices = np.round(averages(np.full(120, 2.95)), digits)
    prices[-1] = 5.08
    assert (found_in_force(prices)[20:] == 2.95).all()


def test_a_new_posted_price_is_in_force_after_about_two_weeks() -> None:
    found = found_in_force(averages(np.repeat([2.55, 2.95], 60)))
    assert found[59] == 2.55
    assert 3 <= np.argmax(found[60:] == 2.95) <= 21 and (found[85:] == 2.95).all()


def test_the_median_is_in_force_if_no_average_repeats() -> None:
    prices = averages(np.full(120, 2.95), bulk=1.0)
    prices[-1] = 5.08
    last = found_in_force(prices)[-1]
    assert last == pytest.approx(2.95, rel=0.03) and round(last, 2) == last


def test_the_price_in_force_depends_on_no_later_day() -> None:
    prices = averages(np.repeat([2.55, 2.95], 60))
    np.testing.assert_array_equal(found_in_force(prices)[:80], found_in_force(prices[:80]))


def test_a_day_without_a_price_keeps_the_one_in_force_and_counts_for_none() -> None:
    prices = averages(np.full(120, 2.95))
    prices[::2] = np.nan
    found = found_in_force(prices)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[2::2], found[1:-1:2])


def high_low(end: list[float], weekly: bool = False) -> tuple[FloatArray, BoolArray]:
    """Prices of a store with deals of various depths in two weeks of five, and a week per price at the end."""
    deals = np.random.default_rng(0).choice([1.99, 2.19, 2.29], 24)
    prices = np.concatenate([*([2.69, 2.69, 2.69, deal, deal] for deal in deals), end])
    prices = prices if weekly else np.repeat(prices, 7)
    return prices, prices < 2.5


@pytest.mark.parametrize("reported", [True, False], ids=["column", "filter"])
@pytest.mark.parametrize("weekly", [True, False], ids=["weekly", "daily"])
@pytest.mark.parametrize(
    ("end", "current"),
    [([2.69, 1.99], 2.69), ([2.69, 1.99, 2.69], 2.69), ([2.69, 2.89], 2.89), ([2.69, 2.59], 2.59)],
    ids=["deal", "regular", "rise", "small cut"],
)
def test_the_regular_price_is_in_force_in_a_store_with_deals(
    end: list[float], current: float, weekly: bool, reported: bool
) -> None:
    prices, deal = high_low(end, weekly)
    found = found_in_force(prices, step_days=7 if weekly else 1, promotion=deal if reported else None)
    assert found[-1] == current
    np.testing.assert_array_equal(found, np.where(deal, 2.69, prices))


def test_a_fall_that_outlasts_every_deal_is_in_force() -> None:
    prices, _ = high_low([2.69, 1.99, 1.99, 1.99])
    assert found_in_force(prices)[-1] == 1.99


def test_averages_of_promoted_rows_do_not_count() -> None:
    deal = np.arange(120) % 12 >= 5
    prices = averages(np.where(deal, 1.99, 2.95), bulk=0.5)
    assert (found_in_force(prices, promotion=deal)[20:] == 2.95).all()


def deal_file() -> list[str]:
    """Lines of a file of a store with deals that ends in one."""
    prices, deal = high_low([2.69, 1.99])
    return file_of(prices, np.random.default_rng(6).poisson(np.where(deal, 40, 20)))


def test_first_days_have_the_price_that_was_in_force_without_the_later_ones() -> None:
    days = 140  # before the first fall returned often enough for a store with deals
    whole, early, few = (read(deal_file()[:end]).products[0] for end in (None, days + 1, 29))
    for count in (14, 28, days):
        np.testing.assert_array_equal(whole.first_days(count).prices_in_force, early.first_days(count).prices_in_force)
    np.testing.assert_array_equal(whole.first_days(28).prices_in_force, few.prices_in_force)
    assert (whole.first_days(28).prices_in_force != whole.prices_in_force[:28]).any()


@pytest.mark.parametrize(("setting", "current", "shown"), [("ask", 1.99, 1), ("regular", 2.69, 1), ("last", 1.99, 0)])
def test_the_price_of_the_last_row_is_kept_until_the_seller_confirms_one_of_two(
    setting: Any, current: float, shown: int
) -> None:
    history = read(deal_file(), DataConfig(current_price=setting))
    assert history.products[0].current_price == current
    doubt = Reason("price_differs", {"last": 1.99, "in_force": 2.69, "deal": True})
    assert history.reports[0].doubts.count(doubt) == shown
    assert history.products[0].asks == (setting == "ask")


@pytest.mark.parametrize(("told", "doubts"), [("no", 0), ("yes", 1), ("", 1)])
def test_promotion_no_in_the_last_row_is_the_answer(told: str, doubts: int) -> None:
    header, *rows = deal_file()
    for others in ("no", ""):  # a column that reports no other deal, and one that holds the answer alone
        cells = [others] * (len(rows) - 7) + [told] * 7
        history = read([f"{header},Promotion", *(f"{row},{cell}" for row, cell in zip(rows, cells, strict=True))])
        found = history.products[0]
        asked = [doubt for doubt in history.reports[0].doubts if doubt.code == "price_differs"]
        assert found.current_price == 1.99 and len(asked) == bool(found.price_doubt) == doubts


@pytest.fixture(scope="module")
def averaged() -> DataPreprocessor:
    """A history of averages around 2.95 whose last row has 5.08, read from a file."""
    prices = averages(np.full(120, 2.95))
    prices[-1] = 5.08
    return DataPreprocessor.fit(read(file_of(prices, np.random.default_rng(5).poisson(20, 120)), REGULAR), REGULAR)


def test_a_low_last_row_of_averages_is_called_an_average(averaged: DataPreprocessor) -> None:
    product = averaged.products[0]
    assert Reason("price_differs", {"last": 5.08, "in_force": 2.95, "deal": False}) in averaged.reports[0].doubts
    low = replace(product, price=np.append(product.price[:-1], 2.2))
    assert low.price_doubt == Reason("price_differs", {"last": 2.2, "in_force": 2.95, "deal": False})


def test_env_guardrails_and_hold_start_from_the_price_in_force(averaged: DataPreprocessor) -> None:
    dynamics = Dynamics(fit_market(averaged, DemandConfig(num_draws=4), conversions=False))
    row = torch.tensor([0])
    state = dynamics.start(row, dynamics.history.num_days - 1, row)
    assert float(state.price) == pytest.approx(2.95)
    today = Product(dynamics, 0).today
    assert today.now == 2.95
    limits = today.describe()
    assert limits.lowest >= 2.95 * 0.95 and limits.highest <= 2.95 * 1.05
    assert hold_left(Product(dynamics, 0)) == 0


def test_features_hold_the_price_in_force_and_scaled_prices_reach_every_average(averaged: DataPreprocessor) -> None:
    product = averaged.products[0]
    assert build_features(product)[-1, 0] == 2.95
    low, high = averaged.scaler.bounds(0, "price")
    tried = product.price[: averaged.train_days[0]]
    assert low == pytest.approx(0.9 * tried.min()) and high == pytest.approx(1.1 * tried.max())


@pytest.mark.parametrize(
    ("name", "last", "current"),
    [
        ("onlineretail_85123A.csv", 5.08, 2.95),
        ("onlineretail_22423.csv", 18.1767, 12.75),
        ("soapnuts.csv", 14.0, 14.0),
        ("woolballs.csv", 23.5, 23.5),
    ],
)
def test_current_prices_of_real_files(name: str, last: float, current: float, shared: Shared) -> None:
    product: ProductHistory = read_history(shared(name), REGULAR).products[0]
    assert (product.price[-1], product.current_price) == (last, current)
    assert replace(product, asks=True).current_price == last
