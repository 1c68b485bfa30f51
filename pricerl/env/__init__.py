"""The market as an environment; importing this package registers its environments with Gymnasium."""

import gymnasium

ENV_ID = "pricerl/Pricing-v0"
STOCK_ENV_ID = "pricerl/PriceAndStock-v0"


def register_envs() -> None:
    """Register both environments, also for ``gymnasium.make_vec``; a second call changes nothing."""
    if ENV_ID not in gymnasium.registry:
        entry = "pricerl.env.pricing:Pricing"
        gymnasium.register(ENV_ID, f"{entry}Env", vector_entry_point=f"{entry}VectorEnv")
        gymnasium.register(STOCK_ENV_ID, "pricerl.env.stock.price_and_stock:PriceAndStockEnv")


register_envs()
