"""Run shared by the commands: folder, settings, checkpoint, data and module, without Lightning's CLI."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pricerl.evaluation.backtest import Backtest
from pricerl.evaluation.rollout import Policy
from pricerl.formatting import Formatter, price_digits
from pricerl.runs.checkpoint import Checkpoint
from pricerl.runs.folder import Generation
from pricerl.training.datamodule import ReplayDataModule
from pricerl.training.loop import OffPolicyModule
from pricerl.training.module import SACModule
from pricerl.training.pricing_data import PricingDataModule


@dataclass(frozen=True)
class Run:
    """Run of a command after building and, depending on the command, training or scoring."""

    command: str
    """``fit``, ``validate``, ``test`` or ``predict``."""
    folder: Path
    """The run's folder."""
    options: Any
    """All parsed options, as a namespace: ``horizon``, ``out``, ``data.path`` and so on."""
    settings: Mapping[str, Any]
    """Settings that determine the advice, as plain values: seed, data without its file, model and decision."""
    checkpoint: Checkpoint | None
    """Given checkpoint; after ``fit``, the one with the weights in use."""
    data: ReplayDataModule
    """DataModule of the run."""
    module: OffPolicyModule
    """Learner with the weights used for advice."""
    configs: Mapping[str, Any]
    """Config objects of the command's own groups, such as ``decision``."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """Results of validate and test by name."""
    generation: Generation | None = None
    """Generation that ``fit`` writes, or that holds the checkpoint."""
    nothing_left: bool = False
    """Whether ``fit`` was to resume a training that has ended."""
    is_global_zero: bool = True
    """Whether this process prints and writes."""
    backtests: Mapping[str, Callable[[], Mapping[str, Backtest]]] = field(default_factory=dict)
    """Functions that wait for the backtests that another process computes, by fingerprint."""
    held: ExitStack = field(default_factory=ExitStack)
    """The run's lock and the signals that are caught; close it when the command ends."""

    @property
    def home(self) -> Path:
        """Folder of the advice that belongs to the weights: their generation, else that of the checkpoint."""
        return self.folder if self.generation is None else self.generation.path

    @property
    def formatter(self) -> Formatter:
        """Formatter of the command's locale, currency and price grid.

        Raises:
            UsageError: the locale or the currency is unknown.
        """
        if not isinstance(self.data, PricingDataModule):
            return self.formatter_for(1)
        return self.formatter_for(self.data.preprocessor.step_days, self.data.shown_currency)

    def formatter_for(self, step_days: int, found: str = "") -> Formatter:
        """Return the formatter for rows ``step_days`` apart, without reading a file; ``found`` is the file's currency.

        Raises:
            UsageError: the locale or the currency is unknown.
        """
        data = self.options.data
        currency = data.currency or found
        digits = price_digits(data.guardrails.price_step, currency)
        return Formatter(self.options.locale, currency, digits, step_days)

    @property
    def advises(self) -> bool:
        """Whether the data are a seller's, so that the command gives advice."""
        return isinstance(self.data, PricingDataModule)

    @property
    def policy(self) -> Policy:
        """Deterministic policy on the CPU, ``(B, O) -> (B, A)``; other processes load SAC's without Lightning."""
        module = self.module.cpu()
        return partial(module.agent.actor.act, deterministic=True) if type(module) is SACModule else module.policy

    @property
    def pricing(self) -> PricingDataModule:
        """DataModule of a run that advises, with the seller's history and its market."""
        assert isinstance(self.data, PricingDataModule)
        return self.data
