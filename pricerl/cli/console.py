"""Terminal output: one table printer, the summary of an advice and the scores of its policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pricerl.advice.reasons import (
    Record,
    backtest_lines,
    contribution_words,
    gain_words,
    list_alternatives,
    measure_of,
    order_lines,
    speaker_lines,
    track_lines,
)
from pricerl.evaluation.rule_names import BEST_FOR_OBJECTIVE
from pricerl.formatting import MEASURES, UNKNOWN, Formatter, counted, plural, unit_digits
from pricerl.terminal import write_lines

if TYPE_CHECKING:
    from pricerl.advice.files import AdviceFiles

MOST_SUMMARIES = 20
"""Largest number of products whose summary is printed."""

MOST_SCORED = 10
"""Largest number of products whose scores are printed."""


def table(rows: Sequence[Sequence[str]], numbers: bool = True) -> list[str]:
    """Return rows as lines with aligned columns.

    Args:
        rows: cells, the header first; all rows have the same length.
        numbers: whether the columns after the first contain numbers, to be right-aligned.
    """
    if not rows:
        return []
    first, *others = [max(map(len, column)) for column in zip(*rows, strict=True)]
    pad = str.rjust if numbers else str.ljust
    return ["  ".join(["", name.ljust(first), *map(pad, cells, others)]).rstrip() for name, *cells in rows]


def print_evidence(products: Sequence[Record], files: AdviceFiles, formatter: Formatter) -> None:
    """Print the evidence on every product, at most ``MOST_SUMMARIES``, and the files."""
    for product in products[:MOST_SUMMARIES]:
        write_lines(["", *_summary(product, formatter)])
    if len(products) > MOST_SUMMARIES:
        write_lines([f"… and {len(products) - MOST_SUMMARIES} more products in {files.table}"])
    write_lines([f"files: {files.table}, {files.document}, {files.report}"])


def _summary(product: Record, f: Formatter) -> list[str]:
    decision, data = product["decision"], product["data_quality"]
    held = decision["follow"] == "hold"
    *before, source = product["chain"]
    after = f" (after {', '.join(before)})" if before else ""
    best = next(row for row in product["baselines"] if row["rule"] == BEST_FOR_OBJECTIVE)
    less = ""
    if (gap := product["planner_gap"]) is not None:
        what = "profit before fixed cost" if measure_of(product) == "profit" else "revenue"
        less = f": {f.percent(abs(gap), 2)} {'less' if gap >= 0 else 'more'} {what}"
    lines = [
        *table(
            [
                ("current price", f.price(product["current_price"])),
                ("recommended price", f.price(product["recommended_price"])),
                ("grade", f"{decision['grade']}, source {source}{after}"),
            ],
            numbers=False,
        ),
        f"  {product['reason']}",
        *(f"  check the data: {reason}" for reason in data["reasons"]),
        f"  per {f.period}, keeping the price: {_outcome(product['keep'], f)}",
        *([] if held else [f"  per {f.period}, recommended:       {_outcome(product['recommended'], f)}"]),
        f"  {decision['speaker']} settles at {f.price(product['proposal']['prices'][-1])}, best constant price for its "
        f"objective {f.price(best['price'])}{less}",
        *(f"  {line}" for line in speaker_lines(product, f)),
        *(f"  {line}" for line in order_lines(product["orders"], f)),
    ]
    if product["track_record"] is not None:
        lines += [f"  {line}" for line in track_lines(product["track_record"], f)]
    if product["backtest"] is not None:
        lines += [f"  {line}" for line in backtest_lines(product["backtest"], f)]
    return [product["product"], *lines]


def _outcome(day: Record | None, f: Formatter) -> str:
    if day is None:
        return "not forecast"
    money = "profit unknown" if day["profit"] is None else f"profit {f.money(day['profit'][0])}"
    return f"{f.number(day['units'][0], unit_digits(day['units'][0]))} units, sales {f.money(day['sales'][0])}, {money}"


def print_scores(products: Sequence[Record], num_products: int, formatter: Formatter) -> None:
    """Print rules, off-policy estimates and sensitivity for at most ``MOST_SCORED`` of ``num_products`` products."""
    for product in products[:MOST_SCORED]:
        write_lines(["", *score_lines(product, formatter)])
    if num_products > MOST_SCORED:
        write_lines(["", f"… and {num_products - MOST_SCORED} more products"])


def score_lines(product: Record, formatter: Formatter) -> list[str]:
    """Return the rules, the proposed path's value, the off-policy estimates and the sensitivity of one product."""
    draws, days = product["num_draws"], plural(len(product["days"]), formatter.period)
    measure = measure_of(product)
    head = ("rule", "price", "units", "sales", MEASURES[measure], "90 %", "beats keeping")
    lines = [
        f"{product['product']}: per {formatter.period} over {days}, each price approached inside the guardrails",
        *table([head, *(_rule_cells(row, measure, draws, formatter) for row in list_alternatives(product))]),
        *_proposal_lines(product, formatter),
        *_off_policy_lines(product["off_policy"], formatter, measure),
    ]
    return lines if product["sensitivity"] is None else [*lines, sensitivity_line(product["sensitivity"], formatter)]


def _rule_cells(row: Record, measure: str, draws: int, f: Formatter) -> tuple[str, ...]:
    (units, *_), (sales, *_), earned = (row["outcome"][name] for name in ("units", "sales", measure))
    money = (UNKNOWN, UNKNOWN, UNKNOWN)
    if earned is not None:
        (mean, low, high), digits = earned, f.money_digits(*earned)
        better = UNKNOWN if row["probability_better"] is None else counted(row["probability_better"], draws)
        money = (f.money(mean, digits), f.limits(low, high, digits)[2:-1] or UNKNOWN, better)
    return (row["rule"], f.price(row["price"]), f.number(units, unit_digits(units)), f.money(sales), *money)


def _proposal_lines(product: Record, f: Formatter) -> list[str]:
    lines, days, speaker = [], len(product["days"]), product["decision"]["speaker"]
    for base, key in (("keeping the price", "over_keep"), (f"your last {days} prices", "over_log")):
        uplift, measure = product["proposal"][key], measure_of(product)
        if uplift[measure] is None:
            continue
        better = counted(uplift["probability_better"], product["num_draws"])
        lines.append(f"  {speaker} over {base}, {plural(days, f.period)}: {gain_words(uplift[measure], f, measure)}")
        lines.append(
            f"    better in {better} plausible scenarios, mean of the worst tenth {f.money(uplift['cvar'], plus='+')}"
        )
    return lines


def _off_policy_lines(estimates: Mapping[str, Record], f: Formatter, measure: str) -> list[str]:
    """Return a line per estimate; those of one price are one."""
    groups: dict[str, tuple[list[str], Record]] = {}
    for name, found in estimates.items():
        groups.setdefault(off_policy_line("", found, f, measure), ([], found))[0].append(name)
    return [off_policy_line(", ".join(names), found, f, measure) for names, found in groups.values()]


def off_policy_line(name: str, found: Record, f: Formatter, measure: str = "profit") -> str:
    """Return the off-policy estimate of one price."""
    start = f"  off-policy estimate at {f.price(found['price'])} ({name}): "
    if found["value"] is None:
        return f"{start}not identifiable, {found['reason']}"
    value, days = contribution_words(found["value"], f, measure), f.number(found["effective_days"], 0)
    return f"{start}{value}, {days} effective {f.period}s"


def sensitivity_line(found: Record, f: Formatter) -> str:
    """Return how strong an unobserved cause must be to undo the gain."""
    if found["undoing"] == 0:
        return "  sensitivity: a gain is unlikely, so an unobserved cause has nothing to undo"
    like = ""
    if found["strength"] is not None:
        like = f", {f.number(found['strength'])} times the strength of the {found['strongest']}"
    return (
        f"  an unobserved cause would undo the gain with {f.percent(found['undoing'])} of the unexplained variation in "
        f"price and units{like}; {f.percent(found['robustness'])} bring its probability below the gate"
    )
