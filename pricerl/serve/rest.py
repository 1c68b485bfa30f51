"""REST under ``/api``: the functions of the commands, described by ``/api/openapi.json``; a write returns its entry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Query, Request, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from pricerl.cli.usage import option_words
from pricerl.errors import UsageError
from pricerl.operations.log import drafts
from pricerl.operations.log.decision_log import Entry
from pricerl.operations.log.orders import PRICE_TEST, TOLERANCE
from pricerl.operations.shop import Shop
from pricerl.runs.names import USUAL_PRESET, name_run
from pricerl.serve.jobs import Jobs
from pricerl.serve.workplace import Workplace

router = APIRouter(prefix="/api")

Names = Annotated[list[str], Query(alias="name")]


class Body(BaseModel):
    """Body of a write; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")


class Files(Body):
    """Files of the folder by name."""

    files: list[str]


class Columns(Body):
    """Columns of ours by their names in the files."""

    columns: dict[str, str]


class Costs(Body):
    """Rows of costs.csv."""

    rows: list[dict[str, float | str | None]]


class Limits(Body):
    """Limits by the names of their settings."""

    limits: dict[str, int | float | None]


class PriceTest(Body):
    """Step of a price test on a product; a week reads the tests that run."""

    step: Literal["plan", "start"]
    product: str | None = None


class Resumption(Body):
    """Decision of a person on a product."""

    product: str | None = None
    by: str | None = None
    reason: str = ""


class Approval(Resumption):
    """Approval of the newest advice on a product."""

    id: int | None = Field(None, description="Entry of the advice; the newest if absent.")


class Pause(Resumption):
    """Order to keep the price until a day."""

    until: str = Field(description="Last day, such as 2026-01-31.")


class Override(Pause):
    """Order to charge a price until a day."""

    price: float
    tolerance: float = TOLERANCE
    force: bool = False


def workplace_of(request: Request) -> Workplace:
    """Return the folder that is served."""
    place: Workplace = request.app.state.workplace
    return place


def jobs_of(request: Request) -> Jobs:
    """Return the jobs of the server."""
    jobs: Jobs = request.app.state.jobs
    return jobs


@router.get("/files")
def list_files(request: Request) -> list[str]:
    """Return the names of the seller's files, the newest first."""
    return workplace_of(request).files()


@router.post("/files")
async def upload(request: Request, files: Annotated[list[UploadFile], File()]) -> list[str]:
    """Store files and return their names."""
    return [await workplace_of(request).store(file.filename or "", _chunks(file)) for file in files]


async def _chunks(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(2**20):
        yield chunk


@router.get("/reading")
def read(request: Request, names: Names) -> dict[str, Any]:
    """Read files as ``check`` does; nothing is trained."""
    return asdict(workplace_of(request).read(names))


@router.put("/columns")
def correct_columns(request: Request, body: Columns) -> dict[str, str]:
    """Correct how columns are read, from now on."""
    workplace_of(request).keep_columns(body.columns)
    return workplace_of(request).columns()


@router.get("/costs")
def show_costs(request: Request) -> list[dict[str, Any]]:
    """Return the rows of costs.csv."""
    return workplace_of(request).costs()


@router.put("/costs")
def type_costs(request: Request, body: Costs) -> list[dict[str, Any]]:
    """Replace the rows of some products in costs.csv."""
    workplace_of(request).keep_costs(body.rows)
    return workplace_of(request).costs()


@router.get("/limits")
def show_limits(request: Request) -> dict[str, Any]:
    """Return the limits of guardrails.yaml."""
    return workplace_of(request).limits()


@router.put("/limits")
def set_limits(request: Request, body: Limits) -> dict[str, Any]:
    """Change limits in guardrails.yaml."""
    workplace_of(request).keep_limits(body.limits)
    return workplace_of(request).limits()


@router.post("/advise")
def advise(request: Request, body: Files) -> dict[str, int]:
    """Start ``pricerl advise`` on files, with the costs, limits and columns typed here."""
    place = workplace_of(request)
    files = place.find(body.files)
    shop = name_run(files, USUAL_PRESET)
    words = [
        "advise",
        *option_words({"data.path": files, "run_name": shop, "today": place.today}),
    ]
    return {"job": jobs_of(request).start([[*words, *place.typed_words(files)]], f"/shops/{shop}").id}


@router.post("/shops/{name}/week")
def take_week(request: Request, name: str, body: Files) -> dict[str, int]:
    """Start ``watch``, ``predict`` and ``review`` of a shop on a fresh export, and read its price tests."""
    place = workplace_of(request)
    shop = place.open_shop(name)
    files = place.find(body.files)
    options = option_words({"run_name": shop.folder.path.name, "data.path": files, "today": place.today})
    tested = any(entry["kind"] == PRICE_TEST for entry in shop.log.entries)
    read = [["price-test", "read", *options]] if tested else []
    commands = [["watch", *options], *read, ["predict", *options, *place.typed_words(files)], ["review", *options]]
    return {"job": jobs_of(request).start(commands, f"/shops/{shop.folder.path.name}").id}


@router.post("/shops/{name}/price-test")
def test_price(request: Request, name: str, body: PriceTest) -> dict[str, int]:
    """Start a step of ``pricerl price-test``."""
    place = workplace_of(request)
    shop = place.open_shop(name).folder.path.name
    options = option_words({"run_name": shop, "product": body.product, "today": place.today})
    return {"job": jobs_of(request).start([["price-test", body.step, *options]], "").id}


@router.get("/jobs/{number}/events")
def follow_job(request: Request, number: int) -> StreamingResponse:
    """Return the output of a job as server-sent events; the last one, ``end``, has its exit code."""
    if (job := jobs_of(request).known.get(number)) is None:
        raise UsageError(f"job {number} is not known")
    return StreamingResponse(job.events(), media_type="text/event-stream")


@router.get("/shops")
def list_shops(request: Request) -> list[str]:
    """Return the names of the shops."""
    return workplace_of(request).shops()


@router.get("/shops/{name}")
def show_advice(request: Request, name: str) -> dict[str, Any]:
    """Return the newest advice: ``advice.json``."""
    place = workplace_of(request)
    return place.advice_of(place.open_shop(name))


@router.get("/shops/{name}/products/{number}")
def show_product(request: Request, name: str, number: int) -> dict[str, Any]:
    """Return one of the ``products`` of ``advice.json``, counted from 1, with its formats."""
    place = workplace_of(request)
    document = place.advice_of(place.open_shop(name))
    formats = {key: document[key] for key in ("locale", "currency", "price_decimals", "step_days")}
    return {**formats, **place.product_of(document, number)}


@router.get("/shops/{name}/outbox")
def show_outbox(request: Request, name: str) -> dict[str, Any]:
    """Return the prices that are charged next, and why others are not."""
    box = workplace_of(request).open_shop(name).outbox
    return {"rows": [row._asdict() for row in box.rows], "notes": box.notes, "currency": box.currency}


@router.get("/shops/{name}/history")
def show_history(request: Request, name: str) -> list[Entry]:
    """Return the entries of the decision log, the newest last."""
    return list(workplace_of(request).open_shop(name).log.entries)


def _record(request: Request, name: str, draft: Callable[[Shop], Entry]) -> Entry:
    """Append a draft to the log of a shop, under its lock, and return the entry."""
    (*_, entry), _ = workplace_of(request).open_shop(name).record(lambda shop: [draft(shop)])
    return entry


@router.post("/shops/{name}/approve")
def approve(request: Request, name: str, body: Approval) -> Entry:
    """Approve the change that the newest advice recommends."""
    said = (body.product, body.id, body.by, body.reason)
    return _record(request, name, lambda shop: drafts.draft_approval(shop, *said))


@router.post("/shops/{name}/override")
def override(request: Request, name: str, body: Override) -> Entry:
    """Charge a price until a day, within the hard limits."""
    said = (body.product, body.until, body.by, body.reason, body.price, body.tolerance, body.force)
    return _record(request, name, lambda shop: drafts.draft_override(shop, *said))


@router.post("/shops/{name}/pause")
def pause(request: Request, name: str, body: Pause) -> Entry:
    """Keep the price until a day."""
    said = (body.product, body.until, body.by, body.reason)
    return _record(request, name, lambda shop: drafts.draft_pause(shop, *said))


@router.post("/shops/{name}/resume")
def resume(request: Request, name: str, body: Resumption) -> Entry:
    """End an override, a pause or a price test before its last day."""
    return _record(request, name, lambda shop: drafts.draft_resumption(shop, body.product, body.by, body.reason))
