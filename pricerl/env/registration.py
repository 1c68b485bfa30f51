"""Register the envs with Gymnasium: ``gymnasium.make("pricerl/Pricing-v0")`` and ``gymnasium.make_vec``."""

from __future__ import annotations

import gymnasium

ENV_ID = "pricerl/Pricing-v0"


def register_envs() -> None:
    """Make ``pricerl/Pricing-v0`` known; calling it again changes nothing."""
    if ENV_ID not in gymnasium.registry:
        gymnasium.register(
            id=ENV_ID,
            entry_point="pricerl.env.pricing:PricingEnv",
            vector_entry_point="pricerl.env.pricing:PricingVectorEnv",
        )
