"""Soft Actor-Critic in plain torch: settings, networks, losses, updates and replay; nothing here knows about prices."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
