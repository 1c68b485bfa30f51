"""The market as an environment; importing this package registers ``pricerl/Pricing-v0`` with Gymnasium."""

from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.gym_adapter import GymVectorEnv
from pricerl.env.pricing import PricingEnv, PricingVectorEnv
from pricerl.env.registration import ENV_ID, register_envs
from pricerl.env.state import Outcome, State

register_envs()

__all__ = [
    "ENV_ID",
    "Dynamics",
    "EnvConfig",
    "GymVectorEnv",
    "Outcome",
    "PricingEnv",
    "PricingVectorEnv",
    "State",
    "register_envs",
]
