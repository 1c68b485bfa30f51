"""Demand of a product: posterior draws of its curve from one of several models, and its covariates."""
