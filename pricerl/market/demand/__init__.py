"""Demand: regression, a mixture of families, and what else can say what a price will sell."""

from pricerl.market.demand.models import DEMAND_MODELS, DemandModel, find_model

__all__ = ["DEMAND_MODELS", "DemandModel", "find_model"]
