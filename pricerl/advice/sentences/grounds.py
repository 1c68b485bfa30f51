"""Sentences on the grounds of an advice: proposer, forecast skill, limits, orders, track record and doubts."""

from __future__ import annotations

from collections.abc import Sequence

from pricerl.advice.sentences.answers import LOOK, REMEDIES
from pricerl.advice.sentences.verdict import Record, codes_of, gain_words, scenario_words, shops_of
from pricerl.arrays import LIMIT_SDS
from pricerl.evaluation.rule_names import KEEP, PLANNER, POLICY
from pricerl.formatting import MEASURES, Formatter, counted, plural, unit_digits
from pricerl.guardrails.limits_in_force import name_limit

EXPERIMENT_GAP = 1.66
"""Elasticity by which the history of a chain was steeper than its experiment with 389,890 random prices, -2.0 against
-0.34 (Bray, Sanders and Stamatopoulos 2024)."""

FEWEST_SHOWING = 8
"""Fewest other products whose price changes are named as evidence on the bias."""

MOST_DAYS = 5
"""Most days listed individually among those not charged as advised."""

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


def list_remedies(product: Record) -> list[tuple[str, str]]:
    """Return every reason for doubt about the data with its remedy."""
    quality = product["data_quality"]
    remedies = (REMEDIES.get(finding["code"], LOOK) for finding in quality["findings"])
    return list(zip(quality["reasons"], remedies, strict=True))


def list_doubts(product: Record) -> list[str]:
    """Return the reasons for doubt about the data that the decision does not name itself."""
    quality = product["data_quality"]
    named = codes_of(product["decision"]["reasons"])
    pairs = zip(quality["findings"], quality["reasons"], strict=True)
    return [reason for finding, reason in pairs if finding["code"] not in named]


def beyond_tried(product: Record, f: Formatter) -> str:
    """Return the edge of the tried prices at which the measure still rises; empty if there is none."""
    side = product["details"]["beyond"]
    quality = product["data_quality"]
    if not side or quality["price_min"] == quality["price_max"]:
        return ""
    edge, price = ("highest", quality["price_max"]) if side == "above" else ("lowest", quality["price_min"])
    return (
        f"Expected {MEASURES[product['measure']]} still rises at the {edge} price you tried ({f.price(price)}). The "
        f"best price may lie {side} it, where your history contains nothing."
    )


def list_alternatives(product: Record) -> list[Record]:
    """Return keeping the price, the other rules and the proposed path of an entry of ``products`` as table rows."""
    path = product["proposal"]
    better = path["over_keep"]["probability_better"]
    keep = {"rule": KEEP, "price": product["current_price"], "outcome": product["keep"], "probability_better": None}
    rule = PLANNER if product["decision"]["proposed_by"] == "planner" else POLICY
    own = {"rule": rule, "price": path["prices"][-1], "outcome": path["outcome"], "probability_better": better}
    return [keep, *product["baselines"], own]


def proposer_lines(product: Record, f: Formatter) -> list[str]:
    """Return who proposes a product's path, policy or planner, and how far the other is; empty if only one may."""
    if (found := product["proposal"]["policy_over_plan"]) is None:
        return []
    if (gain := found["advantage"]) is None:
        return ["SAC's policy returns no finite price, so dynamic programming proposes this path."]
    decision = product["decision"]
    own = "SAC's policy"
    other = "dynamic programming"
    path = "this path" if decision["source"] != "planner" else "another path, worth less in a quarter"
    if decision["proposed_by"] == "planner":
        own, other, path, gain = other, own, "this path", -gain
    size = f"{f.percent(abs(gain), 2)} {'less' if gain > 0 else 'more'}" if abs(gain) >= 5e-5 else "as much"
    what = MEASURES[product["measure"]]
    if product.get("objective"):
        what = f"by the objective {product['objective']}, as a share of {what}"
    error = f.percent(found["error"], 2)
    return [f"{own[0].upper()}{own[1:]} proposes {path}; {other} earns {size} {what} (standard error {error})."]


def judge_proposal(product: Record, f: Formatter) -> list[str]:
    """Return how the proposed path compares with keeping the price and with the seller's latest prices."""
    measure = product["measure"]
    over_keep = product["proposal"]["over_keep"]
    proposer = product["decision"]["proposed_by"]
    origin = proposer_lines(product, f)
    if (gain := over_keep[measure]) is None:
        return [f"The {proposer} cannot be compared with keeping the price, because costs are unknown.", *origin]
    over_log = gain_words(product["proposal"]["over_log"][measure], f, measure)
    own = f"Compared with your own last prices, charged again: {over_log}."
    if not any(abs(value) > 1e-9 for value in gain):
        return [f"The {proposer} keeps the price as well: it is not better than keeping the price.", own, *origin]
    mean, low, _ = gain
    verdict = "is better" if low > 0 else "is not shown to be better" if mean > 0 else "is not better"
    better = scenario_words(over_keep, product)
    return [
        f"The {proposer}'s own path {verdict} than keeping the price: {gain_words(gain, f, measure)}. It {better}; the "
        f"mean of the worst tenth is {f.money(over_keep['cvar'], plus='+')}.",
        own,
        *origin,
    ]


def prior_words(product: Record, f: Formatter) -> list[str]:
    """Return how far the estimate and the decision move under other priors, as sentences; empty without a prior."""
    if (prior := product.get("prior")) is None:
        return []
    low, high = (f.number(value, 1) for value in prior["elasticity"])
    start = (
        f"Weaker, stronger, flatter or steeper assumptions on {shops_of(prior)} give elasticities of {low} to {high}."
    )
    if (better := prior["probability_better"]) is None:
        return [start]
    least, most = (counted(value, product["num_draws"]) for value in better)
    return [
        start,
        f"The change weighed is then better in {least} to {most} plausible scenarios.",
        f"The decision {'stays the same' if prior['same_decision'] else 'changes under one of them'}.",
    ]


def bias_words(product: Record, f: Formatter) -> list[str]:
    """Return the stated bias of the history, and what a gap as in an experiment would mean; empty without a bias."""
    if not (bias := product.get("bias")):
        return []
    mean, sd = bias
    reach = LIMIT_SDS * sd
    why = "buyers' reaction, as its prices were not set at random"
    if not mean:
        words = [f"Your history may misstate {why}: the estimate allows for {f.number(reach, 1)} either way."]
    else:
        wrong, less = ("overstate", "weaker") if mean < 0 else ("understate", "stronger")
        size = f"{f.number(abs(mean), 1)}{f.limits(abs(mean) - reach, abs(mean) + reach, 1, label='90 %: ')}"
        words = [f"Your history may {wrong} {why}: the estimate counts it {less} by {size}."]
    if (shown_by := product.get("bias_shown_by", 0)) >= FEWEST_SHOWING:
        words.append(f"Price changes of {shown_by} other products of yours, made on advice, count in this.")
    limit = None if product["raising"] is None else product["raising"]["break_even"]
    if limit is None or product["decision"]["grade"] == "D":
        return words
    shown = -product["elasticity"][0]
    left = max(shown - EXPERIMENT_GAP, 0.0)
    turns = (left < limit) != (shown < limit)
    return [
        *words,
        f"In a retail chain's experiment the history overstated it by {f.number(EXPERIMENT_GAP, 1)}.",
        f"If yours did, too, 1 % more price would cost {f.number(left, 1)} % of sales volume, and a "
        f"{'higher' if left < limit else 'lower'} price would {'earn more instead' if turns else 'still earn more'}.",
    ]


def judge_backtest(backtest: Record, f: Formatter) -> str:
    """Return the horizons at which the forecast beat the mean of seven rows, and the coverage of its intervals."""
    lost = [str(row["days_ahead"]) for row in backtest["scores"] if row["skill"] <= 0]
    verdict = f"The forecast beat the 7-{f.period} mean at every horizon"
    if lost:
        listed = " and ".join([", ".join(lost[:-1]), lost[-1]] if len(lost) > 1 else lost)
        verdict = f"The forecast did not beat the 7-{f.period} mean {listed} {'day' if lost == ['1'] else 'days'} ahead"
    return f"{verdict}; {_coverage_words(backtest['scores'], f)}"


def season_words(product: Record, f: Formatter) -> str:
    """Return whether the forecast follows a yearly season."""
    found = product.get("yearly_season")
    if found is None:
        return "No season is foreseen: the history is shorter than a year."
    if product.get("season_of") == "catalogue":
        does = "The forecast follows" if found >= 0.5 else "Sales so far do not share"
        return f"{does} the yearly season of your other products (probability {f.percent(found, 0)})."
    if found < 0.5:
        return f"No yearly season is foreseen: the history shows none (probability {f.percent(found, 0)})."
    return f"The forecast follows the yearly season of the history (probability {f.percent(found, 0)})."


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


def order_lines(orders: Sequence[Record], f: Formatter) -> list[str]:
    """Return one line per order that is not followed, expired or refused."""
    lines = []
    for order in orders:
        what = "keep the price" if order["price"] is None else f.price(order["price"])
        kind = order["kind"].replace("_", " ")
        start = f"The {kind} of entry {order['id']} by {order['actor']} ({what} until {f.date(order['until'])})"
        if order["status"] == "expired":
            lines.append(f"{start} has expired.")
        elif order["status"] == "refused":
            lines.append(f"{start} is not followed: {order['refusal']}.")
    return lines


def track_lines(record: Record, f: Formatter) -> list[str]:
    """Return predictions, outcomes and coverage of a ``track_record`` of ``advice.json``."""
    days = record["days"]
    held = ", ".join(f"{name} {inside} of {tested}" for name, (inside, tested) in record["inside"].items() if tested)
    passed = plural(len(days), f"advised {f.period}")
    lines = [f"{passed} passed, {record['followed']} at the advised price."]
    lines += [f"Inside the 90 % interval: {held}."] if held else []
    for name, check in record["total"].items():
        if check is None:
            continue
        tested = record["inside"][name][1]
        predicted, low, high, actual = (check[key] / tested for key in ("predicted", "low", "high", "actual"))
        digits = unit_digits(predicted, actual) if name == "units" else f.money_digits(predicted, actual)
        said, got = ((f.number if name == "units" else f.money)(value, digits) for value in (predicted, actual))
        limits = f.limits(low, high, digits, label="90 %: ")
        where = "inside" if check["inside"] else "outside"
        lines.append(f"{name.capitalize()} per {f.period}: predicted {said}{limits}, actual {got}, {where}.")
    off = [
        f"{f.date(day['date'])} ({f.price(day['advised_price'])} advised, {f.price(day['charged_price'])} charged)"
        for day in days
        if day["outcome"] == "not followed"
    ]
    if off:
        more = f" and {len(off) - MOST_DAYS} more" if len(off) > MOST_DAYS else ""
        lines.append(f"Not followed, so no test of the forecast: {', '.join(off[:MOST_DAYS])}{more}.")
    if blank := sum(day["outcome"] == "not observed" for day in days):
        lines.append(f"Without recorded sales: {plural(blank, f.period)}.")
    return lines + _overruled_lines(record["overruled"], f)


def _overruled_lines(found: Record | None, f: Formatter) -> list[str]:
    if found is None:
        return []
    lines = [
        f"On {plural(found['days'], f.period)} the model's price was not charged: it wanted "
        f"{f.price(found['model_price'])} on average, {f.price(found['charged_price'])} was charged."
    ]
    expected = found["model_profit"]
    actual = found["actual_profit"]
    if expected is not None and actual is not None:
        lines.append(
            f"Profit per {f.period} was {f.money(actual)}, against {f.money(expected)} that the model expected of its "
            f"own price ({f.money(actual - expected, plus='+')})."
        )
    return lines


def wait_words(product: Record, f: Formatter) -> str:
    """Return which limits delay the change beyond the first day of the advice, a clause; empty if none does."""
    new = product["recommended_price"]
    first, *later = product["days"]
    start = next((day["date"] for day in later if day["recommended_price"] == new), "")
    if not start or new in (product["current_price"], first["recommended_price"]):
        return ""
    objections = (item for item in product["details"]["objections"] if item["low"] <= new <= item["high"])
    why = "; ".join(item["why"] for item in objections)
    return f"the change waits until {f.weekday_date(start)}: {why}" if why else ""


def edit_words(product: Record, f: Formatter) -> str:
    """Return why the change waits, else what the limits changed, else that none was reached."""
    if waits := wait_words(product, f):
        return waits
    bounds = product["details"]["bounds"]
    if edits := product["guardrails"]:
        edit = edits[0]
        asked = "" if edit["before"] is None else f"{f.price(edit['before'])} became {f.price(edit['after'])}: "
        more = f" (and {plural(len(edits) - 1, 'more change')})" if len(edits) > 1 else ""
        return f"{asked}{edit['why']}{more}"
    known = []
    if bounds["max_rise"]:
        known.append(f"{percent_of(bounds['max_rise'], f)} per change")
    if bounds["max_week_change"] is not None:
        known.append(f"{percent_of(bounds['max_week_change'], f)} per week")
    if bounds["min_hold_days"] >= 2:
        known.append(f"a change every {bounds['min_hold_days']} days")
    return f"none reached (at most {', '.join(known)})" if known else "none reached"


def describe_limits(product: Record, f: Formatter) -> str:
    """Return the limits on the next price and on later changes, as they are in force."""
    bounds = product["details"]["bounds"]
    now = f.price(product["current_price"])
    if bounds["paused"]:
        return f"The product is paused: its price stays at {now}."
    if bounds["conflict"]:
        return f"The limits leave no price ({bounds['conflict']}): the current price, {now}, is held."
    if bounds.get("walks_to") is not None:
        rule = name_limit(bounds["lowest_rule" if bounds["walks_to"] > product["current_price"] else "highest_rule"])
        return (
            f"The current price, {now}, lies beyond a hard limit ({rule}). It moves to {f.price(bounds['walks_to'])} "
            "in the largest steps that the limits on changes allow."
        )
    ends = (f"{f.price(bounds[end])} ({name_limit(bounds[f'{end}_rule'])})" for end in ("lowest", "highest"))
    text = f"The next price lies between {' and '.join(ends)}"
    if bounds["beyond"]:
        text += f"; the current price lies beyond {' and '.join(map(name_limit, bounds['beyond']))} and may stay"
    days = plural(bounds["min_hold_days"], "day")
    if bounds["max_rise"] is None:
        return f"{text}. Each price stays at least {days}."
    rise, drop, week = (percent_of(bounds[name], f) for name in ("max_rise", "max_drop", "max_week_change"))
    return (
        f"{text}. A change is at most {rise} up or {drop} down, and {week} against the price of 7 days before; each "
        f"price stays at least {days}."
    )


def percent_of(limit: float, f: Formatter) -> str:
    """Return a limit, a share of the price, as a percentage without needless digits."""
    return f.percent(limit, 0 if abs(100 * limit % 1 - 0.5) > 0.45 else 1)
