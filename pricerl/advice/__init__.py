"""Advice from a checkpoint and a fresh history: price, interval, reason and grade."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
