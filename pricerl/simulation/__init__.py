"""Simulated sellers whose demand is known."""

from pricerl.simulation.seller import SellerConfig, simulate, simulated_history, write_seller
from pricerl.simulation.true_demand import expected_profit, expected_units

__all__ = ["SellerConfig", "expected_profit", "expected_units", "simulate", "simulated_history", "write_seller"]
