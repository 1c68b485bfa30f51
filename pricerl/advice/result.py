"""Advice records: plain values shown by the table, the JSON and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from pricerl.arrays import Day, Interval, Share, to_plain
from pricerl.decide.standing import active_of

if TYPE_CHECKING:  # keeps torch out of the commands about orders
    from pricerl.data.price_setting import Kind
    from pricerl.decide.case import PolicyOverPlan
    from pricerl.decide.category import Claim
    from pricerl.decide.decision import Decision
    from pricerl.decide.objections import Objection
    from pricerl.decide.price_path import DayEdit
    from pricerl.decide.standing import (
        AccountPlan,
        Alarm,
        ApprovedChange,
        EndedTest,
        Order,
        PreviousAdvice,
        TrackRecord,
    )
    from pricerl.evaluation.backtest import Backtest
    from pricerl.evaluation.card.evidence_card import CardLine
    from pricerl.evaluation.card.prior_share import PriorPart
    from pricerl.evaluation.price_curves import OwnDays, PriceCurves
    from pricerl.evaluation.pricing_rules import BaselineRow
    from pricerl.evaluation.stock.product import StockOutlook
    from pricerl.evaluation.stop_rule import StopRule
    from pricerl.evaluation.valuation import BreakEven, DailyOutcome, Raising, Uplift
    from pricerl.experiments.plan import PriceTest
    from pricerl.guardrails.limits_in_force import LimitsInForce
    from pricerl.market.cost import Measure
    from pricerl.market.demand.curves import SeasonSource


@dataclass(frozen=True)
class DayAdvice:
    """One row of ``advice.csv``; None is an empty cell."""

    date: Day
    """First day of the row, ISO format."""
    recommended_price: float
    """Money."""
    price_low: float
    """5 % limit of the price over the posterior draws, in money."""
    price_high: float
    """95 % limit, in money."""
    units: Interval | None
    """With predictive limits, which include the daily noise; so have sales and profit."""
    sales: Interval | None
    """Money, with predictive limits."""
    profit: Interval | None
    """Money, with predictive limits; None where costs are unknown."""
    organic: Interval | None
    """Organic conversion, percent; limits over the posterior draws, without daily noise, as for ``ad``."""
    ad: Interval | None
    """Conversion of advertised visits, percent."""
    note: str
    """Remark on the day; usually empty."""
    market_sd: tuple[float, float, float | None] | None = None
    """Posterior sds of expected units, sales and profit: the uncertainty that does not average out over days."""


@dataclass(frozen=True)
class Recommendation:
    """Prices of a decided course with their decision and forecast."""

    recommended_price: float
    """The price after the path's first change, or the current price, in money."""
    settled_price: float
    """Last price of the path that was decided on, in money."""
    decision: Decision
    """Recommendation with its grade."""
    recommended: DailyOutcome | None
    """Outcome of the path, or None if a person ordered a price outside the tried ones."""
    uplift: Uplift | None
    """Of the path over keeping the price, or None if the price is kept or nothing is forecast."""
    days: tuple[DayAdvice, ...]
    """The next days."""
    weighed: Uplift | None = None
    """Of the way to ``settled_price`` over keeping the price, where its uncertainty keeps the price; None otherwise."""


@dataclass(frozen=True)
class ProposedPath:
    """Path proposed by planner or policy (``Decision.proposed_by``), before any gate."""

    prices: tuple[float, ...]
    """Daily prices, in money."""
    outcome: DailyOutcome
    """Outcome of the path."""
    over_keep: Uplift
    """Uplift over keeping the price."""
    policy_over_plan: PolicyOverPlan | None = None
    """Comparison that decided who proposes, or None if only the policy may."""


class CostMeans(NamedTuple):
    """Costs at their means."""

    share_kept: float
    """Share of the price that fees leave."""
    unit_cost: float
    """Money."""


@dataclass(frozen=True)
class MarketFacts:
    """Estimates of the fitted market around the current price."""

    num_draws: int
    """Number of posterior draws behind every interval and probability."""
    measure: Measure
    """Measure of gains in money: profit, or sales if revenue is the objective."""
    elasticity: Interval
    """Price elasticity of demand around the current price: percent of units per percent of price, mostly negative."""
    raising: Raising | None
    """Whether a slightly higher price than the current one earns more, or None if costs are unknown."""
    break_even: BreakEven
    """Cost at which neither a higher nor a lower price than the current one earns more; known without costs, too."""
    costs: str
    """Costs in force, in words."""
    objective: str = ""
    """Name of the objective by which paths are compared, where it is not the measure alone."""
    fixed_known: bool = True
    """Whether the file or the seller determines the fixed cost; otherwise profits are before it."""
    cost_means: CostMeans | None = None
    """None where costs are unknown."""
    price_setting: Kind = "plain"
    """How the prices of the history were set."""
    bias: tuple[float, float] | None = None
    """Prior mean and sd of the bias of the history's elasticity, negative where it looks steeper than it is; None where
    pricerl set all prices."""
    yearly_season: Share | None = None
    """Probability of a yearly season, which forecasts follow as far as it is probable; None where no history shows
    one."""
    season_of: SeasonSource | None = None
    """Whether the product's own history shows that season, or only other products of the seller do."""
    substitution: Substitution | None = None
    """None where no category shows that its products replace each other."""
    next_whole: tuple[float, Share] | None = None
    """Next whole price above the advised one, in money, and the share of the buyers whom it is expected to lose at
    once; None where buyers see all of a price."""


@dataclass(frozen=True)
class Substitution:
    """Buyers who take another product of the category; the gain of a price is the whole category's."""

    category: str
    """Name in the ``Group`` column."""
    share: Interval
    """Share of the buyers whom a higher price loses who take another product of it."""
    data: Share
    """Part of that share's mean which follows from the category's sales; a prior gives the rest."""
    members: Mapping[str, tuple[Share, float]] = field(default_factory=dict)
    """By product of the category: mean share of its lost buyers who take another one, and units per day."""
    together: Interval | None = None
    """Gain of the measure per day of all changes in the category, in money, or None if fewer than two change."""


@dataclass(frozen=True)
class ProposalChecks:
    """Comparisons that test the proposed path and the forecast behind it."""

    baselines: tuple[BaselineRow, ...]
    """Prices of the other rules."""
    backtest: Backtest | None
    """Forecast skill on this product's history, or None if no day could be scored."""
    prior: PriorPart | None = None
    """Part of the prior in the estimate and in the decision; None where the demand model states none."""
    card: tuple[CardLine, ...] = ()
    """Card of evidence."""


@dataclass(frozen=True)
class Details:
    """Data of one product that only the report shows."""

    curves: PriceCurves
    """Outcome per day by price."""
    own_days: OwnDays
    """Recorded days."""
    bounds: LimitsInForce
    """Limits on the next price and on later changes."""
    beyond: str
    """``above`` or ``below``: edge of the tried prices at which profit, or revenue if that is the objective, still
    rises; the best price may be beyond it."""
    price_test: PriceTest | None
    """None unless a test can make clear whether the proposed change pays."""
    objections: tuple[Objection, ...] = ()
    """Objections of guardrails and relations to the prices of the curves."""


PARTS = ("recommendation", "market", "checks")
"""Records whose fields are keys of the product in ``advice.json``."""


@dataclass(frozen=True)
class ProductAdvice:
    """Advice on one product, as all outputs show it."""

    product: str
    """Name of the product."""
    current_price: float
    """Money."""
    recommendation: Recommendation
    """Prices, decision and forecast."""
    reason: str
    """Recommendation and reasons, in sentences."""
    keep: DailyOutcome
    """Outcome of keeping the price over the forecast horizon."""
    proposal: ProposedPath
    """Path of planner or policy."""
    market: MarketFacts
    """Estimates around the current price."""
    checks: ProposalChecks
    """Comparisons with the proposed path."""
    data_quality: dict[str, Any]
    """Report on the data of the product."""
    stop_rule: StopRule | None = None
    """Rule to take the recommended change back, or None if the price is kept or sales are too few."""
    account: AccountPlan | None = None
    """Account of the quarter, or None if this advice opens it."""
    tests: tuple[EndedTest, ...] = ()
    """Price tests that have ended in this quarter."""
    asked_price: float | None = None
    """Proposed price on the first day on which a guardrail changed something, or None if none did."""
    guardrails: tuple[DayEdit, ...] = ()
    """Changes that guardrails made to the proposed prices, in order."""
    orders: tuple[Order, ...] = ()
    """Orders for this product, oldest first, with their status."""
    approved: ApprovedChange | None = None
    """Change of this advice that a person approved, if the approval is in force."""
    alarm: Alarm | None = None
    """Alarm that stopped the model."""
    model: Recommendation | None = None
    """Advice of the model, if a person or the kill switch overruled it."""
    previous: PreviousAdvice | None = None
    """None if this is the first."""
    track_record: TrackRecord | None = None
    """Past predictions compared with outcomes, or None if there are none."""
    stock: StockOutlook | None = None
    """None where no stock is known."""
    lowest_prices: tuple[tuple[str, float], ...] = ()
    """Last day and lowest price, in money, of the last 30 days, then of the days after that one, and so on."""
    details: Details | None = None
    """Data that only the report shows."""
    claim: Claim | None = None
    """Part in the claim of its category, in no file; None where no category shows an effect."""

    @property
    def recommended_price(self) -> float:
        """The price after the first change, or the current price, in money."""
        return self.recommendation.recommended_price

    @property
    def decision(self) -> Decision:
        """Recommendation with its grade."""
        return self.recommendation.decision

    @property
    def uplift(self) -> Uplift | None:
        """Gain over keeping the price, or None if the price is kept or nothing is forecast."""
        return self.recommendation.uplift

    @property
    def days(self) -> tuple[DayAdvice, ...]:
        """The next days."""
        return self.recommendation.days

    @property
    def order(self) -> Order | None:
        """Order in force, if any."""
        return active_of(self.orders)

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values for ``advice.json``, in which the parts are one level with the product."""
        plain: dict[str, Any] = {}
        shown = {name: value for name, value in vars(self).items() if name != "claim"}
        for name, value in shown.items():
            plain |= to_plain(value) if name in PARTS else {name: to_plain(value)}
        return {**plain, "chain": list(self.decision.chain)}
