"""Dynamic programming on the belief against enumeration."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from belief_planning import BeliefPlanner, Rule, Summary, budgeted_dynamic, dynamic, planner_of
from learning.belief import (
    GRID_STEP,
    REACH,
    DemandCurves,
    LearningConfig,
    Sellers,
    open_accounts,
    settled_variance,
)
from loop import greedy
from torch import Tensor

GRID = GRID_STEP * torch.arange(-REACH, REACH + 1)
NOISY, BUSY = LearningConfig(weeks=4, units=1e-3), LearningConfig(weeks=4, units=500.0)
RULES: dict[str, Rule] = {"dynamic": dynamic, "plan": greedy}
COST = 0.55
"""The first price is the best at a slope of -2.2, about."""


def constant_curves() -> DemandCurves:
    """Curves of constant elasticity, evenly spaced."""
    curves = DemandCurves(200)
    curves.elasticity = -torch.linspace(0.2, 9.0, 200)
    curves.log_units = curves.elasticity[:, None] * GRID
    return curves


CURVES = constant_curves()


@pytest.fixture(scope="module")
def planner() -> BeliefPlanner:
    return planner_of(CURVES, BUSY)


def value(planner: BeliefPlanner, weeks: int, mean: float, sd: float) -> float:
    numbers = (torch.tensor([number]) for number in (mean, sd, 0.0, 0.0))
    return float(planner.value(weeks, torch.tensor([REACH]), Summary(*numbers), torch.tensor([COST])))


def profit(slope: Tensor, step: int) -> Tensor:
    """Gain of a week over keeping, by the formula of constant elasticity."""
    log_price = torch.tensor(GRID_STEP * step)
    return (slope * log_price).exp() * (log_price.exp() - COST) - (1 - COST)


def best_of_two_weeks(mean: float, sd: float, config: LearningConfig) -> float:
    """Best of all first changes and all second ones given the units of the first week, by integration."""
    slope = torch.linspace(mean - 5 * sd, mean + 5 * sd, 401)
    prior = (-0.5 * ((slope - mean) / sd).square()).softmax(0)
    per_week = torch.tensor([7 * config.units])
    level_var = float(settled_variance(per_week, config)) + config.level_sd**2
    found = []
    for first in range(-2, 3):
        log_units = slope * GRID_STEP * first
        noise = 1 / (float(per_week) * float((mean * torch.tensor(GRID_STEP * first)).exp()) + 0.5) + config.dispersion
        total = level_var + noise
        seen = torch.linspace(-1.5, 1.5, 1201)[:, None]
        joint = prior * (-0.5 * (seen - log_units).square() / total).exp()
        joint = joint / joint.sum()
        level = (level_var / total * (seen - log_units)).exp()
        second = [(joint * level * profit(slope, first + change)).sum(1) for change in range(-2, 3)]
        found.append((prior * profit(slope, first)).sum() + torch.stack(second).max(0).values.sum())
    return float(torch.stack(found).max())


@pytest.mark.parametrize(("mean", "sd"), [(-2.6, 0.65), (-2.4, 0.5), (-1.6, 0.5), (-4.0, 1.1)])
def test_two_weeks_are_worth_what_enumeration_finds(planner: BeliefPlanner, mean: float, sd: float) -> None:
    assert value(planner, 2, mean, sd) == pytest.approx(best_of_two_weeks(mean, sd, BUSY), rel=0.01)


@pytest.mark.parametrize("slope", [-3.6, -1.4])
def test_known_demand_is_worth_the_best_of_all_paths(planner: BeliefPlanner, slope: float) -> None:
    paths = itertools.product(range(-2, 3), repeat=3)
    totals = [sum(float(profit(torch.tensor(slope), at)) for at in itertools.accumulate(path)) for path in paths]
    assert value(planner, 3, slope, 0.05) == pytest.approx(max(totals), rel=0.02)


def opened(config: LearningConfig, count: int = 400) -> Sellers:
    """Sellers of one belief, whose mean gain is nowhere above keeping, and of demand drawn from it."""
    generator = torch.Generator().manual_seed(0)
    log_weight = -0.5 * ((CURVES.elasticity + 2.25) / 0.9).square()
    chosen = torch.multinomial(log_weight.exp(), count, replacement=True, generator=generator)
    made = open_accounts(config, CURVES, CURVES.log_units[chosen], CURVES.elasticity[chosen], generator)
    return replace(made, cost=torch.full((count,), COST), log_weight=log_weight.expand(count, -1))


def test_only_units_that_teach_add_to_the_best_plan() -> None:
    worth = {}
    for config in (NOISY, BUSY):
        sellers = opened(config, 1)
        plan = float((sellers.weight[:, None] * sellers.plan_gains()).sum(-1).max())
        worth[config] = float(planner_of(CURVES, config).values_of_changes(sellers).max()) - plan
    assert abs(worth[NOISY]) < 0.002
    assert worth[BUSY] > 0.03


def test_it_earns_what_it_expects_and_more_than_plans_made_weekly(planner: BeliefPlanner) -> None:
    generator, earned = torch.Generator().manual_seed(1), {}
    for name in RULES:
        sellers = opened(BUSY, 1000)
        expected = float(planner.values_of_changes(sellers).max(-1).values[0])
        while sellers.weeks_left:
            target = RULES[name](sellers, generator)
            sellers = sellers.advance(target, generator)
        earned[name] = float(sellers.gain.mean())
    assert earned["dynamic"] == pytest.approx(expected, rel=0.2)
    assert earned["dynamic"] > earned["plan"] + 0.01


def test_a_budget_of_nothing_keeps_the_price_and_a_large_one_changes_nothing() -> None:
    sellers, generator = opened(BUSY, 8), torch.Generator()
    assert (budgeted_dynamic(0.0, 0.1)(sellers, generator) == REACH).all()
    free = (dynamic(sellers, generator) - sellers.position).sign()
    assert ((budgeted_dynamic(1.0, 0.1)(sellers, generator) - sellers.position).sign() == free).all()
