"""Public API: the seller's commands as functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from pricerl.advice.collection import Advice
from pricerl.advice.result import ProductAdvice
from pricerl.cli.advise import run_lightning
from pricerl.cli.loading import nested_settings
from pricerl.data.config import DataConfig
from pricerl.data.costs import CostConfig
from pricerl.data.history import History
from pricerl.data.naming import Sources, list_sources
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading.reader import read_history
from pricerl.data.reading.sources.frames import Frame, write_frame
from pricerl.env.config import EnvConfig
from pricerl.env.pricing import PricingEnv
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig
from pricerl.operations.log.decision_log import LOG_FILE, read_log
from pricerl.runs.checkpoint import Checkpoint
from pricerl.runs.names import RUNS, check_name
from pricerl.tasks.advise import deliver, make_advice
from pricerl.tasks.load import load_learner, load_run

if TYPE_CHECKING:
    from pricerl.env.dynamics import Dynamics
    from pricerl.planner.rollout import Policy
    from pricerl.runs.run import Run


@dataclass(frozen=True)
class TrainedPolicy:
    """A trained policy with the market of its history, if it was trained on a seller's."""

    checkpoint: Checkpoint
    """Weights, settings and history."""
    learner: Any
    """Networks, on the CPU."""

    @cached_property
    def run(self) -> Run:
        """Settings, data and learner; a ``UsageError`` for a policy of a Gymnasium environment."""
        return load_run({"ckpt_path": str(self.checkpoint.path), "data": {"path": None}})

    @property
    def policy(self) -> Policy:
        """Deterministic policy from observations ``(B, O)`` to actions ``(B, 1)`` in [-1, 1]."""
        return cast("Policy", self.learner.worker_policy)

    @property
    def market(self) -> Market:
        """Market fitted to the history."""
        return self.run.pricing.market

    @property
    def dynamics(self) -> Dynamics:
        """Market with reward and guardrails, on the CPU; of a large catalogue only the products trained on."""
        return self.run.pricing.dynamics

    def advise(self, path: Sources | Frame | None = None, horizon: int = 14) -> list[ProductAdvice]:
        """Return one advice per product on the days after a history, under the orders in the run's log; write nothing.

        Args:
            path: the seller's CSV, or a list with ads reports to join, or a frame with the same columns; the history of
                the checkpoint if absent. One that cannot be used is a ``DataError``.
            horizon: length of the forecast horizon in days.
        """
        if isinstance(path, Frame):
            with TemporaryDirectory() as folder:
                write_frame(path, file := Path(folder) / "frame")
                return self.advise(file, horizon)
        data = {} if path is None else {"path": list_sources(path)}
        run = load_run({"ckpt_path": str(self.checkpoint.path), "horizon": horizon, "data": data})
        return make_advice(run, read_log(run.folder / LOG_FILE).entries).advice


def advise(
    source: Sources | Frame | None = None,
    *,
    preset: str = "profit",
    max_steps: int | None = None,
    seed: int = 0,
    horizon: int = 14,
    run_name: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Advice:
    """Train a policy on a seller's history and advise on the days after it, as ``pricerl advise`` does.

    The files and log entry of ``fit`` are written to ``checkpoints/RUN``; `load` reads the policy from there.

    >>> import pricerl
    >>> (advice,) = pricerl.advise("sales.csv", max_steps=5)  # a quick trial; 20 updates by default
    >>> advice.current_price, advice.decision.grade in ("A", "B", "B-", "C", "D")
    (10.0, True)
    >>> [day.recommended_price for day in advice.days][:3]
    [10.0, 10.0, 10.0]

    Args:
        source: the seller's file, folder or database, a list with ads reports to join, or a frame (pandas, Polars,
            Arrow) with the same columns, which is written to ``checkpoints/RUN/RUN.csv``; a simulated seller if absent.
            One that cannot be used is a ``DataError``.
        preset: objective: ``balanced``, ``profit``, ``revenue`` or ``upward``.
        max_steps: gradient updates; as many as the command makes if absent.
        seed: seed of all random numbers.
        horizon: length of the forecast horizon in days.
        run_name: name of the run; derived from file and preset if absent, ``frame`` for a frame.
        settings: further settings by their command-line names, such as ``{"data.guardrails.floor": 9.9}`` or
            ``{"allow": "my_package"}``; a wrong one is a ``UsageError``.

    Returns:
        A sequence with one advice per product. ``table()`` returns the rows of ``advice.csv`` as a frame, ``report()``
        the path of the page, which notebooks show; printing it gives the text of the command line.
    """
    usual: dict[str, Any] = {"trainer.enable_progress_bar": False}
    if isinstance(source, Frame):
        run_name = check_name(run_name or "frame")
        write_frame(source, path := RUNS / run_name / f"{run_name}.csv")
        source = path
        usual["data.reading.decimal"] = "."
    usual |= {
        "data.path": str(source) if isinstance(source, (str, Path)) else list_sources(source) or None,
        "data.reward.preset": preset,
        "trainer.max_steps": max_steps,
        "seed_everything": seed,
        "horizon": horizon,
        "run_name": run_name,
    }
    with run_lightning("fit", *nested_settings(usual, settings or {})) as run:
        found = deliver(run)
    return Advice(tuple(found.fresh), found.files, run.formatter)


def load(checkpoint: str | Path) -> TrainedPolicy:
    """Load a policy that ``fit`` or `advise` trained on a seller's history or in a Gymnasium environment.

    The ``checkpoint`` is ``best.ckpt`` or ``last.ckpt`` of a run; a file that is none is a ``CheckpointError``.

    >>> trained = pricerl.load("checkpoints/sales/best.ckpt")
    >>> observation, info = pricerl.make_env("sales.csv").reset(seed=0)
    >>> trained.policy(torch.as_tensor(observation)[None]).shape
    torch.Size([1, 1])
    >>> (advice,) = trained.advise("sales.csv", horizon=7)
    >>> len(advice.days)
    7
    """
    found = Checkpoint.read(checkpoint)
    return TrainedPolicy(found, load_learner(found))


def make_env(
    history: Sources | Frame | History | None = None,
    *,
    reading: DataConfig | None = None,
    demand: DemandConfig | None = None,
    cost: CostConfig | None = None,
    reward: RewardConfig | None = None,
    guardrails: GuardrailConfig | None = None,
    config: EnvConfig | None = None,
    seed: int = 0,
) -> PricingEnv:
    """Return the environment of the market fitted to a history, registered as ``pricerl/Pricing-v1``.

    >>> env = pricerl.make_env("sales.csv")
    >>> observation, info = env.reset(seed=0)
    >>> observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    >>> observation.shape, terminated
    ((168,), False)

    Args:
        history: the seller's CSV, a list with ads reports to join, a frame with the same columns, or the result of
            `read_history`; a simulated seller if absent. One that cannot be used is a ``DataError``.
        reading: settings of reading and features.
        demand: demand model and its settings.
        cost: the seller's known costs.
        reward: objective.
        guardrails: price limits.
        config: horizon, type of action, observation noise.
        seed: seed of the posterior draws.
    """
    if history is None:
        return PricingEnv(None, reward, guardrails, config)
    reading = reading or DataConfig()
    known = history if isinstance(history, History) else read_history(history, reading)
    market = fit_market(DataPreprocessor.fit(known, reading), demand, cost, seed)
    return PricingEnv(market, reward, guardrails, config)
