"""Interactive plotly charts: numbers on hover, zoom by dragging; the page contains the script."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from markupsafe import Markup

from pricerl.advice.reasons import Record
from pricerl.advice.report.charts import MOST_PAST_DAYS, Figure, own_days
from pricerl.errors import UsageError
from pricerl.formatting import MEASURES

BLUE, BAND, ORANGE, INK, DOTS = "#0072b2", "rgba(86,180,233,0.35)", "#d55e00", "#1a1a1a", "rgba(34,34,34,0.45)"
"""Okabe-Ito, as in ``style.css``."""


def plotly_script() -> Markup:
    """Return plotly.js, some 5 MB.

    Raises:
        UsageError: the extra is not installed.
    """
    return Markup(f"<script>{_plotly('plotly.offline').get_plotlyjs()}</script>")


def make_interactive(figures: Sequence[Figure], product: Record) -> list[Figure]:
    """Replace the charts of an entry of ``products`` in ``advice.json``; headings and text alternatives stay."""
    draw = {"demand": _by_price, "profit": _by_price, "sales": _by_price, "prices": _prices, "units": _units}
    on_screen_and_paper = Markup('<div class="no-print">{}</div><div class="print-only">{}</div>')
    options: dict[str, Any] = {"full_html": False, "include_plotlyjs": False}
    options["config"] = {"displayModeBar": False, "responsive": True}
    drawn = []
    for figure in figures:
        html = draw[figure.name](figure.name, product).to_html(**options, div_id=f"{figure.name}-chart")
        drawn.append(figure._replace(svg=on_screen_and_paper.format(Markup(html), figure.svg)))
    return drawn


def _by_price(name: str, product: Record) -> Any:
    """Return a curve with its band over the prices, and the recorded days."""
    what = "units" if name == "demand" else name
    curves, own, quality = product["details"]["curves"], product["details"]["own_days"], product["data_quality"]
    prices, (mean, low, high) = curves["price"], zip(*curves[what], strict=True)
    days = {**_dots(own["price"], own_days(own, what), "your days"), "text": own["date"]}
    figure = _figure(*_band(prices, low, high), _line(prices, mean, f"expected {MEASURES.get(what, what)}"), days)
    for start, end in ((prices[0], quality["price_min"]), (quality["price_max"], prices[-1])):
        if start < end:
            figure.add_vrect(start, end, fillcolor="#c4c4c4", opacity=0.35, line_width=0, layer="below")
    figure.add_vline(product["current_price"], line_dash="dot", line_color=INK)
    figure.add_vline(product["recommended_price"], line_color=ORANGE)
    return figure.update_xaxes(title_text="Price")


def _prices(_: str, product: Record) -> Any:
    own, days = product["details"]["own_days"], product["days"]
    ahead = [day["date"] for day in days]
    price, low, high = ([day[key] for day in days] for key in ("recommended_price", "price_low", "price_high"))
    past = _line(own["date"][-MOST_PAST_DAYS:], own["price"][-MOST_PAST_DAYS:], "charged", INK)
    figure = _figure(*_band(ahead, low, high), past, _line(ahead, price, "advised", ORANGE))
    return figure.update_traces(line_shape="hv")


def _units(_: str, product: Record) -> Any:
    own = product["details"]["own_days"]
    ahead = [(day["date"], *day["units"]) for day in product["days"] if day["units"] is not None]
    dates, mean, low, high = zip(*ahead, strict=True) if ahead else ((), (), (), ())
    sold = _dots(own["date"][-MOST_PAST_DAYS:], own["units"][-MOST_PAST_DAYS:], "sold")
    return _figure(*_band(dates, low, high), _line(dates, mean, "expected"), sold).update_yaxes(rangemode="tozero")


def _line(x: Sequence[Any], y: Sequence[float], name: str, color: str = BLUE) -> dict[str, Any]:
    return {"x": list(x), "y": list(y), "mode": "lines", "name": name, "line": {"color": color}}


def _dots(x: Sequence[Any], y: Sequence[float], name: str) -> dict[str, Any]:
    return {"x": list(x), "y": list(y), "mode": "markers", "name": name, "marker": {"color": DOTS}}


def _band(x: Sequence[Any], low: Sequence[float], high: Sequence[float]) -> list[dict[str, Any]]:
    """Return two invisible lines and the area between them."""
    lower, upper = _line(x, low, "90 %: from", BAND), _line(x, high, "90 %: to", BAND)
    return [lower, {**upper, "fill": "tonexty", "fillcolor": BAND}]


def _figure(*traces: dict[str, Any]) -> Any:
    margin = {"l": 46, "r": 10, "t": 22, "b": 40}
    layout = {"height": 300, "showlegend": False, "template": "plotly_white", "margin": margin}  # CSS pixels
    return _plotly("plotly.graph_objects").Figure(traces, layout)


def _plotly(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise UsageError(
            'report.interactive needs plotly: pip install "pricerl[interactive]", or leave it out'
        ) from error
