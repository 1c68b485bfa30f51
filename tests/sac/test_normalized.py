"""SAC with normalized, categorical critics."""

import pytest
import torch
import torch.nn.functional as F
from bare_module import BareModule
from torch import tensor

from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.sac.losses import categorical_loss, hl_gauss
from pricerl.sac.normalized import MOMENTUM, BatchNorm, NormalizedAgent, NormalizedCritic
from pricerl.sac.replay import Transition

OBSERVATION_DIM, ACTION_DIM, ROWS = 3, 2, 64
NETWORK = NetworkConfig(hidden=(32, 32), layer_norm=False, residual=False, value_bounds=False, normalized=True)
SETTINGS = {"alpha": 0.01, "target_entropy": None, "actor_lr": 3e-3, "critic_lr": 3e-3, "max_grad_norm": 0.0}


def make_module(compiles=False, **settings):
    torch.manual_seed(0)
    agent = NormalizedAgent(OBSERVATION_DIM, ACTION_DIM, SACConfig(**{**SETTINGS, **settings}), NETWORK)
    return BareModule(agent, compiles)


def make_batch(scale=1.0, seed=0):
    """Transitions of a bandit whose best action is 0.3 in each dimension."""
    noise = torch.Generator().manual_seed(seed)
    observation = torch.rand(ROWS, OBSERVATION_DIM, generator=noise)
    action = 2 * torch.rand(ROWS, ACTION_DIM, generator=noise) - 1
    reward = -scale * (action - 0.3).square().sum(dim=1)
    return Transition(observation, action, reward, torch.zeros(ROWS), observation.flip(0))


def weights(agent):
    return torch.cat([value.reshape(-1) for value in agent.parameters()])


def test_a_target_becomes_the_probabilities_of_a_gaussian_cut_off_at_the_outer_edges():
    # Within 1 and 3 standard deviations lie .682689 and .997300 of a Gaussian.
    (row,) = hl_gauss(tensor([0.0]), tensor([-1.5, -0.5, 0.5, 1.5]), spread=0.5)
    side = 0.5 * (0.997300 - 0.682689) / 0.997300
    assert row.tolist() == pytest.approx([side, 0.682689 / 0.997300, side], abs=1e-6)


def test_a_target_beyond_the_bins_counts_as_their_outer_edge():
    edges = tensor([-1.0, 0.0, 1.0])
    beyond, at_edge = hl_gauss(tensor([1e6, 1.0]), edges, spread=0.5)
    # Half of the Gaussian is left of the edge: within 2 and 4 standard deviations lie .9544997 and .9999367.
    assert at_edge.tolist() == pytest.approx([1 - 0.9544997 / 0.9999367, 0.9544997 / 0.9999367], abs=1e-5)
    assert beyond.tolist() == at_edge.tolist()


def test_the_mean_of_a_histogram_is_its_target():
    edges = torch.linspace(-5.0, 5.0, 102)
    target = torch.linspace(-4.0, 4.0, 37)
    centers = 0.5 * (edges[1:] + edges[:-1])
    torch.testing.assert_close(hl_gauss(target, edges, 0.074) @ centers, target, rtol=0.0, atol=1e-3)


def test_the_categorical_loss_is_the_cross_entropy_summed_over_critics():
    logits = tensor([[[0.0, 0.0], [0.0, 0.0]], [[2.0, 2.0], [0.0, 1.0]]], requires_grad=True)
    histogram = tensor([[1.0, 0.0], [0.25, 0.75]], requires_grad=True)
    loss = categorical_loss(logits, histogram)
    log_half, softplus = -0.693147, 1.313262  # of 1
    last = 0.25 * softplus + 0.75 * (softplus - 1.0)
    assert loss.item() == pytest.approx(-log_half + 0.5 * (-log_half + last), abs=1e-6)
    loss.backward()
    assert logits.grad[0].tolist() == [[-0.25, 0.25], [0.125, -0.125]], "softmax minus histogram, over the batch size"
    assert histogram.grad is None


@pytest.mark.parametrize("shape", [(4,), (2, 4), (4, 5), (2, 1, 5)])
def test_logits_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="logits must have shape"):
        categorical_loss(torch.zeros(shape), torch.full((4, 5), 0.2))


def test_rows_of_both_halves_are_normalized_together_and_only_the_first_has_a_gradient():
    torch.manual_seed(0)
    norm = BatchNorm(1, 5)
    rows, constant, upstream = torch.randn(8, 5) + 1.0, 3.0 * torch.randn(8, 5), torch.randn(8, 5)
    twin = rows.clone().requires_grad_()
    rows.requires_grad_()
    found, other = norm.join(rows, constant)
    whole = F.batch_norm(torch.cat([twin, constant]), None, None, training=True)
    torch.testing.assert_close(torch.cat([found, other]), whole)
    (found * upstream).sum().backward()
    (whole[:8] * upstream).sum().backward()
    torch.testing.assert_close(rows.grad, twin.grad)
    assert not other.requires_grad
    torch.testing.assert_close(norm.mean, MOMENTUM * torch.cat([rows, constant]).mean(dim=0, keepdim=True))


def test_values_follow_the_running_statistics_and_stay_within_the_bins():
    torch.manual_seed(0)
    critic = NormalizedCritic(OBSERVATION_DIM, ACTION_DIM, num_critics=2)
    batch = make_batch()
    q = critic(batch.observation, batch.action)
    assert q.shape == (2, ROWS) and q.abs().max() < 5.0
    torch.testing.assert_close(critic(batch.observation[:1], batch.action[:1]), q[:, :1]), "no matter the other rows"
    rows = torch.cat([batch.observation, batch.action], dim=1)
    with torch.no_grad():
        for _ in range(150):
            logits = critic.join(rows, rows)
    torch.testing.assert_close(critic(batch.observation, batch.action), critic.value(logits), rtol=0.0, atol=0.02)


def test_every_unit_has_weights_of_norm_one_before_and_after_updates():
    module = make_module()
    for _ in range(2):
        critic = module.agent.critic
        for layer in (critic.first, critic.second, critic.head):
            torch.testing.assert_close(layer.weight.norm(dim=1), torch.ones_like(layer.weight[:, 0]))
        module.update(make_batch())


def test_rewards_in_other_units_give_the_same_weights():
    found = []
    for scale in (1.0, 1024.0):  # powers of two, so that rounding is the same
        module = make_module()
        batch = make_batch(scale)
        module.agent.returns.update(batch.reward.unsqueeze(1))
        metrics = module.update(batch)
        found.append((weights(module.agent), metrics["q_mean"] / scale))
    assert all(map(torch.equal, *found))


def test_the_spread_of_returns_is_their_root_mean_square_and_never_zero():
    agent = make_module().agent
    assert agent.spread.item() == 1.0, "before the first return"
    agent.returns.update(tensor([[3.0], [-4.0], [0.0], [5.0]]))
    assert agent.spread.item() == pytest.approx((50 / 4) ** 0.5)
    agent.returns.count.zero_()
    agent.returns.update(torch.zeros(4, 1))
    assert agent.spread.item() == pytest.approx(1e-4)


@pytest.mark.parametrize(("given", "expected"), [(None, -0.5 * ACTION_DIM), (-2.5, -2.5)])
def test_the_target_entropy_is_minus_half_the_actions_unless_given(given, expected):
    assert make_module(target_entropy=given).agent.target_entropy == expected


@pytest.mark.slow
def test_normalized_sac_finds_the_best_action_of_a_bandit():
    module = make_module()
    for number in range(400):
        batch = make_batch(seed=number)
        module.agent.normalization.update(batch.observation)
        module.agent.returns.update(batch.reward.unsqueeze(1))
        module.update(batch)
    action = module.agent.act(torch.rand(100, OBSERVATION_DIM), deterministic=True)
    assert (action - 0.3).abs().mean() < 0.05


AVERAGES = ("pricerl.training.module.average", "bare_module.average")
"""Names under which a module calls the mean over the ranks."""


def test_processes_average_their_statistics_after_the_step_of_the_critics(monkeypatch):
    alone, together = make_module(), make_module()
    messages = []
    for name in AVERAGES:
        monkeypatch.setattr(name, messages.append)
    together.averages = True
    for module in (alone, together):
        torch.manual_seed(1)
        module.update(make_batch())
    agent = together.agent
    assert torch.equal(weights(alone.agent), weights(agent))
    parts = (agent.critic.parameters(), None, agent.actor.parameters(), [agent.log_alpha])
    sizes = [[value.shape for value in part or agent.statistics] for part in parts]
    assert [[value.shape for value in message] for message in messages] == sizes
    for name in AVERAGES:
        monkeypatch.setattr(name, lambda tensors: [value.zero_() for value in tensors])
    together.update(make_batch())
    assert all(not value.any() for value in agent.statistics), "they are those of the message"


@pytest.mark.slow
@pytest.mark.compiler
def test_compiled_updates_give_the_numbers_of_plain_ones():
    found = []
    for compiles in (False, True):
        module = make_module(compiles)
        torch.manual_seed(1)
        found.append(torch.tensor([[*module.update(make_batch(seed=number)).values()] for number in range(3)]))
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-5)
