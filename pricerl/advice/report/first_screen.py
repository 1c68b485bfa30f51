"""First screen of a product's page: verdict, amounts, certainty, reasons and next steps, from ``advice.json``."""

from __future__ import annotations

from typing import Any

from pricerl.advice.report.view import Row, View
from pricerl.advice.sentences import next_steps, verdict
from pricerl.advice.sentences.grounds import BADGES, list_doubts
from pricerl.advice.sentences.next_steps import Step, group_steps
from pricerl.advice.sentences.verdict import WRITE_COSTS
from pricerl.formatting import MEASURES, plural, sentence

Line = tuple[str, str, str]  # the middle part is emphasised
Badge = tuple[str, str]  # what is emphasised, and the rest

ORDERED = {
    "override": "ordered by a person",
    "pause": "ordered by a person",
    "price test": "schedule of your price test",
    "price_test": "schedule of your price test",
}
"""Badges by source of the price and kind of order, in place of the grade's."""


def lay_out(view: View) -> dict[str, Any]:
    """Return everything above the charts of a product's page, by the names in the template."""
    held = view.change_day is None and view.decided is None
    late = view.place.is_late(view.product)
    columns, rows = _table(view)
    return {
        "headline": _headline(view),
        "lead": _lead(view),
        "badges": _badges(view),
        "columns": columns,
        "rows": rows,
        "certainty": verdict.certainty_words(view.product, view.f),
        "why": _why(view),
        "stock": next_steps.stock_lines(view.product, view.f) if view.product.get("stock") else {},
        "to_do": "What would decide" if held and not late else "What to do",
        "steps": _steps(view),
        "other": "" if held or late or view.decided else next_steps.pause_command(view.product, view.place),
    }


def _headline(view: View) -> Line:
    product = view.product
    if view.decided is not None:
        verb, charged, *rest = view.decided.words
        return verb, charged, "".join(rest)
    now, new = (view.f.price(product[name]) for name in ("current_price", "recommended_price"))
    until, order, _ = verdict.stock_words(product, view.f)
    order = f"; {order}" if order else ""
    if view.change_day is None:
        until = until or (" for now" if product["decision"]["lacks_evidence"] else "")
        return "Keep the price at ", now, f"{until}{order}"
    start = f"{verdict.verb_of(product)} the price from {now} to "
    return start, new, f" on {view.f.weekday_date(view.change_day)}{order}"


def _lead(view: View) -> Line:
    """Return the gain that is expected, or why the price is kept."""
    product = view.product
    f = view.f
    per = f"{MEASURES[product['measure']]} per {f.period}"
    gain = None if view.change_day is None else verdict.gain_of(product)
    if gain is None:
        if (weighed := product.get("weighed")) is None:
            return sentence(verdict.why_words(product, f)), "", ""
        least, most = (f.money(end, plus="+") for end in weighed[product["measure"]][1:])
        start = f"Your history does not decide: going to {f.price(product['settled_price'])} could bring "
        return start, f"{least} to {most} {per}", "."
    mean, low, high = gain
    start = f"{_later(view)}We expect about "
    if view.decided is not None and not view.decided.followed:
        start = f"At the advised {f.price(product['recommended_price'])} we expected about "
    least, most = (f.money(end, plus="+" if low < 0 else "") for end in (low, high))
    units = product["uplift"]["units"][0]
    fewer = f"{f.number(abs(units), view.digits['units'])} {'fewer' if units < 0 else 'more'} units"
    likely = f", likely between {least} and {most}" if least != most else ""
    return start, f"{f.money(abs(mean))} {'more' if mean >= 0 else 'less'} {per}", f"{likely}, and about {fewer}."


def _later(view: View) -> str:
    """Return the changes after the first as a sentence."""
    price = view.f.price
    days = view.product["days"]
    last = price(days[-1]["recommended_price"])
    if last == price(view.product["recommended_price"]):
        return ""
    first = next(day for day in days if price(day["recommended_price"]) == last)
    return f"Then to {last} by {view.f.weekday_date(first['date'])} if sales hold. "


def _badges(view: View) -> list[Badge]:
    """Return badges, of which the grade comes first, in bold letters."""
    product = view.product
    decision = product["decision"]
    quality = product["data_quality"]["quality"]
    about = ORDERED.get(view.decided.kind if view.decided else decision["source"], BADGES[decision["grade"]])
    return [
        (decision["grade"], about),
        *([("", "held back by your limits")] if product["guardrails"] else []),
        *([("", f"check your data: {quality}")] if quality != "PASS" else []),
        ("", "nothing is changed until you do it"),
    ]


def _table(view: View) -> tuple[list[str], list[Row]]:
    """Return profit, sales and units of keeping and changing; a price that was weighed takes the change's place."""
    product = view.product
    price = view.f.price
    keep = product["keep"]
    labels = {name: name.capitalize() for name in verdict.MEASURED if keep[name] is not None}
    if verdict.is_before_fixed(product):
        labels["profit"] = "Profit before fixed costs"
    if product["measure"] == "sales":
        labels["sales"] = "Revenue"
    kept = f"keep {price(product['current_price'])}"
    change = verdict.compared(product)
    if change is None or not any(change[1]["units"]):
        return [kept], [(label, [view.cell(name, keep)]) for name, label in labels.items()]
    new = price(product["recommended_price"])
    verb = "charge" if view.decided is None or view.decided.followed else "advised"
    column = f"{verb} {new}" if price(product["days"][-1]["recommended_price"]) == new else "as advised"
    if product["uplift"] is None:
        column = "follow the plan" if product.get("stock") else f"go to {price(product['settled_price'])}"
    both = {name: [view.cell(name, side)._replace(notes=()) for side in (keep, change[0])] for name in labels}
    rows = [(label, [*both[name], view.cell(name, change[1], "+")]) for name, label in labels.items()]
    return [kept, column, "difference (90 %)"], rows


def _why(view: View) -> list[str]:
    """Return how buyers respond, and a doubt about the data."""
    effects = verdict.demand_words(view.product, view.f), verdict.substitution_words(view.product, view.f)
    return [sentence(text) for text in (*effects, *list_doubts(view.product)[:1]) if text]


def _steps(view: View) -> list[Step]:
    product = view.product
    f = view.f
    option = view.place.option
    again = f"Export the new {f.period}s and ask again"
    predict = f"pricerl predict{option}"
    if (decided := view.decided) is not None:
        _, price, until, _ = decided.words
        made = f"Keep {price}{until}." if decided.kind == "pause" else f"Set {price} in your shop{until}."
        end = f"To decide again, end the {decided.kind.replace('_', ' ')}"
        return [(made, ""), (end, f"pricerl resume{view.place.options}"), (again, predict)]
    if view.place.is_late(product):
        return [(next_steps.late_words(product, f), predict)]
    contradiction = next_steps.contradiction_words(product)
    doubts = [(contradiction, "")] if contradiction else []
    if view.change_day is None:
        price = f"{product['settled_price']:.{f.price_decimals}f}"
        see = (f"See what {price} could bring", f"pricerl what-if {price}{view.place.options}")
        headings = ("List your products in costs.csv", f"{WRITE_COSTS}, and ask again")
        return [
            *doubts,
            *next_steps.confirm_steps(product, option),
            *((line, "") for line in next_steps.what_would_change(product, f)),
            *([] if product.get("weighed") is None else [see]),
            *(list(zip(headings, next_steps.cost_commands(product, option), strict=False)) or [(again, predict)]),
        ]
    change = f"Set {f.price(product['recommended_price'])} in your shop on {f.weekday_date(view.change_day)}"
    hold = plural(max(product["details"]["bounds"]["min_hold_days"], 1), "day")
    last = "Look again after two weeks: sales are too few, or not forecast, for a stop rule."
    if (rule := product.get("stop_rule")) is not None:
        alarm = f"If sales follow the forecast, that happens with a probability of {f.percent(rule['false_alarm'])}."
        last = f"Go back {next_steps.stop_rule_clause(rule, f, product.get('stock'))}. {alarm}"
    return [
        *doubts,
        (change, f"pricerl approve{view.place.options}"),
        *((line, "") for line in next_steps.announcing_words(product, view.change_day, f)),
        *group_steps(product, f, view.place),
        (f"Leave it {hold} or more. {again}", predict),
        (last, ""),
    ]
