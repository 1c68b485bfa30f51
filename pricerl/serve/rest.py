"""REST under ``/api``: the functions of the commands, described by ``/api/openapi.json``; a write returns its entry."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from inspect import signature
from io import BytesIO
from operator import attrgetter
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, File, Query, Request, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, create_model

from pricerl.cli.usage import option_words
from pricerl.data.days import read_day
from pricerl.decide.decision import Approval as ModeOfPublishing
from pricerl.errors import UsageError, refuse
from pricerl.operations.log import drafts
from pricerl.operations.log.approved_costs import LOCK
from pricerl.operations.log.decision_log import Entry, read_log
from pricerl.operations.log.orders import PRICE_TEST, TOLERANCE
from pricerl.operations.log.staging import draft_approvals, draft_rejection
from pricerl.operations.shop import Shop, system_day
from pricerl.runs.names import check_name
from pricerl.serve.guard import Keys, is_at_least
from pricerl.serve.jobs import Jobs
from pricerl.serve.workplace import Workplace, record
from pricerl.simulation.samples import SAMPLES, write_sample
from pricerl.terminal import clean
from pricerl.writing import explained, locked

router = APIRouter(prefix="/api")

STEPS = {"trainer.enable_progress_bar": True}
"""Setting by which a command prints the steps that a page ticks."""

Row = dict[str, float | str | None]
Names = Annotated[list[str], Query(alias="name")]
Files = Annotated[list[str], Body(embed=True, min_length=1, description="Files of the folder by name.")]
Accepted = Annotated[
    str | None,
    Body(
        pattern="^(changed|renamed|new|groups)(,(changed|renamed|new|groups))*$",
        description="Answers, separated by commas: changed takes new values of days that were read before; renamed "
        "joins products under new names to those that they look like, new keeps both; groups puts sizes, colours and "
        "packs of one product together.",
    ),
]
Limits = dict[str, int | float | None]
FirstLimits = Annotated[Limits | None, Body(description="Limits of a shop to be made, by their settings.")]


async def meant_by(
    date_order: Literal["day", "month"] | None = None, current_price: Literal["regular", "last"] | None = None
) -> dict[str, Any]:
    """Return what a person answered about files, by the settings of ``data.reading``."""
    return {name: value for name, value in locals().items() if value}


Meant = Annotated[dict[str, Any], Depends(meant_by)]
NewName = Annotated[str, Body(description="Name of the shop that is made of these files; the found one if empty.")]


class PriceTest(BaseModel, extra="forbid"):
    """Step of a price test on a product; a week reads the tests that run."""

    step: Literal["plan", "start"]
    product: str | None = None


class Decision(BaseModel, extra="forbid"):
    """Decision of a person; unknown keys are refused."""

    by: str | None = Field(None, description="Who decides; a token with a name is the author itself.")
    reason: str = ""


SAID: dict[str, Any] = {
    "product": (str | None, Field(None, description="Product of the newest advice, if it has several.")),
    "number": (int | None, Field(None, description="Entry of a prepared decision or an advice, the newest if absent.")),
    "group": (str | None, Field(None, description="Group of products of which all changes that wait are approved.")),
    "mode": (ModeOfPublishing, Field(description="At once (auto), after an approval (manual) or never (shadow).")),
    "limits": (Limits, Field(description="Limits by their settings; the others stay.")),
    "price": (float, Field(description="Price of a unit.")),
    "until": (str, Field(description="Last day, such as 2026-01-31.")),
    "tolerance": (float, Field(TOLERANCE, description="Largest share that a price differs from the current one.")),
    "force": (bool, Field(False, description="Take a price, or a limit of the current one, beyond what is usual.")),
}
"""Type, default and meaning of what a decision may contain, by the argument of its draft."""


def of_request(path: str) -> Any:
    """Return a dependency on what application and `guard.Guard` keep for a request, by its path of attributes."""

    async def find(request: Request) -> Any:  # on the loop: a thread would cost more than it does
        return attrgetter(path)(request)

    return Depends(find)


Place = Annotated[Workplace, of_request("app.state.workplace")]
Commands = Annotated[Jobs, of_request("app.state.jobs")]
Role = Annotated[str, of_request("state.role")]
Author = Annotated[str, of_request("state.name")]
Known = Annotated[Keys, of_request("app.state.keys")]


def open_shop(place: Place, name: str) -> Shop:
    """Open the shop that a path names."""
    return place.open_shop(name)


Opened = Annotated[Shop, Depends(open_shop)]


def alone(place: Place) -> Iterator[None]:
    """Wait until no other request, to any server of this folder, changes its files."""
    with explained(place.folder), locked(place.folder / LOCK):
        yield


@router.get("/files")
def list_files(place: Place) -> list[str]:
    """Return the names of the seller's files, the newest first."""
    return place.files()


@router.post("/files", dependencies=[Depends(alone)])
def upload(place: Place, jobs: Commands, files: Annotated[list[UploadFile], File()]) -> list[str]:
    """Store files and return their names."""
    jobs.prepare()
    return [place.store(file.filename or "", file.file) for file in files]


@router.post("/samples", dependencies=[Depends(alone)])
def make_sample(place: Place, jobs: Commands, name: Annotated[str, Body(embed=True)]) -> list[str]:
    """Store the file of a sample shop, whose last day is yesterday, and return its name."""
    refuse({f"there is no sample shop {clean(name, 100)!r}; known are {', '.join(SAMPLES)}": name not in SAMPLES})
    jobs.prepare()
    text = write_sample(name, read_day(place.today) if place.today else system_day())
    return [place.store(f"{name}.csv", BytesIO(text.encode()))]


@router.get("/reading")
def read(place: Place, names: Names, meant: Meant) -> dict[str, Any]:
    """Read files as ``check`` does; nothing is trained."""
    return asdict(place.read(names, meant))


@router.put("/columns", dependencies=[Depends(alone)])
def correct_columns(place: Place, columns: Annotated[dict[str, str], Body(embed=True)]) -> dict[str, str]:
    """Correct how columns are read from now on: columns of ours by their names in the files."""
    place.keep_columns(columns)
    return place.columns()


@router.get("/costs")
def show_costs(place: Place) -> list[Row]:
    """Return the rows of costs.csv."""
    return place.costs()


@router.put("/costs", dependencies=[Depends(alone)])
def type_costs(place: Place, rows: Annotated[list[Row], Body(embed=True)]) -> list[Row]:
    """Replace the rows of some products in costs.csv."""
    place.keep_costs(rows)
    return place.costs()


@router.post("/advise")
def advise(
    place: Place, jobs: Commands, role: Role, meant: Meant, files: Files, limits: FirstLimits = None, shop: NewName = ""
) -> dict[str, int]:
    """Start ``pricerl advise`` on the shop of some files, with what was typed here, and limits if the shop is new."""
    refuse({f"{shop} is a shop already; give the new one another name": shop in place.shops()})
    shop, typed = place.typed_words(files := place.find(files), shop and check_name(shop), meant)
    elsewhere = f"{shop} is a shop: type its limits on its page, or put them to /api/shops/{shop}/limits"
    refuse({elsewhere: limits and shop in place.shops()})
    drafts.check_typed(limits or {})
    given = [f"--data.guardrails.{setting}={json.dumps(value)}" for setting, value in (limits or {}).items()]
    words = option_words({**STEPS, "data.path": files, "run_name": shop, "today": place.today})
    return {"job": jobs.start([["advise", *words, *given, *typed, *waits_of(role)]], f"/shops/{shop}").id}


def waits_of(role: str) -> list[str]:
    """Return the option by which the advice that an editor starts waits for an approval."""
    return [] if is_at_least(role, "approver") else ["--waits=editor"]


@router.post("/shops/{name}/week")
def take_week(
    place: Place, shop: Opened, jobs: Commands, role: Role, meant: Meant, files: Files, accept: Accepted = None
) -> dict[str, int]:
    """Start ``watch``, ``predict`` and ``review`` of a shop on a fresh export, and read its price tests."""
    name = shop.folder.path.name
    _, typed = place.typed_words(files := place.find(files), name, meant)
    options = option_words({**STEPS, "run_name": name, "data.path": files, "today": place.today, "accept": accept})
    read = [["price-test", "read", *options]] if any(it["kind"] == PRICE_TEST for it in shop.log.entries) else []
    advise = ["predict", *options, *typed, *waits_of(role)]
    return {"job": jobs.start([["watch", *options], *read, advise, ["review", *options]], f"/shops/{name}").id}


@router.post("/shops/{name}/price-test")
def test_price(place: Place, name: str, shop: Opened, jobs: Commands, by: Author, body: PriceTest) -> dict[str, int]:
    """Start a step of ``pricerl price-test``."""
    author = by if by and body.step == "start" else None
    options = option_words({"run_name": name, "product": body.product, "today": place.today, "by": author})
    return {"job": jobs.start([["price-test", body.step, *options]], "").id}


@router.get("/jobs/{number}/events")
def follow_job(jobs: Commands, number: int) -> StreamingResponse:
    """Return the output of a job as server-sent events; the last one, ``end``, has its exit code."""
    if (job := jobs.known.get(number)) is None:
        raise UsageError(f"job {number} is not known")
    return StreamingResponse(job.events(), media_type="text/event-stream")


@router.get("/shops")
def list_shops(place: Place) -> list[str]:
    """Return the names of the shops."""
    return place.shops()


@router.get("/shops/{name}")
def show_advice(place: Place, shop: Opened) -> dict[str, Any]:
    """Return the newest advice: ``advice.json``."""
    return place.advice_of(shop)


@router.get("/shops/{name}/products/{product:path}")
def show_product(place: Place, shop: Opened, product: str) -> dict[str, Any]:
    """Return one of the ``products`` of ``advice.json`` by its name, with its formats."""
    document = place.advice_of(shop)
    formats = {key: document[key] for key in ("locale", "currency", "price_decimals", "step_days")}
    return {**formats, **place.product_of(document, product)}


@router.get("/shops/{name}/what-if/{product:path}")
def ask(place: Place, shop: Opened, product: str, price: float, unit_cost: float | None = None) -> dict[str, Any]:
    """Compare a price with keeping the current one, at another cost of a unit if one is given, as ``what-if`` does."""
    from pricerl.tasks.ask import ask_shop  # imports torch

    return ask_shop(shop, place.product_of(place.advice_of(shop), product)["product"], price, unit_cost).to_dict()


@router.get("/shops/{name}/outbox")
def show_outbox(shop: Opened) -> dict[str, Any]:
    """Return the prices that are charged next, and why others are not."""
    box = shop.outbox
    rows = [row._asdict() for row in box.rows]
    return {"rows": rows, "notes": box.notes, "currency": box.currency, "summary": box.summary}


@router.get("/shops/{name}/history")
def show_history(shop: Opened) -> list[Entry]:
    """Return the entries of the decision log, the newest last."""
    return list(read_log(shop.log_path).entries)


@router.get("/shops/{name}/prepared")
def show_prepared(place: Place, shop: Opened) -> list[Entry]:
    """Return the decisions that an agent prepared and nobody has decided, each with its author and ``effect``."""
    return list(place.prepared(shop))


@router.get("/shops/{name}/limits")
def show_limits(shop: Opened) -> dict[str, Any]:
    """Return the limits in force, by their settings."""
    return shop.guardrails


def _offer(path: str, draft: Callable[..., Entry | list[Entry]], purpose: str) -> None:
    """Offer a decision on a shop under a path, with what its draft asks for as the body; its author is the token's."""
    asked = signature(draft).parameters
    said = create_model(path.title(), __base__=Decision, **{key: SAID[key] for key in SAID if key in asked})

    def decide(author: Author, shop: Opened, role: Role, body: Decision) -> Entry:
        refuse({f"by is the name of your token, {author}; leave it out": author and body.by is not None})
        rights = {"may_widen": is_at_least(role, "approver")} if "may_widen" in asked else {}
        given = {**body.model_dump(), **rights, "by": author or body.by}

        def drafted(now: Shop) -> list[Entry]:
            made = draft(now, **given)
            return made if isinstance(made, list) else [made]

        return record(shop, drafted)

    decide.__annotations__["body"] = said
    method = "PUT" if path == "limits" else "POST"
    router.add_api_route(f"/shops/{{name}}/{path}", decide, methods=[method], name=path, description=purpose)


_offer("approve", draft_approvals, "Approve what the newest advice recommends, in a group, or what an agent prepared.")
_offer("reject", draft_rejection, "Reject a decision that an agent prepared.")
_offer("override", drafts.draft_override, "Charge a price until a day, within the hard limits.")
_offer("pause", drafts.draft_pause, "Keep the price until a day.")
_offer("resume", drafts.draft_resumption, "End an override, pause or price test early, else take back the approval.")
_offer("publishing", drafts.draft_publishing, "Change how advised prices are published; an editor may tighten it.")
_offer("limits", drafts.draft_limits, "Change limits; an editor may narrow them around the current prices.")
