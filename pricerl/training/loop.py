"""Base of the learners' LightningModules: what an off-policy algorithm needs around its ``training_step``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from typing_extensions import Self

from pricerl.errors import UsageError
from pricerl.progress import stage
from pricerl.runs.checkpoint import Checkpoint
from pricerl.runs.rank_state import preserved_randomness
from pricerl.sac.cloning import Demonstrations
from pricerl.sac.config import ReplayConfig
from pricerl.sac.layers import InputNormalization
from pricerl.sac.replay import Transition
from pricerl.sac.update import Gradients
from pricerl.terminal import print_notes
from pricerl.training.algorithm import Algorithm
from pricerl.training.arguments import KeepsArguments
from pricerl.training.callbacks.plan_stopping import PlanStopping
from pricerl.training.devices import Ranks
from pricerl.training.speed import (
    COMPILE_FROM,
    COMPILE_PLANNED_FROM,
    UPDATES_PER_ITEM,
    FastUpdates,
    Update,
    Wrap,
    counts_batches,
    is_too_short,
)

PATIENCE = 1
"""Evaluations without improvement after which a run that began with a plan ends."""

COMPILED = "updates_are_compiled"
"""Key of a checkpoint: whether the run's updates are compiled."""

Episodes = Callable[[Algorithm], Mapping[str, Tensor]]
"""Function that runs one rank's evaluation episodes with a learner's policy and returns scores ``(E,)`` by name."""


class MeanScore(Metric):
    """Mean of one score over the rows of all ranks; 0 without any, NaN if one is NaN.

    Args:
        gather: messages between ranks; torch's own if absent.
    """

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, gather: Callable[..., list[Tensor]] | None = None) -> None:
        super().__init__(dist_sync_fn=gather)
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, scores: Tensor) -> None:
        """Add the scores ``(E,)`` of further rows, of any type."""
        self.total += scores.float().sum()
        self.count += len(scores)

    def compute(self) -> Tensor:
        """Return the mean ``()``."""
        return self.total / self.count.clamp(min=1.0)


class OffPolicyModule(KeepsArguments, LightningModule, Algorithm):
    """LightningModule of an `Algorithm` with manual optimization.

    A subclass supplies networks, optimizers of `pricerl.sac.Adam`, and a ``training_step`` that makes one update with
    one batch. To be compiled it also has ``make_update``, and to learn from a plan ``imitate``.
    ``trainer.global_step``, and with it ``trainer.max_steps``, counts gradient updates.

    Args:
        algorithm: settings of the updates.
        step_discount: discount of one env step.
        learning_rates: initial learning rate of each optimizer by its name, in their order.
        final_lr_share: share of the rates that is left at ``trainer.max_steps``, lowered linearly; 1.0 keeps them.
        compile: ``auto``, ``off`` or ``on``, see `pricerl.training.speed`.
        warm_start: ``planner`` or ``none``: start from a clone of the data's plan or from random weights.
    """

    def __init__(
        self,
        algorithm: ReplayConfig,
        step_discount: float,
        learning_rates: Mapping[str, float],
        final_lr_share: float = 1.0,
        compile: Literal["auto", "off", "on"] = "off",
        warm_start: Literal["planner", "none"] = "none",
    ) -> None:
        super().__init__()
        for name, value, choices in (
            ("compile", compile, ("auto", "off", "on")),
            ("warm_start", warm_start, ("planner", "none")),
        ):
            if value not in choices:
                raise UsageError(f"model.{name} must be one of {', '.join(choices)}; found {value!r}")
        self.automatic_optimization = False
        self.algorithm = algorithm
        self.step_discount = step_discount
        self.learning_rates = dict(learning_rates)
        self.final_lr_share = final_lr_share
        self.compile_mode = compile
        self.warm_start = warm_start
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
        """Return the module in a checkpoint, with its weights.

        Args:
            checkpoint_path: a checkpoint of pricerl.
            map_location: device of the module; the CPU if absent.
            strict: whether all weights must be there, as by default.
            weights_only: accepted as Lightning has it; nothing in a checkpoint is ever executed.
            changes: hyperparameters that replace stored ones.

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

    def make_update(self, wrap: Wrap) -> Update:
        """Return the update as a function of a batch, whose parts between messages of the ranks are wrapped."""
        raise NotImplementedError

    def imitate(self, shown: Demonstrations, generator: torch.Generator) -> None:
        """Fit the networks to demonstrations."""
        raise NotImplementedError

    def setup(self, stage: str) -> None:
        """Decide anew whether the run compiles."""
        self._compiles = None

    def configure_callbacks(self) -> list[Callback]:
        """Stop a run that began with a plan once it no longer improves."""
        return [PlanStopping(f"eval/{self._data.monitor}", PATIENCE)] if self.follows_plan else []

    def on_train_start(self) -> None:
        """Prepare the updates once weights and optimizers are restored and on their device."""
        if self.trainer.world_size > 1:
            torch.manual_seed(torch.initial_seed() + self.trainer.global_rank)  # each rank has its own
        torch.set_autocast_cache_enabled(False)  # cached casts would outlive the updates that change the weights
        self.ranks = getattr(self.trainer.strategy, "ranks", None)
        self.decay_learning_rates(self.trainer.global_step)  # a restored optimizer has the rates of its own run
        many = self.updates_per_item > 1
        self.fast = FastUpdates(self.make_update, self.compiles, self.device) if many else None
        if self.starts_from_plan:
            generator = torch.Generator(self.device).manual_seed(self._data.seed)
            shown = self._data.demonstrate(self)
            with stage("cloning the plan"):
                self.imitate(shown, generator)
            if self.ranks is not None:  # all ranks make the same clone, up to the rounding of their processors
                for tensor in (*self.parameters(), *self.buffers()):
                    self.ranks.average(tensor.detach())

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
        """Make one accelerated update per batch, and call the gradient hooks for the last.

        Returns:
            Metrics by name, one value per update, ``(N,)`` each.
        """
        assert self.fast is not None
        done = self.trainer.global_step
        rows: list[Any] = []
        gradients: Gradients | None = None
        try:
            for row, found in self.fast.run(batches, lambda made: self.decay_learning_rates(done + made)):
                rows.append(row)
                gradients = found
        finally:  # also after an error: every update is counted
            self.count_updates(done + len(rows))
        assert gradients is not None
        self._call_gradient_hooks(gradients, rows[-1].critic_loss)
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
        if self.normalization is None:
            return
        if self.ranks is None:
            self.normalization.update(observation)
            return
        var, mean = torch.var_mean(observation, dim=0, correction=0)
        for found in self.ranks.gather(torch.stack([mean, var])):
            self.normalization.merge(len(observation), *found)

    @preserved_randomness()
    def validation_step(self, episodes: Episodes, batch_idx: int) -> None:
        """Run this rank's episodes, if any, in single precision, and log the means over all ranks as ``eval/…``."""
        with torch.autocast(self.device.type, enabled=False):
            scores = episodes(self)
        metrics = getattr(self, "evaluation", None)
        if metrics is None:
            gather = getattr(self.trainer.strategy, "gather", None)
            means: dict[str, Any] = {name: MeanScore(gather) for name in scores}
            metrics = MetricCollection(means, prefix="eval/", compute_groups=False).to(self.device)
            self.evaluation = metrics
        for name, values in scores.items():
            metrics[name].update(values)
        writes = self.trainer.state.fn != "fit"  # `RunMetrics` writes the row of an evaluation while training
        self.log_dict(metrics, logger=writes)

    test_step = validation_step

    def on_validation_epoch_end(self) -> None:
        """Say by how much the clone misses the plan if that is much."""
        if self.trainer.state.fn == "fit" and self.trainer.global_step == 0 and self.starts_from_plan:
            message = self._data.judge_clone(float(self.trainer.callback_metrics[f"eval/{self._data.monitor}"]))
            if message and self.trainer.is_global_zero:
                print_notes([message])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store whether updates are compiled."""
        if self._compiles is not None:
            checkpoint[COMPILED] = self.fast is not None and self.fast.is_compiled

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Read whether updates were compiled; older checkpoints do not say so."""
        self._compiled_before = checkpoint.get(COMPILED)

    @property
    def updates_per_item(self) -> int:
        """Gradient updates per item of the train loader: 1, or many in an accelerated run."""
        if not self.compiles and (self.device.type != "cuda" or self.compile_mode == "off"):
            return 1
        return 1 if counts_batches(self.trainer) else UPDATES_PER_ITEM

    @property
    def compiles(self) -> bool:
        """Whether this run compiles its updates.

        A resumed run does what it did before: compiled and plain updates differ in rounding. Several processes compile
        only on request.

        Raises:
            UsageError: compiling is requested together with a setting that counts batches.
        """
        if self._compiles is None:
            self._compiles = self._find_compiles()
        return self._compiles

    def _find_compiles(self) -> bool:
        trainer: Any = self.trainer
        counting = counts_batches(trainer)
        if self.compile_mode == "on" and counting and not trainer.fast_dev_run:
            raise UsageError(
                f"trainer.{counting[0]} counts batches, which compiled runs do not; set model.compile to off"
            )
        if counting or self.compile_mode != "auto" or trainer.world_size > 1:
            return self.compile_mode == "on" and not counting
        if self._compiled_before is not None:
            return self._compiled_before
        if is_too_short(trainer.callbacks):
            return False
        left = trainer.max_steps - trainer.global_step
        fewest = COMPILE_PLANNED_FROM if self.follows_plan else COMPILE_FROM
        return bool(trainer.max_steps < 0 or left >= fewest)

    @property
    def follows_plan(self) -> bool:
        """Whether a plan teaches this run."""
        return self.warm_start == "planner" and getattr(self._data, "has_plan", False)

    @property
    def starts_from_plan(self) -> bool:
        """Whether this run begins with cloning a plan; a resumed run has done so."""
        return self.follows_plan and self.trainer.ckpt_path is None

    @property
    def _data(self) -> Any:
        return self.trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it in every run

    def _call_gradient_hooks(self, gradients: Gradients, loss: Tensor) -> None:
        """Call the gradient hooks of callbacks and module, with an update's gradients in ``.grad``.

        The update has been made: a hook sees the gradients, averaged over the ranks and clipped, and changes nothing.
        """
        optimizers = self.trainer.optimizers
        for optimizer, values in zip(optimizers, gradients, strict=True):
            for parameter, gradient in zip(optimizer.param_groups[0]["params"], values, strict=False):
                parameter.grad = gradient  # a constant alpha has none
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]  # set in its constructor
            callback.on_before_backward(self.trainer, self, loss)
            callback.on_after_backward(self.trainer, self)
            for optimizer in optimizers:
                callback.on_before_optimizer_step(self.trainer, self, optimizer)
        self.on_before_backward(loss)
        self.on_after_backward()
        for optimizer in optimizers:
            self.on_before_optimizer_step(optimizer)
            optimizer.zero_grad()
