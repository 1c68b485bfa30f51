"""Pages: home, how a file was read, and of a shop its work list, products, review, history and settings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Body, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from markupsafe import Markup, escape

from pricerl.advice.exports import PRICES
from pricerl.advice.report.pictures import draw_outcome, draw_sales, spark, whisker
from pricerl.advice.report.render import Frame, formatter_of, page_environment, render_page, style_hash
from pricerl.advice.report.work_list import MOST_LISTED
from pricerl.advice.sentences.verdict import Record, reason_words
from pricerl.advice.translation import REVIEW_FILES, read_catalogue
from pricerl.cli.settings_help import settings_of
from pricerl.data.platforms.import_forms import own_forms
from pricerl.data.reading.columns import OPTIONAL, REQUIRED
from pricerl.data.row_table import TABLES
from pricerl.errors import PricerlError, refuse
from pricerl.formatting import Formatter, better_by, language, price_digits, sentence
from pricerl.guardrails.config import PERCENTAGES, SHARED_BY_ALL
from pricerl.operations.log.decision_log import read_last
from pricerl.operations.log.drafts import LOOSENESS, entry_cells
from pricerl.operations.log.orders import ADVICE
from pricerl.operations.log.staging import is_planned
from pricerl.operations.log.typed_limits import DEFAULTS, TYPED, limits_on
from pricerl.operations.outbox import first_change, waits_for
from pricerl.operations.shop import Shop
from pricerl.operations.watching.monitor_document import read_monitor
from pricerl.serve.guard import HEADERS, POLICY, is_at_least
from pricerl.serve.rest import Known, Meant, Names, Opened, Place
from pricerl.serve.workplace import Workplace, address_of
from pricerl.simulation.samples import SAMPLES
from pricerl.terminal import clean

router = APIRouter(include_in_schema=False)

MOST_ENTRIES = 100
"""Most entries of the history on its page; `history` prints all."""
MOST_DECISIONS = 5
"""Most decisions below the line of prices."""
OWN_FORMS = [form for form in own_forms().values() if not form.fills]
"""Import forms that need no export of the platform."""
explained_settings = cache(settings_of)
USUAL = ("product", "unit_cost", "fees")
"""Columns of costs that everyone is asked for; others are shown if they are known."""
FRAMED = POLICY.format(style=" '{hash}'")
"""Policy of a page that holds the report's style sheet."""


def exact(text: str) -> Markup:
    """Return a name as the value of a field, unchanged; what is shown is cleaned."""
    return Markup(escape(text).encode("ascii", "xmlcharrefreplace").decode())


CALLED = (address_of, draw_sales, exact, first_change, quote, reason_words, sentence, whisker)
TOOLS = {tool.__name__: tool for tool in CALLED} | {"spark": lambda daily: spark(tuple(daily))}
"""Functions that templates call."""


def fill(request: Request, template: str, values: Mapping[str, Any]) -> str:
    """Fill a template of this folder."""
    environment, style = page_environment("pricerl.serve")
    visitor = request.state
    job = request.app.state.jobs.running
    known = {
        **TOOLS,
        "shop": "",
        "findings": (),
        "style": style,
        "policy": FRAMED.format(hash=style_hash()),
        "visitor": visitor,
        "modes": LOOSENESS,
        "job": job and job.id,
        "edits": is_at_least(visitor.role, "editor"),
        "decides": is_at_least(visitor.role, "approver"),
        "script": read_catalogue(language())[1],
    }
    head = Markup(environment.get_template("links.html").render(known))
    return environment.get_template(template).render({**known, "frame": Frame(head=head), **values})


def answer(html: str, status: int = 200) -> HTMLResponse:
    """Return a page with a policy that allows its own style sheet."""
    policy = f"{FRAMED.format(hash=style_hash())}; frame-ancestors 'none'"
    return HTMLResponse(html, status, headers={**HEADERS, "content-security-policy": policy})


def framed(request: Request, values: dict[str, Any]) -> Frame:
    """Return what a shop's server adds to the page of a product."""
    names = ("links.html", "top.html", "decide.html", "ask.html", "past.html")
    head, top, panel, under, past = (Markup(fill(request, name, values)) for name in names)
    over = Markup('<input type="range" id="at" aria-label="Price to ask about" step="any">')
    return Frame(head, top, panel, over, under, past, FRAMED)


@router.get("/")
def home(request: Request, place: Place) -> Response:
    """Show the shops with what waits in each, the place to drop a file, and samples if there is no shop."""
    shops = [_state_of(place, name) for name in place.shops()]
    return answer(fill(request, "home.html", {"shops": shops, "files": place.files(), "samples": SAMPLES}))


def _state_of(place: Workplace, name: str) -> dict[str, Any]:
    """Return what the first page says of a shop, or why it cannot be opened."""
    try:
        shop = place.open_shop(name)
        document, _, waiting, _, undecided = place.advised(shop)
    except PricerlError as error:
        return {"name": name, "error": clean(str(error)).replace("--", "")}
    f = formatter_of(document)
    return {
        "name": name,
        "error": "",
        "waiting": len(waiting),
        "prepared": any(place.prepared(shop)),
        "sums": undecided.totals(f)[3:],
        "receipt": place.receipt_of(shop),
        "products": len(document["products"]),
        "until": f.weekday_date(last_day(shop)),
    }


@lru_cache(maxsize=16)
def last_day(shop: Shop) -> str:
    """Return the last day of data that the newest advice knows, ISO format."""
    return max((str(entry["history_end"]) for entry in shop.newest.values()), default=shop.today.isoformat())


@router.get("/files")
def show_files(request: Request, place: Place, names: Names, meant: Meant) -> Response:
    """Show how files were read, with the costs to type, the columns to correct, and the button Advise."""
    reading = place.read(names, meant)
    shop = place.open_shop(reading.shop) if reading.shop in place.shops() else None
    limits = shop.guardrails if shop else DEFAULTS
    columns = TABLES["costs"].written(reading.costs)
    asked = {*USUAL}.union(*reading.costs)
    values = {
        "reading": reading,
        "meant": meant,
        "url": request.url,
        "f": Formatter(currency=reading.currency, price_decimals=price_digits(limits["price_step"], reading.currency)),
        "ours": (*REQUIRED, *OPTIONAL),
        "columns": {key: column for key, column in columns.items() if key in asked},
        "prices": {item.product: item.current_price for item in reading.products},
        "known": shop and reading.shop,
        "limits": limits,
    }
    return answer(fill(request, "files.html", values))


@router.get("/shops/{name}")
def show_shop(request: Request, place: Place, shop: Opened, name: str, find: str = "") -> Response:
    """Show the work list of the products that contain a text, and what goes out."""
    document, found, waiting, work, undecided = place.advised(shop, find)
    f = formatter_of(document)
    links = {at: f"/shops/{quote(name)}/products/{address_of(item['product'])}" for at, item in work.listed}
    (_, _, tasks), _ = work.orders(links, f, document["today"])
    ends = [end for task in tasks for end in task.ends or ()]
    kept = (item["keep"][item["measure"]] for item in found)
    values = {
        **_about(shop, document),
        **{"here": "", "find": find, "work": work, "tasks": tasks, "states": shop.states, "waiting": waiting},
        "sums": (undecided if shop.decisions else work).totals(f)[3:],
        "newest": shop.newest,
        "prepared": [*place.prepared(shop)],
        "going": {row.product for row in shop.outbox.rows},
        "goes_out": min((row.date for row in shop.outbox.rows), default=""),
        "receipt": place.receipt_of(shop),
        "measure": found[0]["measure"] if found else "profit",
        "now": [sum(values) for values in zip(*filter(None, kept), strict=True)],
        "least": min(ends, default=0.0),
        "most": max(ends, default=0.0),
    }
    return answer(fill(request, "list.html", values))


def _about(shop: Shop, document: Record) -> dict[str, Any]:
    """Return what all pages of a shop show: its name, outbox, and findings of the last watch."""
    return {
        "publishing": shop.publishing,
        "shop": shop.folder.path.name,
        "f": formatter_of(document),
        "known_until": last_day(shop),
        "outbox": shop.outbox,
        "today": shop.today.isoformat(),
        "forms": OWN_FORMS,
        "findings": monitor.urgent() if (monitor := read_monitor(shop.folder.path)) else [],
    }


@router.get("/shops/{name}/products/{product:path}")
def show_product(request: Request, place: Place, shop: Opened, product: str, another: bool = False) -> Response:
    """Show the page of a product, with the what-if on its picture and the forms of decisions."""
    document = place.advice_of(shop)
    record = place.product_of(document, product)
    name = record["product"]
    entry = shop.newest.get(name)
    decided = [item for item in shop.log.own.get(name, ()) if item["kind"] != ADVICE]
    values = {
        **_about(shop, document),
        **{"here": "product", "another": another, "product": record},
        "better": better_by(record["objective"], record["measure"]),
        "address": address_of(name),
        "order": shop.order_on(name),
        "state": shop.states[name],
        "planned": is_planned(shop, name),
        "change": first_change(entry) if entry else None,
        "why": waits_for(entry, shop.log.entries) if entry else "",
        "advised": entry and entry["id"],
        "until": record["days"][-1]["date"],
        "prepared": [item for item in place.prepared(shop) if item["product"] == name],
        "decisions": decided[: -MOST_DECISIONS - 1 : -1],
    }
    return answer(render_page(document, record, f"/shops/{quote(shop.folder.path.name)}", framed(request, values)))


@router.get("/shops/{name}/history")
def show_history(request: Request, place: Place, shop: Opened) -> Response:
    """Show the decision log, the newest entry first."""
    rows = [(entry, entry_cells(entry, shop)[-1]) for entry in read_last(shop.log_path, MOST_ENTRIES)]
    about = _about(shop, place.advice_of(shop))
    return answer(fill(request, "history.html", {**about, "here": "/history", "rows": rows}))


@router.get("/shops/{name}/review")
def show_review(request: Request, place: Place, shop: Opened) -> Response:
    """Show the last review, a picture of each product's last advised days, and the place to drop the next export."""
    document = place.advice_of(shop)
    about = _about(shop, document)
    listed = enumerate(document["products"][:MOST_LISTED])
    pictures = [(item["product"], draw_outcome(f"outcome-{at}", item, about["f"])) for at, item in listed]
    files = (shop.folder.path / REVIEW_FILES[name] for name in (language(), "en"))
    text = next((file.read_text(encoding="utf-8") for file in files if file.is_file()), "")
    head, mark, rest = text.partition("<main>")[2].partition("</main>")[0].partition("<h2>")
    shown = {"here": "/review", "receipt": place.receipt_of(shop), "pictures": [pair for pair in pictures if pair[1]]}
    values = {**about, **shown, "review": Markup(head), "rest": Markup(mark + rest)}
    return answer(fill(request, "week.html", values))


@router.get("/shops/{name}/settings")
def show_settings(request: Request, place: Place, shop: Opened, product: str = "") -> Response:
    """Show how prices go out, and the limits of all products or of one."""
    document = place.advice_of(shop)
    limited = place.product_of(document, product)["product"] if product else ""
    values = {
        **_about(shop, document),
        "here": "/settings",
        "limited": limited,
        "asked": [name for name in TYPED if not limited or name not in SHARED_BY_ALL],
        "limits": limits_on(shop.guardrails, limited),
        "explained": explained_settings("data.guardrails"),
        "percentages": PERCENTAGES,
        "products": [item["product"] for item in document["products"]],
    }
    return answer(fill(request, "settings.html", values))


@router.get("/shops/{name}/{file}")
def send_prices(shop: Opened, file: str) -> Response:
    """Send the outbox as prices.csv or in the import form of a platform, or a file that undoes it."""
    imported = (item for form in OWN_FORMS for item in shop.import_files(form).items())
    files = {PRICES: shop.outbox.render(), **dict(imported)}
    refuse({f"there is no file {clean(file, 100)!r}; known are {', '.join(files)}": file not in files})
    headers = {"content-disposition": f'attachment; filename="{file}"'}
    return Response(files[file], media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/login")
def show_login(request: Request) -> Response:
    """Ask for the token."""
    return answer(fill(request, "login.html", {}))


@router.post("/login")
def log_in(request: Request, keys: Known, token: Annotated[str, Body(embed=True)]) -> Response:
    """Let a browser in that knows the token."""
    return keys.let_in(request, token, JSONResponse({}))
