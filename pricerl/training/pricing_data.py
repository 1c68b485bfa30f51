"""Training data from a seller's file: history, fitted market, and the env in that market."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from pricerl.arrays import BoolArray
from pricerl.data.config import DataConfig
from pricerl.data.features import FEATURES
from pricerl.data.history import History, ProductHistory
from pricerl.data.naming import list_sources
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading.problems import Problem, list_names
from pricerl.data.reading.reader import read_history
from pricerl.env.config import EnvConfig
from pricerl.env.description import DESCRIPTION, PLACES
from pricerl.env.dynamics import Dynamics
from pricerl.env.pricing import PricingVectorEnv
from pricerl.env.simulator import DifferentiableMarket
from pricerl.env.stock.shelf import check_settings
from pricerl.errors import PROBLEMS, UsageError
from pricerl.evaluation.backtest import Backtest, draw_products, run_backtests
from pricerl.evaluation.dynamic_planner import DynamicPlan, plan_dynamically
from pricerl.evaluation.plan_benchmark import PlanBenchmark
from pricerl.evaluation.scores import score_episodes, score_paths
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.cost import CostConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.demand.pooling import NO_EVIDENCE, Evidence, Pool
from pricerl.market.fitting import Spread, find_pool, fit_market
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig
from pricerl.market.row_table import TABLES
from pricerl.progress import stage
from pricerl.runs.names import name_run
from pricerl.simulation.seller import MOST_PRODUCTS, SellerConfig, simulated_history
from pricerl.terminal import print_notes
from pricerl.training.algorithm import Algorithm, TaskSpec
from pricerl.training.datamodule import ReplayDataModule

GRADIENT_ROWS = 256
"""Rows of the market through which the actor's gradient passes: hardly slower than 64, with half the noise."""

UNSEEN = 100
"""Sellers on which the network that ships is scored."""
CLOSE = 0.005
"""Largest loss against the plan of a seller whom the policy serves, as a share of profit at the current price."""


class PricingDataModule(ReplayDataModule):
    """DataModule of a seller: reads a history, fits its market and streams batches from the env's replay buffer.

    Args:
        path: the seller's CSV, or a list: a sales report and the ads reports to join to it; the built-in simulated
            seller if absent.
        reading: settings of the reader.
        seller: the simulated seller that replaces a file.
        market: demand model and its settings.
        cost: the seller's known costs.
        stock: rows of the seller's known stock, as ``--stock FILE`` reads them; docs/stock.md lists the keys.
        reward: objective.
        guardrails: price limits.
        env: settings of the episodes.
        currency: ISO 4217 code of the file's amounts, such as EUR; if empty, the one in the names of its columns or
            with which every price is written, and otherwise amounts are shown as plain numbers.
        num_envs: rows of the vector env.
        eval_every: gradient updates between two evaluations; one epoch.
        seed: seed of the posterior draws, the env and the sampling.
    """

    monitor = "over_plan"
    advises = True
    most_trained = 200
    """Most products that the policy is trained and scored on; it prices the others by their description."""
    actor_horizon = 8

    def __init__(
        self,
        path: str | list[str] | None = None,
        reading: DataConfig = DataConfig(),
        seller: SellerConfig = SellerConfig(),
        market: DemandConfig = DemandConfig(),
        cost: CostConfig = CostConfig(),
        stock: list | None = None,  # type: ignore[type-arg]  # as the costs of products
        reward: RewardConfig = RewardConfig(),
        guardrails: GuardrailConfig = GuardrailConfig(),
        env: EnvConfig = EnvConfig(),
        currency: str = "",
        num_envs: int = 64,
        eval_every: int = 250,
        seed: int = 0,
    ) -> None:
        super().__init__(num_envs, eval_every, seed)
        self.path = path[0] if isinstance(path, list) and len(path) == 1 else path
        self.reading = reading
        self.seller = seller
        self.market_config = market
        self.cost = cost
        self.stocks = TABLES["stock"].group("data.stock", stock)
        if self.stocks:
            check_settings(reward.resolved(), guardrails.min_hold_days)
        self.reward = reward
        self.guardrails = guardrails
        self.currency = currency
        self.env_config = env
        self._plan: DynamicPlan | None = None
        self._benchmark: PlanBenchmark | None = None
        self.portable = False
        """Whether checkpoints leave the history out."""
        self.evidence: dict[str, Evidence] = {}
        """Evidence on the elasticities of the products trained on, by name; empty while they are trained on."""
        self.problems: tuple[Problem, ...] = ()
        """Problems of products that were skipped and of days that are unknown for their rows."""
        self.failed: set[str] = set()
        """Products that have no market or no advice, as a computation failed."""
        self.engine: Any = None
        self.spread: Spread = map
        """Engine of the command, if there is one, and its function that makes the calls of fits."""
        self.backtests: Mapping[str, Backtest] | None = None
        """Backtests of the products by name; unless given, validation and test compute them."""
        self._find_own_prices: Callable[[ProductHistory], BoolArray | None] | None = None
        self.found_currency = ""
        """Currency that the file names, if it does."""
        self._advised: set[str] = set()
        self._known_name: str | None = None
        self._unnamed = False

    @property
    def run_name(self) -> str:
        """Name of the file and of the reward's preset."""
        return name_run(self.path, self.reward.preset)

    @cached_property
    def task(self) -> TaskSpec:
        """Dimensions and reward bounds for the networks; a file is read for the days from row to row."""
        low, high = self.reward.resolved().bounds()
        env = self.env_config
        days = env.days_per_step(self.guardrails, 1 if self.path is None else self.preprocessor.step_days)
        return TaskSpec(self.reading.window * env.num_features, 1, low * days, high * days, days)

    @property
    def layout(self) -> str:  # type: ignore[override]  # it depends on the settings
        """Columns of an observation, for actions that are steps; empty for others, and without a description."""
        env = self.env_config
        columns = FEATURES, DESCRIPTION, PLACES, self.reading.window
        return json.dumps(columns) if env.describe and env.action == "step" else ""

    @cached_property
    def preprocessor(self) -> DataPreprocessor:
        """The fitted preprocessor, read and fitted at first use."""
        return self._marked(DataPreprocessor.fit(self._read(), self.reading))

    @cached_property
    def market(self) -> Market:
        """The market of the whole history, fitted at first use."""
        return self.fit(self.preprocessor)

    @cached_property
    def sample(self) -> Market:
        """The market of the products that the policy is trained and scored on, fitted at first use."""
        drawn = draw_products(self.preprocessor.names, self.most_trained)
        rows = [row for row, name in enumerate(self.preprocessor.names) if name in drawn]
        whole = len(rows) == len(self.preprocessor.names)
        return self.market if whole else self.fit(self.preprocessor.select(rows))

    def fit(self, prepared: DataPreprocessor) -> Market:
        """Fit the market of some of the products; those for which that fails are left out, unless all are."""
        count = len(self.preprocessor.names)
        part = "" if len(prepared.names) == count else f" of {len(prepared.names):,} of {count:,} products"
        with stage(f"fitting the market{part}"):
            priors = [None if self.pool is None else self.pool.prior(name) for name in prepared.names]
            settings = self.market_config, self.cost, self.seed
            market = fit_market(prepared, *settings, True, priors, self.stocks, self.spread)
        if lost := {*prepared.names} - {*market.preprocessor.names}:
            self._drop(dict.fromkeys(lost, "its market cannot be fitted"))
        return market

    def _drop(self, failed: Mapping[str, str]) -> None:
        """Leave products out, and their histories as well."""
        self.leave_out(failed)
        rows = [row for row, name in enumerate(self.preprocessor.names) if name not in failed]
        self.preprocessor = self.preprocessor.select(rows)
        self.release()

    def release(self) -> None:
        """Free the fitted markets and all that training made of them."""
        for name in ("market", "sample", "dynamics"):
            self.__dict__.pop(name, None)
        self.collector = self.simulator = self._plan = self._benchmark = None
        gc.collect()  # trainer and module refer to each other

    def leave_out(self, failed: Mapping[str, str]) -> None:
        """Go on without products for which a computation failed, given with the reason, and say so once."""
        new = sorted(failed.keys() - self.failed)
        self.failed.update(new)
        self.problems += tuple(Problem(0, "", f"no advice, the price stays: {failed[name]}", name) for name in new)
        if new:
            print_notes([f"{list_names(new)}: no advice, the price stays; {PROBLEMS} has the reasons"])

    @cached_property
    def pool(self) -> Pool | None:
        """Evidence on the elasticities of the catalogue: that of training."""
        return find_pool(self.preprocessor.products, self.market_config, self.evidence, self.spread)

    @cached_property
    def dynamics(self) -> Dynamics:
        """The sample's market with reward and guardrails, on the trainer's device."""
        return self.build_dynamics(self.sample.to(self.device))

    def build_dynamics(self, market: Market) -> Dynamics:
        """Return a market with reward and guardrails."""
        return Dynamics(market, self.reward, self.guardrails, self.env_config)

    def setup(self, stage: str) -> None:
        """Read the file before training starts; without a file, all stages but ``fit`` use the checkpoint's history."""
        super().setup(stage)
        if stage == "fit" or self.path is not None:
            _ = self.preprocessor

    def build_env(self, num_envs: int | None = None) -> PricingVectorEnv:
        """Return a vector env whose rows, ``num_envs`` by default, start on training days, each in a posterior draw."""
        return PricingVectorEnv(num_envs or self.num_envs, self.dynamics)

    def build_differentiable_env(self, step_discount: float) -> DifferentiableMarket:
        """Return `GRADIENT_ROWS` rows of the market for gradients."""
        return DifferentiableMarket(self.dynamics, GRADIENT_ROWS, step_discount)

    def plan(self, step_discount: float) -> DynamicPlan:
        """Return the plan of the products trained on, for the discount of one decision, solved once."""
        dynamics = self.dynamics
        if self._plan is None or self._plan.dynamics is not dynamics:
            with stage("planning the prices"):
                self._plan = plan_dynamically(dynamics, step_discount)
        return self._plan

    def plan_sample(self, step_discount: float) -> None:
        """Plan the products to train on; those for which that fails are left out, unless all are."""
        try:
            self.plan(step_discount)
        except Exception:
            rows = range(self.sample.num_products)
            alone = [self.build_dynamics(self.sample.select([row])) for row in rows]
            found = self.spread(partial(plan_dynamically, step_discount=step_discount), alone)
            names = self.sample.preprocessor.names
            failed = {name: repr(item) for name, item in zip(names, found, strict=True) if isinstance(item, Exception)}
            if len(failed) in (0, len(self.preprocessor.names)):
                raise
            self._drop(failed)
            self.plan_sample(step_discount)

    def benchmark(self, learner: Algorithm, share: tuple[int, int] = (0, 1)) -> PlanBenchmark:
        """Return the plan with its rewards, or a share of them, for the learner's discount."""
        plan = self.plan(learner.step_discount)
        if self._benchmark is None or self._benchmark.plan is not plan or self._benchmark.share != share:
            self._benchmark = PlanBenchmark(plan, learner.step_discount, share)
        return self._benchmark

    def score(self, learner: Algorithm, rank: int, num_ranks: int) -> Mapping[str, Tensor]:
        """Compare policy and plan, run held-out episodes and paths; outside ``fit`` add errors of forecasts."""
        share = (rank, num_ranks)
        policy = learner.policy
        episodes = score_episodes(policy, self.dynamics, share=share)
        paths = score_paths(policy, self.dynamics, share)
        gain = self.benchmark(learner, share).measure(policy)
        harmed = paths.policy_gain_mean < 0.0
        found = {**episodes._asdict(), **paths._asdict(), "harmed_share": harmed, self.monitor: gain}
        found["plan_share"] = 1.0 + self.reward.resolved().profit_share * gain
        if self.trainer is not None and self.trainer.state.fn != "fit":  # no update changes the forecasts
            if self.backtests is None:
                self.backtests = run_backtests(
                    self.preprocessor, self.market_config, self.cost, self.seed, pool=self.pool
                )
            nearest = [item.scores[0] for item in self.backtests.values()]
            if nearest:
                found["forecast_error"] = torch.tensor([score.wape_market for score in nearest[rank::num_ranks]])
                found["interval_coverage"] = torch.tensor([score.coverage for score in nearest[rank::num_ranks]])
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return the preprocessor with its history, and the counters, as plain values."""
        fitted = self.preprocessor
        state = fitted.trained_state() if self.portable else fitted.state_dict()
        pooled = {} if self.pool is None else self.pool.evidence
        evidence = {name: list(item) for name, item in pooled.items() if item.known or item.season}
        problems = [] if self.portable else list(map(list, self.problems))
        own = {"preprocessor": state, "currency": self.found_currency, "evidence": evidence, "problems": problems}
        return {**super().state_dict(), **own}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the saved scaler, and the saved history unless a file is given."""
        super().load_state_dict(state_dict)
        trained = state_dict["preprocessor"]
        self.found_currency = state_dict.get("currency", "")
        self.problems = tuple(Problem(*item) for item in state_dict.get("problems", ()))
        if self.path is not None:
            fitted = DataPreprocessor.refit(self._read(), trained)
            if new := [name for name in fitted.names if name not in trained["names"]]:
                print_notes([f"{list_names(new)}: new since the training, advised all the same; fit learns from all"])
        elif "products" in trained:
            self._check_currency("the checkpoint's history")
            fitted = DataPreprocessor.from_state_dict(trained)
        else:
            raise UsageError("the checkpoint is portable, it holds no history; name the file with --data.path")
        self.check_products(trained["names"], fitted.names)
        self.preprocessor = self._marked(fitted)
        self.evidence = {}
        if self.trainer is None and (stored := state_dict.get("evidence")):  # a training that goes on finds it again
            known = set(trained["names"])
            groups = {product.product: product.group for product in fitted.products if product.product in known}
            self.evidence = {name: NO_EVIDENCE._replace(group=group) for name, group in groups.items()}
            self.evidence |= {name: Evidence(*item) for name, item in stored.items()}
        self.backtests = None
        self.__dict__.pop("pool", None)
        self.release()

    def check_products(self, trained: Sequence[str], present: Sequence[str] = ()) -> None:
        """Note costs of products that neither training nor file has; refuse limits, or nothing but costs, of such.

        Limits stay of products that were advised on before.
        """
        self.guardrails.check_products({*trained, *present, *self._advised})
        skipped = (problem.product for problem in self.problems)
        print_notes(self.cost.check_products({*trained, *present, *skipped} - {""}, len(present or trained)))

    def mark_own_prices(self, find: Callable[[ProductHistory], BoolArray | None]) -> None:
        """Mark days whose price pricerl set, as ``find`` returns them ``(D_p,)``, in this history and later ones."""
        self._find_own_prices = find
        if "preprocessor" in vars(self):
            self.preprocessor = self._marked(self.preprocessor)

    def know_products(self, advised: set[str]) -> None:
        """Keep limits of products that were ``advised`` on before, and their name if there is one: files change it."""
        self._advised = advised
        self._known_name = next(iter(advised)) if len(advised) == 1 else None
        if "preprocessor" in vars(self) and self._unnamed and self._known_name is not None:
            self.preprocessor = self.preprocessor.renamed(self._known_name)

    def _marked(self, fitted: DataPreprocessor) -> DataPreprocessor:
        return fitted if self._find_own_prices is None else fitted.mark_own_prices(self._find_own_prices)

    def _check_currency(self, source: str) -> None:
        """Raise a ``UsageError`` if the setting contradicts the currency of the file, or of a checkpoint's history."""
        if self.found_currency and self.currency not in ("", self.found_currency):
            own = f"{self.found_currency}, the currency of {source}, or be left out"
            raise UsageError(f"--data.currency: must be {own}, found {self.currency!r}")

    @cached_property
    def _history(self) -> History:
        """The file as it is, read once, whether or not a checkpoint follows."""
        assert self.path is not None
        with stage("reading the history"):
            return read_history(self.path, self.reading)

    def _read(self) -> History:
        if self.path is None:
            return simulated_history(self.seller, self.reading)
        history = self._history
        self.problems = history.problems
        self.found_currency = history.currency
        self._check_currency(str(list_sources(self.path)[0]))
        self._unnamed = history.unnamed
        return history if self._known_name is None or not history.unnamed else history.renamed(self._known_name)


class SimulatedMarkets(PricingDataModule):
    """Many simulated sellers, on whose markets the network that ships is trained; it is scored on `UNSEEN` others."""

    monitor = "served"
    advises = False
    most_trained = MOST_PRODUCTS

    @cached_property
    def unseen(self) -> PricingDataModule:
        """Data of sellers that the policy never sees in training."""
        others = replace(self.seller, products=UNSEEN, seed=self.seller.seed + 1)
        return PricingDataModule(**{**vars(self)["arguments"], "seller": others})

    def score(self, learner: Algorithm, rank: int, num_ranks: int) -> Mapping[str, Tensor]:
        """Compare the policy with the plans of unseen sellers: the gain, and whether it is within `CLOSE` of it."""
        unit = self.reward.resolved().profit_share
        gain = unit * self.unseen.benchmark(learner).compare(learner.policy).advantage[rank::num_ranks]
        return {"over_plan": gain, "served": (gain >= -CLOSE).float()}

    def state_dict(self) -> dict[str, Any]:
        """Return the counters; the sellers are simulated again."""
        return ReplayDataModule.state_dict(self)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the counters."""
        ReplayDataModule.load_state_dict(self, state_dict)
