"""What the history says about demand, conversions and costs; the reward and the guardrails."""

from pricerl.market.cost import CostConfig, CostPosterior, decode_cost, describe_costs
from pricerl.market.demand.models import DEMAND_MODELS, DemandModel
from pricerl.market.demand.reference_price import PriceMemory
from pricerl.market.demand.similar_prices import SimilarConfig
from pricerl.market.fitting import assemble, fit_market, known_market
from pricerl.market.market import Market, ProductMarket
from pricerl.market.reward import RewardConfig, reward_terms, total_reward
from pricerl.market.rows import MarketRows, Place, Response

__all__ = [
    "DEMAND_MODELS",
    "CostConfig",
    "CostPosterior",
    "DemandModel",
    "Market",
    "MarketRows",
    "Place",
    "PriceMemory",
    "ProductMarket",
    "Response",
    "RewardConfig",
    "SimilarConfig",
    "assemble",
    "decode_cost",
    "describe_costs",
    "fit_market",
    "known_market",
    "reward_terms",
    "total_reward",
]
