"""Rules of a decision and their settings: follow the proposed path, take one cautious step, or keep the price."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from pricerl.arrays import LOSS_WEIGHT
from pricerl.data.cleaning.quality import LARGEST_ZERO_SHARE, MIN_USABLE_DAYS
from pricerl.errors import check_settings
from pricerl.reasons import Code, Reason

if TYPE_CHECKING:
    from pricerl.data.cleaning.zero_sales import UnlikelyZeros
    from pricerl.data.price_setting import Kind

Grade = Literal["A", "B", "B-", "C", "D"]
"""Grade of the evidence. A: measured in a randomised test of these prices; B: clear and inside tried prices,
but not tested; B-: enough for a cautious step; C: not enough for a change; D: no estimate is possible."""

Reasons = tuple[Reason, ...]

Approval = Literal["auto", "manual", "shadow"]

ProposedBy = Literal["planner", "policy"]
"""Proposer of a path: the learned policy, or the planner where the policy earns less."""

Source = Literal["planner", "policy", "hold", "manual", "limits", "override", "price test"]

FALLBACKS: tuple[Source, ...] = ("hold", "manual")
"""Sources of a price after planner or policy, in order: the current one, a person's."""

SET_BY: Mapping[Kind, Code] = {"repricer": "repricer", "averages": "averages"}
"""Possible causes of a bias of the elasticity."""

LARGEST_STEP = 0.05
"""Largest change of grade B-, as a share of the price: one that was wrong by a whole elasticity costs little."""

SMALLEST_WORTH = 0.005
"""Smallest utility of a change, as a share of a quarter's profit: less is not worth the trouble of a new price."""

FEWEST_SOLD = 10
"""Fewest rows with sales for an estimate: even prices that vary by a third show the elasticity with a standard error
of 1, about the prior's, from nine single sales on."""


@dataclass(frozen=True)
class DecisionConfig:
    """Evidence required to recommend a price change."""

    loss_weight: float = LOSS_WEIGHT
    """How much worse losing 1 is to you than missing a gain of 1, at least 1: the dial between gain and harm, in the
    reward as well. The default is what people's choices show in the median (Tversky and Kahneman 1992)."""

    loss_budget: float = 0.01
    """Largest cost of a price test, exceeded in one of 20 scenarios, as a share of a quarter's profit."""

    min_chance: float = 0.50
    """Smallest share of the posterior draws in which a change earns more; 0 turns the gate off and follows the
    policy."""

    claim_chance: float = 0.95
    """Smallest such share to recommend the whole path (grade B) instead of one step (grade B-)."""

    min_days: int = MIN_USABLE_DAYS
    """Fewest usable rows for a decision: days, or weeks for weekly rows."""

    kill_days: int = 3
    """Consecutive days, or weekly rows, at the advised price with sales below the 5 % limit of their prediction that
    stop the model and, if that pays, return the price to the last good one. 0 turns that off."""

    compare_plan: bool = True
    """Whether prices are also planned, and the plan proposes where the policy is behind; else the policy proposes."""

    policy_margin: float = 0.003
    """Share of the profit by which a proposal may fall short, with two standard errors, and still be followed: the
    policy's of the plan, and either of the best constant price."""

    approval: Approval | None = None
    """Publishing of advised prices in ``prices.csv``: at once, within the limits (auto), after a person's approval
    (manual), or never, while the track record compares them with those charged (shadow). Orders are published. As in
    the shop so far if absent, and auto in a new one; another value changes the shop's."""

    def __post_init__(self) -> None:
        shares = ("min_chance", "claim_chance", "loss_budget", "policy_margin")
        rules = {
            **{name: (0 <= getattr(self, name) <= 1, "lie between 0 and 1") for name in shares},
            "loss_weight": (1 <= self.loss_weight < math.inf, "be a number of at least 1"),
            "min_days": (self.min_days >= 1, "be at least 1"),
            "kill_days": (self.kill_days >= 0, "be 0 (off) or more"),
        }
        check_settings("decision.", self, rules)


class Limits(NamedTuple):
    """Room that the guardrails leave around the current price."""

    feasible: bool
    """Whether they allow any price, now or on a later day; False if they exclude each other."""
    keep_allowed: bool
    """Whether the limits allow the current price."""
    movable: bool
    """Whether they allow a price other than the current one."""
    nearest: float
    """The price inside the hard limits that is nearest to the current one, in money; several steps may lead there."""
    wait: int
    """Days until the minimum hold of the last change is over."""


@dataclass(frozen=True)
class Evidence:
    """Evidence on the change proposed for one product, in the order of the rules that use it."""

    proposed_by: ProposedBy
    aimed_by: ProposedBy
    """Source of the path: the proposer, or the planner for the quarter."""
    objective: str
    """Name of the objective where it is not profit or revenue alone; else empty."""
    target: float
    """Last price of the path, in money."""
    paused: bool
    limits: Limits
    hold_lasts: bool
    """Whether the minimum hold of the last change outlasts the horizon."""
    failed: bool
    """Whether the policy returned NaN or infinity, and nobody else proposes."""
    familiar: bool
    """Whether the current price is near those the policy was trained on."""
    distinct_prices: int
    usable_days: int
    """Usable days, or weeks for weekly rows."""
    sold_days: int
    """Usable days, or weeks, with sales."""
    entangled_with: str
    """Observed cause too collinear with the price to separate their effects; empty if there is none."""
    unlikely_zeros: UnlikelyZeros | None
    costs_known: bool
    """Whether the measure of a gain is known: costs, unless revenue is the objective."""
    price_doubt: Reason | None
    """How the last row's price differs from the current one; None once the seller has confirmed one."""
    measured: Literal["", "better", "worse"]
    """Result of a decided price test: the path leads to the better price of the pair, or towards the worse one, or
    stays at the better one; empty without such a test."""
    tested: bool
    """Whether a test made elsewhere proves how buyers respond between the current price and all of the path."""
    prior_alone: bool
    """Whether the history adds almost nothing to the prior of the elasticity."""
    proposes_change: bool
    probability_better: float
    """Share of posterior draws in which the path earns more than keeping the price."""
    inside_tried_prices: bool
    set_by: Reasons
    """Cause of a bias of the elasticity; empty if there is none."""
    rule_known: bool
    """Whether it is a rule that the history proves, so that the estimate is corrected for it."""
    suspect: bool
    """Whether that cause is so strong that even a step must be as probable to gain as a claim."""
    doubt: Reason | None
    """Finding of the card of evidence that lowers the grade by a step."""
    is_step: bool
    """Whether the path is one change of at most `LARGEST_STEP`, or none."""
    utility: float
    """Expected utility of the path over keeping the price, as a share of what a quarter earns; losses weigh more."""
    leads_back: bool
    """Whether it leads back towards the price at which the quarter's account began."""
    clears_by: str = ""
    """Day by which a person clears the stock along the path, ISO format, whatever the gain; empty without one."""


@dataclass(frozen=True)
class Decision:
    """Recommendation with its grade."""

    follow: Literal["path", "step", "limit", "hold"]
    """Whole path, as much of it as the evidence allows, the nearest allowed price, or the current one."""
    grade: Grade
    """Grade of the evidence."""
    source: Source
    """Source of the price."""
    lacks_evidence: bool
    """Whether the price is kept because evidence is missing, not because it is good."""
    reasons: Reasons
    """The rule that decided, and what else counts."""
    unsure: bool = False
    """Whether the uncertainty of the gain is the only objection to the change."""
    gated: bool = True
    """Whether the gain of a change must pass the gate; if not, the reason states the cost of the policy."""
    proposed_by: ProposedBy = "policy"
    """Proposer of the path that was decided on."""
    why: str = ""
    """The reasons as a clause, after which sentences may follow; empty until the advice is described."""

    @property
    def chain(self) -> tuple[Source, ...]:
        """The proposer and its fallbacks up to the one that decided; limits and overrides are not fallbacks."""
        if self.source not in FALLBACKS:
            return (self.source,)
        return (self.proposed_by, *FALLBACKS[: FALLBACKS.index(self.source) + 1])


def decide(evidence: Evidence, config: DecisionConfig) -> Decision:
    """Return the decision of the first rule that applies. A hold never keeps a price that the limits forbid."""
    rules = (
        (evidence.paused, keep_price(Reason("paused"))),
        (not evidence.limits.feasible, replace(_hold("D", Reason("no_price_allowed")), source="manual")),
        (evidence.hold_lasts, keep_price(Reason("hold_outlasts"))),
        (not evidence.limits.movable, keep_price(Reason("no_other_price"))),
    )
    config = replace(config, min_chance=0.0) if evidence.clears_by else config
    decision = next((found for applies, found in rules if applies), None) or _weigh_inside(evidence, config)
    return replace(decision, proposed_by=evidence.proposed_by)


def _weigh_inside(evidence: Evidence, config: DecisionConfig) -> Decision:
    """Apply the rules on evidence, and then the limits to a hold."""
    decision = _weigh(evidence, config)
    if decision.follow != "hold" or evidence.limits.keep_allowed:
        return decision
    reasons = (Reason("keep_not_allowed"), *(decision.reasons if evidence.failed else ()))
    return Decision("limit", "C", "limits", False, reasons)


def _weigh(evidence: Evidence, config: DecisionConfig) -> Decision:
    """Apply the rules on evidence in their order: what is missing, what decides alone, then the gain if gated."""
    gated = config.min_chance > 0
    if evidence.failed:
        return replace(_hold("D", Reason("policy_failed")), source="manual")
    if missing := _missing(evidence, config):
        return _hold("D", missing)
    if gated and (settled := _settle(evidence)) is not None:
        return settled
    by = evidence.aimed_by
    tested = (Reason("tested"),) if evidence.tested else ()
    if not evidence.proposes_change:
        return Decision("hold", "C", by, False, (Reason("no_better_price", {"by": by}),), gated=gated)
    known = not evidence.set_by or evidence.rule_known
    unbiased = evidence.tested or (known and not evidence.price_doubt and evidence.inside_tried_prices)
    clear = unbiased and evidence.probability_better >= max(config.claim_chance, config.min_chance)
    claimed = clear and not evidence.doubt
    if not gated:
        why = Reason("clears", {"until": evidence.clears_by}) if evidence.clears_by else Reason("unchecked")
        return Decision("path", "B" if claimed else "C", by, False, (why,), gated=gated)
    if claimed:
        return Decision("path", "A" if tested else "B", by, False, tested or (Reason("untested"),))
    objections: Sequence[Reasons] = (
        () if evidence.is_step else (Reason("too_far"),),
        _object_to_gain(evidence, config),
        () if clear or evidence.doubt is None else (evidence.doubt,),
    )
    if objection := next(filter(None, objections), ()):
        return replace(_hold("C", *objection), unsure=True)
    return Decision("step", "B-", by, False, (Reason("one_step_back" if evidence.leads_back else "one_step"), *tested))


def _missing(evidence: Evidence, config: DecisionConfig) -> Reason | None:
    """Return why nothing can be estimated, or None if something can."""
    few_days = Reason("too_few_days", {"usable": evidence.usable_days, "needed": config.min_days})
    few_sold = Reason("too_few_sold", {"sold": evidence.sold_days, "needed": FEWEST_SOLD})
    gated = config.min_chance > 0
    zeros = evidence.unlikely_zeros
    rules = (
        (evidence.aimed_by == "policy" and not evidence.familiar, Reason("unfamiliar_price")),
        (evidence.distinct_prices < 2, Reason("one_price")),
        (evidence.usable_days < config.min_days, few_days),
        (evidence.sold_days < FEWEST_SOLD, few_sold),
        (gated and evidence.entangled_with, Reason("entangled", {"cause": evidence.entangled_with})),
        (gated and zeros and zeros.share > LARGEST_ZERO_SHARE, zeros and zeros.reason),
    )
    return next((reason for applies, reason in rules if applies), None)


def _settle(evidence: Evidence) -> Decision | None:
    """Return the decision that the gain cannot change: costs, current price, a price test, or the prior alone."""
    if not evidence.costs_known:
        return _hold("C", Reason("costs_unknown"), *evidence.set_by)
    if evidence.price_doubt:
        return keep_price(evidence.price_doubt, Reason("confirm_price"))
    if evidence.measured == "better":
        return Decision("path", "A", evidence.aimed_by, False, (Reason("measured_better"),))
    if evidence.measured:
        return Decision("hold", "A", "hold", False, (Reason("measured_worse"),))
    return _hold("D", Reason("prior_alone")) if evidence.prior_alone else None


def _object_to_gain(evidence: Evidence, config: DecisionConfig) -> Reasons:
    """Return why the gain of even one careful step is too uncertain; empty if it is not."""
    needed = max(config.min_chance, config.claim_chance) if evidence.suspect else config.min_chance
    price = evidence.target
    if evidence.probability_better < needed:
        percent = math.floor(100 * evidence.probability_better)
        doubt = Reason(
            "chance_too_low",
            {"price": price, "percent": percent, "needed": needed, "objective": evidence.objective},
        )
        return (*evidence.set_by, doubt)
    if evidence.utility <= SMALLEST_WORTH:
        return (Reason("not_worth_risk", {"price": price, "loss_weight": config.loss_weight}),)
    return ()


def keep_price(*reasons: Reason) -> Decision:
    """Return the decision to keep the price although no evidence is missing."""
    return Decision("hold", "C", "hold", False, reasons)


def _hold(grade: Grade, *reasons: Reason) -> Decision:
    return Decision("hold", grade, "hold", True, reasons)
