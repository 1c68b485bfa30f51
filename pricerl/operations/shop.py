"""The shop: the one state that every command opens, and the only writer of its log and its outbox.

A shop is the folder of a run. Its state is the decision log, the generation in force and today; the sources, settings,
limits, the current price and the newest advice follow from them.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from pricerl.advice.exports import PRICES
from pricerl.arrays import to_plain
from pricerl.data.days import read_day
from pricerl.data.naming import choose_product, list_sources
from pricerl.decide.decision import Approval
from pricerl.decide.standing import Order, active_of, scheduled_price
from pricerl.errors import CheckpointError, DataError, PricerlError, UsageError
from pricerl.operations.log.approved_costs import write_costs
from pricerl.operations.log.decision_log import LOG_FILE, Entry, Log, append, by_product, publish_again, read_log
from pricerl.operations.log.orders import ADVICE, APPROVAL, OVERRIDE, PAUSE, PRICE_TEST, ROLLBACK, orders_of
from pricerl.operations.log.typed_limits import DEFAULTS, combined_settings, typed_since, with_typed
from pricerl.operations.outbox import (
    Outbox,
    approval_of,
    approved_change,
    fill_outbox,
    first_change,
    generation_of,
    last_day_of,
    newest_advice,
    open_day,
    orders_on,
    shop_publishing,
    with_ordered,
)
from pricerl.runs.folder import Generation, RunFolder
from pricerl.terminal import shown
from pricerl.writing import CURRENT, PUBLISHED, find_set, is_shown, show_set, stage_set

if TYPE_CHECKING:
    from pricerl.data.history import ProductHistory
    from pricerl.data.platforms.import_forms import ImportForm
    from pricerl.evaluation.pricing_data import PricingData


class Prepared(NamedTuple):
    """Files of a new advice, ready to be published together with the outbox."""

    home: Path
    """Folder of the generation that made the advice, or of the run if it has none."""
    files: Callable[[], Iterable[tuple[str, str | bytes]]]
    """Renders name and content of each file, perhaps in several pieces."""
    excel: bool = False
    """Whether the tables are written into a workbook, too."""


@dataclass(frozen=True)
class Shop:
    """State of one shop when a command opens it."""

    folder: RunFolder
    log: Log
    generation: str
    """Name of the generation in force; empty for a run without generations."""
    given_day: date | None = None
    """Value of ``--today``; None for the clock's day."""

    @classmethod
    def open(cls, folder: RunFolder, today: str | None = None) -> Shop:
        """Open the shop of a run, and bring its outbox up to date if a command was interrupted or days have passed.

        ``today`` is the value of ``--today``; one that is no day is a ``UsageError``, a broken log a ``DataError``.
        """
        day = None if today is None else read_day(today)
        with contextlib.suppress(OSError, UsageError):  # a folder that may only be read, here and below
            folder.restore_links()
        log = read_log(folder.path / LOG_FILE)
        shop = cls(folder, log, name_in_force(folder, log.entries), day)
        with contextlib.suppress(OSError, UsageError):
            shop.renew()
        with contextlib.suppress(OSError, UsageError, DataError):  # costs that an interrupted command had approved
            write_costs(folder.path, log.entries, len(shop.newest) == 1, waits=False)
        return shop

    @property
    def log_path(self) -> Path:
        """Path of the decision log."""
        return self.folder.path / LOG_FILE

    @property
    def home(self) -> Path:
        """Folder in which the advice in force is published."""
        return self.folder.path / self.generation

    @cached_property
    def newest(self) -> dict[str, Entry]:
        """Newest advice of the generation in force by product."""
        return {entry["product"]: entry for entry in newest_advice(self.log.entries, self.generation)}

    @cached_property
    def charged(self) -> dict[str, Entry]:
        """Newest advice by product, and the last one on products that left the file while an order is in force."""
        found = with_ordered(list(self.newest.values()), self.log.entries, self.today)
        return {entry["product"]: entry for entry in found}

    @cached_property
    def sources(self) -> list[str]:
        """Files that the newest advice with files was made from, of any generation; none for a simulated seller."""
        advised = (entry for entry in reversed(self.log.entries) if entry["kind"] == ADVICE)
        return list_sources(next((entry["path"] for entry in advised if entry["path"]), None))

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the newest advice that differ from its checkpoint's; the last row's price counted once."""
        entry = next(iter(self.newest.values()), None)
        kept = {} if entry is None else copy.deepcopy(entry["settings"])
        reading = kept.get("data", {}).get("reading", {})
        if reading.get("current_price") == "last":
            del reading["current_price"]
        return kept

    @property
    def publishing(self) -> Approval | None:
        """How advised prices are published; None before the first advice."""
        return shop_publishing(self.log.entries)

    @cached_property
    def guardrails(self) -> dict[str, Any]:
        """Settings of the guardrails in force, whatever generation advised last; none before the first advice."""
        last = next((entry for entry in reversed(self.log.entries) if entry["kind"] == ADVICE), None)
        if last is None:
            return {}
        if "guardrails" in last["terms"]:
            known = combined_settings(self.log.entries, newest_advice(self.log.entries, generation_of(last)))
        else:
            known = {**DEFAULTS, **self._older_guardrails(last)}
        return with_typed(known, typed_since(last, self.log.entries))

    def _older_guardrails(self, advice: Entry) -> dict[str, Any]:
        """Return the guardrails of an advice of an older version, with those of its checkpoint if it can be read."""
        from pricerl.operations.log.provenance import combine  # imports torch
        from pricerl.runs.checkpoint import Checkpoint

        stored: dict[str, Any] = {}
        with contextlib.suppress(CheckpointError):
            stored = Checkpoint.read(self.folder.path / str(advice["checkpoint"])).settings
        found: dict[str, Any] = combine(stored, advice["settings"]).get("data", {}).get("guardrails", {})
        return found

    @property
    def lasting(self) -> dict[str, Any]:
        """Settings that every advice keeps to unless others are named: limits, and how prices are published."""
        own = {"data": {"guardrails": self.guardrails}, "decision": {"approval": None}}
        return own if self.guardrails else {}

    @property
    def waits(self) -> str | None:
        """Why an advice from the same files waits for an approval: as the newest one, which nobody has approved."""
        asked = (entry for entry in self.newest.values() if entry["terms"].get("waits"))
        return next((entry["terms"]["waits"] for entry in asked if not approval_of(entry, self.log.entries)), None)

    @cached_property
    def today(self) -> date:
        """Day of ``--today``, else the clock's; a simulated seller's is the first day after their history."""
        if self.given_day is not None:
            return self.given_day
        firsts = [entry["days"][0]["date"] for entry in self.newest.values()]
        return date.fromisoformat(max(firsts)) if firsts and not self.sources else system_day()

    @cached_property
    def outbox(self) -> Outbox:
        """Prices that are charged next."""
        return fill_outbox(self.log.entries, self.log.head, self.generation, self.today)

    def import_files(self, form: ImportForm, export: Path | None = None) -> dict[str, str]:
        """Return the prices that hold today in a platform's form, and those charged until now, by names of files.

        The form has no column for a day, so prices of later days wait for it. Some need the seller's product export.
        """
        rows = tuple(row for row in self.outbox.rows if row.date <= self.today.isoformat())
        before = tuple(row._replace(price=self.charged[row.product]["current_price"]) for row in rows)
        found = {form.file: rows, form.undo: before}
        tables = {name: self.outbox._replace(rows=prices).table() for name, prices in found.items()}
        return {name: form.fill(export, table) if export else form.render(table) for name, table in tables.items()}

    def refuse_missing(self) -> None:
        """Refuse sources of the newest advice that are gone with a ``DataError`` that names the first of them."""
        from pricerl.data.reading.sources.containers import is_present  # late, as commands about orders read no file

        for source in self.sources:
            if not is_present(source):
                known = f"the last advice read it, up to {self._last_day}"
                raise DataError(source, [f"is gone: {known}; name a newer export with --data.path"])

    def refuse_older(self, products: Sequence[ProductHistory], source: str, named: bool) -> None:
        """Refuse histories that end before those of the newest advice, or that were cut, with a ``DataError``."""
        if not self.newest:
            return
        remedy = "name a newer export with --data.path, or take this one all the same with --accept_changes history"
        last = str(max(product.dates[-1] for product in products))
        if last < self._last_day:
            found = f"ends on {last}, but the last advice knew the days up to {self._last_day}"
            raise DataError(source, [f"{found}; {remedy}"])
        for product in (product for product in products if product.product in self.newest):
            known = self.newest[product.product]["known"]
            days = int(product.observed.sum())
            if days < known["days"] and (last == self._last_day or not named):
                name = shown(product.product)
                found = f"holds {days} days of {name} from {product.dates[0]}, but the last advice knew {known['days']}"
                raise DataError(source, [f"{found} from {known['first']}: the file was cut; {remedy}"])

    @property
    def _last_day(self) -> str:
        return str(max(entry["history_end"] for entry in self.newest.values()))

    def advice_on(self, product: str | None) -> Entry:
        """Return the newest advice on a product, by default the only one; errors are those of `choose_product`."""
        if not self.newest:
            raise DataError(str(self.log_path), ["has no advice yet; run fit or predict first"])
        return self.newest[choose_product(list(self.newest), product, "this run")]

    def orders_on(self, product: str) -> list[Order]:
        """Return all orders on a product, oldest first; without advice in force they have no limits to keep to."""
        if (advice := self.charged.get(product)) is None:
            return orders_of(self.log.entries, product, self.today.isoformat())
        return orders_on(advice, self.log.entries, open_day(advice, self.today), self.log.entries)

    def order_on(self, product: str) -> Order | None:
        """Return the order in force on a product."""
        return active_of(self.orders_on(product))

    @cached_property
    def decisions(self) -> dict[str, dict[str, Any]]:
        """Orders as they stand today, and the approved change, of products that people decided on, as in a record."""
        found = {}
        kinds = {OVERRIDE, PAUSE, PRICE_TEST, APPROVAL}
        for name, own in by_product(self.log.entries).items():
            if name in self.newest and not kinds.isdisjoint(entry["kind"] for entry in own):
                advice = self.newest[name]
                approved = approved_change(advice, own) if last_day_of(advice) >= self.today.isoformat() else None
                orders = orders_on(advice, own, open_day(advice, self.today), self.log.entries)
                found[name] = {"orders": to_plain(orders), "approved": to_plain(approved)}
        return found

    def decided(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return an advice with the decisions that people have made since, as they stand today."""
        products = [{**item, **self.decisions.get(item["product"], {})} for item in document["products"]]
        return {**document, "products": products}

    def state_of(self, product: str) -> tuple[str, str]:
        """Return whether a product is ordered, approved, waiting or kept, and the order or approval in words."""
        advice = self.newest.get(product)
        if (order := self.order_on(product)) is not None:
            if order.status == "returning":
                return "ordered", "back to the regular price"
            price = scheduled_price(order.schedule, self.today.isoformat(), order.price)
            price = advice["current_price"] if advice and price is None else price
            at = "" if price is None else f" at {price:.{self.outbox.decimals}f}"
            return "ordered", f"{order.kind.replace('_', ' ')}{at} until {order.until}"
        if advice and (given := approval_of(advice, self.log.entries)):
            return "approved", f"{given['kind']}: entry {given['id']}"
        return ("waiting" if advice and first_change(advice) else "kept"), ""

    def record(
        self,
        drafts: Sequence[Entry] | Callable[[Shop], Sequence[Entry]],
        prepared: Prepared | None = None,
        uses: Generation | None = None,
    ) -> tuple[list[Entry], Shop]:
        """Append entries to the log and publish the outbox that follows, under one lock; return them and the new shop.

        Every file is written before the log is. What is left after it are links, each moved in one step; `renew` moves
        them after an interruption. Errors are those of `append`.

        Args:
            drafts: entries without number and hashes, or a function of the shop as it is under the lock.
            prepared: files of a new advice, published together with its outbox.
            uses: generation that is in force from here on; the present one if absent.
        """
        states: list[Shop] = []

        def publish(log: Log) -> Callable[[], object]:
            state = self._at(log) if uses is None else replace(self._at(log), generation=uses.name)
            states.append(state)
            if prepared is not None and uses is not None:
                uses.complete()
            return state._prepare(prepared)

        day = {} if self.given_day is None else {"today": self.given_day.isoformat()}

        def dated(entries: Sequence[Entry]) -> list[Entry]:
            made = drafts(self._at(self.log._replace(entries=entries))) if callable(drafts) else drafts
            return [{**day, **draft} for draft in made]

        entries = append(self.log_path, dated, publish)
        try:
            write_costs(self.folder.path, entries, len(self.newest) == 1, waits=True)
        except PricerlError as error:
            raise UsageError(f"recorded, but not yet written: {error}; the next command writes it") from error
        return entries, states[-1]

    def renew(self) -> None:
        """Publish the outbox again unless it is up to date; finish what an interrupted command had recorded."""
        used = self.folder.current
        switched = self.generation != ("" if used is None else used.name)
        ready = self._ready
        incomplete = not self.folder.is_linked or (ready is not None and not is_shown(self.home, ready))
        published = ""
        with contextlib.suppress(OSError, ValueError):
            published = (self.folder.path / PRICES).read_bytes().decode()
        if switched or (self.newest and (incomplete or published != self.outbox.render())):
            publish_again(self.log_path, lambda log: self._at(log)._prepare())

    def publish_copy(self, prepared: Prepared) -> None:
        """Publish files of an advice and the outbox in a folder of the user's choice, made if absent."""
        show_set(prepared.home, self._write(prepared))

    def publish_page(self, name: str, html: str) -> None:
        """Add a page to the files in force, or replace it."""
        publish_again(self.log_path, lambda log: self._at(log)._prepare(pages={name: html}))

    def _at(self, log: Log) -> Shop:
        return replace(self, log=log, generation=name_in_force(self.folder, log.entries))

    @property
    def _ready(self) -> str | None:
        """Name of the newest set that holds the newest advice, whether or not it is shown; None if there is none."""
        first = max((entry["id"] for entry in self.newest.values()), default=0)
        return find_set(self.home, [entry["hash"] for entry in self.log.entries[first - 1 :]]) if first else None

    def _prepare(
        self, prepared: Prepared | None = None, pages: Mapping[str, str] = MappingProxyType({})
    ) -> Callable[[], object]:
        """Write the set of files with the outbox, and return a function that shows it and the generation in force."""
        shows = [] if prepared is None else [(prepared.home, self._write(prepared))]
        ready = self._ready or CURRENT
        source = self.home / PUBLISHED / ready
        if (prepared is None or prepared.home != self.home) and source.exists():
            if pages or ready == CURRENT or (source / PRICES).read_bytes().decode() != self.outbox.render():
                ready = self._write(Prepared(self.home, pages.items, (source / "advice.xlsx").exists()), ready)
            shows.append((self.home, ready))

        def show() -> None:
            for folder, name in shows:
                show_set(folder, name)
            if self.generation:
                self.folder.use(Generation(self.home))

        return show

    def _write(self, prepared: Prepared, source: str = "") -> str:
        """Write the set of files with the outbox, and other files of the set ``source``, and return its name."""

        def finish(folder: Path) -> None:
            if prepared.excel:
                from pricerl.advice.exports import write_workbook

                write_workbook(folder, self.outbox.table())

        files = chain(prepared.files(), [(PRICES, self.outbox.render())])
        return stage_set(prepared.home, files, finish, self.log.head.hash, source)


def name_in_force(folder: RunFolder, entries: Sequence[Entry]) -> str:
    """Return the name of the generation in force in a run's folder; empty for a run without generations.

    It is the one that the log names last; the link leads to another one if a command was interrupted before it moved.
    """
    for entry in reversed(entries):
        trained = entry["kind"] == ADVICE and entry["command"] == "fit"
        name = entry["generation"] if entry["kind"] == ROLLBACK else generation_of(entry) if trained else ""
        if name and Generation(folder.path / name).is_complete:
            return str(name)
        if name:
            break
    current = folder.current
    return "" if current is None else current.name


def system_day() -> date:
    """Return the day of the system's clock."""
    return date.today()


def day_of(given: str | None, data: PricingData) -> date:
    """Return the day of ``--today``, else the clock's; a simulated seller's is the first day after their history."""
    if given is not None:
        return read_day(given)
    return max(history.next_day for history in data.preprocessor.products) if data.path is None else system_day()
