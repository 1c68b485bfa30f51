import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pricerl.arrays import check_finite
from pricerl.errors import NonFiniteError
from pricerl.sac.agent import SACAgent
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.sac.layers import EnsembleHead, EnsembleLinear, InputNormalization
from pricerl.sac.losses import actor_loss, critic_loss
from pricerl.sac.networks import Actor, Critic

O_DIM, A_DIM, BATCH = 6, 2, 32
PLAIN = {
    "hidden": (16, 16),
    "input_normalization": False,
    "layer_norm": False,
    "residual": False,
    "value_bounds": False,
    "small_init": 1.0,
}
FULL = {"hidden": (16, 16), "actor_dropout": 0.1, "critic_dropout": 0.1}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def observations():
    return torch.rand(BATCH, O_DIM)


def actions():
    return 2 * torch.rand(BATCH, A_DIM) - 1


def normalization(config):
    return InputNormalization(O_DIM) if config.input_normalization else None


def make_critic(settings, bounds=None):
    config = NetworkConfig(**settings)
    return Critic(O_DIM, A_DIM, config, bounds, normalization(config))


def make_actor(settings):
    config = NetworkConfig(**settings)
    return Actor(O_DIM, A_DIM, config, normalization(config))


def test_plain_actor_is_an_ordinary_perceptron():
    actor, observation = make_actor(PLAIN), observations()
    ordinary = nn.Sequential(nn.Linear(O_DIM, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2 * A_DIM))
    ordinary.load_state_dict(dict(zip(ordinary.state_dict(), actor.state_dict().values(), strict=True)))
    mean, _ = actor(observation)
    torch.testing.assert_close(mean, ordinary(observation)[:, :A_DIM])


@pytest.mark.parametrize("num_critics", [1, 2, 5])
def test_plain_critic_equals_separate_ordinary_perceptrons(num_critics):
    critic = make_critic(PLAIN | {"num_critics": num_critics})
    observation, action = observations(), actions()
    q = critic(observation, action)
    assert q.shape == (num_critics, BATCH)
    for n in range(num_critics):
        features = torch.cat([observation, action], dim=1)
        for linear in (block.linear for block in critic.trunk.blocks):
            features = torch.relu(features @ linear.weight[n] + linear.bias[n, 0])
        torch.testing.assert_close(q[n], features @ critic.head.weight[n, 0] + critic.head.bias[n, 0])


def test_full_critic_equals_its_formula_member_by_member():
    critic = make_critic({"hidden": (16, 16, 8)}, (-2.0, 6.0))
    critic.normalization.update(torch.rand(100, O_DIM))
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    observation, action = observations(), actions()
    q = critic(observation, action)
    for n in range(2):
        features = torch.cat([critic.normalization(observation), action], dim=1)
        for linear, norm in ((block.linear, block.norm) for block in critic.trunk.blocks):
            hidden = features @ linear.weight[n] + linear.bias[n, 0]
            hidden = torch.relu(F.layer_norm(hidden, hidden.shape[-1:], norm.weight[n, 0], norm.bias[n, 0]))
            features = hidden + features if hidden.shape == features.shape else hidden
        raw = features @ critic.head.weight[n, 0] + critic.head.bias[n, 0]
        torch.testing.assert_close(q[n], 2.0 + 4.0 * torch.tanh(raw / 4.0))


def test_members_of_the_ensemble_start_different():
    critic = make_critic(FULL).eval()
    q = critic(observations(), actions())
    assert not torch.allclose(q[0], q[1], atol=1e-5)
    assert not torch.allclose(critic.trunk.blocks[0].linear.weight[0], critic.trunk.blocks[0].linear.weight[1])


def test_members_start_within_the_bounds_of_an_ordinary_linear_layer():
    linear, head = EnsembleLinear(3, 25, 400), EnsembleHead(3, 25, init_scale=0.01)
    for tensor, bound in ((linear.weight, 0.2), (linear.bias, 0.2), (head.weight, 0.002), (head.bias, 0.002)):
        assert tensor.abs().max() <= bound
    assert linear.weight.std().item() == pytest.approx(0.2 / math.sqrt(3), rel=0.05)


@pytest.mark.parametrize("settings", [PLAIN, FULL])
def test_actor_gradient_reaches_every_parameter(settings):
    actor, critic = make_actor(settings), make_critic(settings)
    action, log_prob = actor.sample(observations())
    loss = actor_loss(log_prob, critic(observations(), action), torch.tensor(0.1))
    assert all(gradient.abs().sum() > 0 for gradient in torch.autograd.grad(loss, list(actor.parameters())))


@pytest.mark.parametrize("settings", [PLAIN, FULL])
def test_critic_gradient_reaches_the_action_and_every_parameter_of_every_member(settings):
    critic, action = make_critic(settings | {"num_critics": 3}, (-10.0, 10.0)), actions().requires_grad_()
    critic_loss(critic(observations(), action), torch.rand(BATCH)).backward()
    assert (action.grad.abs().sum(dim=0) > 0).all()
    for parameter in critic.parameters():
        assert (parameter.grad.flatten(1).abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize(
    ("switch", "network"),
    [
        ({"input_normalization": True}, "both"),
        ({"layer_norm": True}, "both"),
        ({"residual": True}, "critic"),
        ({"actor_dropout": 0.5}, "actor"),
        ({"critic_dropout": 0.5}, "critic"),
        ({"num_critics": 3}, "critic"),
        ({"value_bounds": True}, "critic"),
        ({"small_init": 0.01}, "both"),
        ({"log_std_min": -1.0}, "actor"),
        ({"log_std_max": 1.0}, "actor"),
    ],
)
def test_every_switch_changes_its_networks_and_no_other(switch, network):
    def outputs(settings):
        torch.manual_seed(1)
        agent = SACAgent(O_DIM, A_DIM, SACConfig(), NetworkConfig(**settings), value_bounds=(-0.1, 0.2))
        if agent.normalization is not None:
            agent.normalization.update(torch.rand(50, O_DIM))
        torch.manual_seed(2)
        observation, action = observations(), actions()
        return torch.cat(agent.actor(observation)), agent.critic(observation, action)

    (actor_before, critic_before), (actor_after, critic_after) = outputs(PLAIN), outputs(PLAIN | switch)
    assert torch.equal(actor_before, actor_after) == (network == "critic")
    assert torch.equal(critic_before, critic_after) == (network == "actor") and critic_after.isfinite().all()


def test_log_std_stays_within_its_limits_whatever_the_observation():
    actor = make_actor(PLAIN | {"log_std_min": -3.0, "log_std_max": 1.0})
    _, log_std = actor(1e4 * torch.randn(BATCH, O_DIM))
    assert log_std.min() >= -3.0 and log_std.max() <= 1.0
    assert log_std.max() - log_std.min() > 3.9


def test_sampled_action_is_squashed_once_and_matches_its_log_prob():
    actor, observation = make_actor(PLAIN).double(), observations().double()
    torch.manual_seed(3)
    action, log_prob = actor.sample(observation)
    mean, log_std = actor(observation)
    torch.manual_seed(3)
    noise = torch.randn(mean.shape, dtype=torch.float64)
    torch.testing.assert_close(torch.atanh(action), mean + log_std.exp() * noise)
    gaussian = torch.distributions.Normal(mean, log_std.exp()).log_prob(torch.atanh(action))
    torch.testing.assert_close(log_prob, (gaussian - torch.log1p(-action.square())).sum(dim=1))


def test_deterministic_actions_are_the_tanh_of_the_mean_without_dropout_and_only_they():
    actor, observation = make_actor(FULL | {"actor_dropout": 0.5}).train(), observations()
    action = actor.act(observation, deterministic=True)
    assert actor.training and not action.requires_grad
    assert not torch.equal(actor(observation)[0], actor(observation)[0])
    torch.testing.assert_close(action, torch.tanh(actor.eval()(observation)[0]), rtol=0, atol=0)


def test_critic_dropout_is_off_in_evaluation():
    critic, observation, action = make_critic(FULL | {"critic_dropout": 0.5}).eval(), observations(), actions()
    assert torch.equal(critic(observation, action), critic(observation, action))
    critic.train()
    assert not torch.equal(critic(observation, action), critic(observation, action))


def test_small_init_starts_the_policy_near_the_centre_and_values_near_the_middle():
    actor, critic = make_actor(FULL), make_critic(FULL, (-10.0, 30.0))
    assert actor.act(observations(), deterministic=True).abs().max() < 0.02
    torch.testing.assert_close(critic(observations(), actions()), torch.full((2, BATCH), 10.0), atol=0.05, rtol=0)


def test_wrong_shapes_are_refused_and_named():
    actor, critic = make_actor(FULL), make_critic(FULL)
    with pytest.raises(ValueError, match=r"observation must have shape \(B, O\) = \(6, 6\); found \(6,\)"):
        actor(torch.rand(O_DIM))
    with pytest.raises(ValueError, match="observation"):
        critic(torch.rand(BATCH, O_DIM + 1), actions())
    with pytest.raises(ValueError, match=r"action must have shape \(B, A\) = \(32, 2\); found \(1, 2\)"):
        critic(observations(), actions()[:1])
    with pytest.raises(ValueError, match="action"):
        critic(observations(), actions()[:, :1])


def test_check_finite_names_the_tensor_and_counts_the_bad_elements():
    observation = observations()
    check_finite("observation", observation)
    observation[3, 1], observation[4, 0] = math.nan, math.inf
    with pytest.raises(
        NonFiniteError, match=r"observation of shape \(32, 6\) has 2 of 192 elements .* first at \(3, 1\)"
    ):
        check_finite("observation", observation)


def test_autocast_leaves_samples_and_log_probabilities_in_single_precision():
    actor, observation = make_actor(PLAIN), torch.rand(4096, O_DIM)
    with torch.no_grad():
        actor.head.weight.zero_()
        actor.head.bias.copy_(torch.tensor([0.3, 0.3, -20.0, -20.0]))  # log_std -5
    results = []
    for enabled in (False, True):
        torch.manual_seed(1)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            assert actor.trunk(observation, 0.0).dtype == (torch.bfloat16 if enabled else torch.float32)
            results.append([*actor.sample(observation), actor.act(observation, deterministic=False)])
    for exact, mixed in zip(*results, strict=True):
        assert mixed.dtype == torch.float32
        assert torch.equal(mixed, exact)
    assert len(results[1][0][:, 0].unique()) > 4000
