"""Sellers who learn: paths, accounts and beliefs against what they must be."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from learning.belief import (
    NUM_PRICES,
    REACH,
    DemandCurves,
    LearningConfig,
    Sellers,
    open_accounts,
    sample_units,
    time_on_paths,
)

CURVES = DemandCurves(120)
QUARTER = LearningConfig()


def sellers(count: int, config: LearningConfig = QUARTER, seed: int = 0) -> Sellers:
    """Sellers whose demand is drawn from the prior of their beliefs."""
    generator, others = torch.Generator().manual_seed(seed), DemandCurves(3000, seed=5)
    chosen = torch.randint(0, 3000, (count,), generator=generator)
    return open_accounts(config, CURVES, others.log_units[chosen], others.elasticity[chosen], generator)


def test_a_path_moves_two_steps_a_week_and_then_stays() -> None:
    spent = time_on_paths(4)[REACH, REACH + 5]
    expected = torch.zeros(NUM_PRICES)
    expected[[REACH + 2, REACH + 4]] = 1
    expected[REACH + 5] = 2
    assert torch.equal(spent, expected)


def test_keeping_earns_nothing_over_keeping_and_teaches_nothing_about_the_curve() -> None:
    start = sellers(50)
    after, generator = start, torch.Generator().manual_seed(1)
    while after.weeks_left:
        after = after.advance(after.position, generator)
    assert torch.equal(after.gain, torch.zeros(50)) and torch.equal(after.account, torch.zeros_like(after.account))
    torch.testing.assert_close(after.weight, start.weight)


def test_a_plan_earns_what_its_path_earns_in_a_certain_world() -> None:
    calm = LearningConfig(weeks=5, level_sd=1e-6, dispersion=1e-6, units=1e6)
    start = sellers(30, calm)
    start = replace(start, level=torch.zeros(30), log_weight=torch.full_like(start.log_weight, -1e9))
    target, generator = torch.full((30,), REACH + 3), torch.Generator().manual_seed(1)
    expected, after = start.true_gains()[:, REACH + 3], start
    while after.weeks_left:
        after = after.advance(target, generator)
    torch.testing.assert_close(after.gain, expected, rtol=1e-3, atol=1e-4)


def test_sales_at_another_price_narrow_the_belief_around_the_truth() -> None:
    start = sellers(400, LearningConfig(weeks=6, units=500))
    after, generator = start, torch.Generator().manual_seed(1)
    while after.weeks_left:
        after = after.advance(torch.full((400,), REACH + 4), generator)
    truth = start.log_units[:, REACH + 4]

    def error(belief: Sellers) -> float:
        guess = belief.weight @ CURVES.log_units[:, REACH + 4]
        return float((guess - truth).square().mean().sqrt())

    assert error(after) < 0.6 * error(start)


def test_beliefs_are_calibrated_where_demand_comes_from_their_prior() -> None:
    start = sellers(4000)
    gain = CURVES.units[:, REACH + 2] * (CURVES.price[REACH + 2] - start.cost[:, None]) - (1 - start.cost[:, None])
    believed = (start.weight * (gain > 0)).sum(-1)
    true = start.log_units[:, REACH + 2].exp() * start.margin_at(torch.tensor(REACH + 2)) - (1 - start.cost)
    for low, high in ((0.0, 0.2), (0.4, 0.6), (0.8, 1.0)):
        rows = (believed >= low) & (believed <= high)
        assert float((true[rows] > 0).float().mean()) == pytest.approx(float(believed[rows].mean()), abs=0.06)


def test_units_have_the_variance_that_is_stated() -> None:
    mean = torch.full((200_000,), 60.0)
    units = sample_units(mean, 0.05, torch.Generator().manual_seed(0))
    assert float(units.mean()) == pytest.approx(60.0, rel=0.01)
    assert float(units.var()) == pytest.approx(60 + 0.05 * 60**2, rel=0.03)


def test_beliefs_that_take_the_first_price_as_evidence_move_to_where_it_is_the_best():
    curves = DemandCurves(240)
    rows = torch.full((400,), 7)
    truth = curves.log_units[rows], curves.elasticity[rows]
    errors = []
    for informed in (0.0, 0.5, 0.9):
        config = LearningConfig(prior_informed=informed)
        sellers = open_accounts(config, curves, *truth, torch.Generator().manual_seed(0))
        best_at = 1 / (1 - sellers.cost)
        errors.append(float(((sellers.weight @ (-curves.elasticity).log()) - best_at.log()).abs().mean()))
    assert errors[0] > errors[1] > errors[2]
