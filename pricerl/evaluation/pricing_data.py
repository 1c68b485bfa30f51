"""A seller's data: history, fitted market and plan, with the settings of all three."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import torch

from pricerl.arrays import BoolArray
from pricerl.data.cleaning.rows import Rows
from pricerl.data.config import DataConfig
from pricerl.data.costs import CostConfig
from pricerl.data.features import FEATURES
from pricerl.data.history import History, ProductHistory
from pricerl.data.naming import list_sources
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading.problems import Problem, list_names
from pricerl.data.reading.reader import read_rows
from pricerl.data.row_table import TABLES
from pricerl.data.stock import Stocks
from pricerl.env.config import EnvConfig
from pricerl.env.description import DESCRIPTION, PLACES
from pricerl.env.dynamics import Dynamics
from pricerl.env.stock.shelf import check_stocked
from pricerl.errors import PROBLEMS, DataError, UsageError
from pricerl.evaluation.backtest import draw_products
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.cross_effects import CrossEffect, find_cross_effects
from pricerl.market.demand.config import DemandConfig
from pricerl.market.demand.pooling import NO_EVIDENCE, Evidence, Pool
from pricerl.market.demand.priors import Tabulated
from pricerl.market.fitting import Spread, find_pool, fit_market
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig
from pricerl.market.visitor_tests import VisitorTest
from pricerl.planner.dynamic_planner import DynamicPlan, plan_dynamically
from pricerl.planner.plan_benchmark import PlanBenchmark
from pricerl.progress import stage
from pricerl.shop.files import hash_files
from pricerl.simulation.seller import SellerConfig, simulated_history
from pricerl.terminal import print_notes

NO_ADVICE = "no new advice: "
"""Beginning of the problem of a product for which a computation failed."""


class PricingData:
    """History of a seller's file, the market fitted to it, and the plan in that market, each made at first use.

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
        seed: seed of the posterior draws, the env and the sampling.
    """

    most_trained = 200
    """Most products that the policy is trained and scored on; it prices the others by their description."""
    device = torch.device("cpu")
    advises = True
    catalogue: Collection[str] = ()
    """Names of all products of the shop and the file; without any, the history's."""
    concerned: Collection[str] | None = None
    """Products about which something is new, or None for all."""
    visitor_tests: Mapping[str, Sequence[VisitorTest]] = MappingProxyType({})
    """Tests of prices that the shop made elsewhere, by product."""
    known_problems: Sequence[Problem] = ()
    """Problems of the files that were read for the newest advice, which stay as long as no file is read."""

    _plan: DynamicPlan | None = None
    _benchmark: PlanBenchmark | None = None
    problems: tuple[Problem, ...] = ()
    """Problems of products that were skipped and of days that are unknown for their rows."""
    engine: Any = None
    spread: Spread = map
    """Engine of the command, if there is one, and its function that makes the calls of fits."""
    found_currency = ""
    """Currency that the file names, if it does."""
    hashes: Mapping[str, str] = {}
    """Hash by file, from before it was read."""
    known_products: Collection[str] = ()
    """Products of the shop, whose limits are no mistake although neither training nor file has them."""
    find_own_prices: Callable[[ProductHistory], BoolArray | None] | None = None
    rename: Callable[[Rows], Rows] | None = None
    find_news: Callable[[Rows], Rows] | None = None
    join: Callable[[Rows | None], Rows] | None = None
    """Of a shop: its own days ``(D_p,)`` of a history, and a file's rows renamed, if new, and with earlier days."""

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
        seed: int = 0,
    ) -> None:
        self.seed = seed
        self.path = path[0] if isinstance(path, list) and len(path) == 1 else path
        self.reading = reading
        self.seller = seller
        self.market_config = market
        self.cost = cost
        self.stocks: Stocks = TABLES["stock"].group("data.stock", stock)
        self._stock = stock
        if self.stocks:
            check_stocked(reward.resolved(), guardrails.min_hold_days)
        self.reward = reward
        self.guardrails = guardrails
        self.currency = currency
        self.env_config = env
        self.evidence: dict[str, Evidence] = {}
        """Evidence on the elasticities of the products trained on, by name; empty while they are trained on."""
        self.failed: set[str] = set()
        """Products that have no market or no advice, as a computation failed."""

    @property
    def layout(self) -> str:
        """Columns of an observation, for actions that are steps; empty for others, and without a description."""
        known = self.env_config.describe and self.env_config.action == "step"
        return json.dumps((FEATURES, DESCRIPTION, PLACES, self.reading.window)) if known else ""

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
        return self.market if len(rows) == len(self.preprocessor.names) else self.fit(self.preprocessor.select(rows))

    def fit(self, prepared: DataPreprocessor) -> Market:
        """Fit the market of some of the products; those for which that fails are left out, unless all are."""
        count = len(self.preprocessor.names)
        part = "" if len(prepared.names) == count else f" of {len(prepared.names):,} of {count:,} products"
        with stage(f"fitting the market{part}"):
            settings = self.market_config, self.cost, self.seed
            market = fit_market(
                prepared,
                *settings,
                priors=self.priors(prepared.names),
                stocks=self.stocks,
                spread=self.spread,
                cross=self.cross(prepared.names),
                tests=self.visitor_tests,
            )
        if lost := {*prepared.names} - {*market.preprocessor.names}:
            self.leave_out(dict.fromkeys(lost, "its market cannot be fitted"))
            rows = [row for row, name in enumerate(self.preprocessor.names) if name not in lost]
            self.preprocessor = self.preprocessor.select(rows)
            self.release()
        return market

    def release(self) -> None:
        """Free the fitted markets and all that training made of them."""
        for name in ("market", "sample", "dynamics"):
            self.__dict__.pop(name, None)
        self._plan = self._benchmark = None

    def leave_out(self, failed: Mapping[str, str]) -> None:
        """Go on without products for which a computation failed, given with the reason, and say so once."""
        new = sorted(failed.keys() - self.failed)
        self.failed.update(new)
        self.problems += tuple(Problem(0, "", f"{NO_ADVICE}{failed[name]}", name) for name in new)
        if new:
            print_notes([f"{list_names(new)}: no new advice; {PROBLEMS} has the reasons"])

    @cached_property
    def pool(self) -> Pool | None:
        """Evidence on the elasticities of the catalogue, which training found."""
        return find_pool(self.preprocessor.products, self.market_config, self.evidence, self.spread)

    def priors(self, names: Sequence[str]) -> list[Tabulated | None]:
        """Return the pooled priors of some products, None where there is none."""
        return [None if self.pool is None else self.pool.prior(name) for name in names]

    def cross(self, names: Collection[str]) -> dict[str, CrossEffect]:
        """Return the effects of some products on the rest of their categories, where a category shows one."""
        products = self.preprocessor.products
        new = {item.group for item in products if item.product in names and item.product not in self._cross}
        if members := [item for item in products if item.group in new]:
            settings = self.market_config, self.cost, self.reward.resolved().measure
            found = find_cross_effects(members, *settings, self.spread)
            self._cross.update({item.product: found.get(item.product) for item in members})
        return {name: effect for name in names if (effect := self._cross.get(name)) is not None}

    @cached_property
    def _cross(self) -> dict[str, CrossEffect | None]:
        """Effects of the products that were asked for, and of the rest of their categories."""
        return {}

    @cached_property
    def dynamics(self) -> Dynamics:
        """The sample's market with reward and guardrails, on the device."""
        return self.build_dynamics(self.sample.to(self.device))

    def build_dynamics(self, market: Market) -> Dynamics:
        """Return a market with reward and guardrails."""
        return Dynamics(market, self.reward, self.guardrails, self.env_config)

    def plan(self, step_discount: float) -> DynamicPlan:
        """Return the plan of the products trained on, for the discount of one decision, solved once."""
        if self._plan is None:
            dynamics = self.dynamics  # fitting is a stage of its own
            with stage("planning the prices"):
                self._plan = plan_dynamically(dynamics, step_discount)
        return self._plan

    def benchmark(self, step_discount: float, share: tuple[int, int] = (0, 1)) -> PlanBenchmark:
        """Return the plan with its rewards, or a share of them, for the discount of one decision."""
        if self._benchmark is None or self._benchmark.share != share:
            self._benchmark = PlanBenchmark(self.plan(step_discount), step_discount, share)
        return self._benchmark

    @property
    def settings(self) -> dict[str, Any]:
        """Arguments of the constructor by name, without file and seed."""
        return {
            "reading": self.reading,
            "seller": self.seller,
            "market": self.market_config,
            "cost": self.cost,
            "stock": self._stock,
            "reward": self.reward,
            "guardrails": self.guardrails,
            "env": self.env_config,
            "currency": self.currency,
        }

    def stored(self) -> dict[str, Any]:
        """Return what a checkpoint keeps as plain values: the preprocessor with its history, and the evidence."""
        pooled = {} if self.pool is None else self.pool.evidence
        evidence = {name: list(item) for name, item in pooled.items() if item.known or item.season or item.endings}
        own: dict[str, Any] = {"preprocessor": self.preprocessor.state_dict(), "currency": self.found_currency}
        return {**own, "evidence": evidence, "problems": [list(problem) for problem in self.problems]}

    def restore(self, stored: Mapping[str, Any], keep_evidence: bool = True) -> None:
        """Take over what `stored` returned: scaler, perhaps evidence, and the history unless a file is given."""
        trained = stored["preprocessor"]
        self.found_currency = stored["currency"]
        self.problems = tuple(Problem(*item) for item in stored["problems"])
        if self.path is not None or self.join is not None:
            fitted = DataPreprocessor.refit(self._read(), trained)
            if new := [name for name in fitted.names if name not in trained["names"]]:
                print_notes([f"{list_names(new)}: new since the training, advised all the same; fit learns from all"])
        else:
            self._check_currency("the checkpoint's history")
            fitted = DataPreprocessor.from_state_dict(trained)
        self.check_products(trained["names"], fitted)
        self.preprocessor = self._marked(fitted)
        self.evidence = {}
        if keep_evidence and (kept := stored.get("evidence")):
            known = set(trained["names"])
            self.evidence = {
                item.product: NO_EVIDENCE._replace(group=item.group)
                for item in fitted.products
                if item.product in known
            }
            self.evidence |= {name: Evidence(*item) for name, item in kept.items()}
        for name in ("pool", "_cross"):
            self.__dict__.pop(name, None)
        self.release()

    def check_products(self, trained: Sequence[str], fitted: DataPreprocessor) -> None:
        """Note costs of products that neither training nor file has; refuse limits, or nothing but costs, of such.

        Limits stay of products that the shop knows.
        """
        self.guardrails.check_products({*trained, *fitted.names, *self.known_products})
        known = {*trained, *fitted.names, *self.catalogue, *(problem.product for problem in self.problems)}
        known |= {product.group for product in fitted.products}
        print_notes(self.cost.check_products(known - {""}, len(self.catalogue or fitted.names)))

    def _marked(self, fitted: DataPreprocessor) -> DataPreprocessor:
        return fitted if self.find_own_prices is None else fitted.mark_own_prices(self.find_own_prices)

    def _check_currency(self, source: str) -> None:
        """Raise a ``UsageError`` if the setting contradicts the currency of the file, or of a checkpoint's history."""
        if self.found_currency and self.currency not in ("", self.found_currency):
            own = f"{self.found_currency}, the currency of {source}, or be left out"
            raise UsageError(f"--data.currency: must be {own}, found {self.currency!r}")

    @cached_property
    def file(self) -> Rows | None:
        """Rows of the file if there is one, read once, whether or not a checkpoint follows."""
        if self.path is None:
            return None
        self.hashes = hash_files(list_sources(self.path))
        rows = read_rows(self.path, self.reading)
        if rows.far_above is not None and self.guardrails.max_above_median is None:
            platform, share = rows.far_above
            self.guardrails = replace(self.guardrails, max_above_median=share)
            limit = f"at most {100 * share:.0f} % above the median of 28 days (data.guardrails.max_above_median)"
            print_notes([f"{platform} may hide an offer far above its recent prices, so advice stays {limit}"])
        return rows

    @cached_property
    def fresh(self) -> Rows | None:
        """Rows of the file, under the names that the shop has for their products."""
        return self.file if self.file is None or self.rename is None else self.rename(self.file)

    @property
    def unread(self) -> Rows | None:
        """Rows of the file that the shop has not read as they are."""
        rows = self.fresh
        return rows if rows is None or self.find_news is None else self.find_news(rows)

    @cached_property
    def _history(self) -> History:
        """The days of the file, and those that the shop has read before."""
        with stage("reading the history"):
            rows = self.fresh if self.join is None else self.join(self.fresh)
            assert rows is not None
            try:
                return rows.clean()
            except DataError as error:
                raise error.among(list_sources(self.path)) from None

    def _read(self) -> History:
        if self.path is None and self.join is None:
            return simulated_history(self.seller, self.reading)
        history = self._history
        kept = () if self.path else (item for item in self.known_problems if not item.text.startswith(NO_ADVICE))
        self.problems = tuple(sorted({*history.problems, *kept}))
        self.found_currency = history.currency
        self._check_currency(history.source)
        return history
