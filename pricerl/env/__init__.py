"""The market as an environment; importing this package registers Pricing-v0 and Learning-v0 with Gymnasium."""

import gymnasium
import lazy_loader

ENV_ID, LEARNING_ID = "pricerl/Pricing-v0", "pricerl/Learning-v0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def register_envs() -> None:
    """Register ``pricerl/Pricing-v0`` and ``pricerl/Learning-v0``, also for ``gymnasium.make_vec``.

    A second call changes nothing.
    """
    for env_id, module, name in ((ENV_ID, "pricing", "Pricing"), (LEARNING_ID, "learning", "Learning")):
        if env_id not in gymnasium.registry:
            entry = f"pricerl.env.{module}:{name}"
            gymnasium.register(env_id, f"{entry}Env", vector_entry_point=f"{entry}VectorEnv")


register_envs()
