from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pricerl.data.costs import CostConfig
from pricerl.evaluation.valuation import expect_days
from pricerl.guardrails.round_prices import rounds_between
from pricerl.market.demand.config import DemandConfig, DemandSettings
from pricerl.market.demand.curves import shape_curves
from pricerl.market.demand.models import fit_mixture
from pricerl.market.fitting import fit_market
from pricerl.market.similar_prices import DailyValues, fit_curves
from pricerl.simulation.seller import SellerConfig, simulate
from pricerl.simulation.true_demand import expected_units

SMALL = DemandConfig(num_draws=16)
RICH_SELLERS = [
    SellerConfig(market=market, days=1000, units=200.0, seed=seed)
    for market, seed in (("constant", 1), ("constant", 2), ("linear", 1), ("linear", 2), ("logit", 1))
]


def random_history(make_product, days=120, elasticity=-2.0):
    rng = np.random.default_rng(0)
    price = np.repeat(np.exp(rng.uniform(-0.2, 0.2, days // 5)) * 10, 5).round(2)
    return make_product(price, rng.poisson(30 * (price / 10) ** elasticity))


STEADY = np.full(60, 9.0)
ODD_HISTORIES = {
    "one day": (10.0, [4.0]),
    "one price": (10.0, STEADY),
    "nothing sold": (10.0, 0 * STEADY),
    "two spikes": (10.0, np.where(np.isin(np.arange(60), [20, 40]), 5000.0, STEADY)),
    "one sale": ([10.0] * 29 + [30.0], [0.0] * 29 + [1.0]),
    "price of cents": ([0.01] * 20 + [0.02] * 20, np.full(40, 3.0)),
}


def mean_day(market, price):
    """An average day of the only product at each price, in the posterior mean."""
    rows = torch.zeros(len(price), dtype=torch.long)
    return market.average_day(price, rows, rows + market.mean_draw)


def slopes(market):
    logs = market.log_curves[0, :, :, 0].double()
    grid = market.products[0].log_grid
    falls = np.log(rounds_between(*np.exp(grid[[0, -1]])))
    smooth = np.histogram(falls, grid)[0] == 0  # demand may fall at once in the other intervals
    smooth &= np.diff(grid) > 1e-6
    return (logs.diff(dim=-1) / torch.as_tensor(np.diff(grid)))[:, smooth]


@pytest.mark.parametrize(
    "seller",
    [SellerConfig(market=market, days=130, units=5.5, seed=4) for market in ("constant", "linear", "kinked")],
    ids=lambda seller: seller.market,
)
def test_demand_falls_when_price_rises_in_every_draw(fitted, seller):
    market = fitted(seller, DemandConfig())
    assert slopes(market).max() <= 1e-3
    values = market.products[0].units.log_value
    assert values.shape == (256, 97) and np.isfinite(values).all() and (np.diff(values, axis=1) <= 1e-9).all()


def test_demand_falls_with_price_even_where_the_history_says_the_opposite(make_product, prepare):
    market = fit_market(prepare(random_history(make_product, elasticity=3.0)), SMALL)
    assert slopes(market).max() <= 1e-3


@pytest.mark.parametrize(("price", "units"), ODD_HISTORIES.values(), ids=ODD_HISTORIES)
def test_an_odd_history_still_gives_a_finite_falling_market(make_product, prepare, price, units):
    product = make_product(price, units)
    log_price = np.log(product.price)
    grid = np.linspace(log_price.min() - 0.3, log_price.max() + 0.3, 33)
    age = np.arange(len(product.price))[::-1].astype(float)
    days = DailyValues(log_price, product.units, age)
    curves = fit_curves(days, grid, DemandSettings(num_draws=16), np.random.default_rng(0))
    assert np.isfinite(curves).all() and (np.diff(curves, axis=1) < 0).all()
    market = fit_market(prepare(product), SMALL)
    assert all(value.isfinite().all() for value in vars(market).values() if isinstance(value, torch.Tensor))


@pytest.fixture
def compared(make_product, prepare):
    """Return the markets of a clean history and of the same one whose units are multiplied, and the change of level."""

    def fit(factor):
        clean = random_history(make_product)
        histories = clean, replace(clean, units=clean.units * factor)
        plain, changed = (fit_market(prepare(item), SMALL).products[0] for item in histories)
        return plain, changed, changed.units.log_value.mean(0) - plain.units.log_value.mean(0)

    return fit


@pytest.mark.parametrize("size", [10.0, 100.0])
def test_spikes_are_left_out_of_the_curve_and_raise_the_level_by_at_most_tenfold_days(compared, size):
    plain, spiked, difference = compared(np.where(np.isin(np.arange(120), [30, 77]), size, 1))
    middle = difference[np.abs(plain.log_grid - np.log(10)) < 0.15]
    assert np.abs(middle - middle.mean()).max() < 0.03
    assert middle.mean() == pytest.approx(np.log(1 + 2 * 9 / 120), abs=0.05)
    assert spiked.weekday == pytest.approx(plain.weekday, abs=0.1)


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.6])
def test_days_with_a_sale_are_no_outliers_where_most_days_have_none(make_product, prepare, rate):
    rng = np.random.default_rng(1)
    price = np.repeat(10 * np.exp(rng.uniform(-0.1, 0.1, 36)), 10).round(2)
    product = fit_market(prepare(make_product(price, rng.poisson(rate, 360))), SMALL).products[0]
    at_ten = np.exp(np.interp(np.log(10), product.log_grid, product.units.log_value.mean(0)))
    assert 0.5 * rate < at_ten < 2 * rate


def test_a_bulk_order_in_the_last_weeks_counts_like_one_long_ago(compared):
    _, _, difference = compared(np.where(np.arange(120) == 110, 50, 1))
    assert difference[len(difference) // 2] == pytest.approx(np.log(1 + 9 / 120), abs=0.1)


def test_last_weeks_that_all_sold_more_are_a_new_level(compared):
    _, _, difference = compared(np.where(np.arange(120) < 92, 1, 2))
    assert difference[len(difference) // 2] == pytest.approx(np.log(2), abs=0.25)


def test_weeks_without_a_usable_day_at_the_end_leave_the_level_finite(make_product, prepare):
    history = random_history(make_product)
    usable = np.arange(120) < 80
    market = fit_market(prepare(replace(history, observed=usable)), SMALL)
    assert torch.isfinite(market.log_curves[..., 0]).all()


@pytest.mark.parametrize("seller", RICH_SELLERS, ids=lambda seller: f"{seller.market}-{seller.seed}")
def test_the_mean_curve_is_close_to_the_truth_after_much_data(fitted, seller):
    _, truth = simulate(seller)
    market = fitted(seller, SMALL)
    price = torch.linspace(0.86, 1.16, 13) * truth["current_price"]
    found = mean_day(market, price).expected_units.numpy()
    error = np.log(found / expected_units(truth, price.numpy()))
    assert np.abs(error - error.mean()).max() < 0.075, "the stated bias of the history, 0.1, is 0.015 of it"
    assert abs(error.mean()) < 0.2, "the level follows the last four weeks"


def test_draws_agree_where_data_is_dense_and_disagree_where_it_is_silent(fitted):
    product = fitted(RICH_SELLERS[0], SMALL).products[0]
    tried = product.log_grid[[np.argmax(product.units.effective_days)]]
    dense = np.abs(product.log_grid - tried) < 0.1
    level = product.units.log_value[:, dense].mean(1, keepdims=True)
    assert 0.02 < level.std() < 0.15, "four weeks do not settle the level"
    spread = (product.units.log_value - level).std(0)
    assert spread[dense].max() < 0.08
    assert spread[0] > 3 * spread[dense].max() and spread[-1] > 3 * spread[dense].max()


def test_effective_days_fall_with_distance_from_tried_prices(make_product, prepare):
    product = fit_market(prepare(make_product(10.0, np.full(90, 8.0))), SMALL).products[0]
    distance = np.abs(product.log_grid - np.log(10.0))
    beyond = product.units.effective_days[np.argsort(distance)]
    assert (np.diff(beyond) <= 1e-9).all() and beyond[0] > 40 and beyond[-1] < 0.01


def test_old_days_count_less_than_recent_ones(make_product, prepare):
    known = fit_market(prepare(make_product(10.0, np.full(400, 8.0))), SMALL).products[0].units.effective_days.max()
    assert known == pytest.approx((0.5 ** (np.arange(400) / 180)).sum(), rel=0.01)


def test_the_same_seed_gives_the_same_market_and_another_seed_another(simulated):
    preprocessor = simulated(SellerConfig(days=100))
    first, again, other = (fit_market(preprocessor, SMALL, seed=seed) for seed in (5, 5, 6))
    assert torch.equal(first.log_curves, again.log_curves) and torch.equal(first.unit_cost, again.unit_cost)
    assert not torch.equal(first.log_curves, other.log_curves)


def test_a_demand_model_of_ones_own_is_a_function_that_the_settings_pass(simulated):
    def mine(product, log_grid, config, rng):
        demand = fit_mixture(product, log_grid, config, rng)
        return replace(demand, units=replace(demand.units, log_value=-2 * log_grid + np.zeros((config.num_draws, 1))))

    class Mine(DemandConfig):
        model = staticmethod(mine)

    market = fit_market(simulated(SellerConfig(days=90)), Mine(num_draws=8)).products[0]
    np.testing.assert_allclose(np.diff(market.units.log_value) / np.diff(market.log_grid), -2, rtol=1e-6)


def test_weekday_factors_are_recovered(make_product, prepare):
    pattern = np.array([0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3])
    units = np.random.default_rng(3).poisson(100 * np.tile(pattern, 40))
    market = fit_market(prepare(make_product(10.0, units)), SMALL)
    assert market.weekday[0].numpy() == pytest.approx(pattern, abs=0.05)
    assert float(market.weekday[0].mean()) == pytest.approx(1.0, abs=1e-6)


def test_conversions_fall_with_the_price_as_they_did_in_the_history(make_product, prepare):
    history = random_history(make_product, days=200)
    organic = 12.0 * (history.price / 10) ** -1.5
    market = fit_market(prepare(replace(history, organic=organic, ad=organic / 2)), SMALL)
    response = mean_day(market, torch.tensor([9.0, 11.0]))
    assert response.organic.tolist() == pytest.approx([12 * 0.9**-1.5, 12 * 1.1**-1.5], rel=0.05)
    assert response.ad.tolist() == pytest.approx([6 * 0.9**-1.5, 6 * 1.1**-1.5], rel=0.05)


@pytest.mark.parametrize(("reported", "missing"), [("organic", "ad"), ("ad", "organic")])
def test_conversions_never_reported_are_zero_and_others_never_exceed_one_hundred_percent(
    make_product, prepare, reported, missing
):
    history = random_history(make_product)
    market = fit_market(prepare(replace(history, **{reported: np.full(len(history.price), 99.0)})), SMALL)
    response = mean_day(market, torch.tensor([4.0, 10.0, 13.0]))
    assert getattr(response, reported)[0] == 100.0
    assert getattr(response, missing).tolist() == pytest.approx([0, 0, 0], abs=1e-9)
    assert getattr(market.products[0], missing) is None


def test_interpolation_is_exact_for_a_constant_elasticity(known_demand):
    market = known_demand(price=np.linspace(8, 12, 60), elasticity=-1.7)
    price = torch.linspace(4.0, 20.0, 101)
    response = mean_day(market, price)
    units = 20 * (price / 10) ** -1.7
    torch.testing.assert_close(response.expected_units, units, rtol=1e-4, atol=0)
    torch.testing.assert_close(response.profit, (price - 6) * units, rtol=1e-4, atol=1e-3)


def test_a_weekday_scales_units_sales_and_contribution(known_demand):
    market = replace(
        known_demand(), weekday=torch.tensor([[0.5, 1, 1, 1, 1, 1, 1.5]]), fixed_cost=torch.full((1, 2), 3.0)
    )
    monday_and_sunday = np.array(["2026-11-30", "2026-12-06"], dtype="datetime64[D]")
    response = expect_days(market, 0, torch.tensor([10.0, 10.0]), monday_and_sunday)
    assert response.expected_units[0].tolist() == pytest.approx([10, 30], rel=1e-4)
    assert response.sales[0].tolist() == pytest.approx([100, 300], rel=1e-4)
    assert response.profit[0].tolist() == pytest.approx([37, 117], rel=1e-4)


def test_the_last_draw_is_the_mean_of_the_others(fitted):
    market = fitted(SellerConfig(days=100), SMALL)
    mean = market.log_curves[0, :-1].exp().mean(0)
    torch.testing.assert_close(market.log_curves[0, market.mean_draw].exp(), mean)
    torch.testing.assert_close(market.unit_cost[0, -1], market.unit_cost[0, :-1].mean())
    assert torch.equal(market.to("cpu").log_curves, market.log_curves)


def test_supplied_costs_reach_every_draw_of_the_market(simulated):
    market = fit_market(simulated(SellerConfig(days=100)), SMALL, CostConfig(unit_cost=2.5))
    assert market.unit_cost.unique().tolist() == [2.5]


def test_shaping_keeps_a_curve_that_already_falls():
    grid = np.linspace(1.5, 2.5, 97)
    curve = (3.0 - 2.0 * grid)[None]
    assert shape_curves(curve, np.ones(97), grid) == pytest.approx(curve, abs=1e-9)


def test_shaping_leaves_no_step_after_the_monotone_projection():
    grid = np.linspace(1.5, 2.5, 97)
    bumpy = (3.0 - 2.0 * grid + 0.1 * np.sin(20 * grid))[None]
    slope = np.diff(shape_curves(bumpy, np.ones(97), grid), axis=1) / (grid[1] - grid[0])
    assert slope.max() < -0.2 and np.abs(np.diff(slope)).max() < 0.5
