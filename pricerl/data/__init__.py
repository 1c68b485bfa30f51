"""Read, check, clean and scale a seller's history; simulate one with known demand."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
