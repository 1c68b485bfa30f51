"""Commands that measure prices: ``price-test`` and ``roll-out``."""
