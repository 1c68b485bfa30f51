"""Command line of pricerl."""
