"""Final checks: every day's price passes the gate, and no change is published that would not pay."""

from __future__ import annotations

from dataclasses import replace

from pricerl.decide.case import Case, Course
from pricerl.decide.decision import KEEP_NOT_ALLOWED, Decision
from pricerl.decide.price_path import DayEdit, GatedPath, PricePath, approach_path
from pricerl.env.product import Product
from pricerl.evaluation.valuation import PathValue
from pricerl.guardrails.gate import Gated, pass_gate
from pricerl.guardrails.hard_limits import refuse_price
from pricerl.guardrails.today import DIGITS, Edit

ROUNDING = 1.01
"""Tolerance between prices rounded in single and in double precision, in price steps."""

NOT_WORTH_IT = (
    "the change that evidence and limits leave is not expected to pay, or pays in fewer than half of the plausible "
    "scenarios"
)


def gate_path(product: Product, path: PricePath) -> GatedPath:
    """Pass each day's price through the gate, given the prices of the days before.

    The path already obeys the batched form of the same rules, so its prices usually stay. The gate's edits of the
    proposed price name the rules that changed it.
    """
    today = product.today
    log = today.log
    costs = today.costs
    config = today.config
    edits: list[DayEdit] = []
    asked: float | None = None
    prices: list[float] = []
    last: tuple[Edit, ...] = ()
    for price, proposal in zip(path.price.tolist(), path.asked.tolist(), strict=True):
        gated = pass_gate(price, log.prices[-1], log, costs, config)
        wanted = gated if proposal == price else pass_gate(proposal, log.prices[-1], log, costs, config)
        explained = gated.edits or _explain(wanted, gated, config.price_step)
        if explained and asked is None:
            asked = proposal
        log = log.charge(gated.price)
        if explained != last:
            edits += [_dated(edit, str(log.dates[-1])) for edit in explained]
        last = explained
        prices.append(gated.price)
    return GatedPath(tuple(prices), asked, tuple(edits))


def objections_to(price: float, product: Product) -> list[str]:
    """Return each guardrail's objection to a price, money, on the next day, with the nearest price that it allows."""
    found = product.today.objections(price)
    return [f"{edit.rule}: {edit.why} (nearest: {round(edit.after, DIGITS):.10g})" for edit in found]


def nearest_allowed(price: float, product: Product) -> float:
    """Return the price nearest to a proposed one that all guardrails allow on the next day, money."""
    today = product.today
    return round(pass_gate(price, today.now, today.log, today.costs, today.config).price, DIGITS)


def confirm(decision: Decision, gated: GatedPath, now: float) -> Decision:
    """Return a decision to keep the price if the gate has undone the whole change, else the same decision."""
    if decision.follow == "hold" or any(price != now for price in gated.prices):
        return decision
    why = gated.edits[-1].why if gated.edits else "the guardrails leave no other price"
    return replace(decision, follow="hold", grade="C", source="hold", lacks_evidence=False, why=why, unsure=False)


def refuse_loss(decision: Decision, path: PathValue, keep: PathValue, keep_allowed: bool) -> Decision:
    """Return a decision to keep the price if a change does not pay in the form in which it would be published.

    Whatever led to the change, its expected gain in profit must be above zero and its probability at least one half.
    Two changes are exempt: those that hard limits force, and those to which the gate is closed on purpose
    (``decision.min_chance`` 0). Their reasons state the expected loss.
    Where the limits do not allow the current price, the nearest allowed one is charged instead.
    """
    if decision.follow in ("hold", "limit") or not decision.gated or path.pays_over(keep):
        return decision
    held = replace(decision, grade="C", lacks_evidence=False, unsure=False)
    if not keep_allowed:
        return replace(held, follow="limit", source="limits", why=KEEP_NOT_ALLOWED)
    return replace(held, follow="hold", source="hold", why=NOT_WORTH_IT)


def publish(case: Case, course: Course) -> Course:
    """Follow the decision as far as its prices pass the gate and pay in that form, else keep the current price."""
    followed = _followed(case, course)
    gated = gate_path(case.product, followed)
    path = gated.onto(followed)
    confirmed = confirm(course.decision, gated, case.product.current_price)
    checked = refuse_loss(confirmed, case.value(path.price), case.keep, course.aim.limits.keep_allowed)
    if checked is confirmed:
        return replace(course, decision=confirmed, path=path, gated=gated)
    return publish(case, replace(course, decision=checked))


def pass_gate_last(case: Case, course: Course) -> Course | None:
    """Let no price out that the limits forbid: the gate's takes its place, and the current one that of an order.

    A person's price is bound by the hard limits alone.
    """
    product = case.product
    order = course.order
    if order is not None:
        limits = product.hard_limits
        what = order.kind.replace("_", " ")
        why = next(filter(None, (refuse_price(price, limits, what) for price in course.prices)), "")
        kept = course.overruled((product.current_price,) * case.horizon, Decision("hold", "C", "hold", False, why))
        return replace(kept, order=None) if why else None
    log = product.today.log
    for price in course.prices:
        log = log.charge(pass_gate(price, log.prices[-1], log, product.today.costs, product.today.config).price)
    passed = tuple(log.prices[-case.horizon :].tolist())
    if passed == course.prices:
        return None
    gated = replace(course.gated, prices=passed)
    decision = confirm(course.decision, gated, product.current_price)
    return replace(course, decision=decision, path=gated.onto(course.path), gated=gated)


def _followed(case: Case, course: Course) -> PricePath:
    """Return the path that a decision follows: the aim, the way into the hard limits, or the current price."""
    aim = course.aim
    now = case.kept
    if course.decision.follow in ("path", "step"):
        return aim
    if course.decision.follow == "limit":
        return approach_path(aim.limits.nearest, case.product, case.horizon)._replace(asked=now)
    return aim._replace(price=now, low=now, high=now, asked=now)


def _explain(asked: Gated, passed: Gated, price_step: float) -> tuple[Edit, ...]:
    """Return the edits of the proposed price if they lead to the price that passed, rounding aside."""
    if abs(asked.price - passed.price) > ROUNDING * price_step:
        return ()
    return tuple(edit for edit in asked.edits if edit.rule != "price_step")


def _dated(edit: Edit, date: str) -> DayEdit:
    before = None if edit.before is None else round(edit.before, DIGITS)
    return DayEdit(edit.rule, before, round(edit.after, DIGITS), edit.why, date)
