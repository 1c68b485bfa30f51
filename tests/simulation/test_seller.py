from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from shops.sellers import JUMPS_AT_ROUND, LEFT_DIGITS, MARKETS, ShopConfig

from pricerl.data.config import DataConfig
from pricerl.data.reading.reader import read_history
from pricerl.errors import UsageError
from pricerl.simulation.seller import MarketFamily, SellerConfig, simulate, simulated_history, write_seller
from pricerl.simulation.true_demand import CURVES, KINK_ABOVE, expected_profit, expected_units
from pricerl.simulation.varied import lift_by_memory


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("market", ["constant", "optimal"])
def test_constant_elasticity_optimum_is_the_closed_form(market: Any, seed: int) -> None:
    _, truth = simulate(ShopConfig(market=market, days=8, seed=seed))
    elasticity = truth["parameters"]["elasticity"]
    closed_form = truth["unit_cost"] / truth["share_kept"] * elasticity / (1 + elasticity)
    assert truth["optimal_price"] == pytest.approx(closed_form, rel=1e-5)


@pytest.mark.parametrize("market", MARKETS)
def test_every_family_has_an_interior_optimum_and_a_seller_who_earns_money(market: Any) -> None:
    for seed in range(40):
        _, truth = simulate(ShopConfig(market=market, days=8, seed=seed))
        best, now = truth["optimal_price"], truth["current_price"]
        grid = np.linspace(truth["unit_cost"] / truth["share_kept"], 3 * now, 5_000).round(2)
        assert expected_profit(truth, grid).max() <= truth["oracle_profit"] + 1e-9
        far = {"thin": (0.85, 2.2), "reference": (0.6, 1.66), "endings": (0.75, 1.33)}
        lowest, highest = far.get(market, (0.85, 1.15))
        assert lowest * now < best < highest * now
        assert truth["oracle_profit"] * (1 + 1e-12) >= truth["current_profit"] > 0
        assert truth["unit_cost"] > 0
        assert truth["oracle_profit"] == pytest.approx(float(expected_profit(truth, best)))


@pytest.mark.parametrize("market", MARKETS)
def test_demand_falls_when_price_rises_with_the_stated_elasticity(market: Any) -> None:
    _, truth = simulate(ShopConfig(market=market, days=8, units=12.0))
    start = truth["parameters"]["start_price"]
    assert (np.diff(expected_units(truth, np.linspace(0.7, 1.3, 50) * start)) < 0).all()
    assert float(expected_units(truth, start)) == pytest.approx(12.0)
    if market not in ("kinked", *LEFT_DIGITS):
        slope = np.log(expected_units(truth, start * 1.001) / expected_units(truth, start / 1.001)) / np.log(1.001**2)
        assert float(slope) == pytest.approx(truth["parameters"]["elasticity"], rel=1e-3)


@pytest.mark.parametrize("family", CURVES)
@pytest.mark.parametrize("ratio", [0.8, 1.0, 1.2])
def test_the_elasticity_of_a_curve_is_its_slope_in_logs(family: str, ratio: float) -> None:
    low, high = np.log(CURVES[family].demand(-2.2, ratio * np.array([1 - 1e-6, 1 + 1e-6]), 0.5))
    factor = KINK_ABOVE if family == "kinked" else 1.0
    assert (high - low) / 2e-6 == pytest.approx(factor * CURVES[family].local(-2.2, ratio), rel=1e-4)


@pytest.mark.parametrize("market", sorted(set(MARKETS) - {"optimal", *JUMPS_AT_ROUND}))
def test_both_directions_are_right_and_neither_always_pays(market: Any) -> None:
    rises, gains = [], []
    for seed in range(60):
        _, truth = simulate(ShopConfig(market=market, days=8, seed=seed))
        now = truth["current_price"]
        rises.append(truth["optimal_price"] > now)
        kept, *moved = expected_profit(truth, now * np.array([1.0, 1.1, 1 / 1.1]))
        gains.append((np.array(moved) - kept) / now)
    assert 0.3 < np.mean(rises) < 0.7
    right = np.maximum(np.max(gains, axis=1), 0)
    assert (np.mean(gains, axis=0) < 0.25 * right.mean()).all()


@pytest.mark.parametrize("market", get_args(MarketFamily))
def test_a_plain_seller_is_the_same_among_the_shops_that_hide_something(market: Any) -> None:
    plain, shop = (simulate(kind(market=market, days=60, products=2)) for kind in (SellerConfig, ShopConfig))
    assert plain[0].equals(shop[0]) and plain[1] == shop[1]


def test_optimal_seller_already_charges_the_best_price() -> None:
    for seed in range(10):
        frame, truth = simulate(SellerConfig(market="optimal", days=60, seed=seed))
        assert truth["optimal_price"] == pytest.approx(truth["current_price"], rel=1e-4)
        assert frame["Product Price"].iloc[-1] == truth["current_price"]


def test_prices_are_cents_held_for_days_within_20_percent() -> None:
    frame, truth = simulate(SellerConfig(days=400))
    price = frame["Product Price"].to_numpy()
    np.testing.assert_array_equal(price, np.round(price, 2))
    ratio = price / truth["current_price"]
    assert ratio.min() > np.exp(-0.21) and ratio.max() < np.exp(0.21)
    changes = np.flatnonzero(np.diff(price))
    assert np.diff(changes).min() >= 3 or np.sort(np.diff(changes))[1] >= 3
    assert len(np.unique(price)) > 20


def test_units_costs_and_conversions_of_a_long_history_are_those_of_the_truth() -> None:
    frame, truth = simulate(SellerConfig(days=5_000, units=30.0))
    price, sales, profit = (frame[name].to_numpy() for name in ("Product Price", "Total Sales", "Total Profit"))
    units = np.round(sales / price)
    assert units.mean() == pytest.approx(expected_units(truth, price).mean(), rel=0.02)
    fixed, share, cost = np.linalg.lstsq(np.column_stack([-np.ones_like(sales), sales, -units]), profit, rcond=None)[0]
    assert share == pytest.approx(truth["share_kept"], rel=0.01)
    assert cost == pytest.approx(truth["unit_cost"], rel=0.02)
    assert fixed == pytest.approx(truth["fixed_cost"], abs=1.0)
    for column in ("Organic Conversion Percentage", "Ad Conversion Percentage"):
        assert frame[column].between(0, 100).all()
        assert np.corrcoef(price, frame[column])[0, 1] < -0.2


def test_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in {"a.csv": 7, "b.csv": 7, "c.csv": 8}.items():
        write_seller(SellerConfig(days=30, products=2, seed=seed), tmp_path / name)
    first, second, other = ((tmp_path / name).read_bytes() for name in ("a.csv", "b.csv", "c.csv"))
    assert first == second != other
    assert (tmp_path / "a.csv.truth.json").read_bytes() == (tmp_path / "b.csv.truth.json").read_bytes()
    assert len(list(tmp_path.iterdir())) == 6


def test_written_file_reads_back_as_the_simulated_history(tmp_path: Path) -> None:
    config = SellerConfig(days=60, products=2, market="logit")
    truth = write_seller(config, tmp_path / "deep" / "sales.csv")
    assert json.loads((tmp_path / "deep" / "sales.csv.truth.json").read_text()) == truth
    assert set(truth["products"]) == {"product-1", "product-2"}
    read = read_history(tmp_path / "deep" / "sales.csv")
    made = simulated_history(config, DataConfig())
    assert made.source == "simulated seller"
    for left, right in zip(read.products, made.products, strict=True):
        np.testing.assert_array_equal(left.sales, right.sales)
        np.testing.assert_array_equal(left.dates, right.dates)
    assert [report.sales_measure for report in read.reports] == ["revenue", "revenue"]


def test_unwritable_target_is_a_usage_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken.csv").mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        write_seller(SellerConfig(days=8), tmp_path / "taken.csv")
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken.csv"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"market": "lineer"}, "did you mean 'linear'"),
        ({"days": 7}, "days must be 8 to 20,000, found 7"),
        ({"units": 0.0}, "units must be above 0"),
        ({"units": float("nan")}, "units must be above 0"),
        ({"products": 0}, "products must be 1 to"),
        ({"seed": -1}, "seed must be 0 or more"),
        ({"start": "1.1.2025"}, "start: must be a day"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        SellerConfig(**settings)


def test_varied_sellers_differ_in_all_that_a_policy_must_cope_with() -> None:
    seller = SellerConfig(market="varied", products=40, seed=2)
    frame, truth = simulate(seller)
    truths = [*truth["products"].values()]
    assert {item["family"] for item in truths} == {"constant", "linear", "exponential", "logit", "kinked"}
    days = frame.groupby("Product").size()
    assert days.min() < 100 and days.max() > 500
    units, elasticity = ([item["parameters"][name] for item in truths] for name in ("units", "elasticity"))
    assert min(units) < 5 and max(units) > 150 and min(elasticity) < -8 and max(elasticity) > -2
    effects = [{"jump", "loss"} & item["parameters"].keys() for item in truths]
    assert all(sum(effect == one for effect in effects) > 3 for one in (set(), {"jump"}, {"loss"}))
    assert all(item["oracle_profit"] >= item["current_profit"] for item in truths)


def test_buyers_who_remember_prices_buy_less_after_a_rise_until_they_are_used_to_it() -> None:
    price = np.repeat([10.0, 11.0], [30, 60])
    lifts = lift_by_memory({"parameters": {"loss": 2.0, "gained": 0.5}}, price)
    assert lifts[:30] == pytest.approx(1.0) and lifts[30] == pytest.approx(1.1**-2) and lifts[-1] > 0.99
    assert (lift_by_memory({"parameters": {}}, price) == 1).all()
