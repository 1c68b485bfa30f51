"""Send every day of a product's price path through the last gate."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pricerl.advice.decision import Decision
from pricerl.advice.price_path import PricePath
from pricerl.data.days import RECENT_DAYS
from pricerl.env import Dynamics
from pricerl.guardrails.gate import Gated, pass_gate
from pricerl.guardrails.today import DIGITS, Edit, PriceLog, Today

ROUNDING = 1.01
"""Price steps by which single and double precision may round a price apart."""


@dataclass(frozen=True)
class DayEdit(Edit):
    """Change by a guardrail of the price of one day."""

    date: str


@dataclass(frozen=True)
class GatedPath:
    """Prices that may be advised, money, one per day, and the guardrails' changes on the way to them."""

    prices: tuple[float, ...]
    asked: float | None
    """Asked of the guardrails on the first day on which they changed something, money; None if they never did."""
    edits: tuple[DayEdit, ...]

    def onto(self, path: PricePath) -> PricePath:
        """Put the gated prices in the path's place; its limits widen where they must to enclose them."""
        price = path.price.new_tensor(self.prices)
        return path._replace(price=price, low=path.low.minimum(price), high=path.high.maximum(price))


def gate_path(dynamics: Dynamics, product: int, path: PricePath) -> GatedPath:
    """Let each day's price pass the gate in the light of the days before it.

    The path has come through the same rules, batched, so what leaves is what was simulated; the gate's edits of the
    price that was asked for say which rules made it so.

    Args:
        dynamics: the market with its guardrails.
        product: product index.
        path: what the decision lets through.
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
    """List the guardrails that object to a price on the first of the next days, why, and the nearest price each allows.

    Args:
        price: positive, finite, money.
        dynamics: the market with its guardrails.
        product: product index.
    """
    found = today_of(dynamics, product).objections(price)
    return [f"{edit.rule}: {edit.why} (nearest: {round(edit.after, DIGITS):.10g})" for edit in found]


def confirm(decision: Decision, gated: GatedPath, now: float) -> Decision:
    """Turn a change of which the gate left nothing into a decision to keep the price."""
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
    """The edits of the price asked for, if they lead to the one that passed, give or take a rounding.

    That a price is rounded to the price grid is no news.
    """
    if abs(asked.price - passed.price) > ROUNDING * price_step:
        return ()
    return tuple(edit for edit in asked.edits if edit.rule != "price_step")


def _dated(edit: Edit, date: str) -> DayEdit:
    before = None if edit.before is None else round(edit.before, DIGITS)
    return DayEdit(edit.rule, before, round(edit.after, DIGITS), edit.why, date)
