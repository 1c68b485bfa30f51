"""Benchmarks with limits: groups of products, their stock and budget, and sellers who reorder."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from groups import Group, Problem, draw_group, joint_dynamic, joint_greedy, judge, poisson_quantile, pose, sell
from scipy.stats import poisson
from shops.stock_sellers import KINDS, Futures, StockSellerConfig, draw_season, draw_seller

from pricerl.data.stock import MOST_LEAD_WEEKS, MOST_WEEKS
from pricerl.simulation.seller import simulate


@pytest.fixture(scope="module")
def problem() -> Problem:
    return pose(draw_group(2, 0), 0.5)


def brute_force(group: Group, price: list[float]) -> list[float]:
    """Nested logit by its textbook formula, one product at a time."""
    scale = group.dissimilarity
    weight = [
        math.exp(float(appeal - slope * (at - 1)) / scale)
        for appeal, slope, at in zip(group.appeal, group.slope, price, strict=True)
    ]
    nests = [weight[first] + weight[first + 1] for first in range(0, len(weight), 2)]
    total = 1 + sum(nest**scale for nest in nests)
    return [weight[at] / nests[at // 2] * nests[at // 2] ** scale / total for at in range(len(weight))]


@pytest.mark.parametrize("size", [2, 4, 8])
def test_shares_are_those_of_the_textbook_and_sum_below_one(size: int) -> None:
    group = draw_group(size, 3)
    price = torch.linspace(0.7, 1.1, size)
    shares = group.shares(price)
    assert shares.tolist() == pytest.approx(brute_force(group, price.tolist()), rel=1e-4)
    assert 0 < float(shares.sum()) < 1


def test_poisson_quantiles_are_those_of_scipy() -> None:
    rate = torch.tensor([0.0, 0.3, 2.0, 9.0])[:, None].expand(4, 5)
    uniform = torch.tensor([0.01, 0.2, 0.5, 0.9, 0.999]).expand(4, 5)
    expected = poisson.ppf(uniform.numpy(), rate.numpy())
    assert poisson_quantile(rate.contiguous(), uniform).tolist() == expected.tolist()


@pytest.mark.parametrize("budget", [0.0, 3.0, 30.0])
def test_no_more_is_sold_than_is_in_stock_and_no_more_given_away_than_the_budget(
    problem: Problem, budget: float
) -> None:
    generator = torch.Generator().manual_seed(1)
    stock, uniform = torch.arange(64.0), torch.rand(64, 2, 2, generator=generator)
    day = sell(problem.group, torch.full((64, 2), 0.7), torch.tensor(40.0), stock, torch.full((64,), budget), uniform)
    assert (day.units >= 0).all() and (day.units.sum(-1) <= stock).all() and float(day.units.sum()) > 0
    assert (day.discount <= budget + 1e-3).all()


def test_dynamic_programming_earns_more_than_list_prices_and_no_less_than_greedy(problem: Problem) -> None:
    plans = (joint_dynamic(problem, problem.table), joint_greedy(problem), lambda *_: torch.ones(4096, 2))
    dynamic, greedy, listed = (float(judge(problem, plan, 4096).mean()) for plan in plans)
    assert dynamic >= greedy > listed


@pytest.fixture(scope="module")
def sellers():
    _, truth = simulate(StockSellerConfig(market="logit", days=30, units=10.0))
    generator = np.random.default_rng(0)
    return [draw_seller(kind, 10.0, truth, generator) for kind in KINDS]


def test_each_kind_has_what_its_name_says_and_a_season_peaks_where_it_should(sellers):
    steady, seasonal, ending, perishable, imported = (seller.stock for seller in sellers)
    assert steady.leftover_value is None and steady.season == (1.0,) * MOST_WEEKS
    assert max(seasonal.season) > 1.2 and seasonal.season[0] == 1.0
    assert ending.season_end < MOST_WEEKS and perishable.spoilage > 0
    assert imported.lead_weeks >= 5 and imported.smallest_order % imported.pack_size == 0
    season = draw_season(1.0, 12.0, 3.0)
    assert season.argmax() == 12 and season[0] == 1.0 and season[12] == pytest.approx(np.e, rel=0.01)


def test_policies_meet_the_same_luck_a_lower_price_sells_more_and_late_deliveries_lose_no_units(sellers):
    futures = Futures(sellers, 2, seed=1)
    price = np.full(2 * len(sellers), sellers[0].truth["current_price"])
    wanted = futures.wanted(3, price)
    np.testing.assert_array_equal(wanted, futures.wanted(3, price))
    assert (futures.wanted(3, 0.9 * price) >= wanted).all() and wanted.sum() > 0
    futures = Futures(sellers, 40, seed=1)
    inbound = np.random.default_rng(0).uniform(0, 9, (MOST_LEAD_WEEKS, 40 * len(sellers)))
    moved = futures.delay(5, inbound)
    np.testing.assert_allclose(moved.sum(0), inbound.sum(0))
    assert 0.05 < (moved[0] < inbound[0]).mean() < 0.25
