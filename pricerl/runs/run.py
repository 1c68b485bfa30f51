"""Run of a command: folder, settings, checkpoint, data and learner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pricerl.evaluation.pricing_data import PricingData
from pricerl.formatting import Formatter, price_digits
from pricerl.planner.rollout import Policy
from pricerl.runs.checkpoint import Checkpoint
from pricerl.runs.folder import Generation


@dataclass(frozen=True)
class Run:
    """Run of a command after building and, depending on the command, training or scoring."""

    command: str
    """``fit``, ``validate``, ``test`` or ``predict``."""
    folder: Path
    options: Any
    """All parsed options, as a namespace: ``horizon``, ``out``, ``data.path`` and so on."""
    settings: Mapping[str, Any]
    """Settings that determine the advice, as plain values: seed, data without its file, model and decision."""
    checkpoint: Checkpoint | None
    """Given checkpoint; after ``fit``, the one with the weights in use."""
    data: Any
    """A seller's `PricingData`, or in ``fit``, ``validate`` and ``test`` the DataModule of the run."""
    module: Any
    """Learner with the weights used for advice: a `SavedPolicy`, or in ``fit``, ``validate``, ``test`` its module."""
    configs: Mapping[str, Any]
    """Config objects of the command's own groups, such as ``decision``."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """Results of validate and test by name."""
    generation: Generation | None = None
    """Generation that ``fit`` writes, or that holds the checkpoint."""
    shop: Any = None
    """Shop as it was opened to load the run, a `Shop`; None in a training, which is built without one."""
    known: int = 0
    """Entries of the shop's log whose decisions the settings contain."""
    nothing_left: bool = False
    """Whether ``fit`` was to resume a training that has ended."""
    is_global_zero: bool = True
    """Whether this process prints and writes."""

    @property
    def home(self) -> Path:
        """Folder of the advice that belongs to the weights: their generation, else the run's folder."""
        return self.folder if self.generation is None else self.generation.path

    @property
    def formatter(self) -> Formatter:
        """Formatter of the command's locale, currency and price grid."""
        return self.formatter_for(self.pricing.preprocessor.step_days, self.pricing.found_currency)

    def formatter_for(self, step_days: int, found: str = "") -> Formatter:
        """Return the formatter for rows ``step_days`` apart and a file's currency, or raise a ``UsageError``."""
        currency = self.pricing.currency or found
        digits = price_digits(self.pricing.guardrails.price_step, currency)
        return Formatter(self.options.locale, currency, digits, step_days)

    @property
    def advises(self) -> bool:
        """Whether the data are a seller's, so that the command gives advice."""
        return bool(self.data.advises)

    @property
    def policy(self) -> Policy:
        """Deterministic policy on the CPU, ``(B, O) -> (B, A)``; other processes load SAC's without Lightning."""
        return cast(Policy, self.module.worker_policy)

    @property
    def pricing(self) -> PricingData:
        """Data of a run that advises, with the seller's history and its market."""
        assert isinstance(self.data, PricingData)
        return self.data
