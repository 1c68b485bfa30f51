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
from pricerl.formatting import MEASURES, PLAIN, Formatter, plural, sentence
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
    earned = f"{f.money(together[0], digits, '+')} {MEASURES[product['measure']]} per {f.period}"
    command = f"pricerl approve --group {shlex.quote(shown(found['category']))}{place.option}"
    return [(f"Alone {f.money(alone[0], digits, '+')} instead of {earned} for the whole category", command)]


def pause_command(product: Record, place: Place) -> str:
    """Return the command that keeps the price for the days of an advice; the reason is the seller's."""
    return f"pricerl pause --until {product['days'][-1]['date']} --reason …{place.options}"


def late_words(product: Record, f: Formatter) -> str:
    """Return that all days of an advice have passed, as sentences without the last full stop."""
    ends = f.date(product["data_quality"]["last_day"])
    return f"Your file ends on {ends}: this advice is too old to change a price. Export a fresh file and ask again"


def contradiction_words(product: Record) -> str:
    """Return how a history contradicts the last advice, and what follows, as sentences; empty if it does not."""
    if not (found := (product.get("previous") or {}).get("contradiction")):
        return ""
    return (
        f"{sentence(found)} Was a tax, the currency or the unit changed? The account of the quarter begins anew, and "
        "earlier orders have ended. If not, correct the file."
    )


def stop_rule_clause(rule: Record, f: Formatter, stock: Record | None = None) -> str:
    """Return when to go back by a ``stop_rule`` of ``advice.json``; where stock is known, a stock-out is no reason."""
    few = "no unit is sold" if rule["units"] == 1 else f"fewer than {plural(rule['units'], 'unit')} are sold"
    run = f"{COUNTS.get(rule['days'], rule['days'])} {f.period}s running"
    return f"to {f.price(rule['price'])} if {few} on {run}{' with units in stock' if stock else ''}"


def price_test_words(test: Record, f: Formatter, measure: str = "profit") -> list[str]:
    """Return a ``price_test`` of ``advice.json`` as sentences; ``measure`` is the field that counts."""
    what = MEASURES[measure]
    at = f.price(test["price"])
    gain = f"{f.money(abs(test['gain']))} {what}"
    if not test["pays"]:
        worth = "would cost {} more than it can bring" if test["gain"] < 0 else "would bring only {} more than it costs"
        return [f"No price test pays: the best one, at {at}, {worth.format(gain)} this quarter."]
    blocks = f"blocks of {test['block']} days at {at} and at {f.price(test['regular_price'])} in random order"
    cost = f"costs at most {f.money(test['cost'])} {what}" if test["cost"] > 0 else "costs nothing"
    return [
        f"Test {at}: {plural(test['days'], 'day')}, {blocks} (price-test plan).",
        f"Net of its cost, it is worth {gain} more within a quarter than no test.",
        f"In 19 of 20 plausible scenarios it {cost}.",
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
    limits = f.limits(low, high, digits, "+", "90 %: ")
    so_far = f"{f.money(abs(mean), digits)} {'less' if mean < 0 else 'more'}{limits}"
    price = f.price(kept["price"])
    at_end = f.estimate(account["at_end"], f" {MEASURES[measure]}", "+")
    weight = account.get("loss_weight")
    return [
        f"Since {f.date(kept['opened'])} your prices have earned {so_far} than keeping {price} would have.",
        f"Expected when the quarter ends, on {f.date(account['ends'])}: {at_end}.",
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
    proof = f"{'' if test['proven'] else 'not '}proven (95 %: {f.span(low, high, digits, '+')})"
    if low is None or high is None:
        proof = "too short to prove a difference"
    return f"The test of {price} against {f.price(test['against'])} until {f.date(test['last_day'])}: {shown}, {proof}."


def stock_lines(product: Record, f: Formatter) -> dict[str, list[str]]:
    """Return sentences on orders, on the units on hand, and on the weeks ahead of a product with stock."""
    stock = product["stock"]
    first = [
        f"Order {plural(round(units), 'unit')} on {f.date(ordered)}, to arrive on {f.date(arrives)}."
        for ordered, units, arrives in stock["orders"][:1]
    ]
    by = (
        [f"Latest day to order before you probably sell out: {f.date(stock['order_by'])}."] if stock["order_by"] else []
    )
    lasts = "are enough" if stock["cover"] is None else f"last about {f.number(stock['cover'], 1)} weeks"
    coming = ", ".join(f"{f.number(units, 0)} on {f.day_of_month(day)}" for day, units in stock["inbound"])
    chance = "more than 99 %" if stock["stock_out"] > 0.99 else f.percent(stock["stock_out"], 0)
    mean, most = (f.money(value, f.money_digits(*stock["cash"])) for value in stock["cash"])
    lost, without, left = (f.number(units, 0) for units in (*stock["lost"], stock["left"]))
    return {
        "Reorder": [*([f"Nothing now: {stock['no_order']}."] if stock["no_order"] else []), *first, *by],
        "Stock": [
            f"{plural(round(stock['on_hand']), 'unit')} on hand {lasts}.",
            *([f"On the way: {coming}."] if coming else []),
            f"Chance of a stock-out before an order of today can arrive: {chance}.",
        ],
        "Ahead": [
            season_words(product, f),
            f"Units lost to stock-outs until {f.date(stock['ends'])}: {lost}; without orders {without}.",
            f"Money in stock, at unit cost: {mean} on average, {most} at most.",
            f"Profit: {f.estimate(stock['profit'])}. Units left at the end: {left}.",
        ],
    }


def what_would_change(product: Record, f: Formatter) -> list[str]:
    """Return what would change the answer of advice that keeps the price, in addition to costs: data or a test."""
    quality = product["data_quality"]
    test = product["details"]["price_test"]
    if product["details"]["bounds"]["paused"]:
        return ["Take pause out of guardrails.yaml to price the product again."]
    missing = quality["min_days"] - quality["usable_days"]
    helps = [f"Record {plural(missing, f'more {f.period}')}."] if missing > 0 else []
    if quality["distinct_prices"] < 2:
        return [*helps, "Charge another price for two weeks."]
    return [*helps, *(price_test_words(test, f, product["measure"]) if test else [])]


def announcing_words(product: Record, day: str, f: Formatter) -> list[str]:
    """Return what the law lets a seller write next to a cut on a day, ISO format; empty for rises and older advice."""
    new, now, lows = product["recommended_price"], product["current_price"], product.get("lowest_prices")
    if not lows or new >= now:
        return []
    lowest = lowest_before(day, lows, now)
    never = f", {f.price(lowest)}: {f.price(new)} may not be announced as a cut."
    end = f": write {f.price(lowest)} next to it." if new < lowest else never
    return [f"In the EU, an announced cut names the lowest price of the 30 days before{end}"]


def confirm_steps(product: Record, option: str = "") -> list[Step]:
    """Return how to confirm a doubtful current price, each with its command; empty where none is asked for."""
    command = "pricerl predict --data.reading.current_price"
    steps = {"Confirm the price in force": "regular", "Or confirm the price of the last row": "last"}
    asked = "confirm_price" in codes_of(product["decision"]["reasons"])
    return [(step, f"{command} {which}{option}") for step, which in steps.items() if asked]


def cost_commands(product: Record, option: str = "") -> list[str]:
    """Return the commands that end a hold for lack of costs, with an ``option`` for the run; empty for other advice."""
    known = product["keep"][product["measure"]] is not None or product["data_quality"]["distinct_prices"] < 2
    if known or product["decision"]["follow"] != "hold":
        return []
    return [f"pricerl init{option}", f"pricerl predict --costs costs.csv{option}"]


def expectation_words(product: Record, price: float, f: Formatter, place: Place) -> list[str]:
    """Return the expected effect of a price, in money, against the current one, as lines; unknown beyond the curves.

    It is interpolated between points of the curves; ``what-if`` computes it, which needs torch.
    """
    gains = _gains_at(product, price)
    if gains is None:
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
    prices: Sequence[float] = curves["price"]
    gains = curves.get("gain")
    if not gains or not prices[0] <= price <= prices[-1]:
        return None
    found = {name: zip(*gains[name], strict=True) for name in MEASURED if gains[name]}
    return {name: [float(np.interp(price, prices, ends)) for ends in three] for name, three in found.items()}


def prepared_words(staged: Record, product: Record, f: Formatter) -> list[str]:
    """Return the effect in money of a decision that an agent prepared, and then what it does."""
    given = staged["given"]
    now = f.price(product["current_price"])
    until = f" until {f.date(given['until'])}" if "until" in given else ""
    what = MEASURES[product["measure"]]
    per_day = f" {what} per {f.period}"
    if staged["asks"] == "override":
        gain = (_gains_at(product, given["price"]) or {}).get(product["measure"])
        effect = f"{f.estimate(gain, per_day, '+')} against keeping {now}." if gain else "Its effect is unknown."
        return [effect, f"Charge {f.price(given['price'])}{until}."]
    if staged["asks"] == "pause":
        gain = gain_of(product)
        return [f"Gives up {f.estimate(gain, per_day, '+') if gain else 'nothing'}.", f"Keep {now}{until}."]
    if staged["asks"] == "price_test":
        cost = f"Costs {f.money(given['expected_cost'])} {what}."
        return [cost, f"Test {f.price(given['test_price'])} against {now}{until}."]
    cost = f.price(given["unit_cost"])
    since = f" from {f.date(given['from'])} on" if "from" in given else ""
    if not (before := product.get("cost_means")):
        return ["No cost is known until now.", f"A unit costs {cost}{since}."]
    dearer = (given["unit_cost"] - before["unit_cost"]) * product["keep"]["units"][0]
    effect = f"{f.money(-dearer, plus='+')}{per_day} in the forecasts."
    return [effect, f"A unit costs {cost} instead of {f.price(before['unit_cost'])}{since}."]
