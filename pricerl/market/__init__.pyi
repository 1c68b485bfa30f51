from .cost import (
    CostConfig as CostConfig,
    CostPosterior as CostPosterior,
    Measure as Measure,
    decode_cost as decode_cost,
    describe_costs as describe_costs,
)
from .demand.config import DemandConfig as DemandConfig
from .demand.models import (
    DEMAND_MODELS as DEMAND_MODELS,
    DemandModel as DemandModel,
    register_demand_model as register_demand_model,
)
from .demand.reference_price import PriceMemory as PriceMemory
from .fitting import assemble as assemble, fit_market as fit_market
from .market import (
    GridPosition as GridPosition,
    Market as Market,
    MarketRows as MarketRows,
    ProductMarket as ProductMarket,
    Response as Response,
)
from .reward import RewardConfig as RewardConfig, reward_terms as reward_terms, total_reward as total_reward
