"""Advice on a catalogue in chunks of its products.

The memory of a worker does not grow with the catalogue; `operations.engine` spreads chunks over workers. A product's
advice does not depend on the chunk that it is in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import chain
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from pricerl.advice.describe import advise
from pricerl.advice.result import ProductAdvice, Substitution
from pricerl.advice.sentences.next_steps import losing_test_words
from pricerl.arrays import grouped, interval_of
from pricerl.data.costs import CostConfig
from pricerl.data.days import read_day, steps_in
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.stock import Stocks
from pricerl.decide.category import join_claims
from pricerl.decide.decision import DecisionConfig
from pricerl.decide.standing import Standing, active_of
from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.errors import PricerlError
from pricerl.evaluation.backtest import Backtest, run_backtests, tested_products
from pricerl.evaluation.pricing_data import PricingData
from pricerl.experiments.plan import remaining_value
from pricerl.formatting import Formatter
from pricerl.guardrails.config import GuardrailConfig
from pricerl.guardrails.relations import AdvisedPrices, Bound, resolve
from pricerl.market.cross_effects import CrossEffect
from pricerl.market.demand.config import DemandConfig
from pricerl.market.demand.pooling import Pool
from pricerl.market.demand.priors import Tabulated
from pricerl.market.fitting import fit_market
from pricerl.market.reward import RewardConfig
from pricerl.operations import shop
from pricerl.operations.engine import CHUNK, Engine
from pricerl.operations.log.decision_log import Entry, by_product
from pricerl.operations.log.provenance import draft_advice
from pricerl.operations.standings import find_standings, find_visitor_tests
from pricerl.planner.dynamic_planner import plan_dynamically
from pricerl.planner.plan_benchmark import PlanBenchmark
from pricerl.planner.rollout import Policy
from pricerl.terminal import shown

if TYPE_CHECKING:
    from pricerl.runs.run import Run

MOST_ROUNDS = 20
"""Most rounds in which relations between products are settled; each makes at least one product keep its price."""


class Advised(NamedTuple):
    """Advice on some products."""

    advice: list[ProductAdvice]
    drafts: list[Entry]
    """Entry of each advice for the decision log; none if they are not to be recorded."""
    backtests: Mapping[str, Backtest]
    notes: tuple[str, ...]
    """One sentence per product without a plan, and per price test to end."""


@dataclass(frozen=True)
class Advisor:
    """Policy, on the CPU, and settings of an advice, the same for all products."""

    policy: Policy
    step_discount: float | None
    """Discount of one decision in the plan that the policy competes with, unless only the policy may propose."""
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
    """Current prices of the products that relations name, in money."""
    today: date | None = None
    """The clock; the first day after each history if absent."""
    stocks: Stocks = field(default_factory=dict)
    run: str = ""
    """Name of the run in commands."""

    @classmethod
    def of(cls, run: Run) -> Advisor:
        """Return the policy and the settings of a run."""
        data = run.pricing
        related = {name for relation in data.guardrails.related for name in relation.products}
        return cls(
            policy=run.policy,
            step_discount=run.module.step_discount if run.configs["decision"].compare_plan else None,
            demand=data.market_config,
            cost=data.cost,
            reward=data.reward,
            guardrails=data.guardrails,
            env=data.env_config,
            decision=run.configs["decision"],
            horizon=run.options.horizon,
            seed=data.seed,
            formatter=run.formatter,
            catalogue=len(data.catalogue or data.preprocessor.products),
            current={name: price for name, price in data.preprocessor.current_prices.items() if name in related},
            today=day_of(run.options.today, data),
            stocks=data.stocks,
            run=run.folder.name,
        )


class Chunk(NamedTuple):
    """Some products of a catalogue, with everything that their advice depends on."""

    advisor: Advisor
    preprocessor: DataPreprocessor
    priors: Sequence[Tabulated | None]
    """Pooled prior of each product."""
    pool: Pool | None
    """Evidence on the elasticities of the whole catalogue, if a product is backtested and there is any."""
    cross: Mapping[str, CrossEffect] = MappingProxyType({})
    """Effects of products on the rest of their categories."""
    entries: Sequence[Entry] = ()
    """Log entries that may concern the products."""
    backtests: Mapping[str, Backtest] | None = None
    """Backtests by product, if they were computed before."""
    tested: frozenset[str] = frozenset()
    """Products to backtest, if that was not done before."""
    origin: Entry | None = None
    """Origin of the decisions for their log entries, if they are recorded."""
    bound: Mapping[str, Bound] = MappingProxyType({})
    """Prices that relations to other products leave."""

    def run(self) -> Advised:
        """Advise on the products, subject to kill switch, orders and track record in the log's entries."""
        advisor = self.advisor
        settings = advisor.demand, advisor.cost, advisor.seed
        backtests = self.backtests
        if backtests is None:
            backtests = run_backtests(self.preprocessor, *settings, self.tested, self.pool)
        market = fit_market(
            self.preprocessor,
            *settings,
            priors=self.priors,
            stocks=advisor.stocks,
            cross=self.cross,
            tests=find_visitor_tests(self.entries),
        )
        dynamics = Dynamics(market, advisor.reward, advisor.guardrails, advisor.env)
        benchmark = None
        if (discount := advisor.step_discount) is not None:
            benchmark = PlanBenchmark(plan_dynamically(dynamics, discount), discount, catalogue=advisor.catalogue)
        standings = find_standings(self.entries, dynamics, advisor.today, self.bound, advisor.formatter.currency)
        advice = advise(
            advisor.policy,
            dynamics,
            advisor.decision,
            advisor.horizon,
            backtests,
            advisor.seed,
            formatter=advisor.formatter,
            benchmark=benchmark,
            standings=standings,
            current=advisor.current,
        )
        notes = [*(() if benchmark is None else benchmark.plan.notes), *self._losing_tests(dynamics, standings)]
        drafts = []
        if self.origin is not None:
            drafts = [draft_advice(item, self.origin, Product(dynamics, row)) for row, item in enumerate(advice)]
        return Advised(advice, drafts, backtests, tuple(notes))

    def _losing_tests(self, dynamics: Dynamics, standings: Mapping[str, Standing]) -> Iterator[str]:
        """Yield a sentence for each running price test whose rest is worth less than nothing."""
        entries = {entry["id"]: entry for entry in self.entries}
        for index, (name, standing) in enumerate(standings.items()):
            order = active_of(standing.orders)
            if order is None or order.kind != "price_test":
                continue
            product = Product(dynamics, index)
            passed = sum(day <= product.history.last_day.isoformat() for day, _ in order.schedule)
            worth = remaining_value(product, entries[order.id], passed, self.advisor.decision) if passed else None
            if worth is not None and worth < 0:
                words = " ".join(losing_test_words(worth, name, self.advisor.run, self.advisor.formatter))
                yield f"the rest of the price test of {shown(name)} {words}"

    def split(self) -> list[Chunk]:
        """Return a chunk per product."""
        rows = range(len(self.preprocessor.names))
        return [self._replace(preprocessor=self.preprocessor.select([row]), priors=[self.priors[row]]) for row in rows]


def split(
    run: Run,
    entries: Sequence[Entry],
    rows: Sequence[int] | None = None,
    origin: Entry | None = None,
) -> Iterator[Chunk]:
    """Split a run's products, or those in some ``rows``, into chunks; the other arguments are as in `Chunk`."""
    advisor = Advisor.of(run)
    data = run.pricing
    tested = tested_products(data.catalogue or data.preprocessor.names)
    own = by_product(entries)
    wanted = range(len(data.preprocessor.names)) if rows is None else rows
    cross = data.cross([data.preprocessor.names[row] for row in wanted])
    groups = [item.group if item.product in cross else "" for item in data.preprocessor.products]
    for part in keep_together(wanted, groups):
        prepared = data.preprocessor.select(part)
        known = sorted(chain(*(own.get(name, ()) for name in (None, *prepared.names))), key=itemgetter("id"))
        yield Chunk(
            advisor,
            prepared,
            priors=data.priors(prepared.names),
            pool=None if tested.isdisjoint(prepared.names) else data.pool,
            cross={name: cross[name] for name in prepared.names if name in cross},
            entries=known,
            tested=tested,
            origin=origin,
        )


def keep_together(rows: Sequence[int], groups: Sequence[str]) -> Iterator[list[int]]:
    """Yield rows in parts of about `CHUNK`, no group apart; ``groups`` has the group of every row, or nothing."""
    part: list[int] = []
    for together in grouped((groups[row] or row, row) for row in rows).values():
        if len(part) + len(together) > CHUNK and part:
            yield part
            part = []
        part += together
    if part:
        yield part


def advise_chunks(chunks: Sequence[Chunk], engine: Engine) -> tuple[list[Advised], dict[str, str]]:
    """Return the advice on products in chunks, and by product the reasons why there is none, so that its price stays.

    Relations between products are kept; only the chunks concerned run again. The first error is raised if it concerns
    the whole catalogue.
    """
    done = _run(chunks, engine)
    bound: dict[str, Bound] = {}
    relations = chunks[0].advisor.guardrails.related if chunks else ()
    for _ in range(MOST_ROUNDS if relations else 0):
        found = resolve(relations, _prices_of(done.values()))
        if not found:
            break
        bound |= found
        again = [
            chunk._replace(bound=bound, backtests=part.backtests, pool=None)
            for chunk, part in done.values()
            if isinstance(part, Advised) and not found.keys().isdisjoint(chunk.preprocessor.names)
        ]
        done |= _run(again, engine)
    parts = [part for _, part in done.values() if isinstance(part, Advised)]
    failed = {name: part for name, (_, part) in done.items() if isinstance(part, Exception)}
    if failed and len(failed) == chunks[0].advisor.catalogue:
        raise next(iter(failed.values()))
    return parts, {name: str(why) if isinstance(why, PricerlError) else repr(why) for name, why in failed.items()}


def join_categories(advice: Sequence[ProductAdvice]) -> Iterator[ProductAdvice]:
    """Yield the advice with what is known of each category as a whole."""
    categories = grouped((found.category, item) for item in advice if (found := item.market.substitution) is not None)
    joined = {name: _join(members) for name, members in categories.items()}
    for item in advice:
        if (found := item.market.substitution) is None:
            yield item
        else:
            whole = replace(joined[found.category], share=found.share)
            yield replace(item, market=replace(item.market, substitution=whole), claim=None)


def _join(category: Sequence[ProductAdvice]) -> Substitution:
    """Return what is known of a category, given the advice on all its products."""
    known = [(item, item.market.substitution, item.claim) for item in category]
    parts = [(item, found, claim) for item, found, claim in known if found is not None and claim is not None]
    claims = [claim for *_, claim in parts]
    earns = all(item.market.measure == "sales" or item.keep.profit is not None for item in category)
    several = sum(bool(claim.gain.any()) for claim in claims) > 1
    return replace(
        parts[0][1],
        members={item.product: (found.share.mean, float(claim.units.mean())) for item, found, claim in parts},
        together=interval_of(join_claims(claims)) if earns and several else None,
    )


def _prices_of(done: Iterable[tuple[Chunk, Advised | Exception]]) -> dict[str, AdvisedPrices]:
    """Return the advised prices by product; products without advice must keep theirs."""
    advised: dict[str, AdvisedPrices] = {}
    for chunk, part in done:
        if isinstance(part, Exception):
            steps = steps_in(chunk.advisor.horizon, chunk.preprocessor.step_days)
            kept = chunk.preprocessor.current_prices.items()
            advised |= {name: AdvisedPrices(price, (price,) * steps, fixed=True) for name, price in kept}
        else:
            advised |= {item.product: _prices_in(item) for item in part.advice}
    return advised


def _prices_in(item: ProductAdvice) -> AdvisedPrices:
    decision = item.decision
    fixed = item.order is not None or decision.follow == "limit" or decision.source in ("limits", "manual")
    return AdvisedPrices(item.current_price, tuple(day.recommended_price for day in item.days), fixed)


def _run(chunks: Sequence[Chunk], engine: Engine) -> dict[str, tuple[Chunk, Advised | Exception]]:
    """Return each chunk with its advice by its first product; one that failed as chunks of one product.

    Some of these have an exception in place of advice.
    """
    done: dict[str, tuple[Chunk, Advised | Exception]] = {}
    for chunk, part in zip(chunks, engine.map(Chunk.run, chunks), strict=True):
        first, *others = chunk.preprocessor.names
        done |= _run(chunk.split(), engine) if others and isinstance(part, Exception) else {first: (chunk, part)}
    return done


def day_of(given: str | None, data: PricingData) -> date:
    """Return the day of ``--today``, else the clock's; a simulated seller's is the first day after their history."""
    if given is not None:
        return read_day(given)
    if data.path is None and data.join is None:
        return max(history.next_day for history in data.preprocessor.products)
    return shop.system_day()
