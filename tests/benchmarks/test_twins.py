from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from shops.known_market import known_market
from shops.pricebench import CLEAN, TWINNED, compare_twins, price_errors
from shops.sellers import ShopConfig, _with_mean

from pricerl.data.config import DataConfig
from pricerl.data.costs import CostConfig
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.market.reward import RewardConfig
from pricerl.simulation.seller import simulate, simulated_history
from pricerl.simulation.true_demand import expected_units


def pair(kind, seed=0, days=365):
    return [simulate(ShopConfig(kind, days, 50.0, seed, clean=clean)) for clean in (False, True)]


@pytest.mark.parametrize("kind", TWINNED)
def test_a_twin_has_the_same_truth_dates_and_prices_and_other_sales(kind):
    (frame, truth), (clean, clean_truth) = pair(kind)
    assert clean_truth == {**truth, "family": "constant"}
    assert list(clean.columns) == list(frame.columns) and (clean["Report Date"] == frame["Report Date"]).all()
    if kind != "averages":
        assert (clean["Product Price"] == frame["Product Price"]).all()
    assert (clean["Total Sales"] != frame["Total Sales"]).mean() > 0.2


@pytest.mark.parametrize("kind", ["repricer", "two_competitors", "stockpiling", "seasonal"])
def test_demand_of_a_twin_follows_the_price_alone(kind):
    excess = []
    for seed in range(10):
        clean, truth = pair(kind, seed)[1]
        x, units = np.log(clean["Product Price"]), clean["Total Sales"] / clean["Product Price"]
        expected = expected_units(truth, clean["Product Price"])
        excess.append(np.polyfit(x, units / expected, 1)[0])
    assert np.mean(excess) == pytest.approx(0, abs=0.25)


def test_a_twin_has_stock_and_the_same_luck():
    (frame, _), (clean, _) = pair("late_stockouts")
    short = frame["Total Sales"] < clean["Total Sales"]
    assert 0.05 < short.mean() < 0.6 and (frame["Total Sales"] == clean["Total Sales"])[~short].all()


def test_twins_of_averages_pay_the_posted_price():
    (_, truth), (clean, _) = pair("averages")
    cents = clean["Product Price"] * 100
    assert np.abs(cents - cents.round()).max() < 1e-6 and clean["Product Price"].iloc[-1] == truth["current_price"]


def test_units_keep_their_luck_around_another_mean():
    drawn = np.random.default_rng(0).negative_binomial(10, 10 / (10 + 4.0), 20_000).astype(float)
    same, more = (_with_mean(np.full(20_000, mean), drawn, np.full(20_000, 4.0), 10.0, rng()) for mean in (4.0, 8.0))
    assert (same == drawn).all() and (more >= drawn).all()
    assert more.mean() == pytest.approx(8, abs=0.15) and more.var() == pytest.approx(8 + 6.4, rel=0.05)


def rng():
    return np.random.default_rng(1)


def test_a_market_that_is_exactly_right_has_no_error_and_one_that_is_half_as_elastic_has_one():
    seller = ShopConfig("constant", 60, 50.0, 1)
    truth = simulate(seller)[1]
    prepared = DataPreprocessor.fit(simulated_history(seller, DataConfig()), DataConfig())

    def errors(power):
        market = known_market(prepared, lambda price: expected_units(truth, price) ** power, CostConfig(unit_cost=5.0))
        return price_errors(market.products[0], Product(Dynamics(market, RewardConfig()), 0), truth)

    assert errors(1.0) == pytest.approx({"elasticity_error": 0, "response_error": 0}, abs=1e-3)
    half = errors(0.5)
    assert half["elasticity_error"] == pytest.approx(np.log(2), abs=1e-3)
    elasticity = truth["parameters"]["elasticity"]
    wrong = [abs(ratio ** (-0.5 * elasticity) - 1) for ratio in (0.9, 1.1)]
    assert half["response_error"] == pytest.approx(np.mean(wrong), abs=1e-3)


def test_the_excess_is_the_ratio_of_mean_errors_of_pairs():
    usual = {"days": 130, "units": 5.5, "rule": "advice", "keep": 1.0}
    rows = [
        {**usual, "truth": f"ads{end}", "seed": seed, "gain": gain, "grade": grade}
        | {"elasticity_error": error, "response_error": error / 10}
        for end, seed, gain, grade, error in [
            ("", 0, -0.02, "B", 0.4),
            ("", 1, 0.0, "C", 0.2),
            (CLEAN, 1, 0.01, "C", 0.3),
            (CLEAN, 0, -0.005, "C", 0.2),
            (CLEAN, 2, -0.02, "C", 9.0),
        ]
    ]
    line = compare_twins(pd.DataFrame(rows)).loc[(130, 5.5, "ads")]
    assert (
        line["shops"] == 2 and line["elasticity"] == pytest.approx(30) and line["clean response"] == pytest.approx(2.5)
    )
    assert line["excess"] == pytest.approx(20) and line["excess response"] == pytest.approx(20)
    assert line["se"] == pytest.approx(100 * np.hypot(0.4 - 1.2 * 0.2, 0.2 - 1.2 * 0.3) / 0.5)
    assert line["harmed"] == 50 and line["clean harmed"] == 0
    assert line["grades"] == "B 1 C 1" and line["clean grades"] == "C 2"
