"""Policies of price and stock."""
