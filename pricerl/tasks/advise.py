"""Advice of a loaded or trained policy: decided, recorded in the shop's log, and published as files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pricerl.advice.files import About, AdviceFiles, StoredAdvice, render_files
from pricerl.advice.result import ProductAdvice
from pricerl.advice.sentences.verdict import Record
from pricerl.decide.decision import Approval
from pricerl.formatting import plural
from pricerl.operations.catalogue import Advised, advise_chunks, split
from pricerl.operations.engine import Engine
from pricerl.operations.log.decision_log import LOG_FILE, Entry, Head, by_product, read_log
from pricerl.operations.log.drafts import draft_publishing, publishing_words
from pricerl.operations.log.orders import PUBLISHING
from pricerl.operations.log.provenance import describe_origin, shorten
from pricerl.operations.log.unchanged import find_bases, find_unchanged
from pricerl.operations.outbox import approved_change
from pricerl.operations.shop import Prepared, Shop, day_of
from pricerl.progress import stage
from pricerl.runs.folder import RunFolder
from pricerl.runs.run import Run
from pricerl.terminal import print_notes

MOST_SUMMARIES = 20
"""Products whose summary is printed at most."""


def make_advice(
    run: Run,
    entries: Sequence[Entry],
    rows: Sequence[int] | None = None,
    origin: Entry | None = None,
) -> Advised:
    """Advise on the products of a run, or on those in some ``rows``, subject to kill switch, orders and track record.

    The ``entries`` are those of its log before this advice; ``origin`` is that of the decisions for the log, None if
    they are not to be recorded.
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


def deliver(run: Run) -> tuple[Sequence[ProductAdvice | StoredAdvice], AdviceFiles, Shop, str]:
    """Advise on the products about which something is new, record the advice on all, and publish its files.

    Return the advice, its files, the shop after it, and a sentence about the log entries.
    """
    shop = Shop.open(RunFolder(run.folder), run.options.today)
    entries = shop.log.entries
    origin = {**describe_origin(run, day_of(run.options.today, run.pricing)), "seen": len(entries)}
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
    decided: dict[str, tuple[ProductAdvice | StoredAdvice, Entry]] = {**kept}
    own = by_product(entries)
    for item, draft in zip(advised.advice, advised.drafts, strict=True):
        approved = approved_change(draft, own.get(item.product, ()))
        decided[item.product] = replace(item, approved=approved), {**draft, "basis": bases[item.product]}
    products, drafts = zip(*(decided[name] for name in bases if name in decided), strict=True)
    files = renderer(run, products, origin, shop.log.head)
    if not run.is_global_zero:
        return products, AdviceFiles.of(run.folder), shop, ""
    trained = run.generation if run.command == "fit" else None
    prepared = Prepared(run.home, files, run.configs["report"].excel)
    with stage("writing the report"):
        written, after = shop.record(lambda now: [*_publish_as(now, asked), *drafts], prepared, trained)
    if trained is not None:
        remove_old_generations(run)
    in_force = run.home == after.home
    paths = AdviceFiles.of(run.folder if in_force else run.home)
    if run.options.out:
        after.publish_copy(prepared._replace(home=Path(run.options.out)))
        paths = AdviceFiles.of(Path(run.options.out))
    first = written[-len(products)]["id"]
    last = written[-1]["id"]
    named = f"entry {first}" if first == last else f"entries {first} to {last}"
    print_notes(publishing_words(entry) for entry in written if entry["kind"] == PUBLISHING)
    return products, paths, after, f"recorded: {named} of {shop.log_path}"


def _publish_as(shop: Shop, asked: Approval | None) -> list[Entry]:
    """Draft another way of publishing if one is asked for and the shop has had one."""
    if asked is None or shop.publishing in (None, asked):
        return []
    return [draft_publishing(shop, asked, None, f"--decision.approval {asked}")]


def remove_old_generations(run: Run) -> None:
    """Remove generations of the run that are neither among the newest nor named by its log."""
    entries = read_log(run.folder / LOG_FILE).entries
    named = {Path(entry["checkpoint"]).parts[0] for entry in entries if entry.get("checkpoint")}
    RunFolder(run.folder).remove_old(run.options.keep, named)


def records_of(products: Iterable[ProductAdvice | StoredAdvice]) -> Iterator[Record]:
    """Yield the records of ``advice.json``."""
    return (item.to_dict() for item in products)


def renderer(
    run: Run, products: Sequence[ProductAdvice | StoredAdvice], origin: Entry, head: Head
) -> Callable[[], Iterator[tuple[str, str | bytes]]]:
    """Return a function that renders the files of an advice."""
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
    return lambda: render_files(
        (item if isinstance(item, StoredAdvice) else item.to_dict() for item in products),
        about,
        run.formatter,
        data.problems,
    )
