"""A demand model of your own, and the advice that follows from it next to the usual one."""

# %% [markdown]
# A demand model maps a product's history to posterior draws of log units on a grid of log prices. A class of data from
# a package that `allow` names passes it. This one halves the reaction to the price that the mixture of pricerl finds.

# %%
import subprocess
import sys
from pathlib import Path

import pricerl

Path("my_demand").mkdir(exist_ok=True)
Path("my_demand/__init__.py").write_text(
    """
from dataclasses import replace

import numpy as np

from pricerl.market.demand.config import DemandConfig
from pricerl.market.demand.models import fit_mixture
from pricerl.training.pricing_data import PricingDataModule


def fit_faithful(product, log_grid, settings, rng):
    posterior = fit_mixture(product, log_grid, settings, rng)
    log_units = posterior.units.log_value  # (K, G): draws by prices
    now = np.abs(log_grid - np.log(product.current_price)).argmin()
    halved = (log_units + log_units[:, now : now + 1]) / 2
    return replace(posterior, units=replace(posterior.units, log_value=halved))


class Faithful(DemandConfig):
    model = staticmethod(fit_faithful)


class FaithfulData(PricingDataModule):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.market_config = Faithful(**vars(self.market_config))
"""
)
sys.path.insert(0, ".")

# %% [markdown]
# The same history under both models.

# %%
simulate = "simulate --out sales.csv --market linear --units 60 --seed 1"
subprocess.run([sys.executable, "-m", "pricerl", *simulate.split()], check=True, capture_output=True)
usual = pricerl.advise("sales.csv", settings={"today": "2026-01-01"})
settings = {"today": "2026-01-01", "data.class_path": "my_demand.FaithfulData", "allow": "my_demand"}
faithful = pricerl.advise("sales.csv", run_name="faithful", settings=settings)
for name, advice in (("mixture", usual), ("faithful", faithful)):
    print(f"{name}:", advice.table()[["Date", "Recommended Price", "Expected Units"]].tail(1).to_string(header=False))
