"""The shelf of a product in a fitted market: it keeps units, money, guardrails, and what buyers want and remember."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pricerl.data.stock import MOST_WEEKS, Stock
from pricerl.env.dynamics import Dynamics
from pricerl.env.noise import tabulate_units
from pricerl.env.stock.category import SIZE, allow, attract, choose, decide, settle, step
from pricerl.env.stock.market_shelves import Shelves
from pricerl.env.stock.shelf import check_stocked
from pricerl.errors import UsageError
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.demand.reference_price import REFERENCE_MEMORY
from pricerl.market.reward import RewardConfig
from pricerl.simulation.seller import SellerConfig

STOCK = Stock(
    500.0, (60.0, 0.0, 90.0), lead_weeks=3, storage_fee=0.05, spoilage=0.04, leftover_value=2.0, season_end=22
)
TABLE = tabulate_units(torch.tensor([SIZE]))
GRID = 0.05


@pytest.fixture(scope="module")
def market(fitted):
    return fitted(SellerConfig(days=130, units=10.0, products=2), DemandConfig(num_draws=8))


def stocked(market, *stocks, **guardrails):
    stocks = (*stocks, None)[: len(market.products)]
    products = tuple(replace(item, stock=stock) for item, stock in zip(market.products, stocks, strict=True))
    return Shelves(Dynamics(replace(market, products=products), guardrails=GuardrailConfig(**guardrails)))


def start(shelves, rows=1):
    return shelves.open(torch.zeros(rows, 1, dtype=torch.long), torch.zeros(rows))


def shocks(rows, seed=0):
    return torch.randn(MOST_WEEKS, 4, rows, 1, generator=torch.Generator().manual_seed(seed))


def actions(rows, seed=1):
    return torch.rand(MOST_WEEKS, rows, 1, 2, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def column(*values):
    return torch.tensor(values)[:, None]


def test_units_are_conserved_and_money_adds_up(market):
    state = first = start(stocked(market, STOCK), 4)
    share_kept, unit_cost = (values[0, market.mean_draw] for values in (market.share_kept, market.unit_cost))
    ordered, sold, spoiled, profit, money = (torch.zeros(4, 1) for _ in range(5))
    for action, noise in zip(actions(4)[: STOCK.season_end], shocks(4), strict=False):
        price, order = decide(state, action)
        left = state.on_hand
        state, week = step(state, price, order, noise, TABLE)
        left = left - week.sold
        assert (left >= 0).all() and (week.lost >= 0).all()
        ordered, sold, spoiled, profit = ordered + order, sold + week.sold, spoiled + 0.04 * left, profit + week.profit
        money = money + share_kept * price * week.sold - 0.05 * left
    assert (ordered > 0).all() and (spoiled > 0).all()
    torch.testing.assert_close(state.held, first.held + ordered - sold - spoiled, rtol=1e-4, atol=0.05)
    bought = unit_cost * (first.held + ordered)
    torch.testing.assert_close(profit, money + 2.0 * state.held - bought, rtol=1e-4, atol=0.05)


@pytest.mark.parametrize("late", [0.0, 1.0])
def test_an_order_arrives_after_its_lead_time_and_a_late_delivery_a_week_later(market, late):
    state = start(stocked(market, STOCK))
    arrivals = []
    for week in range(6):
        order = column(7.0 if week == 0 else 0.0)
        state, _ = settle(state, state.price, order, column(0.0), column(late if week == 2 else 0.0))
        arrivals.append(state.inbound[:, 0, 0].tolist())
    assert arrivals[0][:3] == [0.0, 97.0, 0.0] and arrivals[1][:2] == [97.0, 0.0]
    assert arrivals[2][0] == 97.0 * late and sum(arrivals[2]) == 97.0 * late and sum(arrivals[3]) == 0


def test_nothing_sells_and_nothing_is_ordered_after_the_season(market):
    state = start(stocked(market, STOCK), 4)
    for week, (action, noise) in enumerate(zip(actions(4), shocks(4), strict=True)):
        price, order = allow(state, decide(state, action)[0], torch.full_like(state.price, 50.0))
        state, outcome = step(state, price, order, noise, TABLE)
        assert (order == 0).all() == (week + STOCK.lead_weeks >= STOCK.season_end)
        if week >= STOCK.season_end:
            assert (outcome.sold == 0).all() and (outcome.profit == 0).all()


@pytest.mark.parametrize(
    ("limits", "order", "allowed"),
    [
        ({"pack_size": 12.0}, 40.0, 36.0),
        ({"pack_size": 12.0}, 43.0, 48.0),
        ({"pack_size": 12.0, "smallest_order": 50.0}, 31.0, 60.0),
        ({"smallest_order": 50.0}, 24.0, 0.0),
        ({"largest_order": 100.0, "pack_size": 12.0}, 400.0, 96.0),
        ({"largest_order": 40.0, "smallest_order": 50.0}, 45.0, 0.0),
        ({}, -5.0, 0.0),
        ({}, float("nan"), 0.0),
        ({"largest_order": 30.0}, float("inf"), 30.0),
    ],
)
def test_an_order_obeys_its_limits(market, limits, order, allowed):
    state = start(stocked(market, Stock(0.0, **limits)))
    assert float(allow(state, state.price, column(order))[1]) == allowed


def test_the_budget_counts_what_is_on_hand_and_on_the_way(market):
    cost = float(market.unit_cost[0, market.mean_draw])
    state = start(stocked(market, Stock(30.0, (20.0,), budget=100.5 * cost)))
    assert float(allow(state, state.price, column(80.0))[1]) == 50.0


def test_a_price_obeys_the_guardrails_of_pricing(market):
    state = start(stocked(market, STOCK, max_change=0.03, price_step=GRID))
    price, _ = allow(state, state.price * 2, state.price)
    assert float(state.price) < float(price) <= float(state.price) * 1.0301
    assert float(price) / GRID == pytest.approx(round(float(price) / GRID), abs=1e-3)


def test_each_product_has_its_own_stock(market):
    shelves = stocked(market, STOCK, Stock(7.0, lead_weeks=6))
    state = shelves.open(torch.tensor([[1], [0]]), torch.zeros(2))
    assert state.on_hand[:, 0].tolist() == [7.0, 500.0] and state.rows.stock.lead_weeks[:, 0].tolist() == [6.0, 3.0]


def test_orders_seek_profit_and_prices_change_weekly():
    with pytest.raises(UsageError, match="orders seek profit alone"):
        check_stocked(RewardConfig("revenue").resolved(), 7)
    with pytest.raises(UsageError, match="min_hold_days to 7 or less, found 14"):
        check_stocked(RewardConfig("profit").resolved(), 14)


def test_the_median_of_four_weeks_begins_with_the_history(market):
    shelves = stocked(market, STOCK, max_above_median=0.5)
    (days,) = shelves.dynamics.history.num_days.unique().tolist()
    charged = shelves.dynamics.history.price[days - 28 : days].view(4, 7)[:, -1]
    assert len(charged.unique()) > 1
    assert torch.equal(start(shelves).prices[:, 0, 0], charged)


def test_a_product_alone_sells_what_the_market_expects_near_its_price(market):
    shelves = stocked(market, STOCK)
    state = start(shelves, 3)
    price = state.price * column(0.95, 1.0, 1.05)
    believed = market.rows(torch.zeros(3, 1, dtype=torch.long), torch.full((3, 1), market.mean_draw))
    smooth = believed._replace(overlooked=torch.zeros_like(believed.overlooked))
    seen, unseen = (
        market.average_day_at(price, market.grid_position(price, rows), rows).expected_units
        for rows in (believed, smooth)
    )
    wanted = choose(state.rows, attract(state.rows, price), 4)
    torch.testing.assert_close(wanted / wanted[1], unseen / unseen[1], rtol=0.03, atol=0.0)
    torch.testing.assert_close(wanted[1], seen[1] * shelves.season[4, 0])


def test_products_that_share_buyers_keep_the_elasticity_that_the_market_shows(market):
    shelves = stocked(market, STOCK, STOCK)
    product = torch.tensor([[0, 1]])
    apart, together = (shelves.open(product, torch.tensor([inside])).rows for inside in (0.0, 0.7))
    for place in (0, 1):
        sales = []
        for rows in (apart, together):
            price = rows.price * torch.exp(0.001 * (torch.arange(2) == place))
            units = [choose(rows, attract(rows, at), 0) for at in (rows.price, price)]
            sales.append((units[1] / units[0]).log()[0] / 0.001)
        assert float(sales[1][place]) == pytest.approx(float(sales[0][place]), rel=0.01) and sales[0][place] < -1
        assert abs(float(sales[0][1 - place])) < 0.01 and float(sales[1][1 - place]) > 0.3


def test_buyers_remember_the_prices_of_the_weeks_before(market):
    assert market.remembers
    shelves = stocked(market, STOCK)
    product = torch.zeros(1, dtype=torch.long)
    price = float(shelves.price[0]) * column(1.0, 0.85, 0.85, 1.1, 1.1, 1.0)
    for draw in range(market.num_draws):
        rows = market.rows(product, torch.tensor([draw]))
        reference = float(shelves.log_reference_price[0])
        lifts = []
        for week in price[:, 0].log().tolist():
            for _ in range(7):
                gap = week - reference
                lifts.append(torch.tensor(-gap * float(rows.memory_loss if gap > 0 else rows.memory_gain)).exp())
                reference = REFERENCE_MEMORY * reference + (1 - REFERENCE_MEMORY) * week
        units = market.average_day_at(price, market.grid_position(price, rows), rows).expected_units
        expected = units * torch.stack(lifts).view(-1, 7).mean(1)[:, None]
        torch.testing.assert_close(shelves.want(price, product, rows), expected, rtol=1e-4, atol=1e-4)
    assert float(torch.stack(lifts).std()) > 0.01
