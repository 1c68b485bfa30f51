"""Scores any policy ``observation -> action``; knows nothing of how it was trained."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
