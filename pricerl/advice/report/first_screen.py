"""First screen of a product's page: verdict, amounts, certainty, reasons and next steps, from ``advice.json``."""

from __future__ import annotations

from typing import Any

from pricerl.advice.report.view import Row, View
from pricerl.advice.sentences import next_steps, verdict
from pricerl.advice.sentences.grounds import BADGES, list_doubts
from pricerl.advice.sentences.next_steps import Step, group_steps
from pricerl.advice.sentences.verdict import WRITE_COSTS
from pricerl.formatting import plural, sentence, translate

Line = tuple[str, str, str]  # the middle part is emphasised
Badge = tuple[str, str]  # what is emphasised, and the rest

ORDERED = {
    "override": "ordered by a person",
    "pause": "ordered by a person",
    "price test": "schedule of your price test",
    "price_test": "schedule of your price test",
}
"""Badges by source of the price and kind of order, in place of the grade's."""

MORE = "{amount} more {measure:measure} per {period}"
LESS = "{amount} less {measure:measure} per {period}"
STOP = "Go back {clause}. If sales follow the forecast, that happens with a probability of {false_alarm:percent}."


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
        "to_do": translate("What would decide" if held and not late else "What to do"),
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
        until = until or (translate(" for now") if product["decision"]["lacks_evidence"] else "")
        return translate("Keep the price at "), now, f"{until}{order}"
    return (
        view.f.say(f"{verdict.verb_of(product)} the price from {{now}} to ", {"now": now}),
        new,
        view.f.say(" on {day:weekday_date}{order}", {"day": view.change_day, "order": order}),
    )


def _lead(view: View) -> Line:
    """Return the gain that is expected, or why the price is kept."""
    product = view.product
    f = view.f
    about = {"measure": product["measure"]}
    gain = None if view.change_day is None else verdict.gain_of(product)
    if gain is None:
        if (weighed := product.get("weighed")) is None:
            return sentence(verdict.why_words(product, f)), "", ""
        least, most = (f.money(end, plus="+") for end in weighed[product["measure"]][1:])
        return (
            f.say("Your history does not decide: going to {settled_price:price} could bring ", product),
            f.say("{least} to {most} {measure:measure} per {period}", {**about, "least": least, "most": most}),
            ".",
        )
    mean, low, high = gain
    start = (
        _later(view) + translate("We expect about ")
        if view.decided is None or view.decided.followed
        else f.say("At the advised {recommended_price:price} we expected about ", product)
    )
    least, most = (f.money(end, plus="+" if low < 0 else "") for end in (low, high))
    units = product["uplift"]["units"][0]
    amount, sold = f.money(abs(mean)), f.number(abs(units), view.digits["units"])
    about |= {"amount": amount, "least": least, "most": most, "units": sold}
    likely = f.say(", likely between {least} and {most}" if least != most else "", about)
    fewer = f.say(", and about {units} fewer units." if units < 0 else ", and about {units} more units.", about)
    return start, f.say(MORE if mean >= 0 else LESS, about), likely + fewer


def _later(view: View) -> str:
    """Return the changes after the first as a sentence."""
    price = view.f.price
    days = view.product["days"]
    last = price(days[-1]["recommended_price"])
    if last == price(view.product["recommended_price"]):
        return ""
    first = next(day["date"] for day in days if price(day["recommended_price"]) == last)
    return view.f.say("Then to {last} by {date:weekday_date} if sales hold. ", {"date": first, "last": last})


def _badges(view: View) -> list[Badge]:
    """Return badges, of which the grade comes first, in bold letters."""
    product = view.product
    decision = product["decision"]
    quality = product["data_quality"]["quality"]
    about = ORDERED.get(view.decided.kind if view.decided else decision["source"], BADGES[decision["grade"]])
    return [
        (decision["grade"], translate(about)),
        *([("", translate("held back by your limits"))] if product["guardrails"] else []),
        *([("", view.f.say("check your data: {quality}", {"quality": quality}))] if quality != "PASS" else []),
        ("", translate("nothing is changed until you do it")),
    ]


def _table(view: View) -> tuple[list[str], list[Row]]:
    """Return profit, sales and units of keeping and changing; a price that was weighed takes the change's place."""
    product = view.product
    keep = product["keep"]
    names = {
        "profit": "Profit before fixed costs" if verdict.is_before_fixed(product) else "Profit",
        "sales": "Revenue" if product["measure"] == "sales" else "Sales",
        "units": "Units",
    }
    labels = {name: translate(label) for name, label in names.items() if keep[name] is not None}
    kept = view.f.say("keep {current_price:price}", product)
    change = verdict.compared(product)
    if change is None or not any(change[1]["units"]):
        return [kept], [(label, [view.cell(name, keep)]) for name, label in labels.items()]
    verb = "charge" if view.decided is None or view.decided.followed else "advised"
    column = "as advised" if _later(view) else f"{verb} {{recommended_price:price}}"
    if product["uplift"] is None:
        column = "follow the plan" if product.get("stock") else "go to {settled_price:price}"
    both = {name: [view.cell(name, side)._replace(notes=()) for side in (keep, change[0])] for name in labels}
    rows = [(label, [*both[name], view.cell(name, change[1], "+")]) for name, label in labels.items()]
    return [kept, view.f.say(column, product), translate("difference (90 %)")], rows


def _why(view: View) -> list[str]:
    """Return how buyers respond, and a doubt about the data."""
    effects = verdict.demand_words(view.product, view.f), verdict.substitution_words(view.product, view.f)
    return [sentence(text) for text in (*effects, *list_doubts(view.product, view.f)[:1]) if text]


def _steps(view: View) -> list[Step]:
    product = view.product
    f = view.f
    option = view.place.option
    again = f.say("Export the new {periods} and ask again")
    predict = f"pricerl predict{option}"
    if (decided := view.decided) is not None:
        made = "Keep {price}{until}." if decided.kind == "pause" else "Set {price} in your shop{until}."
        given = {"price": decided.words[1], "until": decided.words[2], "kind": decided.kind.replace("_", " ")}
        return [
            (f.say(made, given), ""),
            (f.say("To decide again, end the {kind:word}", given), f"pricerl resume{view.place.options}"),
            (again, predict),
        ]
    if view.place.is_late(product):
        return [(next_steps.late_words(product, f), predict)]
    doubts = [(words, "") for words in filter(None, [next_steps.contradiction_words(product)])]
    if view.change_day is None:
        price = f"{product['settled_price']:.{f.price_decimals}f}"
        see = (f.say("See what {price} could bring", {"price": price}), f"pricerl what-if {price}{view.place.options}")
        write = f.say("{write:word}, and ask again", {"write": WRITE_COSTS})
        costs = (translate("List your products in costs.csv"), write)
        asked = zip(costs, next_steps.cost_commands(product, option), strict=False)
        return [
            *doubts,
            *next_steps.confirm_steps(product, option),
            *((line, "") for line in next_steps.what_would_change(product, f)),
            *([] if product.get("weighed") is None else [see]),
            *(list(asked) or [(again, predict)]),
        ]
    change = {**product, "day": view.change_day}
    hold = {"days": plural(max(product["details"]["bounds"]["min_hold_days"], 1), "day"), "again": again}
    last = translate("Look again after two weeks: sales are too few, or not forecast, for a stop rule.")
    if rule := product.get("stop_rule"):
        last = f.say(STOP, {**rule, "clause": next_steps.stop_rule_clause(rule, f, product.get("stock"))})
    return [
        *doubts,
        (
            f.say("Set {recommended_price:price} in your shop on {day:weekday_date}", change),
            f"pricerl approve{view.place.options}",
        ),
        *((line, "") for line in next_steps.announcing_words(product, view.change_day, f)),
        *group_steps(product, f, view.place),
        (f.say("Leave it {days} or more. {again}", hold), predict),
        (last, ""),
    ]
