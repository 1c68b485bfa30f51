"""What ``validate`` and ``test`` print of every product: the policy beside the rules, the log and hidden causes."""

from __future__ import annotations

from pricerl.advice.reasons import signed
from pricerl.advice.result import ProductAdvice
from pricerl.evaluation import BaselineRow, OffPolicyValue, PathGain, PolicyValue, Sensitivity
from pricerl.formatting import price_digits

MOST_SHOWN = 10
"""Products whose tables are printed."""

HEAD = ("rule", "price", "units", "sales", "profit", "90 %", "beats keeping")


def print_scores(advice: list[ProductAdvice], price_step: float, num_products: int) -> None:
    """Print a table and its checks for at most ``MOST_SHOWN`` products.

    Args:
        advice: of these products at least.
        price_step: the price grid.
        num_products: of the whole history.
    """
    digits = price_digits(price_step)
    for item in advice[:MOST_SHOWN]:
        print("\n".join(["", *score_lines(item, digits)]))
    if num_products > MOST_SHOWN:
        print(f"\n… and {num_products - MOST_SHOWN} more products")


def score_lines(item: ProductAdvice, digits: int) -> list[str]:
    """Lines about one product.

    Args:
        item: its advice.
        digits: of a price, after the point.
    """
    title = f"{item.product}: constant prices on an average day of the markets that fit its history"
    lines = [title, *_table([HEAD, *(_cells(row, digits) for row in item.baselines)])]
    lines += [] if item.policy_value is None else _value(item.policy_value)
    lines += [_log_line(name, value, digits) for name, value in item.off_policy.items()]
    return lines if item.sensitivity is None else [*lines, _hidden(item.sensitivity)]


def _cells(row: BaselineRow, digits: int) -> tuple[str, ...]:
    money = ("–", "–", "–")
    if row.profit is not None and row.profit_low is not None and row.profit_high is not None:
        chance = "–" if row.probability_better is None else f"{row.probability_better:.3f}"
        money = (f"{row.profit:.2f}", f"{row.profit_low:.2f} to {row.profit_high:.2f}", chance)
    return (row.rule, f"{row.price:.{digits}f}", f"{row.units:.2f}", f"{row.sales:.2f}", *money)


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    """Columns as wide as their widest cell, numbers to the right."""
    first, *others = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *numbers in rows:
        cells = [cell.rjust(width) for cell, width in zip(numbers, others, strict=True)]
        lines.append("  ".join(["", name.ljust(first), *cells]))
    return lines


def _value(value: PolicyValue) -> list[str]:
    where = f"{value.days} days, {value.markets} markets"
    return [
        f"  policy over keeping the price, {where}: {_gain(value.over_keep)}",
        f"  policy over the seller's last {value.days} prices, {where}: {_gain(value.over_log)}",
    ]


def _gain(gain: PathGain) -> str:
    return (
        f"{signed(gain.mean, 2)} a day (90 %: {signed(gain.low, 2)} to {signed(gain.high, 2)}), "
        f"better in {gain.chance:.3f}, mean of the unluckiest tenth {signed(gain.cvar, 2)}"
    )


def _log_line(name: str, found: OffPolicyValue, digits: int) -> str:
    start = f"  the log alone on {found.price:.{digits}f} ({name}): "
    if found.value is None or found.low is None or found.high is None:
        return f"{start}not identifiable, {found.reason}"
    return (
        f"{start}{found.value:.2f} a day before fixed cost (90 %: {found.low:.2f} to {found.high:.2f}), "
        f"{found.effective_days:.0f} effective days"
    )


def _hidden(found: Sensitivity) -> str:
    if found.undoing == 0:
        return "  a hidden cause has nothing to undo: a gain is not likely"
    like = "" if found.strength is None else f", {found.strength:.2f} times the strength of the {found.strongest}"
    return (
        f"  a hidden cause would undo the gain with {100 * found.undoing:.1f} % of what is unexplained in price and "
        f"units{like}; {100 * found.robustness:.1f} % bring its chance below the gate"
    )
