"""Product and category as environments, which `pricerl` registers as soon as Gymnasium is imported."""

ENV_ID = "pricerl/Pricing-v1"
CATEGORY_ID = "pricerl/Category-v0"
STOCK_ID = "pricerl/PriceAndStock-v0"
"""A category of one product whose orders are the policy's, too."""


def register_envs() -> None:
    """Register the environments, also for ``gymnasium.make_vec``; a second call changes nothing."""
    import gymnasium  # here, as advice needs none of it

    if ENV_ID not in gymnasium.registry:
        pricing = "pricerl.env.pricing:"
        gymnasium.register(ENV_ID, f"{pricing}PricingEnv", vector_entry_point=f"{pricing}ArrayVectorEnv")
        category = "pricerl.env.stock.category_env:CategoryEnv"
        gymnasium.register(CATEGORY_ID, category)
        gymnasium.register(STOCK_ID, category, kwargs={"products": 1, "orders": True})
