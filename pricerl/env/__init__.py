"""The market as an environment; importing this package registers it with Gymnasium."""

import gymnasium

ENV_ID = "pricerl/Pricing-v0"


def register_envs() -> None:
    """Register the environment, also for ``gymnasium.make_vec``; a second call changes nothing."""
    if ENV_ID not in gymnasium.registry:
        entry = "pricerl.env.pricing:Pricing"
        gymnasium.register(ENV_ID, f"{entry}Env", vector_entry_point=f"{entry}VectorEnv")


register_envs()
