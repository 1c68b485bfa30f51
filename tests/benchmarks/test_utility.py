"""Utility of an account and the choice of a plan, computed by hand."""

from __future__ import annotations

import pytest
import torch
from learning.account_view import weigh_losses
from learning.utility import choose_plan, floor_of, value_plans, weighted_quantile


def test_losses_weigh_several_times_as_much_as_gains() -> None:
    assert weigh_losses(torch.tensor([-2.0, 0.0, 3.0]), 5).tolist() == [-10.0, 0.0, 3.0]


@pytest.mark.parametrize(
    ("probability", "expected"), [(0.05, -4.0), (0.1, -4.0), (0.11, 1.0), (0.39, 1.0), (0.41, 7.0)]
)
def test_a_weighted_quantile_is_the_first_value_that_reaches_the_probability(
    probability: float, expected: float
) -> None:
    values, weight = torch.tensor([7.0, -4.0, 1.0]), torch.tensor([0.6, 0.1, 0.3])
    assert float(weighted_quantile(values, weight, probability)) == expected


def test_plans_are_valued_on_top_of_the_account() -> None:
    account, weight = torch.tensor([[2.0, -1.0]]), torch.tensor([[0.5, 0.5]])
    future = torch.tensor([[[0.0, 0.0], [1.0, -3.0]]])
    total = account[:, None] + future
    plans = value_plans(total, weight)
    assert plans.mean.tolist() == [[0.5, -0.5]]
    assert plans.utility(4.0).tolist() == [[-1.0, -6.5]]
    assert floor_of(total, weight).tolist() == [[-1.0, -4.0]]


def test_a_gain_so_far_allows_a_risk_that_an_empty_account_does_not() -> None:
    weight, future = torch.full((1, 4), 0.25), torch.tensor([[[0.0, 0.0, 0.0, 0.0], [6.0, 6.0, 6.0, -2.0]]])
    chosen = []
    for gained in (0.0, 2.0):
        plans = value_plans(gained + future, weight)
        chosen.append(int(plans.utility(10.0).argmax(-1)))
    assert chosen == [0, 1]


def test_the_best_plan_inside_the_budget_is_chosen_and_else_the_safest() -> None:
    value, floor = torch.tensor([[0.0, 3.0, 5.0]]), torch.tensor([[-1.0, -2.0, -4.0]])
    assert [int(choose_plan(value, floor, budget, 0)) for budget in (5.0, 2.0, 1.0, 0.5)] == [2, 1, 0, 0]


def test_expected_utility_is_the_mean_of_the_utilities() -> None:
    generator = torch.Generator().manual_seed(0)
    total, weight = torch.randn((3, 5, 40), generator=generator), torch.rand((3, 40), generator=generator).softmax(-1)
    loss_weight = torch.tensor([1.0, 4.0, 20.0])[:, None]
    plans = value_plans(total, weight)
    expected = (weight[:, None] * weigh_losses(total, loss_weight[..., None])).sum(-1)
    torch.testing.assert_close(plans.utility(loss_weight), expected)
    torch.testing.assert_close(plans.mean, (weight[:, None] * total).sum(-1))
