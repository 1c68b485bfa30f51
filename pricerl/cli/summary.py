"""What the command line prints of an advice: the current price, the price advised, and where the files are."""

from __future__ import annotations

from pricerl.advice.files import AdviceFiles
from pricerl.advice.reasons import judge_backtest, line_up_backtest
from pricerl.advice.result import ProductAdvice
from pricerl.cli.past import past_lines
from pricerl.formatting import price_digits

MOST_SHOWN = 20


def print_summary(advice: list[ProductAdvice], files: AdviceFiles, price_step: float) -> None:
    """Print one block a product, at most ``MOST_SHOWN``, and the files; ``price_step`` is the price grid."""
    digits = price_digits(price_step)
    for item in advice[:MOST_SHOWN]:
        print("\n".join(_block(item, digits)))
    if len(advice) > MOST_SHOWN:
        print(f"… and {len(advice) - MOST_SHOWN} more products in {files.table}")
    print(f"files: {files.table}, {files.document}, {files.report}")


def _block(item: ProductAdvice, digits: int) -> list[str]:
    lines = [
        f"{item.product}",
        f"  price now         {item.current_price:.{digits}f}",
        f"  recommended price {item.recommended_price:.{digits}f}",
        f"  grade             {item.decision.grade}, source {_source(item)}",
        f"  {item.reason}",
        *(f"  check the data: {reason}" for reason in item.data_quality["reasons"]),
        f"  a day, keeping the price: {_outcome(item.keep)}",
    ]
    if item.decision.follow != "hold":
        lines.append(f"  a day, recommended:       {_outcome(item.expected)}")
    best = next(row for row in item.baselines if row.rule == "planner, this objective")
    lines.append(
        f"  policy settles at {item.settled_price:.{digits}f}, best constant price of its market "
        f"{best.price:.{digits}f}{_gap(item.planner_gap)}"
    )
    lines += [f"  {line}" for line in past_lines(item, digits)]
    if item.backtest is not None:
        lines += [f"  {line_up_backtest(item.backtest)}", f"  {judge_backtest(item.backtest)}"]
    return lines


def _source(item: ProductAdvice) -> str:
    """Name the source, and the fallbacks before it that did not decide."""
    *before, last = item.decision.chain
    return last if not before else f"{last} (after {', '.join(before)})"


def _gap(share: float | None) -> str:
    if share is None:
        return ""
    return f": {100 * abs(share):.2f} % {'less' if share >= 0 else 'more'} profit before fixed cost"


def _outcome(values: dict[str, float | None]) -> str:
    units, sales, profit = values["units"], values["sales"], values["profit"]
    money = "profit unknown" if profit is None else f"profit {profit:.2f}"
    return f"{units:.2f} units, sales {sales:.2f}, {money}"
