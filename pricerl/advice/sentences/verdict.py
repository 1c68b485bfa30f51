"""Sentences of an advice's verdict: what to do, what it earns, how certain that is, and why.

They are made from an entry of ``products`` of ``advice.json``; no claim is stronger than the grade.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pricerl.advice.sentences.answers import UNTESTED, say_again
from pricerl.decide.standing import IN_FORCE, scheduled_price
from pricerl.formatting import MEASURES, Formatter, better_words, counted, plural, sentence, translate, unit_digits
from pricerl.terminal import shown

CLEAR = 0.9
"""Smallest share of the posterior draws in which a clear direction pays, as by default for a change."""

SCENARIO = "Each scenario is one way that demand and costs may be, given your history."

MEASURED = ("profit", "sales", "units")
"""Measures of a change, in their order."""

UNTIL = " until {until:weekday_date}"

TODAY = " today, it lasts until {until:weekday_date}"
"""Time of a price that a schedule sets for a day."""

WRITE_COSTS = "Write what a unit costs you, and your fees in percent of the price, into costs.csv"

Record = Mapping[str, Any]


class Decided(NamedTuple):
    """Price that a person decided on, or their price test; what the advice said comes after it."""

    kind: str
    """``override``, ``pause``, ``price_test`` or ``approval``."""
    price: float
    """Money."""
    until: str
    """Last day, ISO format; empty for an approval."""
    advised: float
    """Price of the advice, in money."""
    followed: bool
    """Whether the figures of the advice hold for this price."""
    words: tuple[str, str, str, str]
    """Verb, price, time, and the advice."""


VERBS = {
    "override": "You charge ",
    "pause": "You keep ",
    "price_test": "In your price test you charge ",
    "roll_out": "In your roll-out you keep ",
}
"""Beginnings of the sentence on an order, by its kind; a price and a time follow."""


def find_decided(product: Record, f: Formatter, today: str = "") -> Decided | None:
    """Return what a person has decided on a product, as it holds today, the first day of the advice if empty."""
    order = next((order for order in product["orders"] if order["status"] in IN_FORCE), None)
    if order is None:
        return _find_approved(product.get("approved"), f)
    followed = product["decision"]["source"] in ("override", "manual", "price test") and product["model"] is not None
    advised = (product["model"] if followed else product)["recommended_price"]
    day = today or product["days"][0]["date"]
    price = scheduled_price(order["schedule"], day, order["price"]) or product["current_price"]
    verb = VERBS[order["kind"]]
    time = TODAY if order["schedule"] else UNTIL
    if order["status"] == "returning":
        verb = "You charge "
        time = " again, as the price test has ended"
    said = ", as advised" if f.price(advised) == f.price(price) else "; the advice was {price:price}"
    words = translate(verb), f.price(price), f.say(time, order), f.say(said, {"price": advised})
    return Decided(order["kind"], price, order["until"], advised, followed, words)


def _find_approved(approved: Record | None, f: Formatter) -> Decided | None:
    """Return an approved change as a decision; None without one."""
    if approved is None:
        return None
    time = f.say(" from {date:weekday_date}", approved)
    words = translate("You charge "), f.price(approved["price"]), time, translate(", as advised and approved")
    return Decided("approval", approved["price"], "", approved["price"], followed=True, words=words)


def gain_words(uplift: Sequence[float], f: Formatter, measure: str = "profit") -> str:
    """Return a difference with its 90 % limits: ``+26.00 profit per day (90 %: +12.00 to +42.00)``."""
    return f.estimate(uplift, f.say(" {measure:measure} per {period}", {"measure": measure}), "+")


def outcome_words(name: str, values: Sequence[float], f: Formatter, plus: str = "") -> str:
    """Return units, sales or profit with their 90 % limits."""
    if name != "units":
        return f.estimate(values, plus=plus)
    mean, low, high = values
    digits = unit_digits(*values)
    return f"{f.number(mean, digits, plus)}{f.limits(low, high, digits, plus, '90 %: ')}"


def gain_of(product: Record) -> list[float] | None:
    """Return the known gain of the advised change by its measure, mean and 90 % limits."""
    gain: list[float] | None = (product["uplift"] or {}).get(product["measure"])
    return gain


def verb_of(product: Record) -> str:
    """Return in which direction the advised price differs, as a verb."""
    return "Raise" if product["recommended_price"] > product["current_price"] else "Lower"


def explain(product: Record, f: Formatter) -> str:
    """Return the recommendation and its reasons in short sentences, the ``reason`` of an entry of ``products``."""
    decision = product["decision"]
    _, order, limits = stock_words(product, f)
    stated = decision["follow"] == "hold" or "untested" in codes_of(decision["reasons"])
    costs = break_even_words(product, f) if product["raising"] is None else []
    sentences = [
        _verdict(product, f),
        sentence(f"{order}{limits}") if order else "",
        "" if stated else sentence(reason_words(product, f)),
        *_expectation(product, f),
        sentence(demand_words(product, f) or "charge another price for two weeks to learn its effect"),
        sentence(found) if (found := substitution_words(product, f)) else "",
        *([*costs, f"{WRITE_COSTS}."] if costs else []),
        sentence(UNTESTED)
        if decision["grade"] in ("B", "B-") and "tested" not in codes_of(decision["reasons"])
        else "",
    ]
    return " ".join(filter(None, sentences))


def _verdict(product: Record, f: Formatter) -> str:
    now = product["current_price"]
    new = product["recommended_price"]
    follow = product["decision"]["follow"]
    if follow == "hold":
        return sentence(f"Keep {f.price(now)}{stock_words(product, f)[0]}: {why_words(product, f)}")
    first = next(day["date"] for day in product["days"] if day["recommended_price"] != now)
    change = f"{verb_of(product)} to {f.price(new)} on {f.weekday_date(first)} ({f.percent(new / now - 1, plus='+')})"
    last = {"limit": product["days"][-1]["recommended_price"], "path": product["settled_price"]}.get(follow, new)
    return f"{change}." if f.price(last) == f.price(new) else f"{change}, then in steps to {f.price(last)}."


def stock_words(product: Record, f: Formatter) -> tuple[str, str, str]:
    """Return until which delivery a price is kept, after a space, what to order now, and its limits; empty if none."""
    stock = product.get("stock") or {"awaited": False, "no_order": "no stock is known"}
    until = order = limits = ""
    if stock["awaited"]:
        arrives, units = stock["inbound"][0]
        coming = {"units": plural(round(units), "unit"), "arrives": arrives}
        until = f.say(" until the {units} of {arrives:day_of_month} arrive", coming)
    if not stock["no_order"]:
        units, low, high = stock["order"]
        order = f.say("order {units} now", {"units": plural(round(units), "unit")})
        limits = f.limits(low, high, 0, label="90 %: ")
    return until, order, limits


def _expectation(product: Record, f: Formatter) -> list[str]:
    """Return the gain of the change that is advised, or of the one that was weighed."""
    measure = product["measure"]
    if (weighed := product.get("weighed")) is not None:
        return [f"Expected of {f.price(product['settled_price'])}: {gain_words(weighed[measure], f, measure)}."]
    if (gain := gain_of(product)) is None:
        return []
    uplift = product["uplift"]
    forced = product["decision"]["source"] == "limits" and gain[0] < 0
    start = f"The limits cost {MEASURES[measure]}" if forced else "Expected"
    effect = measure == "sales" and uplift["profit"] is not None
    return [
        f"{start}: {gain_words(gain, f, measure)}; it {scenario_words(uplift, product)}.",
        *([f"Effect on profit: {gain_words(uplift['profit'], f)}."] if effect else []),
    ]


TAKEN = "of 100 buyers whom a higher price loses, {share} take another product of “{category}”, which is counted{part}"
FROM_SALES = " ({data:percent.0} of this estimate comes from your sales)"
TOGETHER = "; all changes of the category together: {gain}"


def substitution_words(product: Record, f: Formatter) -> str:
    """Return how many buyers whom a higher price loses stay in the category, as a clause; empty if none are known."""
    if (found := product.get("substitution")) is None:
        return ""
    mean, low, high = (100 * value for value in found["share"])
    given = {
        "share": f"{f.number(mean, 0)}{f.limits(low, high, 0, label='90 %: ')}",
        "category": shown(found["category"], 40),
        "part": f.say(FROM_SALES, found) if "data" in found else "",
    }
    together = found.get("together")
    gain = "" if together is None else f.say(TOGETHER, {"gain": gain_words(together, f, product["measure"])})
    return f.say(TAKEN, given) + gain


def shops_of(prior: Record) -> str:
    """Return the shops or products that a ``prior`` of ``advice.json`` follows from."""
    return translate("your other products" if prior["pooled"] else "comparable shops")


FEWER = "a price 1 % higher has cost {effect} % of units{limits}"
MORE = "a price 1 % higher has gone with {effect} % more units{limits}"
SHARED = "{words}, and {share:percent.0} of this estimate comes from {source}"
ELSEWHERE = "your history does not show how buyers react; in {source} {words}"
PAYS = "; a rise earns more as long as it costs less than {limit:number.1} %"
PAYS_NEXT = ". A rise earns more as long as it costs less than {limit:number.1} %"


def demand_words(product: Record, f: Formatter) -> str:
    """Return the effect of a rise on units and up to which effect it pays, as a clause; empty with a single price."""
    if product["data_quality"]["distinct_prices"] < 2:
        return ""
    mean, high, low = (-value for value in product["elasticity"])
    given = {"effect": f.number(abs(mean), 1), "limits": f.limits(low, high, 1, label="90 %: ")}
    words = f.say(FEWER if mean >= 0 else MORE, given)
    if (prior := product.get("prior")) is not None:
        given = {"words": words, "source": shops_of(prior), "share": prior["share"]}
        words = f.say(ELSEWHERE if prior["alone"] else SHARED, given)
    limit = (product["raising"] or {}).get("break_even")
    return words + ("" if limit is None else f.say(PAYS if prior is None else PAYS_NEXT, {"limit": limit}))


ANY_COST = (
    "A higher price earns more whatever a unit costs you: it brings more revenue in {counted} plausible scenarios.",
    "How far: ask pricerl advise again with --data.reward.preset revenue.",
)
COST_ABOVE = (
    "If your unit cost is above {cost}, a higher price probably earns more.",
    "That is without fees, which lower it.",
)
"""The last one is said where fees are unknown."""


def break_even_words(product: Record, f: Formatter) -> list[str]:
    """Return the unit cost above which a rise pays, as sentences; empty where demand is not estimated."""
    found = product["break_even"]
    if product["decision"]["grade"] == "D" or product["data_quality"]["distinct_prices"] < 2:
        return []
    given = {"counted": counted(found["raises_revenue"], product["num_draws"]), "cost": f.estimate(found["cost"])}
    words = ANY_COST if found["raises_revenue"] >= CLEAR else COST_ABOVE[:1] if found["fees_known"] else COST_ABOVE
    return [f.say(template, given) for template in words]


def is_before_fixed(product: Record) -> bool:
    """Return whether profits leave a fixed cost out, as nobody gave one and no profits show it; not in older advice."""
    return product["keep"]["profit"] is not None and not product.get("fixed_known", True)


EARLIER = "earlier advice: {inside} of {days:days} inside its 90 % interval"


def tested_words(product: Record, f: Formatter) -> str:
    """Return whether the shop has tested the advice, as a clause."""
    if product["decision"]["grade"] == "A" or "tested" in codes_of(product["decision"]["reasons"]):
        return translate("measured in a price test in your shop")
    tested = (product["track_record"] or {"inside": {}})["inside"].values()
    found = (f.say(EARLIER, {"inside": inside, "days": days}) for inside, days in tested if days > 0)
    return next(found, translate(UNTESTED))


LOSE = "In the worst tenth of them you lose {amount} per {period} on average."
GAIN = "In the worst tenth of them you still gain {amount} per {period} on average."


def certainty_words(product: Record, f: Formatter) -> tuple[str, float | None, list[str]]:
    """Return how certain a gain is: a title, the share of the plausible scenarios in which it is one, and sentences.

    The title is empty where the reason says all there is to say.
    """
    gain = product["uplift"]
    scenario = translate(SCENARIO)
    if gain is not None and (better := gain["probability_better"]) is not None:
        worst = f.say(LOSE if gain["cvar"] < 0 else GAIN, {"amount": f.money(abs(gain["cvar"]))})
        lines = [scenario, worst, sentence(tested_words(product, f))]
        return sentence(scenario_words(gain, product)).rstrip("."), better, lines
    if (weighed := product.get("weighed")) is not None:
        lines = [sentence(why_words(product, f)), scenario]
        return translate("Not clear enough for a change"), weighed["probability_better"], lines
    if product["keep"][product["measure"]] is None and (words := break_even_words(product, f)):
        return translate("Your costs decide"), None, words
    return "", None, []


def reason_words(product: Record, f: Formatter) -> str:
    """Return the reasons of a decision, as a clause; sentences may follow."""
    return say_again(product["decision"]["why"], product["decision"]["reasons"], f)


BY_WAY = "the plan by way of {price:price} {better}. {why}"
GOING = "going to {price:price} {better}. {why}"


def why_words(product: Record, f: Formatter) -> str:
    """Return the rule that decided, as a clause; sentences may follow.

    The change that was weighed and its probability come first, unless the rule itself states them.
    """
    why = reason_words(product, f)
    weighed = product.get("weighed")
    if weighed is None or "chance_too_low" in codes_of(product["decision"]["reasons"]):
        return why
    given = {"price": product["settled_price"], "better": scenario_words(weighed, product), "why": sentence(why)}
    return f.say(BY_WAY if product.get("stock") else GOING, given)


def scenario_words(uplift: Record, product: Record) -> str:
    """Return in how many posterior draws a change is the better one, as a clause without its subject."""
    return better_words(
        uplift["probability_better"], product["num_draws"], product.get("objective"), product["measure"]
    )


def codes_of(reasons: Iterable[Record]) -> set[str]:
    """Return the codes of reasons of ``advice.json``."""
    return {reason["code"] for reason in reasons}


def compared(product: Record) -> tuple[Record, Record] | None:
    """Return outcome and gain of the change that is advised or, where its uncertainty keeps the price, was weighed."""
    if product["uplift"] is not None:
        return product["recommended"], product["uplift"]
    if (gain := product.get("weighed")) is None:
        return None
    return {name: [product["keep"][name][0] + gain[name][0]] * 3 for name in MEASURED if gain[name] is not None}, gain


def exception_words(product: Record) -> str:
    """Return why a person should look at a product, as a clause; empty if nobody need."""
    decision = product["decision"]
    found = {
        "sales fell below their prediction": product["alarm"] is not None,
        "somebody else set another price on the platform": bool(product.get("foreign")),
        "an order breaks a hard limit": any(order["status"] == "refused" for order in product["orders"]),
        "no advice, set the price by hand": decision["source"] == "manual" and decision["grade"] == "D",
        "the limits contradict each other": bool(product["details"]["bounds"]["conflict"]),
        "the data fail their checks": product["data_quality"]["quality"] == "FAIL",
        "a hard limit forces a change": decision["follow"] == "limit",
    }
    return translate(next((words for words, holds in found.items() if holds), ""))


def since_words(product: Record, f: Formatter) -> str:
    """Return the difference from the product's last advice."""
    if (last := product.get("previous")) is None:
        return "new"
    now, before, advised = map(f.price, (product["current_price"], last["current_price"], last["recommended_price"]))
    words = f"{'followed' if now == advised else f'not followed ({advised})'}: {before} to {now}"
    if now == before:
        words = "as before" if advised == f.price(product["recommended_price"]) else f"{advised} advised before"
    return words if last["grade"] == product["decision"]["grade"] else f"{words}; grade {last['grade']} before"
