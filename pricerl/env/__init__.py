"""The market as an environment; importing this package registers its environments with Gymnasium."""

import gymnasium

ENV_ID = "pricerl/Pricing-v0"
STOCK_ENV_ID = "pricerl/PriceAndStock-v0"


def register_envs() -> None:
    """Register both environments, also for ``gymnasium.make_vec``; a second call changes nothing."""
    entries = {ENV_ID: "pricing:Pricing", STOCK_ENV_ID: "stock.price_and_stock:PriceAndStock"}
    for name, place in entries.items():
        if name not in gymnasium.registry:
            entry = f"pricerl.env.{place}"
            gymnasium.register(name, f"{entry}Env", vector_entry_point=f"{entry}VectorEnv")


register_envs()
