"""Advice of a loaded or trained policy: decided, recorded in the shop's log, and published as files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

from pricerl.advice.files import About, AdviceFiles, StoredAdvice, json_of
from pricerl.advice.result import ProductAdvice
from pricerl.advice.sentences.verdict import Record
from pricerl.data.days import WEEK
from pricerl.data.naming import list_sources
from pricerl.decide.decision import Approval
from pricerl.errors import UsageError
from pricerl.formatting import plural
from pricerl.operations.catalogue import Advised, advise_chunks, split
from pricerl.operations.engine import Engine
from pricerl.operations.exports import Publication
from pricerl.operations.log.decision_log import LOG_FILE, Entry, Head, by_product, read_log
from pricerl.operations.log.drafts import draft_publishing, publishing_words
from pricerl.operations.log.orders import ADVICE, PUBLISHING
from pricerl.operations.log.provenance import describe_origin, shorten
from pricerl.operations.log.unchanged import find_bases, find_unchanged
from pricerl.operations.outbox import approved_change, generation_of
from pricerl.operations.shop import Shop, day_of
from pricerl.progress import stage
from pricerl.runs.folder import RunFolder
from pricerl.runs.run import Run
from pricerl.terminal import print_notes

MOST_FORESEEN = 2000
"""Products for which the days ahead are examined at most, as each takes time."""


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
        chunks = list(split(run, entries, rows, origin))
        parts, failed = advise_chunks(chunks, data.engine or Engine.of(run))
    data.leave_out(failed)
    advice = [item for part in parts for item in part.advice]
    drafts = [item for part in parts for item in part.drafts]
    scores = {name: score for part in parts for name, score in part.backtests.items()}
    notes = tuple(note for part in parts for note in part.notes)
    print_notes(notes)
    return Advised(advice, drafts, scores, notes)


class Delivered(NamedTuple):
    """Advice of a command."""

    products: Sequence[ProductAdvice | StoredAdvice]
    files: AdviceFiles
    shop: Shop
    """The shop after it."""
    recorded: str = ""
    """A sentence about the log entries."""
    until: date | None = None
    """Last day through which the advice stands if nothing changes; unknown for one that was not recorded."""


def deliver(run: Run) -> Delivered:
    """Advise on the products about which something is new, record it, and write the files of the advice on all."""
    shop = Shop.open(RunFolder(run.folder), run.options.today)
    on_trial = refuse_other_model(run, shop)
    entries = read_log(shop.log_path).entries
    origin = _describe_origin(run, shop)
    asked = run.configs["decision"].approval
    origin["terms"]["approval"] = asked or shop.publishing or "auto"
    bases = find_bases(run, origin)
    kept = find_unchanged(run, shop, origin, bases)
    rows = [row for row, name in enumerate(bases) if name not in kept]
    run.module.trainer = run.data.trainer = None  # it holds env and buffer
    run.pricing.release()
    advised = make_advice(run, entries, rows, origin)
    if kept:
        print_notes([f"nothing is new for {len(kept):,} of {plural(len(bases), 'product')}: the last advice stands"])
    decided: dict[str, ProductAdvice | StoredAdvice] = {**kept}
    own = by_product(entries)
    for item, draft in zip(advised.advice, advised.drafts, strict=True):
        draft["basis"] = bases[item.product]
        decided[item.product] = replace(item, approved=approved_change(draft, own.get(item.product, ())))
    products = [decided[name] for name in bases if name in decided]
    publication = describe_publication(run, origin, shop.log.head)
    if not run.is_global_zero:
        return Delivered(products, AdviceFiles.of(run.folder), shop)
    after, recorded, until = shop, "not recorded", None
    if not on_trial:
        records = {
            item.product: item.to_json() if isinstance(item, StoredAdvice) else json_of(item.to_dict())
            for item in products
            if not isinstance(item, StoredAdvice) or item.changes
        }
        with stage("writing the report"):
            trained = run.generation if run.command == "fit" else None
            about = (publication, records, run.pricing.unread, trained)
            written, after = shop.record(lambda now: [*_publish_as(now, asked), *advised.drafts], *about)
        after.remember(list_sources(run.pricing.path))
        if trained is not None:
            remove_old_generations(run)
        print_notes(publishing_words(entry) for entry in written if entry["kind"] == PUBLISHING)
        recorded = f"recorded: {_name_entries(written)} of {shop.log_path}"
        if run.command != "fit" and after.log.head.entries == shop.log.head.entries + len(written):
            until = _stands_until(run, after, origin, bases)
    folder = Path(run.options.out or run.folder)
    if run.options.out:
        publication.write(folder, list(records_of(products)), after.outbox)
    return Delivered(products, AdviceFiles.of(folder), after, recorded, until)


def _stands_until(run: Run, shop: Shop, origin: Entry, bases: Mapping[str, str]) -> date | None:
    """Return the last day through which all advice stands if nothing is new, at most a week after today."""
    today = date.fromisoformat(origin["today"])
    days = [today + timedelta(days=ahead) for ahead in range(WEEK if len(bases) <= MOST_FORESEEN else 1)]
    early = any(product.next_day > today for product in run.pricing.preprocessor.products)
    last = None
    for day in days[:1] if early else days:
        if len(find_unchanged(run, shop, {**origin, "today": day.isoformat()}, bases)) < len(bases):
            break
        last = day
    return last


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
    if not run.options.out:
        instead = f"look at its advice with --out FOLDER, or use it from now on: rollback --to {run.generation.name}"
        raise UsageError(f"--ckpt_path: is of {run.generation.name}, but the shop uses {used}; {instead}")
    return True


def _publish_as(shop: Shop, asked: Approval | None) -> list[Entry]:
    """Draft another way of publishing if one is asked for and the shop has had one."""
    if asked is None or shop.publishing in (None, asked):
        return []
    return [draft_publishing(shop, asked, None, f"--decision.approval {asked}")]


def remove_old_generations(run: Run) -> None:
    """Remove generations of the run that are neither among the newest nor named by its log."""
    named = {generation_of(entry) for entry in read_log(run.folder / LOG_FILE).entries}
    RunFolder(run.folder).remove_old(run.options.keep, named)


def records_of(products: Iterable[ProductAdvice | StoredAdvice]) -> Iterator[Record]:
    """Yield the records of ``advice.json``."""
    return (item.to_dict() for item in products)


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
