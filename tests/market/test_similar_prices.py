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
from pricerl.market.fitting import fit_market
from pricerl.market.similar_prices import DailyValues, fit_curves
from pricerl.simulation.seller import SellerConfig, simulate
from pricerl.simulation.true_demand import expected_units

SMALL = DemandConfig(num_draws=16)
RICH_SELLERS = [
    SellerConfig(market=market, days=1000, units=200.0, seed=seed)
    for market, seed in (("constant", 1), ("constant", 2), ("linear", 1), ("linear", 2))
]


def random_history(make_product, days=120, elasticity=-2.0, seed=0, **changes):
    rng = np.random.default_rng(seed)
    price = np.repeat(np.exp(rng.uniform(-0.2, 0.2, days // 5)) * 10, 5).round(2)
    return make_product(price, rng.poisson(30 * (price / 10) ** elasticity), **changes)


def odd_histories(make_product):
    steady = np.full(60, 9.0)
    spiked = steady.copy()
    spiked[[20, 40]] = 5000.0
    return {
        "one day": make_product(10.0, [4.0]),
        "one price": make_product(10.0, steady),
        "nothing sold": make_product(10.0, np.zeros(60)),
        "two spikes": make_product(10.0, spiked),
        "one sale": make_product([10.0] * 29 + [30.0], [0.0] * 29 + [1.0]),
        "price of cents": make_product([0.01] * 20 + [0.02] * 20, np.full(40, 3.0)),
    }


def slopes(market, product=0):
    logs = market.log_curves[product, :, :, 0].double()
    grid = market.products[product].log_grid
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
    assert slopes(fitted(seller, DemandConfig())).max() <= 1e-3


def test_demand_falls_with_price_even_where_the_history_says_the_opposite(make_product, prepare):
    market = fit_market(prepare(random_history(make_product, elasticity=3.0)), SMALL)
    assert slopes(market).max() <= 1e-3


@pytest.mark.parametrize("name", ["one day", "one price", "nothing sold", "two spikes", "one sale", "price of cents"])
def test_an_odd_history_still_gives_a_finite_falling_market(make_product, prepare, name):
    product = odd_histories(make_product)[name]
    log_price = np.log(product.price)
    grid = np.linspace(log_price.min() - 0.3, log_price.max() + 0.3, 33)
    age = np.arange(len(product.price))[::-1].astype(float)
    days = DailyValues(log_price, product.units, age)
    curves = fit_curves(days, grid, DemandSettings(num_draws=16), np.random.default_rng(0))
    assert np.isfinite(curves.log_value).all() and np.isfinite(curves.effective_days).all()
    assert (np.diff(curves.log_value, axis=1) < 0).all()
    market = fit_market(prepare(product), SMALL)
    assert all(value.isfinite().all() for value in vars(market).values() if isinstance(value, torch.Tensor))


@pytest.mark.parametrize("size", [300.0, 3000.0])
def test_spikes_are_left_out_of_the_curve_and_raise_the_level_by_at_most_tenfold_days(make_product, prepare, size):
    clean = random_history(make_product)
    units = clean.units.copy()
    units[[30, 77]] = size
    plain, spiked = (fit_market(prepare(item), SMALL).products[0] for item in (clean, replace(clean, units=units)))
    assert (plain.units.outliers, spiked.units.outliers) == (0, 2)
    middle = np.abs(plain.log_grid - np.log(10)) < 0.15
    difference = (spiked.units.log_value.mean(0) - plain.units.log_value.mean(0))[middle]
    assert np.abs(difference - difference.mean()).max() < 0.03
    assert difference.mean() == pytest.approx(np.log(1 + 2 * 9 / len(units)), abs=0.05)
    assert spiked.weekday == pytest.approx(plain.weekday, abs=0.1)


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.6])
def test_days_with_a_sale_are_no_outliers_where_most_days_have_none(make_product, prepare, rate):
    rng = np.random.default_rng(1)
    price = np.repeat(10 * np.exp(rng.uniform(-0.1, 0.1, 36)), 10).round(2)
    product = fit_market(prepare(make_product(price, rng.poisson(rate, 360))), SMALL).products[0]
    at_ten = np.exp(np.interp(np.log(10), product.log_grid, product.units.log_value.mean(0)))
    assert product.units.outliers == 0
    assert 0.5 * rate < at_ten < 2 * rate


def test_a_bulk_order_in_the_last_weeks_counts_like_one_long_ago(make_product, prepare):
    clean = random_history(make_product)
    units = clean.units.copy()
    units[-10] *= 50
    plain, spiked = (fit_market(prepare(item), SMALL).products[0] for item in (clean, replace(clean, units=units)))
    level, usual = (item.units.log_value[:, len(item.log_grid) // 2].mean() for item in (spiked, plain))
    assert level == pytest.approx(usual + np.log(1 + 9 / len(units)), abs=0.1)


def test_last_weeks_that_all_sold_more_are_a_new_level(make_product, prepare):
    clean = random_history(make_product)
    units = clean.units * np.where(np.arange(120) < 92, 1, 2)
    plain, risen = (fit_market(prepare(item), SMALL).products[0] for item in (clean, replace(clean, units=units)))
    assert risen.units.log_value.mean() - plain.units.log_value.mean() == pytest.approx(np.log(2), abs=0.25)


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
    rows = torch.zeros(len(price), dtype=torch.long)
    found = market.average_day(price, rows, rows + market.mean_draw).expected_units.numpy()
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
    days = replace(make_product(10.0, np.full(400, 8.0)), organic=np.full(400, 5.0))
    known = fit_market(prepare(days), SMALL).products[0].organic.effective_days.max()
    assert known == pytest.approx((0.5 ** (np.arange(400) / 180)).sum(), rel=0.01)


def test_the_same_seed_gives_the_same_market_and_another_seed_another(simulated):
    preprocessor = simulated(SellerConfig(days=100))
    first, again, other = (fit_market(preprocessor, SMALL, seed=seed) for seed in (5, 5, 6))
    assert torch.equal(first.log_curves, again.log_curves) and torch.equal(first.unit_cost, again.unit_cost)
    assert not torch.equal(first.log_curves, other.log_curves)


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
    rows = torch.zeros(2, dtype=torch.long)
    response = market.average_day(torch.tensor([9.0, 11.0]), rows, rows + market.mean_draw)
    assert response.organic.tolist() == pytest.approx([12 * 0.9**-1.5, 12 * 1.1**-1.5], rel=0.05)
    assert response.ad.tolist() == pytest.approx([6 * 0.9**-1.5, 6 * 1.1**-1.5], rel=0.05)


def test_a_conversion_never_reported_is_zero_at_every_price(make_product, prepare):
    market = fit_market(prepare(random_history(make_product)), SMALL)
    rows = torch.zeros(3, dtype=torch.long)
    response = market.average_day(torch.tensor([7.0, 10.0, 13.0]), rows, rows)
    assert response.organic.tolist() == pytest.approx([0, 0, 0], abs=1e-9)
    assert response.ad.tolist() == pytest.approx([0, 0, 0], abs=1e-9)
    assert market.products[0].organic is None and market.products[0].ad is None


def test_conversions_never_exceed_one_hundred_percent(make_product, prepare):
    history = random_history(make_product)
    market = fit_market(prepare(replace(history, organic=np.full(len(history.price), 99.0))), SMALL)
    rows = torch.zeros(1, dtype=torch.long)
    assert market.average_day(torch.tensor([4.0]), rows, rows).organic.item() == 100.0


def test_interpolation_is_exact_for_a_constant_elasticity(known_demand):
    market = known_demand(price=np.linspace(8, 12, 60), elasticity=-1.7)
    price = torch.linspace(4.0, 20.0, 101)
    rows = torch.zeros(101, dtype=torch.long)
    response = market.average_day(price, rows, rows)
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
