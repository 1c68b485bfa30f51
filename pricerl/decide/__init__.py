"""Decision on a product's price: `chain.DECIDERS` lists all that may set it, in order, with the gate last."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
