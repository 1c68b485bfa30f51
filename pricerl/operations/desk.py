"""Desk: the advice on some products of a catalogue, without files and without the catalogue's other products.

A catalogue is advised in chunks, so that the memory of a process does not grow with it; `operations.processes` spreads
chunks over processes. A product's advice does not depend on the chunk that it is in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from pricerl.advice import ProductAdvice, advise
from pricerl.data import DataPreprocessor, ProductHistory
from pricerl.decide import DecisionConfig
from pricerl.env import Dynamics, EnvConfig, Product
from pricerl.evaluation import Backtest, Policy, Yardstick, plan_dynamically
from pricerl.evaluation.backtest import run_backtests
from pricerl.formatting import Formatter
from pricerl.guardrails import GuardrailConfig
from pricerl.guardrails.relations import Bound, Wish, resolve
from pricerl.market import CostConfig, DemandConfig, Market, RewardConfig, fit_market
from pricerl.market.demand.config import DemandSettings
from pricerl.market.demand.pooling import Evidence, Pool, find_evidence
from pricerl.market.fitting import pools
from pricerl.operations.decision_log import Entry
from pricerl.operations.processes import Workers
from pricerl.operations.provenance import draft_advice
from pricerl.operations.shop import day_of
from pricerl.operations.standings import find_standings

if TYPE_CHECKING:
    from pricerl.training.run import Run

CHUNK = 25
"""Products advised together: some 60 MB of markets and plans."""


class Advised(NamedTuple):
    """Advice on some products."""

    advice: list[ProductAdvice]
    drafts: list[Entry]
    """Entry of each advice for the decision log; none if they are not to be recorded."""
    backtests: Mapping[str, Backtest]
    notes: tuple[str, ...]
    """One sentence per product without a plan."""


@dataclass(frozen=True)
class Desk:
    """Policy and settings of an advice, the same for all products."""

    policy: Policy
    """Deterministic policy on the CPU."""
    step_discount: float | None
    """Discount of one decision in the plan that the policy competes with; None if only the policy may propose."""
    demand: DemandConfig
    cost: CostConfig
    reward: RewardConfig
    guardrails: GuardrailConfig
    env: EnvConfig
    """Settings of the episodes, complete."""
    decision: DecisionConfig
    horizon: int
    """Days."""
    seed: int
    formatter: Formatter
    catalogue: int
    """Number of products of the whole catalogue."""
    current: Mapping[str, float] = field(default_factory=dict)
    """Current prices of the products that relations name, money."""
    today: date | None = None
    """The clock; the first day after each history if absent."""

    @classmethod
    def of(cls, run: Run) -> Desk:
        """Return the desk of a run."""
        data = run.pricing
        related = {name for relation in data.guardrails.related for name in relation.products}
        return cls(
            policy=run.policy,
            step_discount=run.module.step_discount if run.module.warm_start == "planner" else None,
            demand=data.market_config,
            cost=data.cost,
            reward=data.reward,
            guardrails=data.guardrails,
            env=data.env_config,
            decision=run.configs["decision"],
            horizon=run.options.horizon,
            seed=data.seed,
            formatter=run.formatter,
            catalogue=len(data.preprocessor.products),
            current={name: price for name, price in data.preprocessor.current_prices.items() if name in related},
            today=day_of(run.options.today, data),
        )

    def dynamics(
        self, preprocessor: DataPreprocessor, pool: Pool | None = None, market: Market | None = None
    ) -> Dynamics:
        """Return the market of some products with reward and guardrails, fitted unless it is given."""
        if market is None:
            priors = [None if pool is None else pool.prior(name) for name in preprocessor.names]
            market = fit_market(preprocessor, self.demand, self.cost, self.seed, priors=priors)
        return Dynamics(market, self.reward, self.guardrails, self.env)

    def advise(
        self,
        dynamics: Dynamics,
        entries: Sequence[Entry] = (),
        backtests: Mapping[str, Backtest] = MappingProxyType({}),
        yardstick: Yardstick | None = None,
        bound: Mapping[str, Bound] = MappingProxyType({}),
    ) -> Advised:
        """Advise on the products of a market, subject to kill switch, orders and track record in a log's entries.

        The plan that the policy competes with is made here unless its ``yardstick`` is given. Products that are
        ``bound`` by relations to others get those prices.
        """
        if self.step_discount is not None and yardstick is None:
            plan = plan_dynamically(dynamics, self.step_discount)
            yardstick = Yardstick(plan, self.step_discount, catalogue=self.catalogue)
        standings = find_standings(entries, dynamics, self.today, bound, self.formatter.currency)
        settings = self.decision, self.horizon, backtests, self.seed, None, self.formatter, yardstick
        advice = advise(self.policy, dynamics, *settings, standings, self.current)
        return Advised(advice, [], backtests, () if yardstick is None else yardstick.plan.notes)


class Chunk(NamedTuple):
    """Some products of a catalogue, with everything that their advice depends on."""

    desk: Desk
    preprocessor: DataPreprocessor
    pool: Pool | None
    """Evidence on the elasticities of the whole catalogue; None without a pooled prior."""
    market: Market | None
    """The market, if it is fitted already."""
    yardstick: Yardstick | None
    """Plan in the market of all products, if it is made already and these are all."""
    entries: Sequence[Entry]
    """Log entries that may concern the products."""
    backtests: Mapping[str, Backtest] | None
    """Backtests by product, if they are known."""
    tested: frozenset[str]
    """Products to backtest, if that was not done before."""
    origin: Entry | None
    """Origin of the decisions for their log entries; None if they are not recorded."""
    bound: Mapping[str, Bound] | None = None
    """Prices that relations to other products leave."""

    def run(self) -> Advised:
        """Advise on the products."""
        desk, prepared = self.desk, self.preprocessor
        backtests = self.backtests
        if backtests is None:
            settings = desk.demand, desk.cost, desk.seed
            rows = self.tested, desk.catalogue, self.pool
            backtests = run_backtests(prepared, *settings, *rows)
        dynamics = (
            desk.dynamics(prepared, self.pool, self.market) if self.yardstick is None else self.yardstick.dynamics
        )
        advised = desk.advise(dynamics, self.entries, backtests, self.yardstick, self.bound or {})
        if self.origin is None:
            return advised
        items = enumerate(advised.advice)
        drafts = [draft_advice(item, self.origin, Product(dynamics, index)) for index, item in items]
        return advised._replace(drafts=drafts)


def gather_pool(
    products: Sequence[ProductHistory], demand: DemandConfig, known: Mapping[str, Evidence], workers: Workers
) -> Pool | None:
    """Return the same as `find_pool`, from several processes."""
    if not pools(len({*known, *(product.product for product in products)}), demand):
        return None
    settings = demand.resolved()
    groups = [products[first : first + CHUNK] for first in range(0, len(products), CHUNK)]
    parts = workers.map(partial(_gather, settings=settings), groups)
    return Pool({**known, **{name: item for part in parts for name, item in part.items()}}, settings)


def _gather(products: Sequence[ProductHistory], settings: DemandSettings) -> dict[str, Evidence]:
    return {product.product: find_evidence(product, settings) for product in products}


def split(
    run: Run,
    pool: Pool | None,
    entries: Sequence[Entry],
    backtests: Mapping[str, Backtest] | None,
    tested: frozenset[str],
    most: int | None = None,
    origin: Entry | None = None,
) -> Iterator[Chunk]:
    """Split a run's products, or the first ``most`` of them, into chunks; the other arguments are those of `Chunk`."""
    desk, data = Desk.of(run), run.pricing
    count, fitted, yardstick = len(data.preprocessor.products), "market" in vars(data), None
    wanted = count if most is None else min(most, count)
    if fitted and wanted == count <= CHUNK and desk.step_discount is not None:
        yardstick = data.yardstick(run.module, dynamics=data.dynamics_on_cpu)
    for first in range(0, wanted, CHUNK):
        rows = range(first, min(first + CHUNK, wanted))
        prepared = data.preprocessor.select(rows)
        names = set(prepared.names)
        known = [entry for entry in entries if entry.get("product") is None or entry["product"] in names]
        market = data.market.select(rows).to("cpu") if fitted else None
        scores = None if backtests is None else {name: backtests[name] for name in prepared.names if name in backtests}
        yield Chunk(desk, prepared, pool, market, yardstick, known, scores, tested, origin)


MOST_ROUNDS = 20
"""Most rounds in which relations between products are settled; each makes at least one product keep its price."""


def relate(chunks: Sequence[Chunk], parts: Sequence[Advised], workers: Workers) -> list[Advised]:
    """Return the advice of all chunks with relations between products kept; only the chunks concerned run again."""
    parts = list(parts)
    bound: dict[str, Bound] = {}
    relations = chunks[0].desk.guardrails.related if chunks else ()
    for _ in range(MOST_ROUNDS if relations else 0):
        found = resolve(relations, {item.product: _wish(item) for part in parts for item in part.advice})
        if not found:
            break
        bound |= found
        rows = [row for row, part in enumerate(parts) if any(item.product in found for item in part.advice)]
        again = [chunks[row]._replace(bound=bound, backtests=parts[row].backtests) for row in rows]
        for row, part in zip(rows, workers.map(Chunk.run, again), strict=True):
            parts[row] = part
    return parts


def _wish(item: ProductAdvice) -> Wish:
    """Return the prices advised for a product; those that a person ordered or a hard limit forces are fixed."""
    fixed = item.order is not None or item.decision.follow == "limit" or item.decision.source in ("limits", "manual")
    return Wish(item.current_price, tuple(day.recommended_price for day in item.days), fixed)
