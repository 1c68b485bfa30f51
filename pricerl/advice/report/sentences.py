"""Sentences of the page, derived from the numbers of ``advice.json``."""

from __future__ import annotations

from pricerl.advice.reasons import Record, contribution_words, gain_words, measure_of, speaker_lines
from pricerl.formatting import MEASURES, Formatter, counted, plural
from pricerl.terminal import clean

BADGES = {
    "A": "measured in your price test",
    "B": "clear, at prices tried before",
    "B-": "one careful step, then look",
    "C": "no change is clear enough",
    "D": "nothing can be estimated yet",
}
"""The grade in five words."""

SOURCES = {
    "planner": "the planner",
    "policy": "the learned policy",
    "lower bound": "a more cautious price than proposed",
    "limits": "the nearest price that the limits allow",
    "hold": "the current price is kept",
    "manual": "a person decides",
    "override": "your override",
    "price test": "the schedule of your price test",
}

TO_DO = {
    "with a price and sales": "Record every day; the advice becomes more certain with them.",
    "usable day": "Record every day; the advice becomes more certain with them.",
    "tried": "Charge another price for two weeks to learn its effect.",
    "have no row": "Export every calendar day, including days without a sale.",
    "are refunds": "Book refunds separately from the sales of the day.",
    "long gaps": "Add a column In Stock, so that days off sale are not mistaken for days without buyers.",
    "whole units": "Check Total Sales and Product Price; add a column Units if prices vary within a day.",
    "usual demand": "Check whether the product was on sale on these days, and add a column In Stock.",
}
"""Remedy by words of the reason."""


def beyond_tried(product: Record, f: Formatter) -> str:
    """Return the edge of the tried prices at which the measure still rises; empty if there is none."""
    side, quality = product["details"]["beyond"], product["data_quality"]
    if not side or quality["price_min"] == quality["price_max"]:
        return ""
    edge, price = ("highest", quality["price_max"]) if side == "above" else ("lowest", quality["price_min"])
    measure = MEASURES[measure_of(product)]
    return (
        f"Expected {measure} still rises at the {edge} price you tried ({f.price(price)}). The best price may lie "
        f"{side} it, where your history contains nothing."
    )


def judge_proposal(product: Record, f: Formatter) -> list[str]:
    """Return how the proposed path compares with keeping the price and with the seller's latest prices."""
    measure, over_keep = measure_of(product), product["proposal"]["over_keep"]
    over_log, speaker = product["proposal"]["over_log"][measure], product["decision"]["speaker"]
    if (gain := over_keep[measure]) is None:
        return [f"The {speaker} cannot be compared with keeping the price, because costs are unknown."]
    own = f"Compared with your own last prices, charged again: {gain_words(over_log, f, measure)}."
    if not any(abs(value) > 1e-9 for value in gain):
        return [f"The {speaker} keeps the price as well: it is not better than keeping the price.", own]
    mean, low, _ = gain
    verdict = "is better" if low > 0 else "is not shown to be better" if mean > 0 else "is not better"
    better = counted(over_keep["probability_better"], product["num_draws"])
    return [
        f"The {speaker}'s own path {verdict} than keeping the price: {gain_words(gain, f, measure)}. "
        f"It earns more in {better} plausible scenarios.",
        own,
        *speaker_lines(product, f),
    ]


def describe_off_policy(product: Record, f: Formatter) -> list[str]:
    """Return the off-policy estimates, based on the seller's recorded days."""
    sentences = []
    for found in product["off_policy"].values():
        start = f"Your own {f.period}s at prices near {f.price(found['price'])}"
        if found["value"] is None:
            sentences.append(f"{start}: not identifiable, {clean(found['reason'])}.")
            continue
        value = contribution_words(found["value"], f, measure_of(product))
        days = f.number(found["effective_days"], 0)
        sentences.append(f"{start}: {value}, from {days} effective {f.period}s.")
    return list(dict.fromkeys(sentences))  # keeping and the settled price may be one


def describe_sensitivity(product: Record, f: Formatter) -> str:
    """Return the strength of a confounder that would overturn the gain; empty if there is no gain."""
    found = product["sensitivity"]
    if not found or found["undoing"] <= 0:
        return ""
    text = (
        "An unobserved cause would undo the gain if it explained "
        f"{f.percent(found['undoing'])} of the unexplained variation in price and units."
    )
    if found["strength"] is None:
        return text
    times = f.number(found["strength"])
    return f"{text} It would have to be {times} times as strong as the strongest known cause, the {found['strongest']}."


def list_remedies(product: Record) -> list[tuple[str, str]]:
    """Return every reason for doubt about the data with its remedy."""
    in_doubt = "Look at these days in your file before you trust the advice."
    reasons = product["data_quality"]["reasons"]
    return [(reason, next((do for words, do in TO_DO.items() if words in reason), in_doubt)) for reason in reasons]


def describe_limits(product: Record, f: Formatter) -> str:
    """Return the limits on the next price and on later changes, as they are in force."""
    bounds, now = product["details"]["bounds"], f.price(product["current_price"])
    if bounds["paused"]:
        return f"The product is paused: its price stays at {now}."
    if bounds["conflict"]:
        return f"The limits leave no price ({bounds['conflict']}): the current price, {now}, is held."
    lowest, highest = (f"{f.price(bounds[end])} ({bounds[f'{end}_rule']})" for end in ("lowest", "highest"))
    if bounds.get("walks_to") is not None:
        rule = bounds["lowest_rule"] if bounds["walks_to"] > product["current_price"] else bounds["highest_rule"]
        return (
            f"The current price, {now}, lies beyond a hard limit ({rule}). It moves to {f.price(bounds['walks_to'])} "
            "in the largest steps that the limits on changes allow."
        )
    text = f"The next price lies between {lowest} and {highest}"
    if bounds["beyond"]:
        text += f"; the current price lies beyond {' and '.join(bounds['beyond'])} and may stay"
    days = plural(bounds["min_hold_days"], "day")
    if bounds["max_rise"] is None:
        return f"{text}. Each price stays at least {days}."
    shares = (bounds[name] for name in ("max_rise", "max_drop", "max_week_change"))
    rise, drop, week = (f.percent(share, 0 if abs(100 * share % 1 - 0.5) > 0.45 else 1) for share in shares)
    return (
        f"{text}. A change is at most {rise} up or {drop} down, and {week} against the price of 7 days before; each "
        f"price stays at least {days}."
    )
