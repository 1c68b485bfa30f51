import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn, tensor
from torch.autograd import gradcheck
from torch.distributions import Independent, Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

from pricerl.sac.losses import (
    actor_loss,
    critic_loss,
    polyak_update,
    tanh_gaussian_log_prob,
    td_target,
    temperature_loss,
    value_bounds,
)


def test_td_target_is_reward_plus_discounted_smallest_soft_value_and_the_reward_alone_after_termination():
    next_q = tensor([[4.0, 8.0, 9.0], [6.0, 2.0, 9.0]])
    target = td_target(tensor([1.0, 2.0, 3.0]), tensor([0.5, 0.5, 0.0]), next_q, tensor([1.0, -1.0, 1.0]), tensor(0.5))
    assert target.tolist() == [1.0 + 0.5 * (4.0 - 0.5), 2.0 + 0.5 * (2.0 + 0.5), 3.0]


def test_td_target_is_clamped_to_the_bounds():
    next_q = torch.zeros(2, 2)
    target = td_target(tensor([-9.0, 9.0]), torch.zeros(2), next_q, torch.zeros(2), tensor(0.5), bounds=(-1.0, 3.0))
    assert target.tolist() == [-1.0, 3.0]


def test_no_gradient_flows_through_td_target():
    reward, discount, log_prob = (tensor([1.0, 2.0], requires_grad=True) for _ in range(3))
    next_q, alpha = torch.ones(2, 2, requires_grad=True), tensor(0.5, requires_grad=True)
    assert not td_target(reward, discount, next_q, log_prob, alpha).requires_grad


def test_critic_loss_is_half_the_squared_error_summed_over_critics_and_its_gradient_the_error_over_the_batch_size():
    q = tensor([[1.0, 2.0], [3.0, 5.0]], requires_grad=True)
    target = tensor([1.0, 4.0], requires_grad=True)
    loss = critic_loss(q, target)
    loss.backward()
    assert loss.item() == 0.5 * ((0 + 4) / 2 + (4 + 1) / 2)
    assert q.grad.tolist() == [[0.0, -1.0], [1.0, 0.5]]
    assert target.grad is None


def test_actor_loss_weighs_log_prob_by_a_constant_alpha_against_the_smallest_value_alone():
    log_prob = tensor([1.0, 3.0], requires_grad=True)
    q = tensor([[2.0, 4.0], [3.0, 1.0]], requires_grad=True)
    alpha = tensor(0.5, requires_grad=True)
    loss = actor_loss(log_prob, q, alpha)
    loss.backward()
    assert loss.item() == ((0.5 * 1 - 2) + (0.5 * 3 - 1)) / 2
    assert log_prob.grad.tolist() == [0.25, 0.25]
    assert q.grad.tolist() == [[-0.5, 0.0], [0.0, -0.5]]
    assert alpha.grad is None


@pytest.mark.parametrize(("log_prob", "gradient"), [([1.0, 2.0], 1.0), ([4.0, 2.0], -2.0), ([2.0, 2.0], 0.0)])
def test_descent_lowers_alpha_above_the_target_entropy_and_raises_it_below(log_prob, gradient):
    log_alpha, log_prob = tensor(math.log(2.0), requires_grad=True), tensor(log_prob, requires_grad=True)
    loss = temperature_loss(log_alpha, log_prob, target_entropy=-2.0)
    loss.backward()
    assert loss.item() == pytest.approx(gradient)
    assert log_alpha.grad.item() == pytest.approx(gradient)
    assert log_prob.grad is None, "the policy is held constant"


def test_log_prob_agrees_with_the_transformed_distribution_and_its_gradient_with_finite_differences():
    torch.manual_seed(0)
    mean, log_std = torch.randn(2, 64, 3, dtype=torch.float64)
    pre_tanh = mean + log_std.exp() * torch.randn(64, 3, dtype=torch.float64)
    expected = TransformedDistribution(Independent(Normal(mean, log_std.exp()), 1), TanhTransform(cache_size=1))
    action = expected.transforms[0](pre_tanh)
    torch.testing.assert_close(tanh_gaussian_log_prob(pre_tanh, mean, log_std), expected.log_prob(action))
    assert gradcheck(tanh_gaussian_log_prob, [value[:4].requires_grad_() for value in (pre_tanh, mean, log_std)])


@pytest.mark.parametrize("pre_tanh", [-20.0, 20.0, 1e4])
def test_log_prob_and_gradient_stay_finite_where_tanh_is_flat(pre_tanh):
    u = torch.full((1, 1), pre_tanh, requires_grad=True)
    log_prob = tanh_gaussian_log_prob(u, torch.full((1, 1), pre_tanh), torch.zeros(1, 1))
    log_prob.sum().backward()
    log_slope = 2 * (math.log(2.0) - abs(pre_tanh))
    assert log_prob.item() == pytest.approx(-0.5 * math.log(2 * math.pi) - log_slope, rel=1e-5)
    assert u.grad.item() == pytest.approx(math.copysign(2.0, pre_tanh))


@pytest.mark.parametrize(
    ("arguments", "bounds"),
    [
        ((0.0, 1.0, 0.5), (0.0, 2.0)),
        ((-1.0, 2.0, 0.5, 1.0), (-3.0, 5.0)),
        ((-1.0, 1.0, 0.0, 9.0), (-1.0, 1.0)),
        ((1.0, 2.0, 0.5), (1.0, 4.0)),
        ((-2.0, -1.0, 0.5), (-4.0, -1.0)),
    ],
)
def test_value_bounds_are_those_of_the_geometric_series(arguments, bounds):
    assert value_bounds(*arguments) == bounds


@given(
    rewards=st.lists(st.floats(-1.0, 3.0), min_size=1, max_size=40),
    entropies=st.lists(st.floats(-0.5, 0.5), min_size=40, max_size=40),
    gamma=st.floats(0.0, 0.99),
)
def test_no_soft_return_leaves_the_value_bounds(rewards, entropies, gamma):
    low, high = value_bounds(-1.0, 3.0, gamma, max_entropy_bonus=0.5)
    entropies[0] = 0.0
    value = sum(gamma**t * (r + h) for t, (r, h) in enumerate(zip(rewards, entropies, strict=False)))
    assert low - 1e-6 <= value <= high + 1e-6


@pytest.mark.parametrize("arguments", [(1.0, 1.0, 0.5), (0.0, math.inf, 0.5), (0.0, 1.0, 1.0), (0.0, 1.0, 0.5, -1.0)])
def test_value_bounds_refuse_impossible_arguments(arguments):
    with pytest.raises(ValueError, match="found"):
        value_bounds(*arguments)


@pytest.mark.parametrize(("tau", "moved"), [(0.25, (2.0, -2.0)), (1.0, (5.0, 4.0))])
def test_polyak_update_moves_by_tau(tau, moved):
    target, source = nn.Linear(1, 1), nn.Linear(1, 1)
    with torch.no_grad():
        target.weight.fill_(1.0), target.bias.fill_(-4.0)
        source.weight.fill_(5.0), source.bias.fill_(4.0)
    polyak_update(target, source, tau)
    assert (target.weight.item(), target.bias.item()) == moved
    assert (source.weight.item(), source.bias.item()) == (5.0, 4.0)


def test_polyak_update_copies_buffers():
    target, source = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    source(torch.randn(8, 2))
    polyak_update(target, source, 0.1)
    assert torch.equal(target.running_mean, source.running_mean)
    assert target.num_batches_tracked.item() == 1


def test_polyak_update_refuses_modules_built_differently():
    for source in (nn.Linear(2, 1), nn.Linear(1, 1, bias=False)):
        with pytest.raises(ValueError, match="must have the same structure"):
            polyak_update(nn.Linear(1, 1), source, 0.5)


@pytest.mark.parametrize("tau", [0.0, 1.5, math.nan])
def test_polyak_update_refuses_a_tau_out_of_range(tau):
    with pytest.raises(ValueError, match="tau"):
        polyak_update(nn.Linear(1, 1), nn.Linear(1, 1), tau)


ROW, COLUMN, ENSEMBLE, SCALAR = torch.zeros(4), torch.zeros(4, 1), torch.zeros(2, 4), torch.zeros(())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: td_target(COLUMN, ROW, ENSEMBLE, ROW, SCALAR), r"reward must have shape \(B,\); found \(4, 1\)"),
        (lambda: td_target(ROW, COLUMN, ENSEMBLE, ROW, SCALAR), r"discount must .*; found \(4, 1\)"),
        (lambda: td_target(ROW, ROW, ROW, ROW, SCALAR), r"next_q must have shape \(N, B\); found \(4,\)"),
        (lambda: td_target(ROW, ROW, ENSEMBLE.T, ROW, SCALAR), r"next_q must .*; found \(4, 2\)"),
        (lambda: td_target(ROW, ROW, ENSEMBLE, COLUMN, SCALAR), "next_log_prob"),
        (lambda: td_target(ROW, ROW, ENSEMBLE, ROW, torch.zeros(1)), r"alpha must have shape \(\); found \(1,\)"),
        (lambda: critic_loss(ENSEMBLE, COLUMN), "target"),
        (lambda: critic_loss(ROW, ROW), "q must"),
        (lambda: critic_loss(ENSEMBLE.T, ROW), "q must"),
        (lambda: actor_loss(COLUMN, ENSEMBLE, SCALAR), "log_prob"),
        (lambda: actor_loss(ROW, ENSEMBLE.T, SCALAR), "q must"),
        (lambda: actor_loss(ROW, ENSEMBLE, ROW), "alpha"),
        (lambda: temperature_loss(torch.zeros(1), ROW, -2.0), "log_alpha"),
        (lambda: temperature_loss(SCALAR, COLUMN, -2.0), "log_prob"),
        (lambda: tanh_gaussian_log_prob(ROW, ROW, ROW), r"pre_tanh must have shape \(B, A\)"),
        (lambda: tanh_gaussian_log_prob(COLUMN, ENSEMBLE, COLUMN), "mean"),
        (lambda: tanh_gaussian_log_prob(COLUMN, COLUMN, torch.zeros(1, 1)), "log_std"),
    ],
)
def test_wrong_shapes_are_refused_and_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
