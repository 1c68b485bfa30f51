"""Groups of products in the benchmark: demand, limits of stock and budget, and plans."""

from __future__ import annotations

import math

import pytest
import torch
from group_plans import DAYS, HIGH, LOW, Group, JointGreedy, Problem, draw_group, joint_dynamic, poisson_quantile, pose
from groups import GroupMarket, judge
from scipy.stats import poisson


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
def test_stock_is_never_negative_and_the_budget_never_overspent(problem: Problem, budget: float) -> None:
    env = GroupMarket(problem, 64, None)
    env.reset(seed=1)
    env.budget = torch.full((64,), budget)
    spent, sold = torch.zeros(64), torch.zeros(64)
    supply = env.stock + problem.order
    for _ in range(DAYS):
        day, _ = env.advance(torch.full((64, 2), 0.7))
        spent, sold = spent + day.discount, sold + day.units.sum(-1)
        assert (env.stock >= 0).all()
        assert (day.units >= 0).all()
    assert (spent <= budget + 1e-3).all()
    assert torch.equal(supply - sold, env.stock)
    assert float(sold.mean()) > 0


def test_action_zero_follows_the_greedy_plan(problem: Problem) -> None:
    plan = JointGreedy(problem)
    env = GroupMarket(problem, 16, plan)
    env.reset(seed=2)
    price = env.prices(torch.zeros(16, 2))
    assert torch.equal(price, plan(0, env.stock, env.budget))
    assert ((price >= LOW) & (price <= HIGH)).all()


def test_dynamic_programming_earns_more_than_list_prices_and_no_less_than_greedy(problem: Problem) -> None:
    plans = {"greedy": JointGreedy(problem), "dynamic": joint_dynamic(problem, problem.table)}
    profit = {
        name: float(
            judge(GroupMarket(problem, 4096, None), lambda env, plan=plan: plan(env.day, env.stock, env.budget)).mean()
        )
        for name, plan in plans.items()
    }
    listed = float(judge(GroupMarket(problem, 4096, None), lambda env: torch.ones(4096, 2)).mean())
    assert profit["dynamic"] >= profit["greedy"] > listed
