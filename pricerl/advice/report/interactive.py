"""Interactive plotly charts: numbers on hover, zoom by dragging; the page contains the script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from markupsafe import Markup

from pricerl.advice.report.charts import MOST_PAST_DAYS, Figure
from pricerl.errors import UsageError

BLUE, BAND, ORANGE, INK, DOTS = "#0072b2", "rgba(86,180,233,0.35)", "#d55e00", "#1a1a1a", "rgba(34,34,34,0.45)"
"""Okabe-Ito, as in ``style.css``."""
HEIGHT = 300
"""CSS pixels."""

Product = Mapping[str, Any]


def plotly_script() -> Markup:
    """Return plotly.js, some 5 MB.

    Raises:
        UsageError: the extra is not installed.
    """
    return Markup(f"<script>{_plotly('plotly.offline').get_plotlyjs()}</script>")


def make_interactive(figures: Sequence[Figure], product: Product) -> list[Figure]:
    """Replace the charts with plotly charts; headings and text alternatives stay.

    Args:
        figures: of the page.
        product: an entry of ``products`` in ``advice.json``, with details.
    """
    draw = {"demand": _by_price, "profit": _by_price, "prices": _prices, "units": _units}
    on_screen_and_paper = Markup('<div class="no-print">{}</div><div class="print-only">{}</div>')
    return [
        figure._replace(
            svg=on_screen_and_paper.format(_embed(figure.name, draw[figure.name](figure.name, product)), figure.svg)
        )
        for figure in figures
    ]


def _by_price(name: str, product: Product) -> dict[str, Any]:
    """Return a curve with its band over the prices, and the recorded days."""
    what = "units" if name == "demand" else "profit"
    curves, own, quality = product["details"]["curves"], product["details"]["own_days"], product["data_quality"]
    prices, (mean, low, high) = curves["price"], zip(*curves[what], strict=True)
    dots = {"x": own["price"], "y": own[what], "mode": "markers", "name": "your days", "text": own["date"]}
    traces = [*_band(prices, low, high), _line(prices, mean, f"expected {what}"), {**dots, "marker": {"color": DOTS}}]
    untried = [(prices[0], quality["price_min"]), (quality["price_max"], prices[-1])]
    shapes = [_stretch(*ends) for ends in untried if ends[0] < ends[1]]
    marks = [_mark(product["current_price"], "dot", INK), _mark(product["recommended_price"], "solid", ORANGE)]
    return {"data": traces, "layout": {"shapes": [*shapes, *marks], "xaxis": {"title": {"text": "Price"}}}}


def _prices(_: str, product: Product) -> dict[str, Any]:
    own, days = product["details"]["own_days"], product["days"]
    ahead = [day["date"] for day in days]
    price, low, high = ([day[key] for day in days] for key in ("recommended_price", "price_low", "price_high"))
    past = _line(own["date"][-MOST_PAST_DAYS:], own["price"][-MOST_PAST_DAYS:], "charged", INK)
    traces = [*_band(ahead, low, high), past, _line(ahead, price, "advised", ORANGE)]
    return {"data": [{**trace, "line": {**trace["line"], "shape": "hv"}} for trace in traces], "layout": {}}


def _units(_: str, product: Product) -> dict[str, Any]:
    own = product["details"]["own_days"]
    ahead = [(day["date"], *day["units"]) for day in product["days"] if day["units"] is not None]
    dates, mean, low, high = zip(*ahead, strict=True) if ahead else ((), (), (), ())
    dots = {"x": own["date"][-MOST_PAST_DAYS:], "y": own["units"][-MOST_PAST_DAYS:], "mode": "markers", "name": "sold"}
    traces = [*_band(dates, low, high), _line(dates, mean, "expected"), {**dots, "marker": {"color": DOTS}}]
    return {"data": traces, "layout": {"yaxis": {"rangemode": "tozero"}}}


def _line(x: Sequence[Any], y: Sequence[float], name: str, color: str = BLUE) -> dict[str, Any]:
    return {"x": list(x), "y": list(y), "mode": "lines", "name": name, "line": {"color": color}}


def _band(x: Sequence[Any], low: Sequence[float], high: Sequence[float]) -> list[dict[str, Any]]:
    """Return two invisible lines and the area between them."""
    lower, upper = _line(x, low, "90 %: from", BAND), _line(x, high, "90 %: to", BAND)
    return [lower, {**upper, "fill": "tonexty", "fillcolor": BAND}]


def _mark(at: float, dash: str, color: str) -> dict[str, Any]:
    line = {"dash": dash, "color": color}
    return {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper", "line": line}


def _stretch(low: float, high: float) -> dict[str, Any]:
    """Return the background of untried prices."""
    box = {"type": "rect", "x0": low, "x1": high, "y0": 0, "y1": 1, "yref": "paper"}
    return {**box, "fillcolor": "#c4c4c4", "opacity": 0.35, "line": {"width": 0}, "layer": "below"}


def _embed(name: str, figure: dict[str, Any]) -> Markup:
    """Return a figure as a division of the page, drawn by the page's script."""
    layout = {**figure["layout"], "height": HEIGHT, "showlegend": False, "template": "plotly_white"}
    drawn = _plotly("plotly.graph_objects").Figure(
        {"data": figure["data"], "layout": {**layout, "margin": {"l": 46, "r": 10, "t": 22, "b": 40}}}
    )
    settings = {"displayModeBar": False, "responsive": True}
    html = drawn.to_html(full_html=False, include_plotlyjs=False, div_id=f"{name}-chart", config=settings)
    return Markup(html)


def _plotly(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise UsageError(
            'report.interactive needs plotly: pip install "pricerl[interactive]", or leave it out'
        ) from error
