"""Final check: every day of a product's price path passes the gate."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pricerl.advice.decision import Decision
from pricerl.advice.price_path import PricePath
from pricerl.data.days import RECENT_DAYS
from pricerl.env import Dynamics
from pricerl.guardrails.gate import Gated, pass_gate
from pricerl.guardrails.today import DIGITS, Edit, PriceLog, Today

ROUNDING = 1.01
"""Tolerance between prices rounded in single and in double precision, in price steps."""


@dataclass(frozen=True)
class DayEdit(Edit):
    """Change that a guardrail made to the price of one day."""

    date: str


@dataclass(frozen=True)
class GatedPath:
    """Prices that passed the gate, money, one per day, and the changes that guardrails made."""

    prices: tuple[float, ...]
    asked: float | None
    """Proposed price on the first day on which guardrails changed something, money; None if there is none."""
    edits: tuple[DayEdit, ...]

    def onto(self, path: PricePath) -> PricePath:
        """Return the path with the gated prices, and with limits widened to include them."""
        price = path.price.new_tensor(self.prices)
        return path._replace(price=price, low=path.low.minimum(price), high=path.high.maximum(price))


def gate_path(dynamics: Dynamics, product: int, path: PricePath) -> GatedPath:
    """Pass each day's price through the gate, given the prices of the days before.

    The path already obeys the batched form of the same rules, so its prices usually stay. The gate's edits of the
    proposed price name the rules that changed it.
    """
    today = today_of(dynamics, product)
    log, costs, config = today.log, today.costs, today.config
    edits: list[DayEdit] = []
    asked: float | None = None
    prices: list[float] = []
    last: tuple[Edit, ...] = ()
    for price, proposal in zip(path.price.tolist(), path.asked.tolist(), strict=True):
        gated = pass_gate(price, log.prices[-1], log, costs, config)
        wanted = pass_gate(proposal, log.prices[-1], log, costs, config)
        explained = gated.edits or _explain(wanted, gated, config.price_step)
        if explained and asked is None:
            asked = proposal
        log = log.charge(gated.price)
        if explained != last:
            edits += [_dated(edit, str(log.dates[-1])) for edit in explained]
        last = explained
        prices.append(gated.price)
    return GatedPath(tuple(prices), asked, tuple(edits))


def objections_to(price: float, dynamics: Dynamics, product: int) -> list[str]:
    """Return each guardrail's objection to a price, money, on the next day, with the nearest price that it allows."""
    found = today_of(dynamics, product).objections(price)
    return [f"{edit.rule}: {edit.why} (nearest: {round(edit.after, DIGITS):.10g})" for edit in found]


def confirm(decision: Decision, gated: GatedPath, now: float) -> Decision:
    """Return a decision to keep the price if the gate has undone the whole change, else the same decision."""
    if decision.follow == "hold" or any(price != now for price in gated.prices):
        return decision
    why = gated.edits[-1].why if gated.edits else "the guardrails leave no other price"
    return replace(decision, follow="hold", grade="C", source="hold", lacks_evidence=False, why=why, unsure=False)


def today_of(dynamics: Dynamics, product: int) -> Today:
    """Return the rules around a product's current price, at the end of its history."""
    history, guarded = dynamics.market.preprocessor.products[product], dynamics.guarded[product]
    back = max(RECENT_DAYS, dynamics.days_per_step)
    in_steps = dynamics.config.action == "step"
    log = PriceLog(history.dates[-back:].astype("datetime64[D]"), history.price[-back:], guarded.support, in_steps)
    return Today(float(log.prices[-1]), log, guarded.costs, guarded.config)


def _explain(asked: Gated, passed: Gated, price_step: float) -> tuple[Edit, ...]:
    """Return the edits of the proposed price if they lead to the price that passed, rounding aside."""
    if abs(asked.price - passed.price) > ROUNDING * price_step:
        return ()
    return tuple(edit for edit in asked.edits if edit.rule != "price_step")


def _dated(edit: Edit, date: str) -> DayEdit:
    before = None if edit.before is None else round(edit.before, DIGITS)
    return DayEdit(edit.rule, before, round(edit.after, DIGITS), edit.why, date)
