"""Cloning of a teacher into actor and critics."""

from __future__ import annotations

from unittest.mock import Mock

import pytest
import torch

from pricerl.sac.agent import SACAgent
from pricerl.sac.cloning import ALPHA, Demonstrations, clone
from pricerl.sac.config import NetworkConfig, SACConfig

NETWORK = NetworkConfig(hidden=(64, 64))


def _shown(count: int = 2048) -> Demonstrations:
    """A teacher that acts ``0.8 sin`` of the first column, and values an action by its distance from that."""
    generator = torch.Generator().manual_seed(1)
    observation, tried = torch.rand(count, 3, generator=generator), 2 * torch.rand(count, 1, generator=generator) - 1
    taught = 0.8 * torch.sin(6 * observation[:, :1])
    return Demonstrations(observation, taught, tried, 3 - (tried - taught)[:, 0].square())


def _agent() -> SACAgent:
    torch.manual_seed(0)
    return SACAgent(3, 1, SACConfig(), NETWORK)


@pytest.fixture(scope="module")
def cloned() -> SACAgent:
    """Return an agent after cloning."""
    agent = _agent()
    clone(agent, _shown(), torch.Generator().manual_seed(0))
    return agent


def test_actor_and_critics_learn_what_is_shown(cloned: SACAgent) -> None:
    agent, shown = cloned, _shown()
    acted = agent.act(shown.observation, deterministic=True)
    assert (acted - shown.taught).abs().mean() < 0.05
    q = agent.critic(shown.observation, shown.tried)
    assert (q - shown.value).abs().mean() < 0.3 * shown.value.std()


def test_the_target_network_begins_as_the_critics_and_inputs_are_normalized_by_what_is_shown(cloned: SACAgent) -> None:
    agent, shown = cloned, _shown()
    pairs = zip(agent.target_critic.parameters(), agent.critic.parameters(), strict=True)
    assert all(torch.equal(target, source) for target, source in pairs)
    assert agent.normalization is not None
    assert torch.allclose(agent.normalization.mean, shown.observation.mean(0), atol=1e-5)


def test_the_temperature_is_left_to_sac(cloned: SACAgent) -> None:
    assert cloned.log_alpha.item() == _agent().log_alpha.item()


def test_it_falls_where_gradients_pass_through_an_environment_so_that_noise_does_not_undo_the_clone() -> None:
    agent = _agent()
    agent.env = Mock()
    clone(agent, _shown(), torch.Generator().manual_seed(0))
    assert agent.log_alpha.exp().item() == pytest.approx(ALPHA)


def test_the_same_generator_gives_the_same_clone(cloned: SACAgent) -> None:
    again = _agent()
    clone(again, _shown(), torch.Generator().manual_seed(0))
    assert all(map(torch.equal, cloned.parameters(), again.parameters()))


def test_demonstrations_of_other_shapes_are_refused() -> None:
    shown = _shown(16)
    with pytest.raises(ValueError, match="taught must have shape"):
        clone(_agent(), shown._replace(taught=shown.taught[:, 0]), torch.Generator())
