"""The market as an environment; importing this package registers ``pricerl/Pricing-v0`` with Gymnasium."""

import lazy_loader

from pricerl.env.registration import register_envs

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

register_envs()
