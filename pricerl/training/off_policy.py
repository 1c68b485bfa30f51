"""Base of the learners' LightningModules: what an off-policy algorithm needs around its ``training_step``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor
from torchmetrics import MeanMetric, MetricCollection
from typing_extensions import Self

from pricerl.errors import refuse
from pricerl.runs.checkpoint import Checkpoint
from pricerl.runtime import CompiledFunction
from pricerl.sac.config import ReplayConfig
from pricerl.sac.layers import InputNormalization
from pricerl.sac.optimizer import Adam
from pricerl.training.algorithm import Algorithm
from pricerl.training.callbacks.checkpoint import seconds_left
from pricerl.training.devices import ReplicatedStrategy, average, gather

COMPILED = "updates_are_compiled"
"""Key of a checkpoint: whether the run's updates are compiled."""

Episodes = Callable[[Algorithm], Mapping[str, Tensor]]
"""Function that runs one rank's evaluation episodes with a learner's policy and returns scores ``(E,)`` by name."""


COMPILE_FROM = 3_000
"""Number of updates from which compiling pays: it takes 10 to 20 s and saves about 5 ms per update."""

COMPILE_FROM_SECONDS = 300.0
"""Time limit of a run, in seconds, from which compiling pays: it takes up to 20 s and saves a third of each update."""


@dataclass(eq=False)
class CompiledStep:
    """Compiled twin of a step of an optimizer down a loss, see `OffPolicyModule.descend`.

    Several ranks compile loss and gradients, average them, and step alike.
    """

    function: Callable[..., tuple[Tensor, ...]]
    """Function that maps tensors, in any nesting of tuples, to a loss ``()`` and details that carry no gradient."""
    optimizer: Adam
    """Optimizer without Lightning's wrapper."""
    averages: bool
    """Whether gradients are averaged over several ranks."""

    def __post_init__(self) -> None:
        self.graph = CompiledFunction(self._differentiate if self.averages else self._step, "updates")

    def __call__(self, *inputs: Any) -> tuple[Tensor, ...]:
        """Make the step, leave its gradients in ``.grad``, and return what the function returns."""
        results, gradients, *norm = self.graph(*inputs)
        if self.averages:
            average(gradients)
        self.optimizer.grad_norm = self.optimizer.descend(gradients) if self.averages else norm[0]
        for parameter, gradient in zip(self.optimizer.params, gradients, strict=True):
            parameter.grad = gradient
        return tuple(results)

    def _differentiate(self, *inputs: Any) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        loss, *details = self.function(*inputs)
        return (loss.detach(), *details), torch.autograd.grad(loss, self.optimizer.params)

    def _step(self, *inputs: Any) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], Tensor]:
        results, gradients = self._differentiate(*inputs)
        return results, gradients, self.optimizer.descend(gradients)


class OffPolicyModule(LightningModule, Algorithm):
    """LightningModule of an `Algorithm` with manual optimization; ``trainer.global_step`` counts gradient updates.

    A subclass supplies networks, optimizers and a ``training_step`` that makes one update with one batch. Steps
    that ``training_step`` makes by `descend` compile.

    Args:
        algorithm: settings of the updates.
        step_discount: discount of one env step.
        learning_rates: initial learning rate of each optimizer by its name, in their order.
        final_lr_share: share of the rates that is left at ``trainer.max_steps``, lowered linearly; 1.0 keeps them.
        compile: ``auto``, ``off`` or ``on``, see `CompiledStep`.
    """

    averages = False
    compiles = False
    """Whether the run compiles its updates, from its start on."""
    _compiled_before: bool | None = None

    def __init__(
        self,
        algorithm: ReplayConfig,
        step_discount: float,
        learning_rates: Mapping[str, float],
        final_lr_share: float = 1.0,
        compile: Literal["auto", "off", "on"] = "off",
    ) -> None:
        super().__init__()
        refuse({f"model.compile must be one of auto, off, on; found {compile!r}": compile not in ("auto", "off", "on")})
        self.automatic_optimization = False
        self.algorithm = algorithm
        self.step_discount = step_discount
        self.learning_rates = dict(learning_rates)
        self.final_lr_share = final_lr_share
        self.compile_mode = compile
        self.evaluation: MetricCollection | None = None
        self._compiled: dict[str, CompiledStep] = {}

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
    def horizon(self) -> int:
        """Decisions over which gradients pass through an environment; such updates take long to compile."""
        return 0

    @property
    def worker_policy(self) -> Callable[[Tensor], Tensor]:
        """Deterministic policy on the CPU, for other processes."""
        return self.cpu().policy

    def on_train_start(self) -> None:
        """Prepare the updates once weights and optimizers are restored and on their device."""
        if self.trainer.world_size > 1:
            torch.manual_seed(torch.initial_seed() + self.trainer.global_rank)  # each rank has its own
        torch.set_autocast_cache_enabled(False)  # cached casts would outlive the updates that change the weights
        self.averages = isinstance(self.trainer.strategy, ReplicatedStrategy)
        self.compiles = self.will_compile()
        self._compiled = {}

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Set the learning rates of the update, unless ``configure_optimizers`` has schedulers of its own."""
        trainer: Any = self.trainer
        if trainer.lr_scheduler_configs:
            return
        done = min(1.0, trainer.global_step / trainer.max_steps) if trainer.max_steps > 0 else 0.0
        share = 1.0 - (1.0 - self.final_lr_share) * done
        for optimizer, rate in zip(trainer.optimizers, self.learning_rates.values(), strict=True):
            group = optimizer.param_groups[0]
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate * share)  # in its place, from which a compiled step reads it
            else:
                group["lr"] = rate * share

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Step the schedulers, if there are any."""
        for config in self.trainer.lr_scheduler_configs:
            config.scheduler.step()  # type: ignore[call-arg]  # one that needs a metric is the subclass's own business

    def descend(self, optimizer: Any, function: Callable[..., tuple[Tensor, ...]], *inputs: Any) -> tuple[Tensor, ...]:
        """Make one step of an optimizer down a loss, and return it with its details, as a function of the inputs does.

        In a run that compiles, a graph does the same for optimizers of `pricerl.sac.optimizer.Adam`.
        """
        if self.compiles:
            name = function.__name__
            if name not in self._compiled:
                bare = getattr(optimizer, "optimizer", optimizer)
                self._compiled[name] = CompiledStep(function, bare, self.averages)
            return self._compiled[name](*inputs)
        loss, *details = function(*inputs)
        self.manual_backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach(), *details

    def count_updates(self, number: int) -> None:
        """Set ``trainer.global_step``, to which Lightning adds one per optimizer's step, to the number of updates."""
        progress = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        for counter in (progress.total, progress.current):
            counter.ready = counter.completed = number

    def merge(self, rows: Tensor, statistics: InputNormalization | None) -> None:
        """Merge rows ``(B, O)`` of all ranks into statistics, if there are any, in the order of the ranks."""
        if statistics is not None:
            each = rows.reshape(-1, len(statistics.mean))  # a row may hold several products
            statistics.update(each, gather if self.averages else None)

    @isolate_rng()
    def validation_step(self, episodes: Episodes, batch_idx: int) -> None:
        """Run this rank's episodes, if any, in single precision, and log the means over all ranks as ``eval/…``."""
        with torch.autocast(self.device.type, enabled=False):
            scores = episodes(self)
        metrics = self.evaluation
        if metrics is None or scores.keys() != metrics.keys(keep_base=True):
            means: dict[str, Any] = {name: MeanMetric("disable") for name in scores}
            metrics = MetricCollection(means, prefix="eval/", compute_groups=False).to(self.device)
            self.evaluation = metrics
        for name, values in scores.items():
            metrics[name].update(values)
        # `RunMetrics` writes the row of an evaluation while training.
        self.log_dict(metrics, logger=self.trainer.state.fn != "fit")

    test_step = validation_step

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store whether updates are compiled."""
        checkpoint[COMPILED] = self.compiles and not any(item.graph.failed for item in self._compiled.values())

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Read whether updates were compiled."""
        self._compiled_before = checkpoint[COMPILED]

    def will_compile(self) -> bool:
        """Return whether a run that starts now is to compile its updates.

        A resumed run does what it did before, because compiled and plain updates differ in rounding. Several processes
        compile only on request.
        """
        if self.compile_mode != "auto" or self.trainer.world_size > 1:
            return self.compile_mode == "on"
        if self._compiled_before is not None:
            return self._compiled_before
        return not self.horizon and is_long_enough(self.trainer)

    @property
    def _data(self) -> Any:
        return self.trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it in every run


def is_long_enough(trainer: Any) -> bool:
    """Return whether a run makes so many updates, and has so much time for them, that compiling pays."""
    updates = math.inf if trainer.max_steps < 0 else trainer.max_steps - trainer.global_step
    return updates >= COMPILE_FROM and seconds_left(trainer) >= COMPILE_FROM_SECONDS
