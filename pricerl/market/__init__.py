"""What the history says about demand, conversions and costs; the reward and the guardrails."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
