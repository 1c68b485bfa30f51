"""Pages: the first visit, the work list, a product with its slider, the history and the review of a shop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Body, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from markupsafe import Markup, escape

from pricerl.advice.exports import PRICES
from pricerl.advice.report.render import Frame, formatter_of, page_environment, render_index, render_page, style_hash
from pricerl.advice.report.work_list import Task, WorkList
from pricerl.advice.sentences.verdict import Record
from pricerl.cli.settings_help import settings_of
from pricerl.data.platforms.import_forms import own_forms
from pricerl.data.reading.columns import OPTIONAL, REQUIRED
from pricerl.data.row_table import TABLES
from pricerl.errors import UsageError
from pricerl.formatting import Formatter, better_by, price_digits
from pricerl.guardrails.config import PERCENTAGES, SHARED_BY_ALL
from pricerl.operations.log.drafts import LOOSENESS, entry_cells
from pricerl.operations.log.staging import is_planned
from pricerl.operations.log.typed_limits import TYPED, limits_on
from pricerl.operations.outbox import first_change, waits_for
from pricerl.operations.shop import Shop
from pricerl.operations.watching.monitor_document import read_monitor
from pricerl.serve.guard import HEADERS, POLICY, is_at_least
from pricerl.serve.rest import Names, Opened, Place
from pricerl.serve.workplace import address_of
from pricerl.terminal import clean

router = APIRouter(include_in_schema=False)

REVIEW = "review.html"
OWN_FORMS = [form for form in own_forms().values() if not form.fills]
"""Import forms that need no export of the platform."""
FRAMED = POLICY.format(style=" '{hash}'")
"""Policy of a page that holds the report's style sheet."""


def fill(request: Request, template: str, values: Mapping[str, Any]) -> str:
    """Fill a template of this folder."""
    environment, style = page_environment("pricerl.serve")
    csrf, role, name = (getattr(request.state, key, "") for key in ("csrf", "role", "name"))
    job = request.app.state.jobs.running
    known = {
        "style": style,
        "policy": FRAMED.format(hash=style_hash()),
        "csrf": csrf,
        "named": name,
        "quote": quote,
        "modes": LOOSENESS,
        "exact": exact,
        "job": job and job.id,
        "edits": is_at_least(role, "editor"),
        "decides": is_at_least(role, "approver"),
    }
    head = Markup(environment.get_template("links.html").render(known))
    return environment.get_template(template).render(**known, frame=Frame(head=head), **values)


def exact(text: str) -> Markup:
    """Return a name as the value of a field, unchanged; what is shown is cleaned."""
    return Markup(escape(text).encode("ascii", "xmlcharrefreplace").decode())


def answer(html: str, status: int = 200) -> HTMLResponse:
    """Return a page with a policy that allows its own style sheet, whose hash its head names."""
    own = html.partition("sha256-")[2].partition("&#39;")[0]
    policy = f"{FRAMED.format(hash=f'sha256-{own}')}; frame-ancestors 'none'"
    return HTMLResponse(html, status, headers={**HEADERS, "content-security-policy": policy})


def framed(request: Request, template: str, values: dict[str, Any]) -> Frame:
    """Return the frame of a page of an advice, with a panel from a template of this folder."""
    links, top, panel = (Markup(fill(request, name, values)) for name in ("links.html", "top.html", template))
    return Frame(links, top, panel, FRAMED)


@router.get("/")
def home(request: Request, place: Place) -> Response:
    """Show shops, files and the place to drop new ones."""
    return answer(fill(request, "home.html", {"shops": place.shops(), "files": place.files()}))


@router.get("/files")
def show_files(request: Request, place: Place, names: Names) -> Response:
    """Show how files were read, with the columns to correct, the costs and limits to type, and the button Advise."""
    reading = place.read(names)
    products = [item.product for item in reading.products]
    costs = [{"product": products[0], **row} for row in place.costs_of(products)]
    known = {row["product"] for row in costs}
    costs += [{"product": product} for product in products if product not in known]
    limits = place.limits_of(reading.shop)
    values = {
        "reading": reading,
        "f": Formatter(currency=reading.currency, price_decimals=price_digits(limits["price_step"], reading.currency)),
        "ours": (*REQUIRED, *OPTIONAL),
        "columns": TABLES["costs"].written(costs),
        "costs": costs,
        "shop": reading.shop if reading.shop in place.shops() else "",
        "limits": limit_rows(limits, TYPED, reading.currency),
    }
    return answer(fill(request, "files.html", values))


def limit_rows(limits: Mapping[str, Any], names: Iterable[str], currency: str) -> list[tuple[str, str, Any, str]]:
    """Return name, meaning, value and unit of limits; percent signs mark shares."""
    settings = settings_of("data.guardrails")
    units = {**dict.fromkeys(PERCENTAGES, "%"), "min_hold_days": "days"}
    return [(name, settings[f"data.guardrails.{name}"].text, limits[name], units.get(name, currency)) for name in names]


class StatedList(WorkList):
    """Work list of a shop: each row has the state of its product in its kind, which is its class, and in its note."""

    def __init__(self, shop: Shop, products: Iterable[Record]) -> None:
        super().__init__(products)
        self.shop = shop

    def orders(
        self, links: Mapping[int, str], f: Formatter, today: str = ""
    ) -> tuple[tuple[str, str, list[Task]], ...]:
        """Return the orders with the state of each task."""
        states = {links[place]: self.shop.state_of(product["product"]) for place, product in self.listed}

        def stated(task: Task) -> Task:
            state, words = states[task.link]
            return task._replace(kind=f"{task.kind} {state}", note=" · ".join(filter(None, (task.note, words))))

        return tuple((name, label, [*map(stated, tasks)]) for name, label, tasks in super().orders(links, f, today))


@router.get("/shops/{name}")
def show_shop(request: Request, place: Place, shop: Opened, name: str, find: str = "") -> Response:
    """Show the work list of the products that contain a text, or the page of the only product; above it the outbox."""
    document = place.advice_of(shop) | {"today": shop.today.isoformat()}
    if len(document["products"]) == 1:
        return show_product(request, place, shop, document["products"][0]["product"])
    found = [product for product in document["products"] if find.casefold() in product["product"].casefold()]
    work = StatedList(shop, found)
    links = {at: f"/shops/{quote(name)}/products/{address_of(item['product'])}" for at, item in enumerate(found)}
    grades = sorted({product["decision"]["grade"] for _, product in work.listed})
    values = {**_about(shop, document), "grades": grades, "find": find}
    return answer(render_index(document, work, links, framed(request, "work.html", values)))


def _about(shop: Shop, document: Record, product: str = "") -> dict[str, Any]:
    """Return what the panels of a shop show: outbox, terms of it or of a product, and findings of the last watch."""
    path = shop.folder.path
    own = [name for name in TYPED if not product or name not in SHARED_BY_ALL]
    f = formatter_of(document)
    return {
        "publishing": shop.publishing,
        "limited": product,
        "limits": limit_rows(limits_on(shop.guardrails, product), own, f.currency),
        "shop": path.name,
        "f": f,
        "outbox": shop.outbox,
        "today": shop.today.isoformat(),
        "forms": OWN_FORMS,
        "findings": monitor.urgent() if (monitor := read_monitor(path)) else [],
        "reviewed": (path / REVIEW).is_file(),
    }


@router.get("/shops/{name}/products/{product:path}")
def show_product(request: Request, place: Place, shop: Opened, product: str) -> Response:
    """Show the page of a product, with the slider and the forms of decisions above it."""
    document = place.advice_of(shop) | {"today": shop.today.isoformat()}
    record = place.product_of(document, product)
    name = record["product"]
    several = len(document["products"]) > 1
    entry = shop.newest.get(name)
    values = {
        **_about(shop, document, name if several else ""),
        "product": record,
        "better": better_by(record["objective"], record["measure"]),
        "address": address_of(name),
        "order": shop.order_on(name),
        "state": shop.state_of(name),
        "planned": is_planned(shop, name),
        "change": first_change(entry) if entry else None,
        "why": waits_for(entry, shop.log.entries) if entry else "",
        "advised": entry and entry["id"],
        "until": record["days"][-1]["date"],
        "prepared": [item for item in place.prepared(shop) if item["product"] == name],
    }
    back = f"/shops/{quote(shop.folder.path.name)}" if several else ""
    return answer(render_page(document, record, back, framed(request, "decide.html", values)))


@router.get("/shops/{name}/history")
def show_history(request: Request, place: Place, shop: Opened) -> Response:
    """Show the decision log, the newest entry first."""
    rows = [(entry, entry_cells(entry, shop)[-1]) for entry in reversed(shop.entries())]
    return answer(fill(request, "history.html", {**_about(shop, place.advice_of(shop)), "rows": rows}))


@router.get("/shops/{name}/review")
def show_review(request: Request, place: Place, shop: Opened) -> Response:
    """Show the page of the last review, with links to the other pages."""
    path = shop.folder.path / REVIEW
    if not path.is_file():
        raise UsageError(f"{path} is missing; drop a fresh export, or run review")
    top = fill(request, "top.html", _about(shop, place.advice_of(shop)))
    return answer(path.read_text(encoding="utf-8").replace("<body>", f"<body>{top}", 1))


@router.get("/shops/{name}/{file}")
def send_prices(shop: Opened, file: str) -> Response:
    """Send the outbox as prices.csv or in the import form of a platform, or a file that undoes it."""
    files = {PRICES: shop.outbox.render()}
    for form in OWN_FORMS:
        files |= shop.import_files(form)
    if file not in files:
        raise UsageError(f"there is no file {clean(file, 100)!r}; known are {', '.join(files)}")
    headers = {"content-disposition": f'attachment; filename="{file}"'}
    return Response(files[file], media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/login")
def show_login(request: Request) -> Response:
    """Ask for the token."""
    return answer(fill(request, "login.html", {}))


@router.post("/login")
def log_in(request: Request, token: Annotated[str, Body(embed=True)]) -> Response:
    """Let a browser in that knows the token."""
    entered = JSONResponse({})
    known = request.app.state.keys.let_in(token, entered, request.app.state.cookie)
    return entered if known else JSONResponse({"detail": "this is not the token"}, 403)


@router.get("/static/{file}")
def send_static(file: Literal["serve.js", "serve.css"]) -> Response:
    """Send script or style sheet."""
    return FileResponse(Path(__file__).with_name(file))
