"""Sentences on the grounds of an advice: proposer, forecast skill, limits, orders, track record and doubts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from pricerl.advice.sentences.answers import LOOK, REMEDIES, say_again
from pricerl.advice.sentences.verdict import Record, codes_of, gain_words, scenario_words
from pricerl.arrays import LIMIT_SDS
from pricerl.evaluation.rule_names import KEEP, PLANNER, POLICY
from pricerl.formatting import MEASURES, Formatter, plural, sentence, translate, unit_digits
from pricerl.guardrails.limits_in_force import name_limit
from pricerl.terminal import list_first, shown

MOST_DAYS = 5
"""Most days listed individually among those not charged as advised."""

ENDED = ("expired", "refused")
"""Statuses of orders that are not followed any more."""

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
    "limits": "the nearest price that the limits allow",
    "hold": "the current price is kept",
    "manual": "a person decides",
    "override": "your override",
    "price test": "the schedule of your price test",
}


PROPOSERS = ("SAC's policy", "dynamic programming")


def list_remedies(product: Record) -> list[tuple[str, str]]:
    """Return every reason for doubt about the data with its remedy."""
    return [(reason, REMEDIES.get(finding["code"], LOOK)) for finding, reason in _findings(product)]


def _findings(product: Record) -> Iterator[tuple[Record, str]]:
    """Return the findings about the data with their words."""
    return zip(product["data_quality"]["findings"], product["data_quality"]["reasons"], strict=True)


def list_doubts(product: Record, f: Formatter) -> list[str]:
    """Return the reasons for doubt about the data that the decision does not name itself."""
    named = codes_of(product["decision"]["reasons"])
    return [say_again(reason, [it], f) for it, reason in _findings(product) if it["code"] not in named]


def beyond_tried(product: Record, f: Formatter) -> str:
    """Return the edge of the tried prices at which the measure still rises; empty if there is none."""
    side = product["details"]["beyond"]
    low, high = (product["data_quality"][name] for name in ("price_min", "price_max"))
    if not side or low == high:
        return ""
    edge, price = ("highest", high) if side == "above" else ("lowest", low)
    return (
        f"Expected {MEASURES[product['measure']]} still rises at the {edge} price you tried ({f.price(price)}). The "
        f"best price may lie {side} it, where your history contains nothing."
    )


def list_alternatives(product: Record) -> list[Record]:
    """Return keeping the price, the other rules and the proposed path of an entry of ``products`` as table rows."""
    path = product["proposal"]
    return [
        {"rule": KEEP, "price": product["current_price"], "outcome": product["keep"], "probability_better": None},
        *product["baselines"],
        {
            "rule": PLANNER if product["decision"]["proposed_by"] == "planner" else POLICY,
            "price": path["prices"][-1],
            "outcome": path["outcome"],
            "probability_better": path["over_keep"]["probability_better"],
        },
    ]


def proposer_lines(product: Record, f: Formatter) -> list[str]:
    """Return who proposes a product's path, policy or planner, and how far the other is; empty if only one may."""
    if (found := product["proposal"]["policy_over_plan"]) is None:
        return []
    if (gain := found["advantage"]) is None:
        return ["SAC's policy returns no finite price, so dynamic programming proposes this path."]
    source, proposer = (product["decision"][name] for name in ("source", "proposed_by"))
    own, other = PROPOSERS if proposer == "policy" else PROPOSERS[::-1]
    path = "another path, worth less in a quarter" if source == "planner" != proposer else "this path"
    less = "less" if (gain > 0) == (proposer == "policy") else "more"
    size = f"{f.percent(abs(gain), 2)} {less}" if abs(gain) >= 5e-5 else "as much"
    by = f"by the objective {product['objective']}, as a share of " if product.get("objective") else ""
    what = f"{by}{MEASURES[product['measure']]} (standard error {f.percent(found['error'], 2)})"
    return [sentence(f"{own} proposes {path}; {other} earns {size} {what}")]


def judge_proposal(product: Record, f: Formatter) -> list[str]:
    """Return how the proposed path compares with keeping the price, and who proposes it."""
    measure = product["measure"]
    over_keep = product["proposal"]["over_keep"]
    proposer = product["decision"]["proposed_by"]
    words = f"The {proposer} cannot be compared with keeping the price, because costs are unknown."
    if (gain := over_keep[measure]) is not None:
        verdict = "is better" if gain[1] > 0 else "is not shown to be better" if gain[0] > 0 else "is not better"
        words = (
            f"The {proposer}'s own path {verdict} than keeping the price: {gain_words(gain, f, measure)}. "
            f"It {scenario_words(over_keep, product)}."
        )
    return [words, *proposer_lines(product, f)]


def bias_words(product: Record, f: Formatter) -> list[str]:
    """Return the stated bias of the history as a sentence; empty without a bias."""
    if not (bias := product.get("bias")):
        return []
    mean, sd = bias
    reach = LIMIT_SDS * sd
    wrong = "overstate" if mean < 0 else "understate" if mean > 0 else "misstate"
    allowed = f"{f.number(-mean, 1, '+')}{f.limits(-mean - reach, -mean + reach, 1, '+', '90 %: ')}"
    return [
        f"Your history may {wrong} buyers' reaction, as its prices were not set at random: the elasticity is corrected "
        f"by {allowed}."
    ]


def ending_words(product: Record, f: Formatter) -> list[str]:
    """Return what the next whole price costs as a sentence; empty where buyers see all of a price."""
    if not (found := product.get("next_whole")):
        return []
    whole, lost = found
    return [
        f"Buyers read whole prices first: {f.price(whole)} is expected to lose {f.percent(lost, 1)} of them at once, "
        "so a rise to the last ending below it is the safest."
    ]


def judge_backtest(backtest: Record, f: Formatter) -> str:
    """Return at how many horizons the forecast beat the mean of seven rows, and the coverage of its intervals."""
    scores = backtest["scores"]
    won = sum(row["skill"] > 0 for row in scores)
    horizons = plural(len(scores), "horizon")
    return f"The forecast beat the 7-{f.period} mean at {won} of {horizons}; {_coverage_words(scores, f)}"


SEASON = {
    True: "The forecast follows the yearly season of {whose:word} (probability {chance:percent.0}).",
    False: "The forecast does not follow the yearly season of {whose:word} (probability {chance:percent.0}).",
}
"""Sentences on a yearly season, by whether it is probable."""


def season_words(product: Record, f: Formatter) -> str:
    """Return whether the forecast follows a yearly season."""
    if (found := product.get("yearly_season")) is None:
        return translate("No season is foreseen: the history is shorter than a year.")
    whose = "your other products" if product.get("season_of") == "catalogue" else "the history"
    return f.say(SEASON[found >= 0.5], {"whose": whose, "chance": found})


def _coverage_words(scores: Sequence[Record], f: Formatter) -> str:
    days = sum(row["days"] for row in scores)
    inside = round(sum(row["days"] * row["coverage"] for row in scores))
    return f"its 90 % intervals contained {inside:,} of {days:,} {f.period}s."


def judge_backtests(tested: Sequence[Sequence[Record]], number: int, f: Formatter) -> str:
    """Return how forecasts fared by the scores of those ``tested`` of some products; empty if none or all were."""
    if not tested or len(tested) == number:
        return ""
    words = f"The forecast was tested on {len(tested):,} of {number:,} products, a random sample"
    return f"{words}; {_coverage_words([row for scores in tested for row in scores], f)}"


def order_lines(orders: Sequence[Record], f: Formatter, statuses: Collection[str] = ENDED) -> list[str]:
    """Return one line per order of some ``statuses``: those that have expired or are refused, or those in force."""
    return [_order_words(order, f) for order in orders if order["status"] in statuses]


ORDERS = {
    "returning": "the price test has ended: back to the regular price, {price:price}",
    "active": "{what} until {until:date}, by {by}: {why}",
    "expired": "The {kind} of entry {id} by {actor} ({wanted} until {until:date}) has expired.",
    "refused": "The {kind} of entry {id} by {actor} ({wanted} until {until:date}) is not followed: {refusal}.",
}
"""Words on an order, by its status."""


def _order_words(order: Record, f: Formatter) -> str:
    price = f.price(order["price"])
    kept = order["price"] is None
    given = {
        **order,
        "kind": order["kind"].replace("_", " "),
        "wanted": "keep the price" if kept else price,
        "what": "price test" if order.get("schedule") else "price kept" if kept else price,
        "by": shown(order["actor"], 40),
        "why": shown(order["reason"]),
    }
    return f.say(ORDERS[order["status"]], given)


def track_lines(record: Record | None, f: Formatter) -> list[str]:
    """Return predictions, outcomes and coverage of a ``track_record`` of ``advice.json``; none without one."""
    if record is None:
        return []
    days = record["days"]
    blank = sum(day["outcome"] == "not observed" for day in days)
    unseen = f", {blank} without recorded sales" if blank else ""
    held = [f"{name} {inside} of {tested}" for name, (inside, tested) in record["inside"].items() if tested]
    off = [
        f"{f.date(day['date'])} ({f.price(day['advised_price'])} advised, {f.price(day['charged_price'])} charged)"
        for day in days
        if day["outcome"] == "not followed"
    ]
    return [
        f"{plural(len(days), f'advised {f.period}')} passed, {record['followed']} at the advised price{unseen}.",
        *([f"Inside the 90 % interval: {', '.join(held)}."] if held else []),
        *(_total_words(name, check, record["inside"][name][1], f) for name, check in record["total"].items() if check),
        *([f"Not followed, so no test of the forecast: {list_first(off, MOST_DAYS)}."] if off else []),
        *(_overruled_words(record["overruled"], f) if record["overruled"] else []),
    ]


def _total_words(name: str, check: Record, tested: int, f: Formatter) -> str:
    """Return prediction and outcome of units, sales or profit, as means over the days ``tested``."""
    predicted, low, high, actual = (check[key] / tested for key in ("predicted", "low", "high", "actual"))
    choose, show = (unit_digits, f.number) if name == "units" else (f.money_digits, f.money)
    digits = choose(predicted, actual)
    said = f"{show(predicted, digits)}{f.limits(low, high, digits, label='90 %: ')}"
    return (
        f"{name.capitalize()} per {f.period}: predicted {said}, actual {show(actual, digits)}, "
        f"{'inside' if check['inside'] else 'outside'}."
    )


def _overruled_words(found: Record, f: Formatter) -> list[str]:
    """Return what the model wanted and expected on days on which another price was charged."""
    charged = (
        f"On {plural(found['days'], f.period)} the model's price was not charged: it wanted "
        f"{f.price(found['model_price'])} on average, {f.price(found['charged_price'])} was charged."
    )
    if found["model_profit"] is None or found["actual_profit"] is None:
        return [charged]
    profit = found["actual_profit"]
    expected = found["model_profit"]
    against = f"{f.money(expected)} ({f.money(profit - expected, plus='+')})"
    return [charged, f"Profit per {f.period} was {f.money(profit)}; the model expected {against}."]


def edit_words(product: Record, f: Formatter) -> str:
    """Return which limits delay the change beyond the first day, else what the limits changed, else their sizes."""
    new = product["recommended_price"]
    bounds = product["details"]["bounds"]
    starts = next((day["date"] for day in product["days"] if day["recommended_price"] == new), "")
    why = "; ".join(it["why"] for it in product["details"]["objections"] if it["low"] <= new <= it["high"])
    if why and starts > product["days"][0]["date"] and new != product["current_price"]:
        return f"the change waits until {f.weekday_date(starts)}: {why}"
    if edits := product["guardrails"]:
        edit, *others = edits
        asked = "" if edit["before"] is None else f"{f.price(edit['before'])} became {f.price(edit['after'])}: "
        more = f" (and {plural(len(others), 'more change')})" if others else ""
        return f"{asked}{edit['why']}{more}"
    known = [
        *(
            f"{percent_of(bounds[limit], f)} per {span}"
            for limit, span in (("max_rise", "change"), ("max_week_change", "week"))
            if bounds[limit]
        ),
        *([f"a change every {bounds['min_hold_days']} days"] if bounds["min_hold_days"] >= 2 else []),
    ]
    return f"none reached (at most {', '.join(known)})" if known else "none reached"


def describe_limits(product: Record, f: Formatter) -> str:
    """Return the limits on the next price and on later changes, as they are in force."""
    bounds = product["details"]["bounds"]
    now = f.price(product["current_price"])
    target = bounds.get("walks_to")
    below = target is not None and target > product["current_price"]
    hard = name_limit(bounds["lowest_rule" if below else "highest_rule"])
    ends = (f"{f.price(bounds[end])} ({name_limit(bounds[f'{end}_rule'])})" for end in ("lowest", "highest"))
    beyond = " and ".join(map(name_limit, bounds["beyond"]))
    stays = f"; the current price lies beyond {beyond} and may stay" if beyond else ""
    change = "Each"
    if bounds["max_rise"] is not None:
        rise, drop, week = (percent_of(bounds[name], f) for name in ("max_rise", "max_drop", "max_week_change"))
        change = f"A change is at most {rise} up or {drop} down, and {week} against the price of 7 days before; each"
    held = {
        f"The product is paused: its price stays at {now}.": bounds["paused"],
        f"The limits leave no price ({bounds['conflict']}): the current price, {now}, is held.": bounds["conflict"],
        f"The current price, {now}, lies beyond a hard limit ({hard}). It moves to {f.price(target)} in the largest "
        "steps that the limits on changes allow.": target is not None,
        f"The next price lies between {' and '.join(ends)}{stays}. {change} price stays at least "
        f"{plural(bounds['min_hold_days'], 'day')}.": True,
    }
    return next(words for words, holds in held.items() if holds)


def percent_of(limit: float, f: Formatter) -> str:
    """Return a limit, a share of the price, as a percentage without needless digits."""
    return f.percent(limit, 0 if abs(100 * limit % 1 - 0.5) > 0.45 else 1)
