"""Training of a price policy as in ``fit``, without files and progress bars, and a known market."""

from __future__ import annotations

import gc
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from shops.known_market import known_market

from pricerl.data.config import DataConfig
from pricerl.data.costs import CostConfig
from pricerl.data.history import History
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.env.config import EnvConfig
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.reference_price import PriceMemory
from pricerl.market.reward import RewardConfig
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.simulation.seller import SellerConfig, simulated_history
from pricerl.training.datamodule import ReplayDataModule
from pricerl.training.module import SACModule
from pricerl.training.pricing_data import PricingDataModule

PLAIN = SACConfig(actor_horizon=0, actor_lr=1e-3, alpha=0.1)
"""Plain SAC, tuned on price markets."""


class KnownMarketData(PricingDataModule):
    """Known market: demand ``2000 p^-2``, unit cost 6, profit as reward, current price 10.00, best price 12.00.

    Args:
        seed: seed of the training.
        memory: buyers' memory of prices, none if absent.
        guardrails: limits of the price.
        env: settings of the env.
    """

    def __init__(
        self,
        seed: int,
        memory: PriceMemory | None = None,
        guardrails: GuardrailConfig = GuardrailConfig(),
        env: EnvConfig = EnvConfig(),
    ) -> None:
        super().__init__(reward=RewardConfig(preset="profit"), guardrails=guardrails, env=env, seed=seed)
        history = simulated_history(SellerConfig(seed=3, days=120), DataConfig())
        product = history.products[0]
        scaled = replace(product, price=product.price / product.price[-1] * 10.0)
        self.preprocessor = DataPreprocessor.fit(History("known", (scaled,), history.reports), DataConfig())
        cost = CostConfig(unit_cost=6.0)
        self.market = known_market(self.preprocessor, lambda price: 2000.0 * price**-2.0, cost, memory)


class TimedComparison(Callback, ABC):
    """Comparison of the policy every ``every`` updates, which ``seconds``, of CPU time, leave out."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.seconds = 0.0
        self._began = 0.0

    @abstractmethod
    def compare(self, module: Any, updates: int) -> None:
        """Compare a module, in evaluation mode, after some updates."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._began = time.process_time()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *arguments: Any) -> None:
        """Compare, with the clock stopped."""
        if trainer.global_step % self.every == 0:
            self.seconds += time.process_time() - self._began
            pl_module.eval()
            self.compare(pl_module, trainer.global_step)
            pl_module.train()
            self._began = time.process_time()


def train_policy(
    data: PricingDataModule,
    updates: int,
    algorithm: SACConfig | None = None,
    network: NetworkConfig | None = None,
    callbacks: Sequence[Callback] = (),
) -> SACModule:
    """Train and return the module, in evaluation mode.

    Args:
        data: market and seed.
        updates: gradient updates.
        algorithm: settings of the updates; `PLAIN` if absent.
        network: settings of the networks; defaults if absent.
        callbacks: of the Trainer.
    """
    seed_everything(data.seed, verbose=False)
    module = SACModule(data.task, algorithm or PLAIN, network or NetworkConfig(), init="scratch")
    return fit_quietly(module, data, updates, callbacks)


def fit_quietly(
    module: SACModule, data: ReplayDataModule, updates: int, callbacks: Sequence[Callback] = ()
) -> SACModule:
    """Train a module without evaluations, files and progress bars, and return it in evaluation mode."""
    Trainer(
        accelerator="cpu",
        max_steps=updates,
        max_epochs=-1,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
    ).fit(module, data)
    gc.collect()  # trainer, module and buffer form reference cycles
    return module.eval()
