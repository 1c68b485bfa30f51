"""Sentences of what a seller can do: commands, stop rule, price test, account, and a price of their own choice."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pricerl.advice.sentences.grounds import season_words
from pricerl.advice.sentences.verdict import MEASURED, Record, codes_of, find_decided, gain_of, outcome_words
from pricerl.data.days import lowest_before
from pricerl.formatting import MEASURES, PLAIN, Formatter, plural, sentence, translate
from pricerl.terminal import shown

COUNTS = {2: "two", 3: "three", 5: "five", 7: "seven"}
"""Words for the usual lengths of runs."""

Step = tuple[str, str]
"""Something to do, without a mark at its end, and the command for it; or sentences and no command."""


class Place(NamedTuple):
    """Page of an advice, names that its printed commands need, and the day on which it is read."""

    report: Path = Path()
    """The page, or the index of several."""
    run: str = ""
    """Name of the run in commands; empty if ``checkpoints`` holds no other."""
    product: str = ""
    """Name of the product in commands; empty if the run has no other."""
    today: str = ""
    """In ISO format; empty for the first day of the advice."""

    @property
    def option(self) -> str:
        """Option that names the run, after a space; empty if none is needed."""
        return f" --run_name {shlex.quote(shown(self.run))}" if self.run else ""

    @property
    def options(self) -> str:
        """Options that name run and product, after a space; empty if none are needed."""
        return (f" --product {shlex.quote(shown(self.product))}" if self.product else "") + self.option

    def change_day(self, product: Record) -> str | None:
        """Return the day of the next change: the day of the path's first one, or today if it has passed.

        Advice that is too old to be followed keeps the day that it gave.
        """
        changes = (day["date"] for day in product["days"] if day["recommended_price"] != product["current_price"])
        first = next(changes, None)
        return first if first is None or self.is_late(product) else max(first, self.today)

    def is_late(self, product: Record) -> bool:
        """Return whether all days of an advice have passed."""
        return bool(product["days"][-1]["date"] < self.today)


def may_approve(product: Record, place: Place) -> bool:
    """Return whether an advised change waits for an approval: nobody has decided on it, and it is not too old."""
    moves = product["recommended_price"] != product["current_price"]
    return moves and not place.is_late(product) and find_decided(product, PLAIN) is None


def group_steps(product: Record, f: Formatter, place: Place) -> list[Step]:
    """Return how to approve all changes of a product's category, with what the product's change earns without them."""
    found = product.get("substitution") or {}
    if (alone := gain_of(product)) is None or (together := found.get("together")) is None:
        return []
    digits = f.money_digits(alone[0], together[0])
    gains = {"alone": f.money(alone[0], digits, "+"), "together": f.money(together[0], digits, "+")}
    words = "Alone {alone} instead of {together} {measure:measure} per {period} for the whole category"
    command = f"pricerl approve --group {shlex.quote(shown(found['category']))}{place.option}"
    return [(f.say(words, {"measure": product["measure"], **gains}), command)]


def pause_command(product: Record, place: Place) -> str:
    """Return the command that keeps the price for the days of an advice; the reason is the seller's."""
    return f"pricerl pause --until {product['days'][-1]['date']} --reason …{place.options}"


def late_words(product: Record, f: Formatter) -> str:
    """Return that all days of an advice have passed, as sentences without the last full stop."""
    words = (
        "Your file ends on {last_day:date}: this advice is too old to change a price. Export a fresh file and ask again"
    )
    return f.say(words, product["data_quality"])


def contradiction_words(product: Record) -> str:
    """Return how a history contradicts the last advice, and what follows, as sentences; empty if it does not."""
    if not (found := (product.get("previous") or {}).get("contradiction")):
        return ""
    follows = (
        "Was a tax, the currency or the unit changed? The account of the quarter begins anew, and earlier orders have "
        "ended. If not, correct the file."
    )
    return f"{sentence(found)} {translate(follows)}"


def stop_rule_clause(rule: Record, f: Formatter, stock: Record | None = None) -> str:
    """Return when to go back by a ``stop_rule`` of ``advice.json``; where stock is known, a stock-out is no reason."""
    few = "no unit is sold" if rule["units"] == 1 else "fewer than {units} units are sold"
    given = {
        "price": rule["price"],
        "few": f.say(few, rule),
        "count": translate(f"{COUNTS.get(rule['days'], rule['days'])}"),
    }
    on = " on {count} {periods} running with units in stock" if stock else " on {count} {periods} running"
    return f.say("to {price:price} if {few}", given) + f.say(on, given)


NO_TEST = {
    True: "No price test pays: the best one, at {price:price}, would cost {gain} {measure:measure} more than it "
    "can bring this quarter.",
    False: "No price test pays: the best one, at {price:price}, would bring only {gain} {measure:measure} more than it "
    "costs this quarter.",
}
"""Sentences on a test that does not pay, by whether it loses."""


def price_test_words(test: Record, f: Formatter, measure: str = "profit") -> list[str]:
    """Return a ``price_test`` of ``advice.json`` as sentences; ``measure`` is the field that counts."""
    given = {**test, "measure": measure, "gain": f.money(abs(test["gain"])), "lasts": plural(test["days"], "day")}
    if not test["pays"]:
        return [f.say(NO_TEST[test["gain"] < 0], given)]
    cost = "costs at most {cost:money} {measure:measure}" if test["cost"] > 0 else "costs nothing"
    blocks = "{lasts}, blocks of {block} days at {price:price} and at {regular_price:price} in random order"
    return [
        f.say("Test {price:price}: {blocks} (price-test plan).", {**given, "blocks": f.say(blocks, given)}),
        f.say("Net of its cost, it is worth {gain} {measure:measure} more within a quarter than no test.", given),
        f.say("In 19 of 20 plausible scenarios it {cost}.", {"cost": f.say(cost, given)}),
    ]


def losing_test_words(value: float, product: str, run: str, f: Formatter) -> tuple[str, str]:
    """Return why to end a price test whose rest is worth a negative ``value``, in money, and the command."""
    why = f"costs {f.money(-value)} more than what it still shows is worth; end the test:"
    return why, f"pricerl resume --product {shlex.quote(product)} --run_name {shlex.quote(run)}"


def account_words(account: Record | None, f: Formatter, measure: str = "profit") -> list[str]:
    """Return an ``account`` of ``advice.json`` as sentences: what prices earned, what is expected and risked."""
    if account is None:
        return []
    kept = account["account"]
    mean, low, high = account["so_far"]
    digits = f.money_digits(mean, low, high)
    amount = f"{f.money(abs(mean), digits)} {'less' if mean < 0 else 'more'}"
    limits = f.limits(low, high, digits, "+", "90 %: ")
    weight = account.get("loss_weight")
    return [
        f"Since {f.date(kept['opened'])} your prices have earned {amount}{limits} than keeping "
        f"{f.price(kept['price'])} would have.",
        f"Expected when the quarter ends, on {f.date(account['ends'])}: "
        f"{f.estimate(account['at_end'], f' {MEASURES[measure]}', '+')}.",
        f"Worst case (90 %): {f.money(account['budget'])} less than if you had kept the price.",
        *([f"The advice avoids losses: 1 lost counts as much as {weight:.3g} gained."] if weight else []),
    ]


def ended_test_words(tests: Sequence[Record], f: Formatter) -> list[str]:
    """Return what the ``tests`` of ``advice.json`` have shown, a sentence each; their days count in the account."""
    return [_ended_words(test, f) for test in tests]


def _ended_words(test: Record, f: Formatter) -> str:
    low, high = test["limits"]
    price = f.price(test["price"])
    digits = f.money_digits(test["estimate"], low, high)
    shown = f"{f.money(test['estimate'], digits, '+')} {MEASURES[test['question']]} per {f.period} at {price}"
    proven = f"{'' if test['proven'] else 'not '}proven (95 %: {f.span(low, high, digits, '+')})"
    proof = "too short to prove a difference" if None in test["limits"] else proven
    return f"The test of {price} against {f.price(test['against'])} until {f.date(test['last_day'])}: {shown}, {proof}."


LATEST = "Latest day to order before you probably sell out: {order_by:date}."


def stock_lines(product: Record, f: Formatter) -> dict[str, list[str]]:
    """Return sentences on orders, on the units on hand, and on the weeks ahead of a product with stock."""
    stock = product["stock"]
    first = [
        f.say(
            "Order {units} on {ordered:date}, to arrive on {arrives:date}.",
            {"units": plural(round(units), "unit"), "ordered": ordered, "arrives": arrives},
        )
        for ordered, units, arrives in stock["orders"][:1]
    ]
    coming = ", ".join(
        f.say("{units:number.0} on {day:day_of_month}", {"units": units, "day": day}) for day, units in stock["inbound"]
    )
    lasts = (
        "{units} on hand are enough."
        if stock["cover"] is None
        else "{units} on hand last about {cover:number.1} weeks."
    )
    mean, most = (f.money(value, f.money_digits(*stock["cash"])) for value in stock["cash"])
    lost, without = stock["lost"]
    given = {
        **stock,
        **{"coming": coming, "mean": mean, "most": most, "lost": lost, "without": without},
        "units": plural(round(stock["on_hand"]), "unit"),
        "profit": f.estimate(stock["profit"]),
        "chance": f.percent(stock["stock_out"], 0) if stock["stock_out"] <= 0.99 else translate("more than 99 %"),
    }
    return {
        translate("Reorder"): [
            *([f.say("Nothing now: {no_order}.", given)] if stock["no_order"] else []),
            *first,
            *([f.say(LATEST, given)] if stock["order_by"] else []),
        ],
        translate("Stock"): [
            f.say(lasts, given),
            *([f.say("On the way: {coming}.", given)] if coming else []),
            f.say("Chance of a stock-out before an order of today can arrive: {chance}.", given),
        ],
        translate("Ahead"): [
            season_words(product, f),
            f.say(
                "Units lost to stock-outs until {ends:date}: {lost:number.0}; without orders {without:number.0}.", given
            ),
            f.say("Money in stock, at unit cost: {mean} on average, {most} at most.", given),
            f.say("Profit: {profit}. Units left at the end: {left:number.0}.", given),
        ],
    }


def what_would_change(product: Record, f: Formatter) -> list[str]:
    """Return what would change the answer of advice that keeps the price, in addition to costs: data or a test."""
    quality = product["data_quality"]
    details = product["details"]
    if details["bounds"]["paused"]:
        return [translate("Take pause out of guardrails.yaml to price the product again.")]
    missing = quality["min_days"] - quality["usable_days"]
    helps = [f.say("Record {more}.", {"more": plural(missing, f"more {f.period}")})] if missing > 0 else []
    if quality["distinct_prices"] < 2:
        return [*helps, translate("Charge another price for two weeks.")]
    return [*helps, *(price_test_words(details["price_test"], f, product["measure"]) if details["price_test"] else [])]


NEVER = ", {lowest:price}: {new:price} may not be announced as a cut."


def announcing_words(product: Record, day: str, f: Formatter) -> list[str]:
    """Return what the law lets a seller write next to a cut on a day, ISO format; empty for rises and older advice."""
    new, now, lows = product["recommended_price"], product["current_price"], product.get("lowest_prices")
    if not lows or new >= now:
        return []
    lowest = lowest_before(day, lows, now)
    end = ": write {lowest:price} next to it." if new < lowest else NEVER
    return [
        f.say(
            f"In the EU, an announced cut names the lowest price of the 30 days before{end}",
            {"lowest": lowest, "new": new},
        )
    ]


def confirm_steps(product: Record, option: str = "") -> list[Step]:
    """Return how to confirm a doubtful current price, each with its command; empty where none is asked for."""
    command = "pricerl predict --data.reading.current_price"
    steps = {"Confirm the price in force": "regular", "Or confirm the price of the last row": "last"}
    asked = "confirm_price" in codes_of(product["decision"]["reasons"])
    return [(translate(step), f"{command} {which}{option}") for step, which in steps.items() if asked]


def cost_commands(product: Record, option: str = "") -> list[str]:
    """Return the commands that end a hold for lack of costs, with an ``option`` for the run; empty for other advice."""
    known = product["keep"][product["measure"]] is not None or product["data_quality"]["distinct_prices"] < 2
    held = product["decision"]["follow"] == "hold"
    return [f"pricerl init{option}", f"pricerl predict --costs costs.csv{option}"] if held and not known else []


def expectation_words(product: Record, price: float, f: Formatter, place: Place) -> list[str]:
    """Return the expected effect of a price, in money, against the current one, as lines; unknown beyond the curves.

    It is interpolated between points of the curves; ``what-if`` computes it, which needs torch.
    """
    if (gains := _gains_at(product, price)) is None:
        return [f"Nothing is forecast at {f.price(price)}."]
    exact = f"pricerl what-if {price:.{f.price_decimals}f}{place.options}"
    known = price in product["details"]["curves"]["price"]
    return [
        f"Expected per {f.period}, against keeping {f.price(product['current_price'])}:",
        *(f"  {name:<7} {outcome_words(name, gain, f, '+')}" for name, gain in gains.items()),
        *([] if known else [f"  interpolated from the last advice; for exact figures: {exact}"]),
    ]


def _gains_at(product: Record, price: float) -> dict[str, list[float]] | None:
    """Return profit, sales and units per day over keeping at a price of the curves; None beyond them."""
    curves = product["details"]["curves"]
    prices = curves["price"]
    gains = curves.get("gain")
    if not gains or not prices[0] <= price <= prices[-1]:
        return None
    return {
        name: [float(np.interp(price, prices, ends)) for ends in zip(*gains[name], strict=True)]
        for name in MEASURED
        if gains[name]
    }


PREPARED = {
    "override": ("{gain} against keeping {now:price}.", "Charge {price:price}{ends}."),
    "pause": ("Gives up {gain}.", "Keep {now:price}{ends}."),
    "price_test": (
        "Costs {expected_cost:money} {measure:measure}.",
        "Test {test_price:price} against {now:price}{ends}.",
    ),
    "costs": ("No cost is known until now.", "A unit costs {unit_cost:price}{since}."),
}
"""Effect of a decision that an agent prepared, and what it does, by its kind."""

OTHER_COSTS = (
    "{effect}{per_day} in the forecasts.",
    "A unit costs {unit_cost:price} instead of {before:price}{since}.",
)
"""The same for costs where others are known."""


def prepared_words(staged: Record, product: Record, f: Formatter) -> list[str]:
    """Return the effect in money of a decision that an agent prepared, and then what it does."""
    given = {"now": product["current_price"], "measure": product["measure"], **staged["given"]}
    given["ends"] = f.say(" until {until:date}", given) if "until" in given else ""
    given["since"] = f.say(" from {from:date} on", given) if "from" in given else ""
    given["per_day"] = f.say(" {measure:measure} per {period}", given)
    asks = staged["asks"]
    charged = (_gains_at(product, given["price"]) or {}).get(product["measure"]) if asks == "override" else None
    gain = charged or gain_of(product)
    given["gain"] = f.estimate(gain, given["per_day"], "+") if gain else translate("nothing")
    effect, done = PREPARED[asks]
    if asks == "override" and not charged:
        effect = "Its effect is unknown."
    if asks == "costs" and (before := product.get("cost_means")):
        dearer = (given["unit_cost"] - before["unit_cost"]) * product["keep"]["units"][0]
        given |= {"effect": f.money(-dearer, plus="+"), "before": before["unit_cost"]}
        effect, done = OTHER_COSTS
    return [f.say(effect, given), f.say(done, given)]
