from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pricerl.data.costs import CostConfig
from pricerl.errors import UsageError
from pricerl.market.cost import NUM_PROPOSALS, _truncated_draws, decode_cost, describe_costs
from pricerl.simulation.seller import SellerConfig, simulate

SELLERS = [SellerConfig(market=market, seed=seed) for market, seed in (("constant", 0), ("linear", 1), ("logit", 2))]


def decode(product, config=None, num_draws=256):
    return decode_cost(product, config or CostConfig(), num_draws, np.random.default_rng(0))


@pytest.fixture
def seller(simulated):
    return simulated(SELLERS[0]).products[0]


@pytest.fixture
def silent(seller):
    """A seller whose file has no profits."""
    return replace(seller, profit_known=np.zeros(len(seller.dates), dtype=bool))


@pytest.mark.parametrize("config", SELLERS, ids=lambda config: config.market)
def test_decoded_costs_lie_within_four_sds_of_the_truth(simulated, config):
    _, truth = simulate(config)
    cost = decode(simulated(config).products[0])
    for name in ("share_kept", "unit_cost", "fixed_cost"):
        draws = getattr(cost, name)
        assert abs(draws.mean() - truth[name]) < 4 * draws.std(), name
        assert draws.std() < 0.1 * truth[name] or name == "fixed_cost", name


def test_more_days_narrow_the_decoded_costs(seller):
    short, long = decode(seller.first_days(40)), decode(seller)
    assert long.unit_cost.std() < 0.6 * short.unit_cost.std()
    assert long.share_kept.std() < 0.6 * short.share_kept.std()


def test_a_profit_booked_on_the_wrong_day_hardly_moves_the_decoded_costs(seller):
    profit = seller.profit.copy()
    profit[100] += 50 * np.abs(profit).max()
    clean, spoiled = decode(seller), decode(replace(seller, profit=profit))
    assert spoiled.unit_cost.mean() == pytest.approx(clean.unit_cost.mean(), rel=0.05)
    assert spoiled.share_kept.mean() == pytest.approx(clean.share_kept.mean(), rel=0.05)


@pytest.mark.parametrize(("profit_days", "known"), [(0, False), (14, False), (15, True)])
def test_costs_are_known_from_fifteen_profit_days_on(seller, profit_days, known):
    reported = np.arange(len(seller.dates)) < profit_days
    cost = decode(replace(seller, profit_known=reported))
    assert (cost.known, cost.profit_days) == (known, profit_days)


def test_supplied_values_win_over_decoded_ones(seller):
    cost = decode(seller, CostConfig(unit_cost=3.5, share_kept=0.8, fixed_cost=2.0))
    for draws, value in ((cost.unit_cost, 3.5), (cost.share_kept, 0.8), (cost.fixed_cost, 2.0)):
        assert np.all(draws == value)


def test_fees_are_known_from_profits_or_from_the_seller_alone(seller, silent):
    assert decode(seller).fees_known and decode(silent, CostConfig(share_kept=0.8)).fees_known
    assert not decode(silent).fees_known and not decode(silent, CostConfig(unit_cost=3.0)).fees_known
    assert "fill in costs.csv (pricerl init)" in describe_costs(silent, CostConfig())


def test_a_fixed_cost_is_given_or_shown_by_profits_and_zero_otherwise(seller, silent):
    given = CostConfig(unit_cost=3.0, share_kept=0.85)
    for product in (silent, replace(seller, profit=-seller.profit)):  # no profit, or one that no costs explain
        for config in (given, CostConfig()):
            blank = decode(product, config)
            assert not blank.fixed_known and not blank.fixed_cost.any()
        assert "no fixed cost is known, so profits are before fixed costs" in describe_costs(product, given)
        assert np.all(decode(product, replace(given, fixed_cost=2.0)).fixed_cost == 2.0)
        assert decode(product, replace(given, fixed_cost=2.0)).fixed_known
    shown = decode(seller, given)
    assert shown.fixed_known and shown.fixed_cost.mean() > 0
    assert "fixed cost per day" in describe_costs(seller, given)
    assert decode(silent).counted("sales").fixed_known


@pytest.mark.parametrize("slope", [-3.0, 0.0, 0.4, 2.0])
def test_draws_stay_sensible_whatever_the_profits_say(make_product, slope):
    rng = np.random.default_rng(1)
    price, units = rng.uniform(8, 12, 60).round(2), rng.poisson(9, 60)
    profit = slope * price * units + rng.normal(0, 3, 60)
    cost = decode(make_product(price, units, profit=profit, profit_known=np.ones(60, dtype=bool)))
    assert cost.share_kept.min() >= 0.5 and cost.share_kept.max() <= 1
    assert cost.unit_cost.min() >= 0 and cost.fixed_cost.min() >= 0


@pytest.mark.parametrize("factor", [0.0, -1.0, 3.0])
def test_profits_that_no_costs_explain_leave_them_unknown(seller, factor):
    odd = replace(seller, profit=factor * seller.profit)
    assert not decode(odd).known
    assert "check it, or fill in costs.csv" in describe_costs(odd, CostConfig())
    supplied = decode(odd, CostConfig(unit_cost=3.0))
    assert supplied.known and 0.75 < supplied.share_kept.mean() < 0.95


def test_a_loss_every_day_is_explained_by_its_costs(make_product):
    price = np.repeat([9.0, 10.0, 11.0], 20)
    units = np.repeat([12.0, 10.0, 8.0], 20)
    profit = 0.85 * price * units - 12 * units
    cost = decode(make_product(price, units, profit=profit, profit_known=np.ones(60, dtype=bool)))
    assert cost.known and cost.unit_cost.mean() == pytest.approx(12, rel=0.1)


@pytest.mark.parametrize(("units", "profit"), [(0.0, -2.0), (7.0, 0.0), (7.0, 5.0), (7.0, 1e-9), (7.0, 1e9)])
def test_a_profit_that_never_varies_gives_finite_costs(make_product, units, profit):
    known = np.ones(60, dtype=bool)
    cost = decode(make_product(10.0, np.full(60, units), profit=np.full(60, profit), profit_known=known), num_draws=16)
    assert np.isfinite([cost.share_kept, cost.unit_cost, cost.fixed_cost]).all() and (cost.unit_cost >= 0).all()


@pytest.mark.parametrize("share", [0.8, 0.51, 0.3])
def test_draws_are_the_first_of_all_proposals_inside_the_truncation(share):
    mean, low, high = np.array([2.0, share, 3.0]), [0, 0.5, 0], [np.inf, 1, np.inf]
    covariance = np.array([[4.0, 0.05, 0.1], [0.05, 0.01, 0.02], [0.1, 0.02, 1.0]])
    every = np.random.default_rng(3).multivariate_normal(mean, covariance, size=NUM_PROPOSALS, method="eigh")
    inside = every[((every >= low) & (every <= high)).all(1)]
    wanted = inside if len(inside) >= 512 else np.clip(every, low, high)
    normals = np.random.default_rng(3).standard_normal((NUM_PROPOSALS, 3))
    np.testing.assert_allclose(_truncated_draws(mean, covariance, 512, normals), wanted[:512], rtol=1e-12)


def dated(start, **costs):
    return {"product": "mug", "from": start, **costs}


def rows(start="2025-01-01", **costs):
    return {"products": [dated(start, **costs)]}


@pytest.fixture
def mug(make_product):
    """A product of 60 days from 2025-01-01 whose unit cost rises from 4 to 6 on day 30 and whose file has profits."""
    rng = np.random.default_rng(2)
    price, units = rng.uniform(9, 12, 60).round(2), rng.poisson(20, 60)
    cost = np.where(np.arange(60) < 30, 4.0, 6.0)
    known = np.ones(60, dtype=bool)
    product = make_product(price, units, profit=0.8 * price * units - cost * units - 5, profit_known=known)
    days = np.datetime64("2025-01-01") + np.arange(60)
    return replace(product, product="mug", dates=days)


def test_the_row_in_force_on_the_last_day_of_the_history_counts(mug):
    config = CostConfig(products=[dated("2025-02-10", unit_cost=6.5), dated("2025-01-01", unit_cost=4.5)])
    assert np.all(decode(mug, config).unit_cost == 6.5)
    assert np.all(decode(mug.first_days(30), config).unit_cost == 4.5)
    later = CostConfig(**rows("2025-03-02", unit_cost=9.0))
    assert np.all(decode(replace(mug, unit_cost=3.0), later).unit_cost == 3.0)  # not yet in force


def test_a_cost_of_the_product_wins_over_that_of_all_products_and_that_over_the_file(mug):
    column = replace(mug, unit_cost=3.0, profit_known=np.zeros(60, dtype=bool))
    own = [{"product": "mug", "unit_cost": 5.0}, {"product": "bowl", "unit_cost": 7.0, "share_kept": 0.6}]
    costs = decode(column, CostConfig(unit_cost=4.0, share_kept=0.9, products=own))
    assert np.all(costs.unit_cost == 5.0) and np.all(costs.share_kept == 0.9)
    assert costs.known and costs.fees_known
    assert np.all(decode(column, CostConfig(unit_cost=4.0)).unit_cost == 4.0)
    assert np.all(decode(column).unit_cost == 3.0) and decode(column).known
    assert np.all(decode(column, CostConfig(products=[{"unit_cost": 5.0}])).unit_cost == 5.0)  # the only product


def test_a_known_change_of_the_unit_cost_leaves_the_decoded_fees_right(mug):
    changes = [dated("2025-01-01", unit_cost=4.0), dated("2025-01-31", unit_cost=6.0)]
    by_day, constant = decode(mug, CostConfig(products=changes)), decode(mug, CostConfig(unit_cost=6.0))
    assert by_day.share_kept.mean() == pytest.approx(0.8, abs=0.005)
    assert by_day.fixed_cost.mean() == pytest.approx(5.0, abs=2.0)
    assert abs(constant.share_kept.mean() - 0.8) > 0.02


def test_known_costs_leave_nothing_to_decode_and_a_blank_cell_of_a_later_row_keeps_the_earlier_one(mug):
    changes = [dated("2025-01-01", unit_cost=4.0, share_kept=0.8, fixed_cost=5.0), dated("2025-01-31", unit_cost=6.0)]
    costs = decode(mug, CostConfig(products=changes))
    assert {*costs.unit_cost, *costs.share_kept, *costs.fixed_cost} == {6.0, 0.8, 5.0}


def test_a_fixed_cost_of_a_product_is_money_per_day_for_weekly_rows_too(mug):
    weekly = replace(mug, dates=mug.dates[0] + 7 * np.arange(60), step_days=7)
    assert np.all(decode(weekly, CostConfig(**rows(fixed_cost=2.0))).fixed_cost == 14.0)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"unit_cost": -1.0}, "cost.unit_cost must"),
        ({"unit_cost": float("inf")}, "cost.unit_cost must"),
        ({"share_kept": 0.4}, "cost.share_kept must"),
        ({"fixed_cost": float("nan")}, "cost.fixed_cost must"),
        (rows(unit_cost=-1.0), "row 1, Unit Cost: must be 0 or more, found -1.0"),
        (rows(unit_cost="6"), "row 1, Unit Cost: must be a finite number, found '6'"),
        (rows("1.1.2025", unit_cost=1.0), "row 1, From: must be a day such as 2025-03-01, found '1.1.2025'"),
        (rows("20250101", unit_cost=1.0), "found '20250101'"),
        (rows(unit_costs=1.0), "row 1, unit_costs: is not known; did you mean 'unit_cost'"),
        (rows(share_kept=0.4), "Share Kept: must lie between 0.5 and 1, found 0.4"),
        ({"products": [dated("2025-01-01", unit_cost=1.0)] * 2}, "row 2: product and first day repeat row 1; keep one"),
        ({"products": [{"unit_cost": 1.0}, dated("2025-01-01", unit_cost=1.0)]}, "row 1, Product: is blank"),
        ({"products": [6.2]}, "must list rows such as"),
    ],
)
def test_an_impossible_cost_is_refused_with_its_place(values, words):
    with pytest.raises(UsageError, match=words):
        CostConfig(**values)


def test_costs_of_unknown_products_are_noted_and_refused_only_if_no_other_product_has_any():
    config = CostConfig(products=[{"product": "Mgu", "unit_cost": 1.0}, {"product": "Bowl", "unit_cost": 1.0}])
    left_out = "cost of 'Mgu' is left out: the history has no such product"
    assert config.check_products(["Mug", "Bowl"], 2) == [f"{left_out}; did you mean 'Mug'?"]
    assert config.check_products(["Lamp", "Bowl"], 2) == [f"{left_out}."]
    with pytest.raises(UsageError) as refused:
        config.check_products(["Mug", "Cup"], 2)
    hints = "the history has no product 'Mgu'; did you mean 'Mug'?, and none 'Bowl'"
    assert str(refused.value) == f"costs: {hints}; use its names: 'Cup', 'Mug'"
    assert CostConfig(products=[{"unit_cost": 1.0}]).check_products(["Mug"], 1) == []
    with pytest.raises(UsageError, match="the history has 2 products; name them in a column Product"):
        CostConfig(products=[{"unit_cost": 1.0}]).check_products(["Mug", "Bowl"], 2)
