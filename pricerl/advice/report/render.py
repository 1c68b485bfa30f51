"""Rendering of the report from ``advice.json``; the same document always gives the same bytes."""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pricerl.advice.report.charts import draw_figures
from pricerl.advice.report.first_screen import lay_out
from pricerl.advice.report.view import MOST_DAYS, View, shorten
from pricerl.advice.report.work_list import MOST_PAGES, WorkList
from pricerl.advice.sentences import grounds
from pricerl.advice.sentences.next_steps import Place, account_words, ended_test_words
from pricerl.advice.sentences.verdict import Record
from pricerl.advice.stored import kind_of
from pricerl.formatting import CATALOGUE, MEASURES, Formatter, language, plural, translate
from pricerl.terminal import clean

INDEX = "report.html"
FOLDER = "report"
"""Folder of the pages, next to the index."""

MOST_SLUG = 40
"""Most characters of a product's name in a file name."""

PAGE = re.compile(rf"(\d{{3}}|[1-9]\d{{3,}})-[a-z0-9-]{{1,{MOST_SLUG}}}\.html")
"""Names of the pages, as `page_name` makes them."""


class Frame(NamedTuple):
    """Parts that a server adds to a page; a page in a file has none, no script, and loads nothing."""

    head: Markup = Markup()
    """Links to its style sheet and script."""
    top: Markup = Markup()
    """Content above the page's own."""
    panel: Markup = Markup()
    """Forms of decisions, next to the picture."""
    over: Markup = Markup()
    """Content over the first picture."""
    under: Markup = Markup()
    """Content below the picture."""
    history: Markup = Markup()
    """Decisions of the past, below the line of prices."""
    policy: str = "default-src 'none'; style-src '{hash}'; base-uri 'none'; form-action 'none'"
    """Content security policy with the ``hash`` of the page's own style sheet."""


FILE = Frame()


def render_pages(document: Record, work: WorkList | None = None, note: str = "") -> Iterator[tuple[str, str]]:
    """Yield path and HTML of one page, or of a page for each product that needs a look and, last, of their index.

    The ``document`` needs no ``products`` if the work list of all is given; its memory does not grow with their number.
    Each page begins with the ``note``, if there is one.
    """
    frame = FILE._replace(top=Markup('<p class="lead">{}</p>').format(note)) if note else FILE
    work = WorkList(document["products"]) if work is None else work
    if len(work) == 1:
        yield INDEX, render_page(document, work.listed[0][1], frame=frame)
        return
    links = {}
    for index, product in work.listed:
        if len(work) <= MOST_PAGES or kind_of(product) != "keep":
            links[index] = f"{FOLDER}/{page_name(index, product['product'])}"
            yield links[index], render_page(document, product, f"../{INDEX}", frame)
    yield INDEX, render_index(document, work, links, frame)


def render_index(document: Record, work: WorkList, links: Mapping[int, str], frame: Frame = FILE) -> str:
    """Render the index of several products, with the addresses of their pages by their place."""
    f = formatter_of(document)
    values = {
        "list": work,
        "f": f,
        "links": links,
        "option": Place(run=document.get("run", "")).option,
        "tested": grounds.judge_backtests(work.tested, len(work), f),
    }
    return fill_template("index.html", document, values, frame)


def page_of(document: Record, name: str) -> tuple[str, str]:
    """Render the page of the product ``name``, which ``products`` contains; return its path and its HTML."""
    index, product = next((at, item) for at, item in enumerate(document["products"]) if item["product"] == name)
    if len(document["products"]) == 1:
        return INDEX, render_page(document, product)
    return f"{FOLDER}/{page_name(index, name)}", render_page(document, product, f"../{INDEX}")


def render_page(document: Record, product: Record, back: str = "", frame: Frame = FILE) -> str:
    """Render the self-contained page of one of the ``products``, with a link ``back`` to the index if there is one."""
    place = Place(
        run=document.get("run", ""), product=product["product"] if back else "", today=document.get("today", "")
    )
    view = View.of(product, formatter_of(document), place)
    f = view.f
    first, others = draw_figures(product, f)
    source = product["decision"]["source"]
    values = {
        "back": back,
        "item": product,
        "name": shorten(product["product"]),
        "view": view,
        "screen": lay_out(view),
        "figures": first,
        "other_figures": others,
        "measure": MEASURES[product["measure"]],
        "origin": grounds.SOURCES.get(source, source),
        "beyond": grounds.beyond_tried(product, f),
        "limits": grounds.describe_limits(product, f),
        "verdict": grounds.judge_proposal(product, f),
        "skill": grounds.judge_backtest(product["backtest"], f) if product["backtest"] else "",
        "season": grounds.season_words(product, f),
        "to_do": grounds.list_remedies(product),
        "track": grounds.track_lines(product["track_record"], f)[1:],
        "quarter": [
            *account_words(product["account"], f, product["measure"]),
            *ended_test_words(product.get("tests", ()), f),
        ],
        "card": product.get("card", ()),
        "prior": [*grounds.bias_words(product, f), *grounds.ending_words(product, f)],
        "most": MOST_DAYS,
    }
    return fill_template("report.html", document, values, frame)


def page_name(index: int, product: str) -> str:
    """Return the name of a product's page: its position, which keeps names unique, and the plain part of its name."""
    plain = unicodedata.normalize("NFKD", product).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain)[:MOST_SLUG].strip("-")
    return f"{index + 1:03d}-{slug or 'product'}.html"


def formatter_of(document: Record) -> Formatter:
    """Return the formatter of an advice."""
    return Formatter(*(document[name] for name in ("locale", "currency", "price_decimals", "step_days")))


def fill_template(template: str, document: Record, values: dict[str, Any], frame: Frame = FILE) -> str:
    """Fill a template of this folder; its content security policy allows the page's own style sheet, nothing else."""
    environment, style = page_environment()
    return environment.get_template(template).render(
        **values,
        per=formatter_of(document).period,
        about=document,
        file=str(document["source"]).replace("\\", "/").rpartition("/")[2],
        style=style,
        policy=frame.policy.format(hash=style_hash()),
        frame=frame,
    )


def style_hash() -> str:
    """Return the hash of the style sheet, as a content security policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(page_environment()[1].encode()).digest()).decode()}"


@cache
def page_environment(*packages: str) -> tuple[Environment, Markup]:
    """Return the environment of the templates, other ``packages`` included, and the style sheet."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, ".") for package in ("pricerl.advice.report", *packages)]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.globals.update(language=language, plural=plural, word=translate)
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        translate, lambda *words: CATALOGUE.get().ngettext(*words), newstyle=True
    )
    assert environment.loader is not None
    return environment, Markup(environment.loader.get_source(environment, "style.css")[0])


def _finalize(value: object) -> object:
    """Clean a value that a template prints and bind percent signs to their numbers; markup is unchanged."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return clean(value).replace(" %", "\N{NO-BREAK SPACE}%")
