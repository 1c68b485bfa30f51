"""Reasons of an advice in words, shared by table, terminal and report; no claim is stronger than the grade."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pricerl.decide.decision import UNTESTED
from pricerl.evaluation.rule_names import BEST_FOR_PROFIT, KEEP, PLANNER, POLICY
from pricerl.formatting import MEASURES, Formatter, counted, plural, sentence, unit_digits

if TYPE_CHECKING:
    from pricerl.arrays import Interval
    from pricerl.evaluation import DailyOutcome, Uplift

CLEAR = 0.9
"""Smallest share of the posterior draws in which a clear direction pays, as by default for a change."""
EXAMPLE_FEES = 0.15
"""Fees of the example in a reason without fees, as a share of the price: a marketplace's usual commission."""
MOST_DAYS = 5
"""Most days listed individually among those not charged as advised."""

Record = Mapping[str, Any]
Facts = SimpleNamespace
"""All fields of a ``ProductAdvice`` but the reason."""


def explain(advice: Facts, formatter: Formatter) -> str:
    """Return the recommendation and its reasons in a few short sentences.

    Args:
        advice: everything but the reason.
        formatter: locale, currency and price digits.
    """
    why, held = advice.decision.why, advice.decision.follow == "hold"
    sentences = [
        _verdict(advice, formatter),
        "" if held or why == UNTESTED else sentence(why),
        *_evidence(advice, formatter),
        _cost_of_leaning(advice, formatter),
        *_demand(advice, formatter),
        sentence(UNTESTED) if advice.decision.grade in ("B", "B-") else "",
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _verdict(advice: Facts, f: Formatter) -> str:
    now, new = advice.current_price, advice.recommended_price
    if advice.decision.follow == "hold":
        return sentence(f"Keep {f.price(now)}: {advice.decision.why}")
    verb = "Raise" if new > now else "Lower"
    first = next(day.date for day in advice.days if day.recommended_price != now)
    change = f"{verb} to {f.price(new)} on {f.weekday_date(first)} ({f.percent(new / now - 1, plus='+')})"
    walks = advice.decision.follow == "limit"
    last = advice.days[-1].recommended_price if walks else advice.settled_price
    if (walks or advice.decision.follow == "path") and f.price(last) != f.price(new):
        change += f", then in steps to {f.price(last)}"
    return f"{change}."


def _evidence(advice: Facts, f: Formatter) -> Iterator[str]:
    if advice.decision.follow != "hold":
        if advice.uplift is not None:
            forced = advice.decision.source == "limits"
            cost = f"The limits cost {MEASURES[advice.measure]}"
            yield _expected(advice, advice.uplift, f, cost if forced else "Expected")
            if advice.measure == "sales" and advice.uplift.profit is not None:
                yield f"Effect on profit: {gain_words(advice.uplift.profit, f)}."
    elif advice.decision.lacks_evidence and advice.decision.grade != "D" and _gain(advice.proposal.over_keep, advice):
        settled = f.price(advice.settled_price)
        back = settled == f.price(advice.current_price)
        yield f"The {advice.decision.proposed_by} would {'leave it and come back' if back else f'go to {settled}'}."
        yield _expected(advice, advice.proposal.over_keep, f)


def _gain(outcome: DailyOutcome, advice: Facts) -> Interval | None:
    """Return the measure of an outcome or an uplift; None if it is unknown."""
    return outcome.sales if advice.measure == "sales" else outcome.profit


def _expected(advice: Facts, uplift: Uplift, f: Formatter, if_lost: str = "Expected") -> str:
    gain = _gain(uplift, advice)
    if gain is None or uplift.probability_better is None:
        return ""
    better = counted(uplift.probability_better, advice.num_draws)
    start = if_lost if gain.mean < 0 else "Expected"
    return f"{start}: {gain_words(gain, f, advice.measure)}, better in {better} plausible scenarios."


def gain_words(uplift: Sequence[float], f: Formatter, measure: str = "profit") -> str:
    """Return a difference with its 90 % limits: ``+26.00 profit per day (90 %: +12.00 to +42.00)``."""
    return f.estimate(uplift, f" {MEASURES[measure]} per {f.period}", "+")


def contribution_words(value: Sequence[float], f: Formatter, measure: str) -> str:
    """Return an amount per day with its 90 % limits; profit is meant before fixed cost."""
    return f.estimate(
        value, f" per {f.period} before fixed cost" if measure == "profit" else f" revenue per {f.period}"
    )


def measure_of(product: Record) -> str:
    """Return the field that counts in an entry of ``products``: ``profit``, or ``sales`` where revenue counts."""
    return str(product["measure"])


def list_alternatives(product: Record) -> list[Record]:
    """Return keeping the price, the other rules and the proposed path of an entry of ``products`` as table rows."""
    path, better = product["proposal"], product["proposal"]["over_keep"]["probability_better"]
    keep = {"rule": KEEP, "price": product["current_price"], "outcome": product["keep"], "probability_better": None}
    rule = PLANNER if product["decision"]["speaker"] == "planner" else POLICY
    own = {"rule": rule, "price": path["prices"][-1], "outcome": path["outcome"], "probability_better": better}
    return [keep, *product["baselines"], own]


def _cost_of_leaning(advice: Facts, f: Formatter) -> str:
    """Return the daily cost of following the objective without the gate; empty with the gate."""
    own, uplift = advice.proposal.outcome.profit, advice.proposal.over_keep.profit
    best = next((row for row in advice.baselines if row.rule == BEST_FOR_PROFIT), None)
    if advice.decision.gated or own is None or uplift is None or best is None or best.outcome.profit is None:
        return ""
    return (
        f"On the way to {f.price(advice.proposal.prices[-1])}, expected profit per {f.period} is {f.money(own.mean)}: "
        f"{f.money(uplift.mean, plus='+')} against keeping {f.price(advice.current_price)} and "
        f"{f.money(own.mean - best.outcome.profit.mean, plus='+')} against going to {f.price(best.price)}, the best "
        "price for profit alone."
    )


def _demand(advice: Facts, f: Formatter) -> Iterator[str]:
    if advice.data_quality.get("distinct_prices", 0) < 2:
        yield "Charge another price for two weeks to learn its effect."
        return
    (mean, high, low), raising = (-value for value in advice.elasticity), advice.raising
    effect = f"cost about {f.number(mean, 1)} % of" if mean >= 0 else f"gone with {f.number(-mean, 1)} % more"
    limit = None if raising is None else raising.break_even
    pays = "" if limit is None else f"; anything under {f.number(limit, 1)} % pays"
    yield f"A 1 % rise has {effect} units{f.limits(low, high, 1, label='90 %: ')}{pays}."
    if raising is not None:
        yield from _direction(advice, raising.probability_better, f)
    elif advice.decision.grade != "D":
        yield from _break_even(advice, f)
        return
    if advice.recommended is None:  # the reason says that nothing is known there
        return
    days = max(1, round(advice.effective_days))
    were = "was" if days == 1 else "were"
    yield f"About {plural(days, f.period)} of your history {were} near {f.price(advice.recommended_price)}."


def _break_even(advice: Facts, f: Formatter) -> Iterator[str]:
    """Return the unit cost above which a rise pays, and whether a rise brings more revenue."""
    found = advice.break_even
    more = f"more revenue in {counted(found.raises_revenue, advice.num_draws)} plausible scenarios"
    if found.raises_revenue >= CLEAR:
        yield f"Raising pays at any cost if it brings more revenue, and it brings {more}."
        yield "The preset revenue (data.reward.preset) advises how far."
        return
    limit = f.estimate(found.cost)
    yield f"Raising pays if a unit costs more than about {limit}; lowering pays if it costs less."
    if not found.fees_known:
        lower = f.money(found.cost.mean * (1 - EXAMPLE_FEES))
        yield f"That is without fees; with fees of {f.percent(EXAMPLE_FEES, 0)} it is {lower}."
    yield f"A rise brings {more}."


def _direction(advice: Facts, rise_pays: float, f: Formatter) -> Iterator[str]:
    """Return whether a small rise pays; where that is clear but no change is, set direction and size apart."""
    own, draws = advice.proposal.over_keep.probability_better, advice.num_draws
    way, pays = ("rise", rise_pays) if rise_pays >= 0.5 else ("cut", 1 - rise_pays)
    if not advice.decision.unsure or pays < CLEAR or own is None or own >= CLEAR:
        yield f"A small rise would pay in {counted(rise_pays, draws)} plausible scenarios."
        return
    yield f"The direction is clear: a small {way} would pay in {counted(pays, draws)} plausible scenarios."
    same_way = (advice.settled_price > advice.current_price) == (way == "rise")
    step = f"going to {f.price(advice.settled_price)} would pay in {counted(own, draws)}"
    yield f"The size is not: {step if same_way else 'no step that was weighed pays as surely'}."


def speaker_lines(product: Record, f: Formatter) -> list[str]:
    """Return which of planner and policy proposes a product's path, and why; empty if only the policy may."""
    if (found := product["proposal"]["policy_over_plan"]) is None:
        return []
    gain, error = found["advantage"], found["error"]
    if gain is None:
        return ["The policy returns no finite price, so the planner proposes the path."]
    more = "more" if gain >= 0 else "less"
    if found["unit"] == "share":
        size = f"{f.percent(abs(gain), 2)} {more} {MEASURES[measure_of(product)]}"
        size += f" than the planner (standard error {f.percent(error, 2)})"
    else:
        size = f"{f.number(abs(gain), 3)} rewards per {f.period} {more} than the planner (standard error "
        size += f"{f.number(error, 3)})"
    return [f"The policy earns {size}, so the {product['decision']['speaker']} proposes the path."]


def backtest_lines(backtest: Record, f: Formatter) -> list[str]:
    """Return the errors of every horizon on one line, and the verdict of a backtest of ``advice.json``."""
    scores = backtest["scores"]
    ahead = ", ".join(str(row["days_ahead"]) for row in scores)
    market, mean = (", ".join(f.percent(row[key]) for row in scores) for key in ("wape_market", "wape_mean_7"))
    return [
        f"Backtest, days ahead {ahead}: error {market} of units, 7-{f.period} mean {mean}",
        judge_backtest(backtest, f),
    ]


def judge_backtest(backtest: Record, f: Formatter) -> str:
    """Return the horizons at which the forecast beat the mean of seven rows, and the coverage of its intervals."""
    scores: Sequence[Record] = backtest["scores"]
    days = sum(row["days"] for row in scores)
    inside = round(sum(row["days"] * row["coverage"] for row in scores))
    lost = [str(row["days_ahead"]) for row in scores if row["skill"] <= 0]
    verdict = f"The forecast beat the 7-{f.period} mean at every horizon"
    if lost:
        listed = " and ".join([", ".join(lost[:-1]), lost[-1]] if len(lost) > 1 else lost)
        verdict = f"The forecast did not beat the 7-{f.period} mean {listed} {'day' if lost == ['1'] else 'days'} ahead"
    return f"{verdict}; its 90 % intervals contained {inside} of {days} {f.period}s."


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
    held = ", ".join(f"{name} {inside} of {days}" for name, (inside, days) in record["inside"].items() if days)
    passed = plural(len(record["days"]), f"advised {f.period}")
    lines = [f"Track record: {passed} passed, {record['followed']} at the advised price."]
    lines += [f"Inside the 90 % interval: {held}."] if held else []
    for name, check in record["total"].items():
        if check is not None:
            lines += _total_lines(name, check, record["inside"][name][1], f)
    return [*lines, *_deviations(record["days"], f), *_overruled(record["overruled"], f)]


def _total_lines(name: str, check: Record, days: int, f: Formatter) -> Iterator[str]:
    keys = ("predicted", "low", "high", "actual")
    where = "inside" if check["inside"] else "outside"
    for words, share in [("in total", 1), *([(f"per {f.period}", days)] if days > 1 else [])]:
        predicted, low, high, actual = (check[key] / share for key in keys)
        digits = unit_digits(predicted, actual) if name == "units" else f.money_digits(predicted, actual)
        show = f.number if name == "units" else f.money
        limits = f.limits(low, high, digits, label="90 %: ")
        yield (
            f"{name.capitalize()} {words}: predicted {show(predicted, digits)}{limits}, "
            f"actual {show(actual, digits)}, {where}."
        )


def _deviations(days: Sequence[Record], f: Formatter) -> Iterator[str]:
    off = [day for day in days if day["outcome"] == "not followed"]
    if off:
        listed = ", ".join(
            f"{f.date(day['date'])} ({f.price(day['advised_price'])} advised, {f.price(day['charged_price'])} charged)"
            for day in off[:MOST_DAYS]
        )
        more = f" and {len(off) - MOST_DAYS} more" if len(off) > MOST_DAYS else ""
        yield f"Not followed, so no test of the forecast: {listed}{more}."
    blank = sum(day["outcome"] == "not observed" for day in days)
    if blank:
        yield f"Without recorded sales: {plural(blank, f.period)}."


def _overruled(found: Record | None, f: Formatter) -> Iterator[str]:
    if found is None:
        return
    yield (
        f"The model was overruled on {plural(found['days'], f.period)}: it wanted {f.price(found['model_price'])} on "
        f"average, {f.price(found['charged_price'])} was charged."
    )
    expected, actual = found["model_profit"], found["actual_profit"]
    if expected is not None and actual is not None:
        yield (
            f"Profit per {f.period} was {f.money(actual)}, against {f.money(expected)} that the model expected of its "
            f"own price ({f.money(actual - expected, plus='+')})."
        )
