"""Report for the seller: one self-contained page per product, made from ``advice.json`` alone."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
