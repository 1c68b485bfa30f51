"""Rendering of the report from ``advice.json``; the same document always gives the same bytes."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pricerl.advice.reasons import judge_backtest
from pricerl.advice.report import sentences
from pricerl.advice.report.charts import draw_figures
from pricerl.advice.report.interactive import make_interactive, plotly_script
from pricerl.advice.report.sanitize import finalize, page_name, shorten
from pricerl.advice.report.sections import optional_sections
from pricerl.advice.report.view import View
from pricerl.formatting import Formatter

INDEX = "report.html"
FOLDER = "report"
"""Folder of the pages, next to the index."""

SCRIPTED = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; "
    "form-action 'none'"
)
"""Content security policy of pages with plotly: inline scripts and styles, nothing external."""

Document = Mapping[str, Any]


def render_pages(document: Document, interactive: bool = False) -> Iterator[tuple[str, str]]:
    """Render ``advice.json`` as one page, or as an index and one page per product.

    Args:
        document: its parsed content, the only source of the pages.
        interactive: whether plotly draws the charts; each page then contains its script.

    Yields:
        Path of a page inside the advice's folder, with ``/``, and its HTML; the first page to open comes last.
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
        document: content of ``advice.json``.
        product: one of its ``products``.
        back: link to the index; none if empty.
        interactive: whether plotly draws the charts.
    """
    formatter = _formatter_of(document)
    view = View.of(product, formatter)
    ahead, past = view.span()
    figures = draw_figures(product, formatter)
    backtest = product["backtest"]
    return _fill(
        "report.html",
        {
            "about": document,
            "file": _file_name(document),
            "back": back,
            "item": product,
            "name": shorten(product["product"]),
            "ahead": ahead,
            "past": past,
            "tiles": view.tiles(),
            "grade": sentences.GRADES[product["decision"]["grade"]],
            "origin": sentences.SOURCES.get(product["decision"]["source"], product["decision"]["source"]),
            "beyond": sentences.beyond_tried(product, formatter),
            "figures": make_interactive(figures, product) if interactive else figures,
            "script": plotly_script() if interactive else "",
            "days": view.day_rows(),
            "comparison": view.comparison_rows(),
            "limits": sentences.describe_limits(product, formatter),
            "sections": optional_sections(product, formatter),
            "baselines": view.baseline_rows(),
            "verdict": sentences.judge_policy(product, formatter),
            "doubts": [
                *sentences.describe_off_policy(product, formatter),
                sentences.describe_sensitivity(product, formatter),
            ],
            "backtest": view.backtest_rows() if backtest else [],
            "skill": judge_backtest(backtest) if backtest else "",
            "quality": product["data_quality"]["quality"],
            "to_do": sentences.list_remedies(product),
            "help": sentences.list_help(product, formatter),
        },
    )


def _render_index(document: Document, links: list[str]) -> str:
    formatter = _formatter_of(document)
    rows = [View.of(product, formatter).index_row() for product in document["products"]]
    linked = list(zip(links, rows, strict=True))
    return _fill("index.html", {"about": document, "file": _file_name(document), "rows": linked})


def _file_name(document: Document) -> str:
    """Return the name of the history's file without its folders."""
    return str(document["source"]).replace("\\", "/").rpartition("/")[2]


def _formatter_of(document: Document) -> Formatter:
    return Formatter(document["locale"], document["currency"], document["price_decimals"])


def _fill(template: str, values: dict[str, Any]) -> str:
    environment, style, policy = _environment()
    if values.get("script"):
        policy = SCRIPTED
    return environment.get_template(template).render(**values, style=style, policy=policy)


@cache
def _environment() -> tuple[Environment, Markup, str]:
    """Return environment, style sheet, and a content security policy that allows that style sheet and nothing else."""
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
