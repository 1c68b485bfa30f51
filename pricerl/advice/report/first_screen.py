"""First screen of a product's page: verdict, money, certainty, reasons and next steps, from ``advice.json``."""

from __future__ import annotations

import datetime
from typing import Any

from babel.dates import format_interval

from pricerl.advice.report.view import Row, View
from pricerl.advice.sentences.grounds import BADGES, percent_of
from pricerl.advice.sentences.next_steps import (
    contradiction_words,
    cost_commands,
    false_alarm_words,
    late_words,
    override_command,
    stop_rule_words,
    what_would_change,
)
from pricerl.advice.sentences.verdict import (
    break_even_words,
    certainty_words,
    cost_words,
    demand_words,
    direction_words,
    near_words,
)
from pricerl.formatting import MEASURES, plural, sentence

Line = tuple[str, str, str]
"""A text whose middle part is emphasised."""

Step = tuple[str, str]
"""Something to do, and the command for it; empty if there is none."""


def lay_out(view: View) -> dict[str, Any]:
    """Return everything above the charts of a product's page, by the names in the template."""
    late = view.change_day is None or view.place.is_late(view.product)
    columns, rows = _table(view)
    return {
        "context": _context(view),
        "headline": _headline(view),
        "lead": _lead(view),
        "badges": _badges(view),
        "columns": columns,
        "rows": rows,
        "certainty": certainty_words(view.product, view.f),
        "why": _why(view),
        "steps": _steps(view),
        "other": "" if late else override_command(view.product, view.f, view.place),
    }


def _context(view: View) -> str:
    f = view.f
    days = view.product["days"]
    first, last = (datetime.date.fromisoformat(day["date"]) for day in (days[0], days[-1]))
    locale = "en_GB" if f.locale.startswith("en") else f.locale.replace("-", "_")
    ahead = format_interval(first, last, "yMMMd", locale=locale) if first != last else f.date(days[0]["date"])
    past = plural(view.product["data_quality"]["history_days"], f.period)
    return f"advice for {ahead} · from {past} of your sales"


def _headline(view: View) -> Line:
    product = view.product
    price = view.f.price
    now = product["current_price"]
    new = product["recommended_price"]
    if (day := view.change_day) is None:
        return "Keep the price at ", price(now), " for now" if product["decision"]["lacks_evidence"] else ""
    verb = "Raise" if new > now else "Lower"
    return f"{verb} the price from {price(now)} to ", price(new), f" on {view.f.weekday_date(day)}"


def _lead(view: View) -> Line:
    """Return the gain that is expected, or why the price is kept."""
    product = view.product
    f = view.f
    measure = product["measure"]
    per = f"{MEASURES[measure]} per {f.period}"
    if view.change_day is None or product["uplift"] is None or product["uplift"][measure] is None:
        weighed = product["proposal"]["over_keep"][measure]
        if not product["decision"]["unsure"] or weighed is None or not any(weighed):
            return sentence(product["decision"]["why"]), "", ""
        goal = f.price(product["proposal"]["prices"][-1])
        gain = f"{f.money(weighed[1], plus='+')} to {f.money(weighed[2], plus='+')} {per}"
        return f"Your history does not decide: going to {goal} could bring ", gain, "."
    mean, low, high = product["uplift"][measure]
    ends = [f.money(end, plus="+" if low < 0 else "") for end in (low, high)]
    likely = f", likely between {ends[0]} and {ends[1]}" if ends[0] != ends[1] else ""
    units = product["uplift"]["units"][0]
    fewer = f"{f.number(abs(units), view.digits['units'])} {'fewer' if units < 0 else 'more'} units"
    gain = f"{f.money(abs(mean))} {'more' if mean >= 0 else 'less'} {per}"
    return f"{_later(view)}We expect about ", gain, f"{likely}, and about {fewer}."


def _later(view: View) -> str:
    """Return the changes after the first as a sentence."""
    price = view.f.price
    days = view.product["days"]
    last = price(days[-1]["recommended_price"])
    if last == price(view.product["recommended_price"]):
        return ""
    first = next(day for day in days if price(day["recommended_price"]) == last)
    return f"Then to {last} by {view.f.weekday_date(first['date'])} if sales hold. "


def _badges(view: View) -> list[str]:
    product = view.product
    decision = product["decision"]
    bounds = product["details"]["bounds"]
    quality = product["data_quality"]["quality"]
    ordered = {"override": "ordered by a person", "price test": "schedule of your price test"}
    badges = [f"{decision['grade']} · {ordered.get(decision['source'], BADGES[decision['grade']])}"]
    if product["guardrails"]:
        badges.append("held back by your limits")
    elif bounds["max_rise"] is not None and view.change_day is not None:
        largest = bounds["max_rise"] if product["recommended_price"] > product["current_price"] else bounds["max_drop"]
        badges.append(f"within your limits (max {percent_of(largest, view.f)} per change)")
    if quality != "PASS":
        badges.append(f"check your data: {quality}")
    return [*badges, "nothing is changed until you do it"]


def _table(view: View) -> tuple[list[str], list[Row]]:
    """Return profit, sales and units of keeping and changing; a price that was weighed takes the change's place."""
    product = view.product
    price = view.f.price
    keep = product["keep"]
    other = product["recommended"]
    gain = product["uplift"]
    new = price(product["recommended_price"])
    column = f"charge {new}" if price(product["days"][-1]["recommended_price"]) == new else "as advised"
    if gain is None and product["decision"]["unsure"]:
        other = product["proposal"]["outcome"]
        gain = product["proposal"]["over_keep"]
        column = f"go to {price(product['proposal']['prices'][-1])}"
    changed = gain is not None and any(gain["units"])
    rows = []
    for name in ("profit", "sales", "units"):
        if keep[name] is None:
            continue
        cells = [view.cell(name, keep)]
        if changed:
            both = [view.cell(name, outcome)._replace(notes=()) for outcome in (keep, other)]
            cells = [*both, view.cell(name, gain, "+")]
        rows.append(("Revenue" if name == product["measure"] == "sales" else name.capitalize(), cells))
    return [f"keep {price(product['current_price'])}", *([column, "difference (90 %)"] if changed else [])], rows


def _why(view: View) -> list[str]:
    """Return how buyers respond, whether a rise pays at the seller's costs, and how much of the history is near."""
    product = view.product
    f = view.f
    if not (effect := demand_words(product, f)):
        return ["You have charged one price only, so the effect of another is unknown."]
    pays = break_even_words(product, f)
    if product["raising"] is not None:
        pays = [" ".join([cost_words(product, f), *direction_words(product, f)])]
    return [sentence(effect), *pays, near_words(product, f)]


def _steps(view: View) -> list[Step]:
    product = view.product
    f = view.f
    option = view.place.option
    again = f"Export the new {f.period}s and ask again:"
    predict = f"pricerl predict{option}"
    if view.place.is_late(product):
        return [(late_words(product, f), predict)]
    contradiction = contradiction_words(product)
    doubts = [(contradiction, "")] if contradiction else []
    if view.change_day is None:
        helps = [(line, "") for line in what_would_change(product, f)]
        headings = ("List your products in costs.csv:", "Fill it in and ask again:")
        helps += zip(headings, cost_commands(product, option), strict=False)  # either none or both
        return [(f"Leave the price at {f.price(product['current_price'])}.", ""), *doubts, *helps, (again, predict)]
    change = sentence(f"Set {f.price(product['recommended_price'])} in your shop on {f.weekday_date(view.change_day)}")
    hold = plural(max(product["details"]["bounds"]["min_hold_days"], 1), "day")
    last = "Look again after two weeks: sales are too few, or not forecast, for a stop rule."
    if (rule := product.get("stop_rule")) is not None:
        last = f"{stop_rule_words(rule, f)} {false_alarm_words(rule, f)}"
    return [
        *doubts,
        (change, f"pricerl approve{view.place.options}"),
        (f"Leave it {hold} or more. {again}", predict),
        (last, ""),
    ]
