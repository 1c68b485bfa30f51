"""Soft Actor-Critic in plain torch: settings, networks, losses, updates and replay; nothing here knows about prices."""

from pricerl.sac.agent import SACAgent
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
from pricerl.sac.networks import Actor, Critic
from pricerl.sac.optimizer import Adam
from pricerl.sac.replay import ReplayBuffer, Transition
from pricerl.sac.update import ActorMetrics, CriticMetrics, Optimizers, SACUpdate, make_optimizers

__all__ = [
    "Actor",
    "ActorMetrics",
    "Adam",
    "Critic",
    "CriticMetrics",
    "InputNormalization",
    "NetworkConfig",
    "Optimizers",
    "ReplayBuffer",
    "SACAgent",
    "SACConfig",
    "SACUpdate",
    "Transition",
    "actor_loss",
    "check_finite",
    "critic_loss",
    "make_optimizers",
    "polyak_update",
    "tanh_gaussian_log_prob",
    "td_target",
    "temperature_loss",
    "value_bounds",
]
