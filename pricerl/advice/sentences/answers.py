"""Words of every reason: one function per code, which takes its numbers and a formatter and returns a clause."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pricerl.formatting import MEASURES, PLAIN, Formatter, better_by, better_words, plural, sentence
from pricerl.reasons import Code, Reason
from pricerl.terminal import shown

Words = Callable[[Mapping[str, Any], Formatter], str]

UNTESTED = "not yet tested in your shop"
IN_STOCK = "mark stock-outs and closed days in an In Stock column"
ORDERS = {"override": "override", "pause": "paused", "price_test": "price test", "roll_out": "roll-out"}
SALES_OFF = {True: "coupons or returns in them, or tax in the price alone", False: "tax or shipping in them"}
"""Causes of sales that are below price times units, or above."""

DATA: dict[Code, Words] = {
    "as_written": lambda n, f: n["text"],
    "price_differs": lambda n, f: (
        f"the last row has {n['last']:.10g}, taken for "
        f"{'a discount that ends' if n['deal'] else 'an average of several prices'}, and the price in force is "
        f"{n['in_force']:.10g}"
    ),
    "missing_rows": lambda n, f: f"{f.percent(n['share'], 0)} of {n['days']} calendar {f.period}s have no row",
    "rows_undecided": lambda n, f: (
        f"{f.percent(n['share'], 0)} of days have no row: nothing sold, or unknown? "
        "Set --data.reading.missing_days zero or unknown"
    ),
    "refunds": lambda n, f: f"{f.percent(n['share'], 0)} of {n['days']} {f.period}s are refunds",
    "long_gaps": lambda n, f: f"{plural(n['days'], f.period)} in long gaps; was the product on sale?",
    "unlikely_zeros": lambda n, f: (
        f"nothing sold on {n['days']} of {n['known']} {f.period}s, usual demand explains "
        f"{n['expected'] or 'none'}; {IN_STOCK}"
    ),
    "taken_as_empty": lambda n, f: (
        f"{plural(n['days'], f.period)} without sales are taken for stock-outs; confirm them in an In Stock column"
    ),
    "units_not_whole": lambda n, f: "sales do not fit whole units; see Total Sales",
    "sales_not_whole": lambda n, f: (
        "sales are no whole units; do they hold coupons, returns, tax or shipping? Add a Units column, or set "
        "--data.reading.sales"
    ),
    "sales_off": lambda n, f: (
        f"sales are about {n['factor']:.3g} times {'price × units' if n['reported'] else 'whole numbers of prices'}: "
        f"{SALES_OFF[n['factor'] < 1]}? Give price and sales both as buyers paid them"
    ),
    "too_few_days": lambda n, f: f"only {plural(n['usable'], 'usable ' + f.period)}; at least {n['needed']} are needed",
    "few_priced_days": lambda n, f: f"only {plural(n['days'], f.period)} with a price and sales",
    "few_sold_days": lambda n, f: f"only {plural(n['days'], f.period)} with a sale",
    "one_price": lambda n, f: "only 1 price was tried, so the effect of another one is unknown",
    "few_prices": lambda n, f: f"only {n['prices']} different prices were tried",
    "stock_without_cost": lambda n, f: (
        "stock is left out: orders need its unit cost; fill in costs.csv (pricerl init), and add --costs costs.csv"
    ),
}

ESTIMATE: dict[Code, Words] = {
    "policy_failed": lambda n, f: (
        "the policy returned NaN or infinity instead of a price, which is an error: its weights or its input are "
        "damaged. Run fit again, or set the price by hand"
    ),
    "unfamiliar_price": lambda n, f: (
        "the current price is far from the prices the policy was trained on. Run fit on this file, or some weeks "
        "later if you just did: the newest days are held out of training"
    ),
    "too_few_sold": lambda n, f: f"only {plural(n['sold'], f.period)} with sales; at least {n['needed']} are needed",
    "entangled": lambda n, f: f"the price moved with the {n['cause']}, so their effects cannot be separated",
    "prior_alone": lambda n, f: "sales or price changes are too few to learn from; a price test can show more",
}

CHANGE: dict[Code, Words] = {
    "untested": lambda n, f: UNTESTED,
    "tested": lambda n, f: "your own test showed how buyers respond between these prices",
    "one_step": lambda n, f: "one careful step, then look again",
    "one_step_back": lambda n, f: "sales speak against the last change: one step back, then look again",
    "unchecked": lambda n, f: "the objective is followed without a check on profit",
    "clears": lambda n, f: f"you clear the stock by {f.date(n['until'])}",
    "measured_better": lambda n, f: (
        "a price test in your shop measured that this price earns more than the current one"
    ),
    "proposed": lambda n, f: f"the {n['by']} proposes it",
}


def _too_rarely(n: Mapping[str, Any], f: Formatter) -> str:
    found = f"in only {n['percent']} %" if n["percent"] else "in fewer than 1 %"
    least = "if it does in all" if n["needed"] == 1 else f"from {100 * n['needed']:.4g} %"
    gain = f"going to {f.price(n['price'])} would {better_by(n['objective'])} {found} of plausible scenarios"
    return f"{gain}; a change is advised {least}"


KEEP: dict[Code, Words] = {
    "measured_worse": lambda n, f: (
        "a price test in your shop measured that the current price earns more than the other one"
    ),
    "no_better_price": lambda n, f: f"the {n['by']} proposes no other price",
    "costs_unknown": lambda n, f: "unit cost and fees decide which change pays, and they are not known",
    "confirm_price": lambda n, f: "confirm one of them before a price changes",
    "follows_demand": lambda n, f: f"the price follows demand: it rises {n['percent']:.1g} % per 1 % of demand",
    "repricer": lambda n, f: (
        "a repricer seems to have set the prices with demand in view. The history cannot show what a change of price "
        "does; a price test can"
    ),
    "averages": lambda n, f: (
        "the prices are averages of what buyers paid. The history cannot show what a change of the posted price does; "
        "a price test can"
    ),
    "card_doubt": lambda n, f: n["finding"],
    "chance_too_low": _too_rarely,
    "not_worth_risk": lambda n, f: (
        f"going to {f.price(n['price'])} is not worth its risk this quarter: losing 1 counts as much as gaining "
        f"{n['loss_weight']:.3g}"
    ),
    "too_far": lambda n, f: (
        "the limits allow no single change of at most 5 %, and your history does not support a larger one"
    ),
    "not_worth_change": lambda n, f: "the change that evidence and limits leave is not worth its risk this quarter",
}

LIMITS: dict[Code, Words] = {
    "paused": lambda n, f: "the product is paused",
    "no_price_allowed": lambda n, f: (
        "no price within one step satisfies floor, ceiling, minimum margin and the other limits. Change one of them "
        "or set the price by hand; it must at least cover fees and unit cost"
    ),
    "hold_outlasts": lambda n, f: "the minimum hold of its last change is longer than these days",
    "no_other_price": lambda n, f: (
        "floor, ceiling, largest change, price ladder, charm endings and price step leave no other price within one "
        "step"
    ),
    "keep_not_allowed": lambda n, f: (
        "floor, ceiling, minimum margin or fees do not allow the current price; it moves to the nearest one they "
        "allow, as fast as limits on changes let it"
    ),
    "limit": lambda n, f: n["why"],
    "limits_undo_change": lambda n, f: "the guardrails leave no other price",
    "order_refused": lambda n, f: n["why"],
    "relation": lambda n, f: n["why"],
    "own_limits_forbid": lambda n, f: "the product's own limits forbid that",
    "relation_does_not_pay": lambda n, f: "it would not pay here",
}


def _stopped(n: Mapping[str, Any], f: Formatter) -> str:
    sales, low = (f.money(value, f.money_digits(n["sales"], n["low"])) for value in (n["sales"], n["low"]))
    return (
        f"sales at the advised price were below the 5 % limit of their prediction on {n['days']} {f.period}s in a "
        f"row, so the model is stopped. Since {f.date(n['first_day'])} they were {sales} per {f.period}, the limit "
        f"{low}. The last good price was {f.price(n['last_good_price'])}"
    )


OVERRULED: dict[Code, Words] = {
    "model_stopped": _stopped,
    "at_last_good_price": lambda n, f: "the current price is the last good one",
    "no_price_closer": lambda n, f: "the limits allow no price closer to it",
    "sold_at_no_margin": lambda n, f: f"a unit sold at {f.price(n['price'])} would earn nothing",
    "back_does_not_pay": lambda n, f: (
        f"going back does not pay: {f.money(n['gain'], plus='+')} {MEASURES[n['measure']]} per {f.period}; it "
        f"{better_words(n['share'], n['num_draws'], None, n['measure'])}"
    ),
    "order": lambda n, f: (
        f"{ORDERS[n['kind']]} by {shown(n['actor'], 40)} until {f.date(n['until'])} (entry {n['entry']}): "
        f"“{shown(n['text'])}”"
    ),
    "test_ended": lambda n, f: (
        f"the price test of entry {n['entry']} has ended and did not show a better price, so the regular price holds "
        "again"
    ),
    "model_alone": lambda n, f: f"the model alone: {f.price(n['price'])}, grade {n['grade']}, source {n['source']}",
    "nothing_forecast": lambda n, f: (
        f"nothing is forecast: you have charged {f.price(n['lowest'])} to {f.price(n['highest'])}"
    ),
}

ANSWERS: dict[Code, Words] = {**DATA, **ESTIMATE, **CHANGE, **KEEP, **LIMITS, **OVERRULED}
"""Words of every reason, by its code."""

REMEDIES: dict[Code, str] = {
    "price_differs": "Choose the right one of them: --data.reading.current_price regular, or last.",
    "few_priced_days": "Record every day; the advice becomes more certain with them.",
    "few_sold_days": "Record every day; the advice becomes more certain with them.",
    "too_few_days": "Record every day; the advice becomes more certain with them.",
    "one_price": "Charge another price for two weeks to learn its effect.",
    "few_prices": "Charge another price for two weeks to learn its effect.",
    "missing_rows": "Export every calendar day, including days without a sale.",
    "rows_undecided": "Export every calendar day, including days without a sale.",
    "refunds": "Book refunds separately from the sales of the day.",
    "long_gaps": "Add a column In Stock, so that days off sale are not mistaken for days without buyers.",
    "units_not_whole": "Check Total Sales and Product Price; add a column Units if prices vary within a day.",
    "sales_not_whole": "Check Total Sales and Product Price; add a column Units if prices vary within a day.",
    "stock_without_cost": "With it, the advice counts the stock and says what to order.",
    "unlikely_zeros": "Check whether the product was on sale on these days, and add a column In Stock.",
}
"""Remedies of doubts about the data, by their codes."""

LOOK = "Look at these days in your file before you trust the advice."
"""Remedy of the other doubts."""


def say(reason: Reason, f: Formatter = PLAIN) -> str:
    """Return a reason as a clause; more sentences may follow it."""
    return ANSWERS[reason.code](reason.numbers, f)


def say_all(reasons: Iterable[Reason], f: Formatter = PLAIN) -> str:
    """Return reasons as a clause and the sentences that follow it."""
    first, *others = (say(reason, f) for reason in reasons)
    return " ".join([f"{first}." if others else first, *map(sentence, others)])
