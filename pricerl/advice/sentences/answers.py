"""Words of every reason, a clause per code: a template of the catalogue, or a function that chooses one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pricerl.formatting import PLAIN, Formatter, better_by, better_words, language, plural, sentence, translate
from pricerl.reasons import Code, Reason, read_reason
from pricerl.terminal import shown

Words = str | Callable[[Mapping[str, Any], Formatter], str]

UNTESTED = "not yet tested in your shop"
ZEROS = (
    "nothing sold on {days} of {known} {periods}, usual demand explains {expected}; mark stock-outs and closed days in "
    "an In Stock column"
)
STOPPED = (
    "sales at the advised price were below the 5 % limit of their prediction on {days} {periods} in a row, so the "
    "model is stopped. Since {first_day:date} they were {sales} per {period}, the limit {low}. The last good price was "
    "{last_good_price:price}"
)
ENDS = {
    True: "the last row has {last:.10g}, taken for a discount that ends, and the price in force is {in_force:.10g}",
    False: "the last row has {last:.10g}, taken for an average of several prices, and the price in force is "
    "{in_force:.10g}",
}
"""Doubts about the current price, by whether a deal has set the last one."""
OFF = {
    True: "sales are about {factor:.3g} times price × units: {cause}? Give price and sales both as buyers paid them",
    False: "sales are about {factor:.3g} times whole numbers of prices: {cause}? Give price and sales both as buyers "
    "paid them",
}
"""Doubts about sales, by whether the file has units."""
ORDERS = {"override": "override", "pause": "paused", "price_test": "price test", "roll_out": "roll-out"}
SALES_OFF = {True: "coupons or returns in them, or tax in the price alone", False: "tax or shipping in them"}
"""Causes of sales that are below price times units, or above."""

DATA: dict[Code, Words] = {
    "as_written": "{text}",
    "price_differs": lambda n, f: f.say(ENDS[n["deal"]], n),
    "missing_rows": "{share:percent.0} of {days} calendar {periods} have no row",
    "rows_undecided": (
        "{share:percent.0} of days have no row: nothing sold, or unknown? "
        "Set --data.reading.missing_days zero or unknown"
    ),
    "refunds": "{share:percent.0} of {days} {periods} are refunds",
    "long_gaps": "{days:days} in long gaps; was the product on sale?",
    "unlikely_zeros": lambda n, f: f.say(ZEROS, {**n, "expected": n["expected"] or translate("none")}),
    "taken_as_empty": "{days:days} without sales are taken for stock-outs; confirm them in an In Stock column",
    "units_not_whole": "sales do not fit whole units; see Total Sales",
    "sales_not_whole": (
        "sales are no whole units; do they hold coupons, returns, tax or shipping? Add a Units column, or set "
        "--data.reading.sales"
    ),
    "sales_off": lambda n, f: f.say(OFF[n["reported"]], {**n, "cause": translate(SALES_OFF[n["factor"] < 1])}),
    "too_few_days": lambda n, f: f.say(
        "only {usable}; at least {needed} are needed", {**n, "usable": plural(n["usable"], f"usable {f.period}")}
    ),
    "few_priced_days": "only {days:days} with a price and sales",
    "few_sold_days": "only {days:days} with a sale",
    "one_price": "only 1 price was tried, so the effect of another one is unknown",
    "few_prices": "only {prices} different prices were tried",
    "stock_without_cost": (
        "stock is left out: orders need its unit cost; fill in costs.csv (pricerl init), and add --costs costs.csv"
    ),
}

ESTIMATE: dict[Code, Words] = {
    "policy_failed": (
        "the policy returned NaN or infinity instead of a price, which is an error: its weights or its input are "
        "damaged. Run fit again, or set the price by hand"
    ),
    "unfamiliar_price": (
        "the current price is far from the prices the policy was trained on. Run fit on this file, or some weeks "
        "later if you just did: the newest days are held out of training"
    ),
    "too_few_sold": "only {sold:days} with sales; at least {needed} are needed",
    "entangled": "the price moved with the {cause:word}, so their effects cannot be separated",
    "prior_alone": "sales or price changes are too few to learn from; a price test can show more",
}

CHANGE: dict[Code, Words] = {
    "untested": UNTESTED,
    "tested": "your own test showed how buyers respond between these prices",
    "one_step": "one careful step, then look again",
    "one_step_back": "sales speak against the last change: one step back, then look again",
    "unchecked": "the objective is followed without a check on profit",
    "clears": "you clear the stock by {until:date}",
    "measured_better": "a price test in your shop measured that this price earns more than the current one",
    "proposed": "the {by:word} proposes it",
}


def _too_rarely(n: Mapping[str, Any], f: Formatter) -> str:
    found = translate("in only {percent} %" if n["percent"] else "in fewer than 1 %").format(**n)
    least = translate("if it does in all" if n["needed"] == 1 else "from {least:.4g} %").format(least=100 * n["needed"])
    gain = "going to {price:price} would {better} {found} of plausible scenarios; a change is advised {least}"
    return f.say(gain, {**n, "better": better_by(n["objective"]), "found": found, "least": least})


KEEP: dict[Code, Words] = {
    "measured_worse": "a price test in your shop measured that the current price earns more than the other one",
    "no_better_price": "the {by:word} proposes no other price",
    "costs_unknown": "unit cost and fees decide which change pays, and they are not known",
    "confirm_price": "confirm one of them before a price changes",
    "follows_demand": "the price follows demand: it rises {percent:.1g} % per 1 % of demand",
    "repricer": (
        "a repricer seems to have set the prices with demand in view. The history cannot show what a change of price "
        "does; a price test can"
    ),
    "averages": (
        "the prices are averages of what buyers paid. The history cannot show what a change of the posted price does; "
        "a price test can"
    ),
    "card_doubt": "{finding}",
    "chance_too_low": _too_rarely,
    "not_worth_risk": (
        "going to {price:price} is not worth its risk this quarter: losing 1 counts as much as gaining "
        "{loss_weight:.3g}"
    ),
    "too_far": "the limits allow no single change of at most 5 %, and your history does not support a larger one",
    "not_worth_change": "the change that evidence and limits leave is not worth its risk this quarter",
}

LIMITS: dict[Code, Words] = {
    "paused": "the product is paused",
    "no_price_allowed": (
        "no price within one step satisfies floor, ceiling, minimum margin and the other limits. Change one of them "
        "or set the price by hand; it must at least cover fees and unit cost"
    ),
    "hold_outlasts": "the minimum hold of its last change is longer than these days",
    "no_other_price": (
        "floor, ceiling, largest change, price ladder, charm endings and price step leave no other price within one "
        "step"
    ),
    "keep_not_allowed": (
        "floor, ceiling, minimum margin or fees do not allow the current price; it moves to the nearest one they "
        "allow, as fast as limits on changes let it"
    ),
    "limit": "{why}",
    "limits_undo_change": "the guardrails leave no other price",
    "order_refused": "{why}",
    "relation": "{why}",
    "own_limits_forbid": "the product's own limits forbid that",
    "relation_does_not_pay": "it would not pay here",
}


def _stopped(n: Mapping[str, Any], f: Formatter) -> str:
    sales, low = (f.money(value, f.money_digits(n["sales"], n["low"])) for value in (n["sales"], n["low"]))
    return f.say(STOPPED, {**n, "sales": sales, "low": low})


OVERRULED: dict[Code, Words] = {
    "model_stopped": _stopped,
    "at_last_good_price": "the current price is the last good one",
    "no_price_closer": "the limits allow no price closer to it",
    "sold_at_no_margin": "a unit sold at {price:price} would earn nothing",
    "back_does_not_pay": lambda n, f: f.say(
        "going back does not pay: {gain} {measure:measure} per {period}; it {better}",
        {
            **n,
            "gain": f.money(n["gain"], plus="+"),
            "better": better_words(n["share"], n["num_draws"], None, n["measure"]),
        },
    ),
    "order": lambda n, f: f.say(
        "{kind:word} by {actor} until {until:date} (entry {entry}): “{text}”",
        {**n, "kind": ORDERS[n["kind"]], "actor": shown(n["actor"], 40), "text": shown(n["text"])},
    ),
    "test_ended": (
        "the price test of entry {entry} has ended and did not show a better price, so the regular price holds again"
    ),
    "model_alone": "the model alone: {price:price}, grade {grade}, source {source}",
    "nothing_forecast": "nothing is forecast: you have charged {lowest:price} to {highest:price}",
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
    words = ANSWERS[reason.code]
    return f.say(words, reason.numbers) if isinstance(words, str) else words(reason.numbers, f)


def say_all(reasons: Iterable[Reason], f: Formatter = PLAIN) -> str:
    """Return reasons as a clause and the sentences that follow it."""
    first, *others = (say(reason, f) for reason in reasons)
    return " ".join([f"{first}." if others else first, *map(sentence, others)])


def say_again(stored: str, reasons: Sequence[Mapping[str, Any]], f: Formatter) -> str:
    """Return the stored words of the ``reasons`` of a document, or their words in the reader's other language."""
    return stored if language() == "en" or not reasons else say_all(map(read_reason, reasons), f)
