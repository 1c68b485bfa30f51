"""The DataModule: from a seller's file to a stream of sampled batches."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch import Tensor

from pricerl.data import FEATURES, DataConfig, DataPreprocessor, History, SellerConfig, read_history, simulated_history
from pricerl.env import Dynamics, EnvConfig, PricingVectorEnv
from pricerl.env.pricing import build_dynamics
from pricerl.errors import UsageError
from pricerl.market import CostConfig, GuardrailConfig, Market, RewardConfig, SimilarConfig, fit_market
from pricerl.sac import SACConfig, Transition
from pricerl.training.collector import CollectingPolicy, Collector
from pricerl.training.module import SACModule, TaskSpec

RANK_SEED_STRIDE = 1_000_003
"""Distance between the seeds of two ranks: each has its own episodes, noise and samples."""

UPDATES_PER_ITERATION = 10
"""About how many gradient updates one ``training_step`` makes: Lightning's own cost is shared among them."""


class PricingDataModule(LightningDataModule):
    """Reads a history, fits its market and streams batches from a replay buffer that the env fills.

    Args:
        path: the seller's CSV; the built-in simulated seller if absent.
        reading: how the file is read.
        seller: the simulated seller that stands in for a file.
        market: similar-price search.
        cost: costs the seller knows.
        reward: objective.
        guardrails: limits on the price.
        env: episodes.
        num_envs: rows of the vector env.
        eval_every: gradient updates between two evaluations; one epoch.
        seed: of the market's draws, the env and the sampling.
    """

    def __init__(
        self,
        path: str | None = None,
        reading: DataConfig = DataConfig(),
        seller: SellerConfig = SellerConfig(),
        market: SimilarConfig = SimilarConfig(),
        cost: CostConfig = CostConfig(),
        reward: RewardConfig = RewardConfig(),
        guardrails: GuardrailConfig = GuardrailConfig(),
        env: EnvConfig = EnvConfig(),
        num_envs: int = 64,
        eval_every: int = 250,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if num_envs < 1 or eval_every < 1:
            raise UsageError(f"data.num_envs and data.eval_every must be positive, found {num_envs} and {eval_every}")
        self.path, self.reading, self.seller = path, reading, seller
        self.market_config, self.cost, self.reward = market, cost, reward
        self.guardrails, self.env_config = guardrails, env
        self.num_envs, self.eval_every, self.seed = num_envs, eval_every, seed
        self._preprocessor: DataPreprocessor | None = None
        self._market: Market | None = None
        self._dynamics: Dynamics | None = None
        self._saved_counts: dict[str, Any] | None = None
        self.collector: Collector | None = None

    @property
    def task(self) -> TaskSpec:
        """What the networks must know; needs no file."""
        low, high = self.reward.resolved().bounds()
        days = self.env_config.days_per_step(self.guardrails)
        return TaskSpec(self.reading.window * len(FEATURES), 1, low * days, high * days, days)

    @property
    def preprocessor(self) -> DataPreprocessor:
        """The fitted preprocessor, read and fitted at first use."""
        if self._preprocessor is None:
            self._preprocessor = DataPreprocessor.fit(self._read(), self.reading)
        return self._preprocessor

    @property
    def market(self) -> Market:
        """The market of the whole history, fitted at first use."""
        if self._market is None:
            self._market = fit_market(self.preprocessor, self.market_config, self.cost, self.seed)
        return self._market

    @property
    def dynamics(self) -> Dynamics:
        """The market with reward and guardrails, on the trainer's device."""
        if self._dynamics is None:
            self._dynamics = self.build_dynamics("cpu" if self.trainer is None else self.trainer.strategy.root_device)
        return self._dynamics

    def build_dynamics(self, device: torch.device | str) -> Dynamics:
        """Wire the market with reward and guardrails on a device of choice."""
        return build_dynamics(self.market.to(device), self.reward, self.guardrails, self.env_config)

    def setup(self, stage: str) -> None:
        """Read the file early, so that a bad one is reported before anything starts."""
        _ = self.preprocessor

    def train_dataloader(self) -> SampleStream:
        """The stream that collects and samples."""
        assert self.trainer is not None
        module = self.trainer.lightning_module
        assert isinstance(module, SACModule)
        return SampleStream(self, module, module.algorithm, updates_per_epoch(self.eval_every, self.trainer.max_steps))

    def val_dataloader(self) -> list[int]:
        """One item, so that Lightning opens an evaluation; the callback runs the episodes."""
        return [0]

    test_dataloader = val_dataloader

    def predict_dataloader(self) -> Tensor:
        """One batch of observations at the end of every product's history, ``(1, P, O)``.

        Lightning takes a list for several loaders; a tensor is one, of its rows.
        """
        dynamics = self.dynamics
        product, index = dynamics.history.latest()
        mean = product.new_full(product.shape, dynamics.market.mean_draw)
        return dynamics.start(product, index, mean).observation[None]

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        """Batches are sampled where they are used; nothing moves."""
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Plain values: preprocessor with its history, counters."""
        counts = self.collector.state_dict() if self.collector is not None else self._saved_counts
        return {"preprocessor": self.preprocessor.state_dict(), "counts": counts}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the saved scaler; a file given now supplies the days, otherwise the saved ones remain."""
        trained = DataPreprocessor.from_state_dict(state_dict["preprocessor"])
        self._preprocessor = trained if self.path is None else trained.with_history(self._read())
        self._market, self._dynamics, self._saved_counts = None, None, state_dict["counts"]

    def start_collector(self, policy: CollectingPolicy, config: SACConfig) -> Collector:
        """Build env and buffer and warm up; a resumed run goes on counting and fills the buffer with its policy."""
        if self.collector is None:
            env = PricingVectorEnv(self.num_envs, self.dynamics.market, self.reward, self.guardrails, self.env_config)
            rank = 0 if self.trainer is None else self.trainer.global_rank
            self.collector = Collector(env, config, self.seed + RANK_SEED_STRIDE * rank)
            self.collector.warm_up(policy, random=self._saved_counts is None)
            if self._saved_counts is not None:
                self.collector.load_state_dict(self._saved_counts)
        return self.collector

    def _read(self) -> History:
        if self.path is None:
            return simulated_history(self.seller, self.reading)
        return read_history(Path(self.path), self.reading)


def pricing_data(trainer: Trainer) -> PricingDataModule:
    """Return the trainer's DataModule."""
    data: Any = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it in every run
    assert isinstance(data, PricingDataModule)
    return data


def updates_per_epoch(eval_every: int, max_steps: int) -> int:
    """Updates between two evaluations: at most ``eval_every``, evened out so that the last one ends the run."""
    if max_steps <= 0:
        return eval_every
    return math.ceil(max_steps / math.ceil(max_steps / eval_every))


class SampleStream:
    """One epoch of the train loader: each item collects env steps and then holds several sampled batches.

    A plain sized iterable, no ``DataLoader``: nothing is prefetched from a stale policy.

    Args:
        data: owner of env and buffer.
        policy: acts and learns.
        config: batch size and updates an env step.
        length: gradient updates in an epoch.
    """

    def __init__(self, data: PricingDataModule, policy: CollectingPolicy, config: SACConfig, length: int) -> None:
        self._data, self._policy, self._config, self._length = data, policy, config, length
        self._vector_steps = max(1, round(UPDATES_PER_ITERATION / config.utd_ratio))
        self._updates = self._vector_steps * config.utd_ratio

    def __len__(self) -> int:
        return math.ceil(self._length / self._updates)

    def __iter__(self) -> Iterator[list[Transition]]:
        collector = self._data.start_collector(self._policy, self._config)
        for _ in range(len(self)):
            collector.collect(self._policy, self._vector_steps)
            yield collector.buffer.sample_many(self._updates, self._config.batch_size)
