"""Demand: regression, a mixture of families, and what else can say what a price will sell."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
