"""What the history says about demand, conversions and costs; the reward and the guardrails."""

from pricerl.market.cost import CostConfig, CostPosterior, decode_cost, describe_costs
from pricerl.market.demand import DEMAND_MODELS, DemandModel
from pricerl.market.fitting import assemble, fit_market, known_market
from pricerl.market.guardrails import GuardrailConfig, PriceBand, PriceLimits, feasible_band, price_box, project
from pricerl.market.market import Market, ProductMarket
from pricerl.market.memory import PriceMemory
from pricerl.market.reward import RewardConfig, reward_terms, total_reward
from pricerl.market.rows import MarketRows, Place, Response
from pricerl.market.similar import SimilarConfig

__all__ = [
    "DEMAND_MODELS",
    "CostConfig",
    "CostPosterior",
    "DemandModel",
    "GuardrailConfig",
    "Market",
    "MarketRows",
    "Place",
    "PriceBand",
    "PriceLimits",
    "PriceMemory",
    "ProductMarket",
    "Response",
    "RewardConfig",
    "SimilarConfig",
    "assemble",
    "decode_cost",
    "describe_costs",
    "feasible_band",
    "fit_market",
    "known_market",
    "price_box",
    "project",
    "reward_terms",
    "total_reward",
]
