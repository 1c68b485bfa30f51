"""A market whose demand is known, and a short training run on it through the real Lightning shell."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from lightning.pytorch import Trainer, seed_everything
from price_training import PLAIN
from shops.known_market import known_market

from pricerl.data.config import DataConfig
from pricerl.data.costs import CostConfig
from pricerl.data.history import History
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.reference_price import PriceMemory
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.simulation.seller import SellerConfig, simulated_history
from pricerl.training.module import SACModule
from pricerl.training.pricing_data import PricingDataModule

UNIT_COST, ELASTICITY, BEST_PRICE = 6.0, -2.0, 12.0
"""Closed form: ``c e / (1 + e)`` = 12.00."""


def constant_elasticity_market(current_price: float = 10.0, memory: PriceMemory | None = None) -> Market:
    """Demand ``2000 p^-2`` at a unit cost of 6, with a history of prices around ``current_price``."""
    history = simulated_history(SellerConfig(seed=3, days=120), DataConfig())
    product = history.products[0]
    scaled = replace(product, price=product.price / product.price[-1] * current_price)
    preprocessor = DataPreprocessor.fit(History("known", (scaled,), history.reports), DataConfig())
    cost = CostConfig(unit_cost=UNIT_COST)
    return known_market(preprocessor, lambda price: 2000.0 * price**ELASTICITY, cost, memory)


class KnownMarketData(PricingDataModule):
    """The DataModule with a market handed in instead of one fitted to a file."""

    def __init__(self, market: Market, reward: RewardConfig, guardrails: GuardrailConfig, env: EnvConfig, seed: int):
        super().__init__(reward=reward, guardrails=guardrails, env=env, seed=seed, eval_every=500)
        self.preprocessor, self.market = market.preprocessor, market


@dataclass
class Run:
    module: SACModule
    dynamics: Dynamics


def train(
    market: Market,
    reward: RewardConfig,
    guardrails: GuardrailConfig,
    env: EnvConfig,
    seed: int,
    updates: int = 1000,
    algorithm: SACConfig | None = None,
) -> Run:
    """Train small networks for a few seconds."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    seed_everything(seed, verbose=False)
    data = KnownMarketData(market, reward, guardrails, env, seed)
    module = SACModule(data.task, algorithm or PLAIN, NetworkConfig(hidden=(128, 128)))
    trainer = Trainer(
        accelerator="cpu",
        max_steps=updates,
        max_epochs=-1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
    )
    trainer.fit(module, data)
    return Run(module.eval(), data.dynamics)


WIDE_BOX = GuardrailConfig(support_margin=0.5)
"""Prices far beyond those tried, so that the optimum lies well inside the box."""

ABSOLUTE = EnvConfig(action="absolute")
