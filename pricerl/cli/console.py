"""Terminal output: one table printer, the summary of an advice and the scores of its policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pricerl.advice.reasons import backtest_lines, gain_words, order_lines, track_lines
from pricerl.advice.report.sanitize import clean
from pricerl.formatting import UNKNOWN, Formatter, counted, plural, unit_digits

if TYPE_CHECKING:
    from pricerl.advice.files import AdviceFiles

MOST_SUMMARIES = 20
"""Products whose summary is printed."""

MOST_SCORED = 10
"""Products whose scores are printed."""

SCORE_COLUMNS = ("rule", "price", "units", "sales", "profit", "90 %", "beats keeping")

Product = Mapping[str, Any]
"""Entry of ``products`` in ``advice.json``."""


def write_lines(lines: Iterable[str]) -> None:
    """Print lines without control characters."""
    print("\n".join(clean(line) for line in lines))


def table(rows: Sequence[Sequence[str]], numbers: bool = True) -> list[str]:
    """Return rows as lines with aligned columns.

    Args:
        rows: cells, the header first; all rows have the same length.
        numbers: whether the columns after the first contain numbers, which go to the right.
    """
    if not rows:
        return []
    first, *others = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *cells in rows:
        padded = [
            cell.rjust(width) if numbers else cell.ljust(width) for cell, width in zip(cells, others, strict=True)
        ]
        lines.append("  ".join(["", name.ljust(first), *padded]).rstrip())
    return lines


def print_summary(products: Sequence[Product], files: AdviceFiles, formatter: Formatter) -> None:
    """Print one block per product, at most ``MOST_SUMMARIES``, and the files."""
    for product in products[:MOST_SUMMARIES]:
        write_lines(_summary(product, formatter))
    if len(products) > MOST_SUMMARIES:
        print(f"… and {len(products) - MOST_SUMMARIES} more products in {files.table}")
    print(f"files: {files.table}, {files.document}, {files.report}")


def _summary(product: Product, f: Formatter) -> list[str]:
    decision, data = product["decision"], product["data_quality"]
    held = decision["follow"] == "hold"
    *before, source = product["chain"]
    after = f" (after {', '.join(before)})" if before else ""
    best = next(row for row in product["baselines"] if row["rule"] == "planner, this objective")
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
        f"  per day, keeping the price: {_outcome(product['keep'], f)}",
        *([] if held else [f"  per day, recommended:       {_outcome(product['expected'], f)}"]),
        f"  policy settles at {f.price(product['settled_price'])}, best constant price for its objective "
        f"{f.price(best['price'])}{_gap(product['planner_gap'], f)}",
        *(f"  {line}" for line in order_lines(product["orders"], f)),
    ]
    if product["track_record"] is not None:
        lines += [f"  {line}" for line in track_lines(product["track_record"], f)]
    if product["backtest"] is not None:
        lines += [f"  {line}" for line in backtest_lines(product["backtest"], f)]
    return [product["product"], *lines]


def _gap(share: float | None, f: Formatter) -> str:
    if share is None:
        return ""
    return f": {f.percent(abs(share), 2)} {'less' if share >= 0 else 'more'} profit before fixed cost"


def _outcome(values: Mapping[str, float | None], f: Formatter) -> str:
    units, sales, profit = values["units"], values["sales"], values["profit"]
    money = "profit unknown" if profit is None else f"profit {f.money(profit)}"
    return f"{f.number(units, unit_digits(units))} units, sales {f.money(sales)}, {money}"


def print_scores(products: Sequence[Product], num_products: int, formatter: Formatter) -> None:
    """Print a table of rules and the checks for at most ``MOST_SCORED`` products.

    Args:
        products: these products at least.
        num_products: of the whole history.
        formatter: locale, currency and price digits.
    """
    for product in products[:MOST_SCORED]:
        write_lines(["", *score_lines(product, formatter)])
    if num_products > MOST_SCORED:
        print(f"\n… and {num_products - MOST_SCORED} more products")


def score_lines(product: Product, formatter: Formatter) -> list[str]:
    """Return the rules, the policy's value, the off-policy estimates and the sensitivity of one product."""
    draws = product["details"]["markets"]
    lines = [
        f"{product['product']}: constant prices on an average day of the plausible scenarios",
        *table([SCORE_COLUMNS, *(_rule_cells(row, draws, formatter) for row in product["baselines"])]),
        *([] if product["policy_value"] is None else _value_lines(product["policy_value"], formatter)),
        *(off_policy_line(name, found, formatter) for name, found in product["off_policy"].items()),
    ]
    return lines if product["sensitivity"] is None else [*lines, sensitivity_line(product["sensitivity"], formatter)]


def _rule_cells(row: Mapping[str, Any], draws: int, f: Formatter) -> tuple[str, ...]:
    money = (UNKNOWN, UNKNOWN, UNKNOWN)
    if row["profit"] is not None:
        digits = f.money_digits(row["profit"], row["profit_low"], row["profit_high"])
        better = UNKNOWN if row["probability_better"] is None else counted(row["probability_better"], draws)
        money = (f.money(row["profit"], digits), f.span(row["profit_low"], row["profit_high"], digits), better)
    units = f.number(row["units"], unit_digits(row["units"]))
    return (row["rule"], f.price(row["price"]), units, f.money(row["sales"]), *money)


def _value_lines(value: Mapping[str, Any], f: Formatter) -> list[str]:
    lines = []
    for base, key in (("keeping the price", "over_keep"), (f"your last {value['days']} prices", "over_log")):
        gain = value[key]
        found = gain_words(gain["mean"], gain["low"], gain["high"], f)
        better = counted(gain["chance"], value["markets"])
        lines.append(f"  policy over {base}, {plural(value['days'], 'day')}: {found}")
        lines.append(f"    better in {better} plausible scenarios, mean of the worst tenth {f.gain(gain['cvar'])}")
    return lines


def off_policy_line(name: str, found: Mapping[str, Any], f: Formatter) -> str:
    """Return the off-policy estimate of one price."""
    start = f"  off-policy estimate at {f.price(found['price'])} ({name}): "
    if found["value"] is None:
        return f"{start}not identifiable, {found['reason']}"
    digits = f.money_digits(found["value"], found["low"], found["high"])
    return (
        f"{start}{f.money(found['value'], digits)} per day before fixed cost (90 %: "
        f"{f.span(found['low'], found['high'], digits)}), {f.number(found['effective_days'], 0)} effective days"
    )


def sensitivity_line(found: Mapping[str, Any], f: Formatter) -> str:
    """Return how strong an unobserved cause must be to undo the gain."""
    if found["undoing"] == 0:
        return "  an unobserved cause has nothing to undo: a gain is not likely"
    like = ""
    if found["strength"] is not None:
        like = f", {f.number(found['strength'])} times the strength of the {found['strongest']}"
    return (
        f"  an unobserved cause would undo the gain with {f.percent(found['undoing'])} of the unexplained variation in "
        f"price and units{like}; {f.percent(found['robustness'])} bring its probability below the gate"
    )
