"""First screen of a product's page: verdict, money, certainty, reasons and next steps, from ``advice.json``."""

from __future__ import annotations

import datetime
from typing import NamedTuple

from babel.dates import format_interval

from pricerl.advice.report.view import Cell, View
from pricerl.advice.sentences.grounds import BADGES
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
    Record,
    break_even_words,
    certainty_words,
    cost_words,
    demand_words,
    direction_words,
    measure_of,
    near_words,
)
from pricerl.formatting import MEASURES, plural, sentence


class Line(NamedTuple):
    """A text with one emphasised part."""

    before: str
    strong: str
    after: str


class Certainty(NamedTuple):
    """Share of the plausible scenarios in which a change earns more, and its meaning."""

    title: str
    share: float | None
    lines: list[str]


class Step(NamedTuple):
    """Something to do, and the command for it."""

    words: str
    command: str = ""


class Table(NamedTuple):
    """Measures of keeping the price and of a change, per day."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


class FirstScreen(NamedTuple):
    """Everything above the charts."""

    context: str
    headline: Line
    lead: Line
    badges: tuple[str, ...]
    table: Table
    certainty: Certainty
    why: tuple[str, ...]
    steps: tuple[Step, ...]
    other: str
    """Command for those who disagree."""


def lay_out(view: View) -> FirstScreen:
    """Return the first screen of a product."""
    return FirstScreen(
        _context(view),
        _headline(view),
        _lead(view),
        _badges(view),
        _table(view),
        Certainty(*certainty_words(view.product, view.f)),
        _why(view),
        _steps(view),
        _other(view),
    )


def _context(view: View) -> str:
    days = view.product["days"]
    f = view.f
    first, last = (datetime.date.fromisoformat(day["date"]) for day in (days[0], days[-1]))
    locale = "en_GB" if f.locale.startswith("en") else f.locale.replace("-", "_")
    ahead = format_interval(first, last, "yMMMd", locale=locale) if first != last else f.date(days[0]["date"])
    past = plural(view.product["data_quality"]["history_days"], f.period)
    return f"advice for {ahead} · from {past} of your sales"


def _headline(view: View) -> Line:
    product = view.product
    f = view.f
    day = view.change_day
    now = product["current_price"]
    new = product["recommended_price"]
    if day is None:
        later = " for now" if product["decision"]["lacks_evidence"] else ""
        return Line("Keep the price at ", f.price(now), later)
    verb = "Raise" if new > now else "Lower"
    return Line(f"{verb} the price from {f.price(now)} to ", f.price(new), f" on {f.weekday_date(day)}")


def _lead(view: View) -> Line:
    product = view.product
    f = view.f
    measure = measure_of(view.product)
    decision = product["decision"]
    weighed = product["proposal"]["over_keep"][measure]
    if view.held or product["uplift"] is None or product["uplift"][measure] is None:
        if decision["unsure"] and weighed is not None and any(weighed):
            mean, low, high = weighed
            gain = f"{f.money(low, plus='+')} to {f.money(high, plus='+')} {MEASURES[measure]} per {f.period}"
            return Line(
                f"Your history does not decide: going to {f.price(_weighed_price(product))} could bring ", gain, "."
            )
        return Line(sentence(decision["why"]), "", "")
    mean, low, high = product["uplift"][measure]
    more = "more" if mean >= 0 else "less"
    ends = (f.money(low, plus="+"), f.money(high, plus="+")) if low < 0 else (f.money(low), f.money(high))
    likely = f", likely between {ends[0]} and {ends[1]}" if ends[0] != ends[1] else ""
    units = product["uplift"]["units"][0]
    fewer = f"{f.number(abs(units), view.digits['units'])} {'fewer' if units < 0 else 'more'} units"
    gain = f"{f.money(abs(mean))} {more} {MEASURES[measure]} per {f.period}"
    return Line(f"{_later(view)}We expect about ", gain, f"{likely}, and about {fewer}.")


def _later(view: View) -> str:
    """Return the changes after the first as a sentence."""
    days = view.product["days"]
    f = view.f
    last = days[-1]["recommended_price"]
    if f.price(last) == f.price(view.product["recommended_price"]):
        return ""
    first = next(day for day in days if f.price(day["recommended_price"]) == f.price(last))
    return f"Then to {f.price(last)} by {f.weekday_date(first['date'])} if sales hold. "


def _badges(view: View) -> tuple[str, ...]:
    product = view.product
    f = view.f
    decision = product["decision"]
    bounds = product["details"]["bounds"]
    quality = product["data_quality"]["quality"]
    ordered = {"override": "ordered by a person", "price test": "schedule of your price test"}
    words = ordered.get(decision["source"], BADGES[decision["grade"]])
    badges = [f"{decision['grade']} · {words}"]
    if product["guardrails"]:
        badges.append("held back by your limits")
    elif bounds["max_rise"] is not None and not view.held:
        largest = bounds["max_rise"] if product["recommended_price"] > product["current_price"] else bounds["max_drop"]
        badges.append(f"within your limits (max {f.percent(largest, 0 if largest * 100 % 1 < 0.05 else 1)} per change)")
    if quality != "PASS":
        badges.append(f"check your data: {quality}")
    return (*badges, "nothing is changed until you do it")


def _weighed_price(product: Record) -> float:
    """Return the last price of the proposed path, money."""
    price: float = product["proposal"]["prices"][-1]
    return price


def _table(view: View) -> Table:
    """Return profit, sales and units of keeping and changing; a price that was weighed takes the change's place."""
    product = view.product
    f = view.f
    names = ("profit", "sales", "units")
    keep = product["keep"]
    other = product["recommended"]
    gain = product["uplift"]
    word = "charge"
    price = product["recommended_price"]
    if gain is None and product["decision"]["unsure"]:
        other = product["proposal"]["outcome"]
        gain = product["proposal"]["over_keep"]
        word = "go to"
        price = _weighed_price(product)
    columns = [f"keep {f.price(product['current_price'])}"]
    changed = gain is not None and any(gain["units"])
    if changed:
        walks = gain is product["uplift"] and f.price(product["days"][-1]["recommended_price"]) != f.price(price)
        columns += ["as advised" if walks else f"{word} {f.price(price)}", "difference (90 %)"]
    rows = []
    for name in names:
        if keep[name] is None:
            continue
        cells = [view.cell(name, keep) if not changed else view.cell(name, keep)._replace(notes=())]
        if changed and other is not None and gain is not None:
            cells += [view.cell(name, other)._replace(notes=()), view.cell(name, gain, "+")]
        label = "Revenue" if name == "sales" and measure_of(product) == "sales" else name.capitalize()
        rows.append((label, tuple(cells)))
    return Table(tuple(columns), tuple(rows))


def _why(view: View) -> tuple[str, ...]:
    """Return how buyers respond, whether a rise pays at the seller's costs, and how much of the history is near."""
    product = view.product
    f = view.f
    if not (effect := demand_words(product, f)):
        return ("You have charged one price only, so the effect of another is unknown.",)
    pays = break_even_words(product, f)
    if product["raising"] is not None:
        pays = [" ".join([cost_words(product, f), *direction_words(product, f)])]
    return (sentence(effect), *pays, near_words(product, f))


def _steps(view: View) -> tuple[Step, ...]:
    product = view.product
    f = view.f
    day = view.change_day
    place = view.place
    again = Step(f"Export the new {f.period}s and ask again:", f"pricerl predict{place.option}")
    if place.is_late(product):
        return (Step(late_words(product, f), again.command),)
    if day is None:
        helps = [Step(line) for line in what_would_change(product, f)]
        helps += map(
            Step,
            ("List your products in costs.csv:", "Fill it in and ask again:"),
            cost_commands(product, place.option),
        )
        helps = [Step(contradiction), *helps] if (contradiction := contradiction_words(product)) else helps
        return (Step(f"Leave the price at {f.price(product['current_price'])}."), *helps, again)
    hold = max(product["details"]["bounds"]["min_hold_days"], 1)
    new = f.price(product["recommended_price"])
    steps = [
        Step(sentence(f"Set {new} in your shop on {f.weekday_date(day)}"), f"pricerl approve{place.options}"),
        Step(f"Leave it {plural(hold, 'day')} or more. {again.words}", again.command),
    ]
    if contradiction := contradiction_words(product):
        steps.insert(0, Step(contradiction))
    if (rule := product.get("stop_rule")) is not None:
        steps.append(Step(f"{stop_rule_words(rule, f)} {false_alarm_words(rule, f)}"))
    else:
        steps.append(Step("Look again after two weeks: sales are too few, or not forecast, for a stop rule."))
    return tuple(steps)


def _other(view: View) -> str:
    late = view.held or view.place.is_late(view.product)
    return "" if late else override_command(view.product, view.f, view.place)
