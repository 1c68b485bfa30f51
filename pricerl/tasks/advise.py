"""Advice of a loaded or trained policy: decided, recorded in the shop's log, and published as files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import NamedTuple

from pricerl.advice.files import About, AdviceFiles
from pricerl.advice.report.work_list import WorkList
from pricerl.advice.result import ProductAdvice
from pricerl.advice.stored import StoredAdvice
from pricerl.decide.decision import Approval
from pricerl.errors import refuse
from pricerl.formatting import plural
from pricerl.operations.catalogue import Advised, advise_chunks, day_of, join_categories, split
from pricerl.operations.engine import Engine
from pricerl.operations.exports import Fresh, Publication, read_advice, read_work_list
from pricerl.operations.log.decision_log import LOG_FILE, Entry, Head, by_product, read_log, read_own
from pricerl.operations.log.drafts import draft_publishing, publishing_words
from pricerl.operations.log.due import find_basis, has_own_code, stands_until
from pricerl.operations.log.orders import ADVICE, PUBLISHING
from pricerl.operations.log.provenance import describe_origin, shorten
from pricerl.operations.outbox import advising_generation, approved_change
from pricerl.operations.roll_out import keep_receipt
from pricerl.operations.shop import Shop
from pricerl.progress import stage
from pricerl.runs.folder import RunFolder
from pricerl.runs.run import Run
from pricerl.runtime import return_freed_memory
from pricerl.shop.database import Database, ask, reading
from pricerl.tasks.load import files_read
from pricerl.terminal import print_notes


def make_advice(
    run: Run,
    entries: Sequence[Entry],
    rows: Sequence[int] | None = None,
    origin: Entry | None = None,
) -> Advised:
    """Advise on the products of a run, or on those in some ``rows``, subject to kill switch, orders and track record.

    ``entries`` are its log before this advice. Decisions with an ``origin`` become drafts of entries.
    """
    data = run.pricing
    with stage("deciding on the prices"):
        parts, failed = advise_chunks([*split(run, entries, rows, origin)], data.engine or Engine.of(run))
    order = {name: row for row, name in enumerate(data.preprocessor.names)}
    advice = sorted((item for part in parts for item in part.advice), key=lambda item: order[item.product])
    data.leave_out(failed)
    made = Advised(
        advice=[*join_categories(advice)],
        drafts=sorted((item for part in parts for item in part.drafts), key=lambda item: order[item["product"]]),
        backtests={name: score for part in parts for name, score in part.backtests.items()},
        notes=tuple(note for part in parts for note in part.notes),
    )
    print_notes(made.notes)
    return made


class Delivered(NamedTuple):
    """Advice of a command."""

    fresh: Sequence[ProductAdvice]
    """Advice on the products about which something is new."""
    work: WorkList
    """Work list of all products."""
    files: AdviceFiles
    shop: Shop
    """The shop after it."""
    recorded: str = ""
    """A sentence about the log entries."""
    until: date | None = None
    """Last day through which the advice stands if nothing changes; unknown for one that was not recorded."""


def deliver(run: Run) -> Delivered:
    """Advise on the products about which something is new, record it, and write the files of the advice on all."""
    shop = run.shop or Shop.open(RunFolder(run.folder), run.options.today)
    shop = ask(shop.log_path, shop.renewed)
    data = run.pricing
    on_trial = refuse_other_model(run, shop)
    names = data.preprocessor.names
    entries = read_own(shop.log_path, names)
    origin = _describe_origin(run, shop)
    asked = run.configs["decision"].approval
    origin["terms"]["approval"] = asked or shop.publishing or "auto"
    counted = [name for name in names if shop.newest.get(name, {}).get("category")]  # perhaps no longer
    concerned = {*names} if data.concerned is None else {*data.concerned, *counted, *data.cross(names)}
    rows = [row for row, name in enumerate(names) if name in concerned]
    run.module.trainer = run.data.trainer = None  # it holds env and buffer
    data.release()
    return_freed_memory()
    advised = make_advice(run, entries, rows, origin)
    publication = describe_publication(run, origin, shop.log.head)
    fresh = list(_stored(run, advised, entries))
    folder = Path(run.options.out or run.folder)
    if on_trial or not run.is_global_zero:
        stored = [item for item, _ in fresh]
        if run.is_global_zero:
            publication.write(folder, stored, shop.outbox)
        return Delivered(advised.advice, WorkList(stored), AdviceFiles.of(folder), shop, "not recorded")
    with stage("writing the report"):
        trained = run.generation if run.command == "fit" else None
        read = (files_read(run), trained)
        written, after = shop.record(lambda now: [*_publish_as(now, asked), *advised.drafts], publication, fresh, *read)
        keep_receipt(after)
    if trained is not None:
        remove_old_generations(run)
    kept = set() if data.concerned is None else after.newest.keys() - {item.product for item in advised.advice}
    stands = f"nothing is new for {len(kept):,} of {plural(len(after.newest), 'product')}: the last advice stands"
    changed = [publishing_words(entry) for entry in written if entry["kind"] == PUBLISHING]
    print_notes([*([stands] if kept else []), *changed])
    if run.options.out:
        with reading(after.log_path) as database:
            publication.write(folder, read_advice(database), after.outbox)
    recorded = f"recorded: {_name_entries(written)} of {shop.log_path}"
    alone = after.log.head.entries == shop.log.head.entries + len(written)
    until = _stands_until(after) if alone else None
    return Delivered(advised.advice, read_work_list(after.log_path), AdviceFiles.of(folder), after, recorded, until)


def _stands_until(shop: Shop) -> date | None:
    """Return the last day through which all advice stands if nothing is new, or None if some does not."""
    ((number, until),) = ask(shop.log_path, Database.run, "SELECT count(*), min(stands) FROM advice")
    early = any(shop.today.isoformat() < entry["days"][0]["date"] for entry in shop.newest.values())
    if number < len(shop.newest) or not until:
        return None
    return shop.today if early else date.fromisoformat(until)


def _stored(run: Run, advised: Advised, entries: Sequence[Entry]) -> Iterator[Fresh]:
    """Yield new advice as the shop keeps it, and complete its drafts."""
    basis = find_basis(run)
    own = by_product(entries)
    step_days = run.pricing.preprocessor.step_days
    related = {name for relation in run.pricing.guardrails.related for name in relation.products}
    changing = {*basis} if has_own_code(run) else related
    for item, draft in zip(advised.advice, advised.drafts, strict=True):
        known = own.get(item.product, ())
        decided = replace(item, approved=approved_change(draft, known))
        draft["basis"] = basis[item.product]
        until = "" if item.product in changing else stands_until(draft, item, known, step_days)
        yield StoredAdvice.of(decided.to_dict(), run.formatter), until


def _describe_origin(run: Run, shop: Shop) -> Entry:
    """Return the origin of an advice; the shop's days came from the files of the newest one."""
    origin = describe_origin(run, day_of(run.options.today, run.pricing))
    sources = shop.sources[0] if len(shop.sources) == 1 else shop.sources
    return {**origin, "seen": shop.log.head.entries, "path": origin["path"] or sources or None}


def _name_entries(written: Sequence[Entry]) -> str:
    """Return the numbers of the advice among new entries."""
    numbers = [entry["id"] for entry in written if entry["kind"] == ADVICE]
    if not numbers:
        return "no entry"
    return f"entry {numbers[0]}" if len(numbers) == 1 else f"entries {numbers[0]} to {numbers[-1]}"


def refuse_other_model(run: Run, shop: Shop) -> bool:
    """Return whether an advice is a trial, of a model that the shop does not use; without ``--out`` it is refused."""
    used = shop.generation
    if run.command == "fit" or run.generation is None or used in ("", run.generation.name):
        return False
    instead = f"look at its advice with --out FOLDER, or use it from now on: rollback --to {run.generation.name}"
    refuse({f"--ckpt_path: is of {run.generation.name}, but the shop uses {used}; {instead}": not run.options.out})
    return True


def _publish_as(shop: Shop, asked: Approval | None) -> list[Entry]:
    """Draft another way of publishing if one is asked for and the shop has had one."""
    if asked is None or shop.publishing in (None, asked):
        return []
    return [draft_publishing(shop, asked, None, f"--decision.approval {asked}")]


def remove_old_generations(run: Run) -> None:
    """Remove generations of the run that are neither among the newest nor named by its log."""
    named = {advising_generation(entry) for entry in read_log(run.folder / LOG_FILE).entries}
    RunFolder(run.folder).remove_old(run.options.keep, named)


def describe_publication(run: Run, origin: Entry, head: Head) -> Publication:
    """Return an advice as a whole, as its files state it."""
    data = run.pricing
    about = About(
        source=Path(data.preprocessor.source).name,
        objective=data.reward.preset,
        model=shorten(origin["hashes"]["model"]),
        config=shorten(origin["hashes"]["config"]),
        approval=origin["terms"]["approval"],
        run=run.folder.name,
        today=origin["today"],
        decision_log={"entries": head.entries, "hash": head.hash},
    )
    return Publication(about, run.formatter, data.problems, run.configs["report"].excel)
