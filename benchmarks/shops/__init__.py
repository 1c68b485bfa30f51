"""Simulated shops whose demand something obscures, and PriceBench, which scores rules on them."""
