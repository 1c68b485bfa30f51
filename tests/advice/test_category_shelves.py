"""Products with stock that share their buyers are planned and claimed together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pricerl.advice.describe import advise
from pricerl.data.stock import Stock
from pricerl.decide.category import join_claims
from pricerl.decide.decision import DecisionConfig
from pricerl.env.dynamics import Dynamics
from pricerl.evaluation.stock.plan import find_categories, plan_half_years
from pricerl.market.cross_effects import Diversion
from pricerl.market.demand.config import DemandConfig
from pricerl.market.reward import RewardConfig
from pricerl.operations.catalogue import CHUNK, keep_together
from pricerl.simulation.seller import SellerConfig
from pricerl.training.saved_policy import act_on_shelves

DRAWS = 16
SCARCE = Stock(120.0, leftover_value=1.0, season_end=12, largest_order=0.0)
AMPLE = Stock(4000.0, leftover_value=1.0, season_end=12, largest_order=0.0)


@pytest.fixture(scope="module")
def pair(fitted):
    return fitted(SellerConfig(days=130, units=10.0, products=2), DemandConfig(num_draws=DRAWS))


def category(market, stocks, share):
    """Return the dynamics of two products of one group, of whose lost buyers a share takes the other one."""
    lost = Diversion(np.full(DRAWS, share), np.full(DRAWS, 1.0), 1.0)
    prepared = market.preprocessor
    grouped = tuple(replace(item, group="tea") for item in prepared.products)
    products = tuple(
        replace(item, stock=stock, diversion=lost if share else None)
        for item, stock in zip(market.products, stocks, strict=True)
    )
    earned = torch.full_like(market.opportunity, float(share > 0))
    whole = replace(market, preprocessor=replace(prepared, products=grouped), products=products, opportunity=earned)
    return Dynamics(whole, RewardConfig("profit"))


def kept(stocked):
    """Return what both products sell and earn at the current prices, in the mean of all paths."""
    now = torch.tensor([stocked.product.current_price]).expand(26)[:, None]
    played = stocked.half_year.play(stocked.among(now))
    return played.sold.sum(0)[:-1].mean((0, 1))[0]


def test_products_share_a_half_year_where_they_replace_each_other_and_one_has_stock(pair):
    for share, stocks, expected in (
        (0.5, (SCARCE, AMPLE), [(0, 1)]),
        (0.5, (SCARCE, None), [(0, 1)]),
        (0.0, (SCARCE, AMPLE), [(0,), (1,)]),
        (0.5, (None, None), []),
    ):
        dynamics = category(pair, stocks, share)
        assert list(find_categories(dynamics.market)) == expected
        found = plan_half_years(dynamics, act_on_shelves)
        assert sorted(found) == [row for row, stock in enumerate(stocks) if stock is not None]


def test_a_large_category_is_planned_product_by_product(pair, monkeypatch):
    monkeypatch.setattr("pricerl.evaluation.stock.plan.LARGEST", 1)
    dynamics = category(pair, (SCARCE, AMPLE), 0.5)
    assert list(find_categories(dynamics.market)) == [(0,), (1,)]
    (value,) = plan_half_years(dynamics, act_on_shelves)[0].value(torch.full((1, 14), 30.0))
    assert (value.elsewhere < 0).all()  # what the other one would earn by its buyers


def test_buyers_of_an_empty_shelf_buy_next_door(pair):
    apart = plan_half_years(category(pair, (SCARCE, AMPLE), 0.0), act_on_shelves)
    together = plan_half_years(category(pair, (SCARCE, AMPLE), 0.6), act_on_shelves)
    for stocked in together.values():
        stocked.charged[:] = torch.tensor([item.product.current_price for item in together.values()])
    assert float(kept(apart[0])[0]) == pytest.approx(120, rel=0.01)
    assert float(kept(together[1])[1]) > 1.15 * float(kept(apart[1])[0])


def test_the_claims_of_a_category_add_up_to_what_its_decided_prices_earn_together(pair):
    dynamics = category(pair, (SCARCE, AMPLE), 0.5)
    advice = advise(torch.zeros_like, dynamics, DecisionConfig(min_chance=0.0), 14, {})
    assert all(item.days[-1].recommended_price != item.current_price for item in advice)
    (stocked, other) = plan_half_years(dynamics, act_on_shelves).values()
    for one, item in ((stocked, advice[0]), (other, advice[1])):
        one.charge(one.product.money([day.recommended_price for day in item.days]))
    now = torch.tensor([stocked.product.current_price, other.product.current_price]).expand(26, -1)
    profit = stocked.half_year.play(torch.stack([now, stocked.charged], 1)[:, :, None]).profit.sum((0, -1, -2))
    gain = profit.diff(dim=1)[:-1].mean() / (7 * SCARCE.season_end)
    claims = [item.claim for item in advice]
    assert float(join_claims(claims).mean()) == pytest.approx(float(gain), rel=1e-3, abs=1e-3)


def test_chunks_do_not_divide_a_category():
    groups = ["tea" if row % 50 == 0 else "" for row in range(4 * CHUNK)]
    parts = list(keep_together(range(len(groups)), groups))
    assert sorted(row for part in parts for row in part) == list(range(len(groups)))
    assert sum(any(groups[row] for row in part) for part in parts) == 1
    assert max(map(len, parts)) <= CHUNK and list(keep_together([], groups)) == []
