"""Base of the learners' LightningModules: what an off-policy algorithm needs around its ``training_step``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torchmetrics import MeanMetric, MetricCollection
from typing_extensions import Self

from pricerl.errors import UsageError
from pricerl.runs.checkpoint import Checkpoint
from pricerl.runs.rank_state import preserved_randomness
from pricerl.sac.config import ReplayConfig
from pricerl.sac.layers import InputNormalization
from pricerl.sac.replay import Transition
from pricerl.training.algorithm import Algorithm, KeepsArguments
from pricerl.training.devices import Ranks
from pricerl.training.speed import (
    UPDATES_PER_ITEM,
    FastUpdates,
    Update,
    Wrap,
    counts_batches,
    is_long_enough,
    show_gradients,
)

COMPILED = "updates_are_compiled"
"""Key of a checkpoint: whether the run's updates are compiled."""

Episodes = Callable[[Algorithm], Mapping[str, Tensor]]
"""Function that runs one rank's evaluation episodes with a learner's policy and returns scores ``(E,)`` by name."""


class OffPolicyModule(KeepsArguments, LightningModule, Algorithm):
    """LightningModule of an `Algorithm` with manual optimization; ``trainer.global_step`` counts gradient updates.

    A subclass supplies networks, optimizers of `pricerl.sac.optimizer.Adam`, and a ``training_step`` that makes one
    update with one batch. To be compiled it also has ``make_update``.

    Args:
        algorithm: settings of the updates.
        step_discount: discount of one env step.
        learning_rates: initial learning rate of each optimizer by its name, in their order.
        final_lr_share: share of the rates that is left at ``trainer.max_steps``, lowered linearly; 1.0 keeps them.
        compile: ``auto``, ``off`` or ``on``, see `pricerl.training.speed`.
    """

    def __init__(
        self,
        algorithm: ReplayConfig,
        step_discount: float,
        learning_rates: Mapping[str, float],
        final_lr_share: float = 1.0,
        compile: Literal["auto", "off", "on"] = "off",
    ) -> None:
        super().__init__()
        if compile not in ("auto", "off", "on"):
            raise UsageError(f"model.compile must be one of auto, off, on; found {compile!r}")
        self.automatic_optimization = False
        self.algorithm = algorithm
        self.step_discount = step_discount
        self.learning_rates = dict(learning_rates)
        self.final_lr_share = final_lr_share
        self.compile_mode = compile
        self.ranks: Ranks | None = None
        self.fast: FastUpdates | None = None
        self.evaluation: MetricCollection | None = None
        self._compiles: bool | None = None
        self._compiled_before: bool | None = None

    @classmethod
    def from_hyperparameters(cls, values: Mapping[str, Any]) -> Self:
        """Return the module of plain hyperparameters, as checkpoints store them."""
        return cls(**values)

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]  # Lightning's hparams_file does not exist here
        cls,
        checkpoint_path: str | Path,
        map_location: Any = None,
        strict: bool | None = None,
        weights_only: bool | None = None,
        **changes: Any,
    ) -> Self:
        """Return the module in a checkpoint, with its weights, on the CPU unless ``map_location`` is given.

        Arguments are Lightning's: ``changes`` are hyperparameters that replace stored ones, and nothing in a checkpoint
        is ever executed, with or without ``weights_only``.

        Raises:
            CheckpointError: the file is not a usable checkpoint.
        """
        checkpoint = Checkpoint.read(checkpoint_path)
        module = cls.from_hyperparameters({**checkpoint.content["hyper_parameters"], **changes})
        checkpoint.restore_weights(module, strict=strict is not False)
        return module.to(map_location or "cpu")

    @property
    def normalization(self) -> InputNormalization | None:
        """Input statistics of the networks, if they have any."""
        return None

    @property
    def returns(self) -> InputNormalization | None:
        """Statistics of discounted returns, if the learner scales rewards by them."""
        return None

    def make_update(self, wrap: Wrap) -> Update:
        """Return the update as a function of a batch, whose parts between messages of the ranks are wrapped."""
        raise NotImplementedError

    @property
    def horizon(self) -> int:
        """Decisions over which gradients pass through an environment; such updates take long to compile."""
        return 0

    def setup(self, stage: str) -> None:
        """Decide anew whether the run compiles."""
        self._compiles = None

    def on_train_start(self) -> None:
        """Prepare the updates once weights and optimizers are restored and on their device."""
        if self.trainer.world_size > 1:
            torch.manual_seed(torch.initial_seed() + self.trainer.global_rank)  # each rank has its own
        torch.set_autocast_cache_enabled(False)  # cached casts would outlive the updates that change the weights
        self.ranks = getattr(self.trainer.strategy, "ranks", None)
        self.decay_learning_rates(self.trainer.global_step)  # a restored optimizer has the rates of its own run
        plain = self.updates_per_item is None
        self.fast = None if plain else FastUpdates(self.make_update, self.compiles, self.device)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Let ranks settle after their first updates, which may have compiled.

        Raises:
            UsageError: compiling failed on some ranks only: their weights would drift apart.
        """
        if self.ranks is not None and not self.ranks.settled:
            failed = torch.tensor([self.fast is not None and self.fast.failed], dtype=torch.uint8, device=self.device)
            if len({bool(found) for found in self.ranks.gather(failed)}) > 1:
                raise UsageError("updates could be compiled on some ranks only; use --model.compile off")
            self.ranks.settle()

    def make_fast_updates(self, batches: Iterator[Transition]) -> dict[str, Tensor]:
        """Make one accelerated update per batch; return metrics by name, one value per update, ``(N,)`` each.

        Hooks of callbacks and module see the gradients of the last update, as applied.
        """
        assert self.fast is not None
        rows: list[Any] = []
        left = self.trainer.max_steps - self.trainer.global_step  # a resumed run may end within an epoch
        for batch in islice(self.fast.draw(batches), left if left > 0 else None):
            self.decay_learning_rates(self.trainer.global_step)
            row, gradients = self.fast.update(batch)
            rows.append(row)
            self.count_updates(self.trainer.global_step + 1)
        show_gradients(self, gradients, rows[-1].critic_loss)
        columns = zip(rows[0]._fields, zip(*rows, strict=True), strict=True)
        return {f"train/{name}": torch.stack(values) for name, values in columns}

    def count_updates(self, number: int) -> None:
        """Set ``trainer.global_step``, to which Lightning adds one per optimizer's step, to the number of updates."""
        progress = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        for counter in (progress.total, progress.current):
            counter.ready = number
            counter.completed = number

    def decay_learning_rates(self, updates: int) -> None:
        """Set the learning rates after a number of updates."""
        share = 1.0
        if self.trainer.max_steps > 0:
            share -= (1.0 - self.final_lr_share) * min(1.0, updates / self.trainer.max_steps)
        for optimizer, rate in zip(self.trainer.optimizers, self.learning_rates.values(), strict=True):
            optimizer.param_groups[0]["lr"].fill_(rate * share)

    def observe(self, observation: Tensor) -> None:
        """Merge observations ``(B, O)`` into the input statistics: those of all ranks, in the order of the ranks."""
        self._merge(self.normalization, observation)

    def observe_returns(self, returns: Tensor) -> None:
        """Merge discounted returns ``(B,)`` into their statistics: those of all ranks, in the order of the ranks."""
        self._merge(self.returns, returns.unsqueeze(1))

    def _merge(self, statistics: InputNormalization | None, rows: Tensor) -> None:
        if statistics is None:
            return
        if self.ranks is None:
            statistics.update(rows)
            return
        var, mean = torch.var_mean(rows, dim=0, correction=0)
        for found in self.ranks.gather(torch.stack([mean, var])):
            statistics.merge(len(rows), *found)

    @preserved_randomness()
    def validation_step(self, episodes: Episodes, batch_idx: int) -> None:
        """Run this rank's episodes, if any, in single precision, and log the means over all ranks as ``eval/…``."""
        with torch.autocast(self.device.type, enabled=False):
            scores = episodes(self)
        metrics = getattr(self, "evaluation", None)
        if metrics is None or scores.keys() != metrics.keys(keep_base=True):
            gather = getattr(self.trainer.strategy, "gather", None)
            means: dict[str, Any] = {name: MeanMetric("disable", dist_sync_fn=gather) for name in scores}
            metrics = MetricCollection(means, prefix="eval/", compute_groups=False).to(self.device)
            self.evaluation = metrics
        for name, values in scores.items():
            metrics[name].update(values)
        writes = self.trainer.state.fn != "fit"  # `RunMetrics` writes the row of an evaluation while training
        self.log_dict(metrics, logger=writes)

    test_step = validation_step

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store whether updates are compiled."""
        if self._compiles is not None:
            checkpoint[COMPILED] = self.fast is not None and self.fast.is_compiled

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Read whether updates were compiled; older checkpoints do not say so."""
        self._compiled_before = checkpoint.get(COMPILED)

    @property
    def updates_per_item(self) -> int | None:
        """Gradient updates per item of the train loader in an accelerated run, up to those between rows of metrics."""
        trainer: Any = self.trainer
        plain = not self.compiles and (self.device.type != "cuda" or self.compile_mode == "off")
        if plain or counts_batches(trainer):
            return None
        return min(UPDATES_PER_ITEM, trainer.log_every_n_steps or UPDATES_PER_ITEM)

    @property
    def compiles(self) -> bool:
        """Whether this run compiles its updates.

        A resumed run does what it did before, because compiled and plain updates differ in rounding. Several processes
        compile only on request.

        Raises:
            UsageError: compiling is requested together with a setting that counts batches.
        """
        if self._compiles is None:
            trainer: Any = self.trainer
            mode = self.compile_mode
            if counting := counts_batches(trainer):
                if mode == "on" and not trainer.fast_dev_run:
                    remedy = "which compiled runs do not; set model.compile to off"
                    raise UsageError(f"trainer.{counting[0]} counts batches, {remedy}")
                self._compiles = False
            elif mode != "auto" or trainer.world_size > 1:
                self._compiles = mode == "on"
            elif self._compiled_before is not None:
                self._compiles = self._compiled_before
            else:
                self._compiles = not self.horizon and is_long_enough(trainer)
        return self._compiles

    @property
    def _data(self) -> Any:
        return self.trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it in every run
