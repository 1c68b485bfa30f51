"""Fill the report's templates; the same ``advice.json`` always gives the same bytes."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pricerl.advice.reasons import judge_backtest
from pricerl.advice.report import sentences, view
from pricerl.advice.report.charts import draw_figures
from pricerl.advice.report.interactive import make_interactive, plotly_script
from pricerl.advice.report.sanitize import finalize, page_name, shorten
from pricerl.advice.report.sections import optional_sections
from pricerl.evaluation import Backtest, HorizonScore

INDEX = "report.html"
FOLDER = "report"
"""Where the pages lie beside the index."""

SCRIPTED = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; "
    "form-action 'none'"
)
"""Policy of pages with plotly: their own scripts and styles, and still nothing from elsewhere."""

Document = Mapping[str, Any]


def render_pages(document: Document, interactive: bool = False) -> Iterator[tuple[str, str]]:
    """Render everything that ``advice.json`` says: one page, or an index and a page a product.

    Args:
        document: its parsed content; nothing else enters, so every number shown is in it.
        interactive: whether the charts are plotly's, whose script each page then carries.

    Yields:
        Path of a page inside the advice's folder, with ``/``, and its HTML; the page that is opened first comes last.
    """
    products = document["products"]
    if len(products) == 1:
        yield INDEX, render_page(document, products[0], interactive=interactive)
        return
    names = [page_name(index, product["product"]) for index, product in enumerate(products)]
    for name, product in zip(names, products, strict=True):
        yield f"{FOLDER}/{name}", render_page(document, product, f"../{INDEX}", interactive)
    yield INDEX, _render_index(document, [f"{FOLDER}/{name}" for name in names])


def render_page(document: Document, product: Mapping[str, Any], back: str = "", interactive: bool = False) -> str:
    """Render one product's page, self-contained.

    Args:
        document: what ``advice.json`` says of all products.
        product: one of its ``products``.
        back: link to the index; none if empty.
        interactive: whether the charts are plotly's.
    """
    decimals = document["price_decimals"]
    digits = view.digits_of(product, decimals)
    coming, past = view.span(product)
    figures = draw_figures(product, decimals)
    return _fill(
        "report.html",
        {
            "about": document,
            "back": back,
            "item": product,
            "name": shorten(product["product"]),
            "coming": coming,
            "past": past,
            "tiles": view.tiles(product, digits),
            "grade": sentences.GRADES[product["decision"]["grade"]],
            "origin": sentences.SOURCES.get(product["decision"]["source"], product["decision"]["source"]),
            "beyond": sentences.beyond_tried(product, decimals),
            "figures": make_interactive(figures, product) if interactive else figures,
            "script": plotly_script() if interactive else "",
            "days": view.day_rows(product, digits),
            "comparison": view.comparison_rows(product, digits),
            "limits": sentences.tell_limits(product, decimals),
            "sections": optional_sections(product),
            "baselines": view.baseline_rows(product, digits),
            "verdict": [sentences.judge_policy(product), sentences.judge_against_log(product)],
            "doubts": [*sentences.tell_log(product, decimals), sentences.tell_sensitivity(product)],
            "backtest": view.backtest_rows(product) if product["backtest"] else [],
            "skill": _judge(product) if product["backtest"] else "",
            "quality": product["data_quality"]["quality"],
            "to_do": sentences.tell_quality(product),
            "help": sentences.tell_help(product, decimals),
        },
    )


def _render_index(document: Document, links: list[str]) -> str:
    rows = [view.index_row(product, document["price_decimals"]) for product in document["products"]]
    return _fill("index.html", {"about": document, "rows": list(zip(links, rows, strict=True))})


def _judge(product: Mapping[str, Any]) -> str:
    """The backtest's verdict, made from the numbers of the document."""
    found = product["backtest"]
    scores = [HorizonScore(**{name: row[name] for name in HorizonScore._fields}) for row in found["scores"]]
    return judge_backtest(Backtest(product["product"], found["origins"], tuple(scores)))


def _fill(template: str, values: dict[str, Any]) -> str:
    environment, style, policy = _environment()
    if values.get("script"):
        policy = SCRIPTED
    return environment.get_template(template).render(**values, style=style, policy=policy)


@cache
def _environment() -> tuple[Environment, Markup, str]:
    """Environment, style sheet, and a content security policy that allows that style sheet and nothing else."""
    environment = Environment(
        loader=PackageLoader("pricerl.advice.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    assert environment.loader is not None
    style = environment.loader.get_source(environment, "style.css")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return environment, Markup(style), policy
