"""Fill the report's template; the same advice always gives the same bytes."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from pricerl.advice.result import ProductAdvice
from pricerl.advice.wording import judge_backtest, signed


def render_report(advice: list[ProductAdvice], source: str, objective: str, decimals: int) -> str:
    """Return the page as HTML without scripts, styles or pictures from elsewhere.

    Args:
        advice: one entry a product.
        source: the history's name as the user wrote it.
        objective: the reward preset in force.
        decimals: digits after the point of a price.
    """
    environment = Environment(
        loader=PackageLoader("pricerl.advice.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["price"] = lambda value: f"{value:,.{decimals}f}"
    environment.filters["number"] = _number
    environment.filters["signed"] = lambda value: signed(value, 2)
    environment.filters["percent"] = _percent
    environment.filters["error"] = lambda share: f"{100 * share:.1f} %"
    environment.filters["judge"] = judge_backtest
    template = environment.get_template("report.html")
    return template.render(products=advice, source=source, objective=objective)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.2f}"


def _percent(share: float) -> str:
    """A share as a percentage that never claims certainty."""
    return ">99 %" if share > 0.99 else "<1 %" if share < 0.01 else f"{100 * share:.0f} %"
