"""Soft Actor-Critic in plain torch: settings, losses, networks and replay; nothing here knows about prices."""

from pricerl.sac.checks import check_finite
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.sac.layers import InputNormalization
from pricerl.sac.losses import (
    actor_loss,
    critic_loss,
    polyak_update,
    tanh_gaussian_log_prob,
    td_target,
    temperature_loss,
    value_bounds,
)
from pricerl.sac.networks import Actor, Critic, frozen
from pricerl.sac.replay import ReplayBuffer, Transition

__all__ = [
    "Actor",
    "Critic",
    "InputNormalization",
    "NetworkConfig",
    "ReplayBuffer",
    "SACConfig",
    "Transition",
    "actor_loss",
    "check_finite",
    "critic_loss",
    "frozen",
    "polyak_update",
    "tanh_gaussian_log_prob",
    "td_target",
    "temperature_loss",
    "value_bounds",
]
