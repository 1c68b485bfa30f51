"""Demand of a product: posterior draws of its curve from one of several models, and its covariates."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
