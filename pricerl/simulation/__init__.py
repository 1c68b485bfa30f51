"""Simulated sellers whose demand is known."""
