"""Sentences of the report, made from the numbers of ``advice.json`` and no stronger than they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pricerl.advice.report.formatting import counted, money_digits, number, percent, signed
from pricerl.advice.report.sanitize import clean

Product = Mapping[str, Any]

GRADES = {
    "B": "clear and at prices already tried, but not yet tested",
    "B-": "worth one careful step, then look again",
    "C": "no change is clear enough",
    "D": "nothing can be estimated",
}

SOURCES = {
    "SAC": "the learned policy",
    "lower bound": "the fallback: best for the objective in an unlucky market",
    "limits": "the nearest price that the limits allow",
    "hold": "the current price is kept",
}

TO_DO = {
    "with a price and sales": "Go on recording every day; the advice grows surer with them.",
    "usable day": "Go on recording every day; the advice grows surer with them.",
    "tried": "Charge another price for two weeks, so that the history shows what it does.",
    "have no row": "Export every calendar day, also those without a sale.",
    "are refunds": "Book refunds apart from the sales of the day.",
    "long gaps": "Add a column In Stock, so that days off sale are told from days without a buyer.",
    "whole units": "Check Total Sales and Product Price; add a column Units if prices vary within a day.",
    "usual demand": "Check whether the product was on sale then; a column In Stock would tell.",
}
"""What to do about a reason that holds these words."""

IN_DOUBT = "Look at these days in your file before you trust the advice."


def beyond_tried(product: Product, decimals: int) -> str:
    """Say where profit still rises at the edge of the prices tried; empty where it does not."""
    side, quality = product["details"]["beyond"], product["data_quality"]
    if not side:
        return ""
    if quality["price_min"] == quality["price_max"]:
        return ""
    edge, price = ("highest", quality["price_max"]) if side == "above" else ("lowest", quality["price_min"])
    return (
        f"Expected profit still rises at the {edge} price you tried ({number(price, decimals)}); the best price may "
        f"lie {side} it, where your history says nothing."
    )


def judge_policy(product: Product) -> str:
    """Hold the policy's path against keeping the price, also where that is no praise."""
    value = product["policy_value"]
    if value is None:
        return "Whether the policy earns more than keeping the price is unknown: so are the costs."
    gain = value["over_keep"]
    if not _differs(gain):
        return "The policy keeps the price as well: it is not better than keeping the price."
    if gain["low"] > 0:
        verdict = "The policy's own path is better than keeping the price"
    elif gain["mean"] > 0:
        verdict = "The policy's own path is not shown to be better than keeping the price"
    else:
        verdict = "The policy's own path is not better than keeping the price"
    return f"{verdict}: {_gain(gain)} a day; it earns more in {counted(gain['chance'], value['markets'])} markets."


def judge_against_log(product: Product) -> str:
    """Hold the policy's path against the seller's own last prices; empty where costs are unknown."""
    value = product["policy_value"]
    if value is None:
        return ""
    return f"Against your own last prices, charged again: {_gain(value['over_log'])} a day."


def tell_log(product: Product, decimals: int) -> list[str]:
    """What the seller's own days say of a price without any model of demand."""
    sentences = []
    for found in product["off_policy"].values():
        price = f"Your own days at prices like {number(found['price'], decimals)}"
        if found["value"] is None:
            sentences.append(f"{price}: not identifiable, {clean(found['reason'])}.")
            continue
        digits = money_digits(found["value"], found["low"], found["high"])
        mean, low, high = (number(found[key], digits) for key in ("value", "low", "high"))
        days = number(found["effective_days"], 0)
        sentences.append(
            f"{price}: {mean} a day before fixed cost (90 %: {low} to {high}), from {days} effective days."
        )
    return sentences


def tell_sensitivity(product: Product) -> str:
    """How strong a hidden cause would have to be to undo the gain; empty where there is none to undo."""
    found = product["sensitivity"]
    if not found or found["undoing"] <= 0:
        return ""
    text = (
        f"A cause that no column tells would undo the gain if it explained {percent(found['undoing'])} of what is "
        "unexplained in price and units"
    )
    if found["strength"] is not None:
        text += f"; one like the {found['strongest']} would have to be {number(found['strength'])} times as strong"
    return f"{text}."


def tell_quality(product: Product) -> list[tuple[str, str]]:
    """Every reason for doubt with what to do about it."""
    return [(reason, _to_do(reason)) for reason in product["data_quality"]["reasons"]]


def tell_limits(product: Product, decimals: int) -> str:
    """Name the limits that every advised price obeys."""
    bounds = product["details"]["bounds"]
    days, lowest, highest = bounds["min_hold_days"], bounds["lowest"], bounds["highest"]
    change, week = percent(bounds["max_change"], 0), percent(bounds["max_week_change"], 0)
    return (
        f"Every price advised lies between {number(lowest, decimals)} and {number(highest, decimals)} (a price now "
        f"outside may stay), moves at most {change} at a time and {week} against a week before, and stays at least "
        f"{days} {'day' if days == 1 else 'days'}."
    )


def tell_help(product: Product, decimals: int) -> list[str]:
    """What would reduce the doubt most: which price, how many days, what it costs."""
    quality, test, helps = product["data_quality"], product["details"]["price_test"], []
    if product["expected"].get("profit") is None:
        helps.append("Costs: report Total Profit or a column Unit Cost, or set data.cost.unit_cost.")
    if quality["usable_days"] < quality["min_days"]:
        helps.append("Days: go on recording; the reason above names how many are needed.")
    if quality["distinct_prices"] < 2:
        helps.append("Prices: charge another one for two weeks; one price alone cannot say what another does.")
    elif test is not None:
        helps.append(_tell_test(test, decimals))
    return helps


def _tell_test(test: Mapping[str, Any], decimals: int) -> str:
    price, (mean, low, high) = number(test["price"], decimals), test["gain"]
    gain = _gain({"mean": mean, "low": low, "high": high})
    if test["days"] is None:
        return (
            f"Even a year of days at {price} would not halve the doubt about its profit ({gain} a day against the "
            "price now): what is left of it is small beside what chance does to a day."
        )
    return (
        f"{test['days']} days at {price}, and as many at the current price, would about halve the doubt between them. "
        f"While it lasts the test brings {gain} a day; below zero is what it costs."
    )


def _gain(gain: Mapping[str, float]) -> str:
    digits = money_digits(gain["mean"], gain["low"], gain["high"])
    mean, low, high = (signed(gain[key], digits) for key in ("mean", "low", "high"))
    return f"{mean} (90 %: {low} to {high})"


def _differs(gain: Mapping[str, float]) -> bool:
    return any(abs(gain[key]) > 1e-9 for key in ("mean", "low", "high"))


def _to_do(reason: str) -> str:
    return next((advice for words, advice in TO_DO.items() if words in reason), IN_DOUBT)
