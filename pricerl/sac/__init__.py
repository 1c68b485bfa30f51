"""Soft Actor-Critic in plain torch, independent of prices: settings, networks, losses, updates and replay buffer."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
