"""SAC as a LightningModule with agent and optimizers, independent of any environment."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import Timer
from torch import Tensor

from pricerl.errors import UsageError
from pricerl.progress import stage
from pricerl.runtime import CompiledFunction, GraphedFunction
from pricerl.sac.agent import SACAgent
from pricerl.sac.cloning import clone
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.sac.layers import InputNormalization
from pricerl.sac.losses import value_bounds
from pricerl.sac.replay import Transition
from pricerl.sac.update import Gradients, SACUpdate, SharedUpdate, make_optimizers
from pricerl.terminal import print_notes
from pricerl.training.algorithm import TaskSpec
from pricerl.training.callbacks.attached import PlanStopping
from pricerl.training.compilation import fewest_updates, graph_marker, is_too_short, leave
from pricerl.training.datamodule import ReplayDataModule
from pricerl.training.gradient_hooks import call_gradient_hooks
from pricerl.training.loop import Episodes, OffPolicyModule
from pricerl.training.ranks import Ranks

MAX_ENTROPY_BONUS = 1.0
"""Allowance of the value bounds for ``alpha * log_prob`` per step; alpha settles far below 1."""

PATIENCE = 1
"""Evaluations without improvement after which a run that began with a plan ends."""

COMPILED = "updates_are_compiled"
"""Key of a checkpoint: whether the run's updates are compiled."""


class SACModule(OffPolicyModule):
    """Soft Actor-Critic (arXiv:1812.05905) with manual optimization.

    Args:
        task: dimensions and reward bounds; linked from the data by the command line.
        algorithm: settings of the updates.
        network: architecture of actor and critics.
        compile: whether updates are compiled into one graph. ``auto`` compiles in a single process if the run is long
            enough to pay for it, which takes fewer updates if the compiler has the graph in its cache. Without a
            compiler, updates run uncompiled, with a warning. On a GPU ``auto`` and ``on`` also record updates as a CUDA
            graph.
        warm_start: ``planner`` clones the plan of data that have one (a seller's) into actor and critics before the
            first update, and stops once SAC no longer improves on it; ``none`` trains from random weights.
    """

    algorithm: SACConfig

    def __init__(
        self,
        task: TaskSpec,
        algorithm: SACConfig = SACConfig(),
        network: NetworkConfig = NetworkConfig(),
        compile: Literal["auto", "off", "on"] = "auto",
        warm_start: Literal["planner", "none"] = "planner",
    ) -> None:
        super().__init__(algorithm, algorithm.gamma**task.days_per_step)
        if compile not in ("auto", "off", "on"):
            raise UsageError(f"model.compile must be one of auto, off, on; found {compile!r}")
        if warm_start not in ("planner", "none"):
            raise UsageError(f"model.warm_start must be one of planner, none; found {warm_start!r}")
        settings = {"algorithm": asdict(algorithm), "network": asdict(network), "compile": compile}
        self.save_hyperparameters({"task": task._asdict(), **settings, "warm_start": warm_start}, logger=False)
        self.compile_mode, self.warm_start = compile, warm_start
        self._compiled_before: bool | None = None
        self._update: Callable[[Transition], Any] | None = None
        self._compiled: list[CompiledFunction[..., Any]] = []
        self._ranks: Ranks | None = None
        self._own: tuple[InputNormalization, ...] = ()  # not a part of the module: it is no state of a save
        self._has_shared = False
        self._gradients: Gradients | None = None
        self._settings = task, algorithm, network
        low, high = task.reward_low, task.reward_high
        bounded = math.isfinite(low) and math.isfinite(high)
        bounds = value_bounds(low, high, self.step_discount, MAX_ENTROPY_BONUS) if bounded else None
        sizes = task.observation_dim, task.action_dim
        self.agent = SACAgent(*sizes, algorithm, network, bounds, task.privileged_dim)

    @classmethod
    def from_hyperparameters(cls, values: Mapping[str, Any]) -> SACModule:
        """Return the module of plain hyperparameters, as checkpoints store them."""
        known = {"task": TaskSpec, "algorithm": SACConfig, "network": NetworkConfig}
        return cls(**{name: known[name](**item) if name in known else item for name, item in values.items()})

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return three Adam optimizers: critics, actor, temperature."""
        self._optimizers = make_optimizers(self.agent)
        return list(self._optimizers)

    def on_train_start(self) -> None:
        """Set up the update once weights and optimizers are restored and on their device."""
        super().on_train_start()
        self._set_learning_rates(self.trainer.global_step)  # a restored optimizer has the rates of its own run
        self._ranks = Ranks(getattr(self.trainer.strategy, "children", [])) if self.trainer.world_size > 1 else None
        self._update = self._build_update()
        if self.starts_from_plan:
            generator = torch.Generator(self.device).manual_seed(self._data.seed)
            shown = self._data.demonstrate(self)
            with stage("cloning the plan"):
                clone(self.agent, shown, generator)
            if self._ranks is not None:  # all ranks make the same clone, up to the rounding of their processors
                for tensor in (*self.agent.parameters(), *self.agent.buffers()):
                    self._ranks.average(tensor.detach())
        self._has_shared, normalization = False, self.agent.normalization
        if self._ranks is not None and normalization is not None:
            self._own = (copy.deepcopy(normalization),)
            self._own[0].reset()

    def _build_update(self) -> Callable[[Transition], Any]:
        """Return the function that makes an update; several ranks wrap its pieces.

        It is compiled if this run compiles, and recorded as a CUDA graph on a GPU unless ``compile`` is off.
        """
        on_success = partial(leave, self._graph_marker)
        compiled, self._compiled = self.compiles, []

        def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
            if compiled:
                function = CompiledFunction(function, "updates", on_success)
                self._compiled.append(function)
            graphs = self.device.type == "cuda" and self.compile_mode != "off"
            return GraphedFunction(function, "updates") if graphs else function

        if self._ranks is not None:
            return SharedUpdate(self.agent, self._optimizers, self._ranks.average, wrap).trace
        return wrap(SACUpdate(self.agent, self._optimizers).trace)

    @property
    def _data(self) -> ReplayDataModule:
        data: ReplayDataModule = self.trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it in every run
        return data

    @property
    def follows_plan(self) -> bool:
        """Whether a plan teaches this run."""
        return self.warm_start == "planner" and getattr(self._data, "has_plan", False)

    @property
    def starts_from_plan(self) -> bool:
        """Whether this run begins with cloning a plan; a resumed run has done so."""
        return self.follows_plan and self.trainer.ckpt_path is None

    def configure_callbacks(self) -> list[Callback]:
        """Stop a run that began with a plan once SAC no longer improves."""
        if not self.follows_plan:
            return []
        monitor = f"eval/{self._data.monitor}"
        return [PlanStopping(monitor, PATIENCE)]

    def on_validation_epoch_end(self) -> None:
        """Say by how much the clone misses the plan if that is much."""
        if self.trainer.state.fn == "fit" and self.trainer.global_step == 0 and self.starts_from_plan:
            message = self._data.judge_clone(float(self.trainer.callback_metrics[f"eval/{self._data.monitor}"]))
            if message and self.trainer.is_global_zero:
                print_notes([message])

    @property
    def compiles(self) -> bool:
        """Whether this run compiles its updates.

        A resumed run does what it did before: compiled and plain updates differ in rounding. A run that follows a plan
        usually ends early, after far fewer updates than ``trainer.max_steps``, so it compiles only if that is many,
        whether or not the graph is cached. Several processes compile only on request.
        """
        several, left = self.trainer.world_size > 1, self.trainer.max_steps - self.trainer.global_step
        if self.compile_mode != "auto" or several:
            return self.compile_mode == "on"
        if self._compiled_before is not None:
            return self._compiled_before
        callbacks: list[Callback] = self.trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it at once
        if any(is_too_short(timer) for timer in callbacks if isinstance(timer, Timer)):
            return False
        marker = None if self.follows_plan else self._graph_marker
        return self.trainer.max_steps < 0 or left >= fewest_updates(marker)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store whether updates are compiled."""
        if self._update is not None:
            checkpoint[COMPILED] = bool(self._compiled) and not any(piece.failed for piece in self._compiled)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Read whether updates were compiled; older checkpoints do not say so."""
        self._compiled_before = checkpoint.get(COMPILED)

    @property
    def _graph_marker(self) -> Path:
        return graph_marker(self.device.type, *self._settings)

    def training_step(self, batches: Iterator[Transition], batch_idx: int) -> dict[str, list[Tensor]]:
        """Make the updates, share the input statistics over the ranks, at first also before, and call gradient hooks.

        Casts of weights are not cached: they would outlive the updates that change the weights. Ranks settle once they
        have made updates, which compile; the epoch that evaluates a clone makes none.
        """
        torch.set_autocast_cache_enabled(False)
        if self._ranks is not None and not self._has_shared:
            self._share_normalization()
        metrics = super().training_step(self._in_full_precision(batches), batch_idx)
        if self._ranks is not None:
            self._share_normalization()
            self._has_shared = True
            if metrics and not self._ranks.settled:
                self._check_that_ranks_agree(self._ranks)
                self._ranks.settle()
        if self._gradients is not None:
            call_gradient_hooks(self.trainer, self._optimizers, self._gradients, metrics["train/critic_loss"][-1])
            self._gradients = None
        return metrics

    def _check_that_ranks_agree(self, ranks: Ranks) -> None:
        """Refuse to train if compiling failed on some ranks only: their weights would drift apart.

        Raises:
            UsageError: it did.
        """
        failed = torch.tensor([any(piece.failed for piece in self._compiled)], dtype=torch.uint8, device=self.device)
        if len({bool(found) for found in ranks.gather(failed)}) > 1:
            raise UsageError("updates could be compiled on some ranks only; use --model.compile off")

    def validation_step(self, episodes: Episodes, batch_idx: int) -> None:
        """Run the episodes in single precision whatever the trainer's precision."""
        with torch.autocast(self.device.type, enabled=False):
            super().validation_step(episodes, batch_idx)

    test_step = validation_step

    def _in_full_precision(self, batches: Iterator[Transition]) -> Iterator[Transition]:
        """Collect and sample in single precision whatever the trainer's precision."""
        while True:
            with torch.autocast(self.device.type, enabled=False):
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def update(self, batch: Transition, number: int) -> dict[str, Tensor]:
        """Update critics, actor, temperature and target network once."""
        if self._decays:
            self._set_learning_rates(number - 1)
        assert self._update is not None, "training has not started"
        metrics, self._gradients = self._update(batch)
        return {**metrics._asdict()}

    def act(self, observation: Tensor, deterministic: bool = False) -> Tensor:
        """Return actions ``(B, A)`` in [-1, 1] for observations ``(B, O)``."""
        return self.agent.act(observation, deterministic)

    def observe(self, observation: Tensor) -> None:
        """Update the input normalization with observations ``(B, O)``; several ranks do so together, later."""
        if not self._own:
            self.agent.observe(observation)
        for own in self._own:
            own.update(observation)

    @property
    def _decays(self) -> bool:
        return self.trainer.max_steps > 0 and self.algorithm.final_lr_share < 1.0

    def _set_learning_rates(self, updates: int) -> None:
        """Set the configured rates, lowered linearly to ``final_lr_share`` at ``trainer.max_steps``, if given."""
        config, share = self.algorithm, 1.0
        if self._decays:
            share -= (1.0 - config.final_lr_share) * min(1.0, updates / self.trainer.max_steps)
        rates = config.critic_lr, config.actor_lr, config.alpha_lr
        for optimizer, rate in zip(self._optimizers, rates, strict=True):
            optimizer.set_learning_rate(rate * share)

    def _share_normalization(self) -> None:
        """Merge the statistics of what each rank has observed since the last merge, in the order of the ranks."""
        shared = self.agent.normalization
        if self._ranks is None or not self._own or shared is None:
            return
        (own,) = self._own
        columns = len(own.mean)
        for rank in self._ranks.gather(torch.cat([own.count.view(1), own.mean, own.var])):
            shared.merge(rank[0], *torch.split(rank[1:], columns))
        own.reset()
