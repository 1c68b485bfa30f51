"""The market with a shelf: price and stock together."""
