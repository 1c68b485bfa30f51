"""The market as an environment, which importing this package registers with Gymnasium; `pricerl` does so."""

import gymnasium

ENV_ID = "pricerl/Pricing-v1"


def register_envs() -> None:
    """Register the environment, also for ``gymnasium.make_vec``; a second call changes nothing."""
    if ENV_ID not in gymnasium.registry:
        module = "pricerl.env.pricing"
        gymnasium.register(ENV_ID, f"{module}:PricingEnv", vector_entry_point=f"{module}:ArrayVectorEnv")


register_envs()
