"""Registration with Gymnasium, for ``gymnasium.make("pricerl/Pricing-v0")`` and ``gymnasium.make_vec``."""

from __future__ import annotations

import gymnasium

ENV_ID = "pricerl/Pricing-v0"


def register_envs() -> None:
    """Register ``pricerl/Pricing-v0``; a second call changes nothing."""
    if ENV_ID not in gymnasium.registry:
        gymnasium.register(
            id=ENV_ID,
            entry_point="pricerl.env.pricing:PricingEnv",
            vector_entry_point="pricerl.env.pricing:PricingVectorEnv",
        )
