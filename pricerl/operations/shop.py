"""The shop: the one state that every command opens, and the only writer of its log and its files.

A shop is the folder of a run with its database. Its state is the decision log, the generation in force and today; all
else follows from them, and so do its files.
"""

from __future__ import annotations

import contextlib
import copy
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pricerl.arrays import to_plain
from pricerl.data.days import read_day
from pricerl.data.naming import choose_product, list_sources
from pricerl.decide.decision import Approval
from pricerl.decide.standing import Order, active_of, scheduled_price
from pricerl.errors import CheckpointError, DataError, PricerlError, UsageError, refuse
from pricerl.operations.exports import Fresh, Publication, are_current, write_files
from pricerl.operations.log.decision_log import (
    LOG_FILE,
    NOTHING,
    Entry,
    Log,
    append,
    find_head,
    load,
    read_log,
)
from pricerl.operations.log.orders import APPROVAL, OVERRIDE, PAUSE, PLATFORM_PRICE, PRICE_TEST, ROLL_OUT, open_edit
from pricerl.operations.log.takeover import take_over
from pricerl.operations.log.typed_limits import settings_in_force
from pricerl.operations.outbox import (
    Outbox,
    approval_of,
    approved_change,
    fill_outbox,
    first_change,
    last_day_of,
    open_day,
    orders_on,
    shop_publishing,
)
from pricerl.runs.folder import Generation, RunFolder
from pricerl.shop.database import DAYS_KNOWN, MODEL, READING, Database, ask, reading, writing
from pricerl.shop.files import FilesRead, were_read
from pricerl.writing import hash_file

if TYPE_CHECKING:
    from pricerl.data.cleaning.rows import Rows
    from pricerl.data.platforms.import_forms import ImportForm
    from pricerl.shop.days import Days

DECISIONS = {OVERRIDE, PAUSE, PRICE_TEST, APPROVAL, ROLL_OUT, PLATFORM_PRICE}
"""Kinds of entries that decide on a price."""


@dataclass(frozen=True, eq=False)
class Shop:
    """State of one shop when a command opens it."""

    folder: RunFolder
    log: Log
    generation: str
    """Name of the generation in force; empty for a run without generations."""
    given_day: date | None = None
    """Value of ``--today``; None for the clock's day."""
    before: Outbox | None = None
    """Outbox of the log before its last entries, if that is known."""
    found: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    """Values of `_decided` as they were found last, which later states of the shop share."""

    @classmethod
    def open(cls, folder: RunFolder, today: str | None = None, known: Shop | None = None) -> Shop:
        """Open the shop of a run, and bring its outbox up to date if a command was interrupted or days have passed.

        ``today`` is the value of ``--today``; one that is no day is a ``UsageError``, a broken log a ``DataError``.
        If the shop is ``known``, only what has followed is read.
        """
        shop = cls.read(folder, None if today is None else read_day(today), known)
        with contextlib.suppress(OSError, UsageError):  # a folder that may only be read
            if not shop._is_exported():
                shop.export()
        return shop

    @classmethod
    def read(cls, folder: RunFolder, day: date | None = None, known: Shop | None = None) -> Shop:
        """Return the state of a shop without writing any of its files; the arguments are as in `open`."""
        take_over(folder.path / LOG_FILE)
        with reading(folder.path / LOG_FILE) as database:
            return (known or cls(folder, NOTHING, "", day))._read(database)

    def _read(self, database: Database) -> Shop:
        log = load(database, self.log_path, True, self.log)
        used = database.fact(MODEL) or ("" if self.folder.current is None else self.folder.current.name)
        return replace(self, log=log, generation=used, before=self.outbox if self.newest else None)

    def renewed(self, database: Database) -> Shop:
        """Return the shop as it is in its database now, and on this day."""
        state = find_head(database), database.fact(MODEL), self._day
        return self if state == (self.log.head, self.generation, self.today) else self._read(database)

    @property
    def log_path(self) -> Path:
        """Path of the decision log."""
        return self.folder.path / LOG_FILE

    def entries(self) -> Sequence[Entry]:
        """Return all entries of the log up to this state, advice that later advice replaced included."""
        return read_log(self.log_path).entries[: self.log.head.entries]

    @property
    def newest(self) -> Mapping[str, Entry]:
        """Newest advice by product, the oldest first."""
        return self.log.newest

    @cached_property
    def products(self) -> list[str]:
        """Products that were advised on, and those whose days it has read."""
        return ask(self.log_path, self._known_products)

    def _known_products(self, database: Database) -> list[str]:
        names = database.run("SELECT name FROM product ORDER BY id")
        return list(dict.fromkeys([*self.renewed(database).newest, *(name for (name,) in names)]))

    @cached_property
    def sources(self) -> list[str]:
        """Files that the newest advice with files was made from, of any generation; none for a simulated seller."""
        return list_sources(next((entry["path"] for entry in reversed([*self.newest.values()]) if entry["path"]), None))

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the newest advice that differ from its checkpoint's; the last row's price counted once."""
        *_, last = ({"settings": {}}, *self.newest.values())
        kept: dict[str, Any] = copy.deepcopy(last["settings"])
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
        return settings_in_force(self.newest, self.log.entries) if self.newest else {}

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
        return self._day

    @property
    def _day(self) -> date:
        if self.given_day is not None:
            return self.given_day
        firsts = [] if self.sources else [entry["days"][0]["date"] for entry in self.newest.values()]
        return date.fromisoformat(max(firsts)) if firsts else system_day()

    @cached_property
    def outbox(self) -> Outbox:
        """Prices that are charged next."""
        return fill_outbox(self.log, self.generation, self.today, self.before)

    def import_files(self, form: ImportForm, export: Path | None = None) -> dict[str, str]:
        """Return today's prices in a platform's form, and those until now, by names of files; later ones wait."""
        rows = tuple(row for row in self.outbox.rows if row.date <= self.today.isoformat())
        found = ((form.file, rows), (form.undo, tuple(row._replace(price=row.now) for row in rows)))
        tables = ((name, self.outbox._replace(rows=prices).table()) for name, prices in found)
        return {name: form.fill(export, table) if export else form.render(table) for name, table in tables}

    def present_sources(self) -> list[str]:
        """Return the files of the newest advice; none if the shop has their days and no file has changed since.

        One that is gone without them is a ``DataError``.
        """
        from pricerl.data.reading.sources.containers import is_present  # late, as commands about orders read no file

        if ask(self.log_path, were_read, self.sources):
            return []
        gone = [source for source in self.sources if not is_present(source)]
        if gone and self.days(()) is None:
            known = f"the last advice read it, up to {max(entry['history_end'] for entry in self.newest.values())}"
            raise DataError(gone[0], [f"is gone: {known}; name a newer export with --data.path"])
        return [] if gone else self.sources

    def days(self, products: Collection[str] | None = None) -> Days | None:
        """Return the days of some products, by default of all, or None if the shop has read none at all."""
        from pricerl.shop.days import read_days  # late, as it imports pandas

        return ask(self.log_path, read_days, products)

    def summary(self) -> list[tuple[str, int, str, str]]:
        """Return name, number of known days, first and last one of each product."""
        return ask(self.log_path, Database.run, DAYS_KNOWN)

    @property
    def reading(self) -> dict[str, Any]:
        """Settings with which the files of the newest advice were read; none before the first."""
        return dict(json.loads(ask(self.log_path, Database.fact, READING) or "{}"))

    def named(self, rows: Rows, accepted: Collection[str] = (), related: Iterable[Sequence[str]] | None = None) -> Rows:
        """Return a file's rows as the shop takes them; arguments and errors are as in `take_rows`."""
        from pricerl.shop.names import take_rows  # late, as it imports pandas

        with reading(self.log_path) as database:
            return take_rows(database, rows, self._known_products(database), accepted, related)

    def join(self, rows: Rows, accepts_changes: bool = False) -> Rows:
        """Return the rows of a file with all days that the shop has read before; errors are as in `Days.join`."""
        days = self.days()
        return rows if days is None else days.join(rows, accepts_changes)

    def add(self, read: FilesRead) -> int:
        """Keep the days of some files that are new, or other ones than before, and return how many.

        Errors are as in `keep_files`.
        """
        with writing(self.log_path) as database:
            return self._keep_files(database, read)

    def _keep_files(self, database: Database, read: FilesRead) -> int:
        from pricerl.shop.names import keep_files  # late, as it imports pandas

        return keep_files(database, read, self._known_products(database), self.today)

    def advice_on(self, product: str | None) -> Entry:
        """Return the newest advice on a product, by default the only one; errors are as in `choose_product`."""
        if not self.newest:
            raise DataError(str(self.log_path), ["has no advice yet; run fit or predict first"])
        return self.newest[choose_product(list(self.newest), product, "this run")]

    def orders_on(self, product: str) -> list[Order]:
        """Return all orders on a product, oldest first; none without advice on it."""
        own = [*self.log.own.get(product, ()), *self.log.own.get(None, ())]
        advice = self.newest.get(product)
        return orders_on(advice, own, open_day(advice, self.today), self.outbox.state.typed) if advice else []

    def order_on(self, product: str) -> Order | None:
        """Return the order in force on a product."""
        return active_of(self.orders_on(product))

    @cached_property
    def decisions(self) -> dict[str, dict[str, Any]]:
        """Orders of today, approved change, whether a price is ``foreign``, of products with any, as in a record."""
        return {name: made for name, (*_, made, _) in self._decided.items() if made}

    @cached_property
    def states(self) -> defaultdict[str, tuple[str, str]]:
        """Whether a product is ordered, approved, waiting or kept, and the order or approval in words, by its name."""
        return defaultdict(lambda: ("kept", ""), {name: state for name, (*_, state) in self._decided.items()})

    def decided(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return an advice as it is read today, with the decisions that people have made since."""
        products = [{**item, **self.decisions.get(item["product"], {})} for item in document["products"]]
        return {**document, "today": self.today.isoformat(), "products": products}

    @cached_property
    def _decided(self) -> dict[str, tuple[Any, ...]]:
        """Entries of each product, the day, its decisions and its state, found anew if entries have followed."""
        shared = self.log.own.get(None, ())
        for name in self.newest:
            own = self.log.own[name]
            known = self.found.get(name)
            if known is None or known[0] is not own or known[1] is not shared or known[2] != self.today:
                self.found[name] = own, shared, self.today, *self._decided_on(name, own, shared)
        return {name: self.found[name] for name in self.newest}

    def _decided_on(self, product: str, own: Sequence[Entry], shared: Sequence[Entry]) -> tuple[Any, ...]:
        advice = self.newest[product]
        made: dict[str, Any] = {}
        if any(entry["kind"] in DECISIONS for entry in (*own, *shared)):
            approved = approved_change(advice, own) if last_day_of(advice) >= self.today.isoformat() else None
            orders = to_plain(self.orders_on(product))
            made = {"orders": orders, "approved": to_plain(approved), "foreign": open_edit(advice, own) is not None}
        return made, self._state_of(product, made)

    def _state_of(self, product: str, decided: Mapping[str, Any]) -> tuple[str, str]:
        advice = self.newest[product]
        if decided and (order := self.order_on(product)) is not None:
            if order.status == "returning":
                return "ordered", "back to the regular price"
            price = scheduled_price(order.schedule, self.today.isoformat(), order.price) or advice["current_price"]
            kind = order.kind.replace("_", " ")
            return "ordered", f"{kind} at {price:.{self.outbox.decimals}f} until {order.until}"
        if decided and (given := approval_of(advice, self.log.own[product])):
            return "approved", f"{given['kind']}: entry {given['id']}"
        return ("waiting" if first_change(advice) else "kept"), ""

    def record(
        self,
        drafts: Callable[[Shop], Sequence[Entry]],
        advice: Publication | None = None,
        fresh: Sequence[Fresh] = (),
        read: FilesRead | None = None,
        uses: Generation | None = None,
    ) -> tuple[list[Entry], Shop]:
        """Append entries to the log, then write the files that follow; return the entries and the new shop.

        Entries and records are one transaction; files that an interruption leaves old are written by the next command.

        Args:
            drafts: entries without number and hashes, given the shop as it is when they are recorded.
            advice: new advice as a whole, kept together with its entries.
            fresh: the new advice on some products.
            read: files that were read; errors are as in `add`.
            uses: generation that is in force from here on; the present one if absent.
        """
        day = {} if self.given_day is None else {"today": self.given_day.isoformat()}
        if not self.log.entries:
            drafts(self)  # its errors, before a file is made
        with writing(self.log_path) as database:
            now = self.renewed(database)
            entries, log = append(database, now.log, ({**day, **draft} for draft in drafts(now)))
            changed = entries or read is not None or uses is not None
            used = now.generation if uses is None else uses.name
            after = replace(now, log=log, generation=used, before=now.outbox) if changed else now
            database.keep_fact(MODEL, after.generation)
            if read is not None:
                after._keep_files(database, read)
            if uses is not None and advice is not None:
                database.run(
                    "INSERT INTO model VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET hash = excluded.hash",
                    (uses.name, hash_file(uses.model)),
                )
            if advice is not None:
                advice.keep(database, fresh, {name: entry["id"] for name, entry in after.newest.items()})
        try:
            after.export()
        except (OSError, PricerlError) as error:
            raise UsageError(f"recorded, but not yet published: {error}; the next command publishes it") from error
        return entries, after

    def find_model(self, name: str | None) -> Generation:
        """Return a generation that the shop has used, by default the one before that in use.

        One that it has not is a ``UsageError`` that lists all, one whose model was changed a ``CheckpointError``.
        """
        hashes: dict[str, str] = dict(ask(self.log_path, Database.run, "SELECT name, hash FROM model"))
        known = [item for item in self.folder.generations() if item.name in hashes]
        used = Generation(self.folder.path / self.generation)
        fitting = [item for item in known if item.name == name or (name is None and item.number < used.number)]
        listed = ", ".join(item.name for item in known) or "none"
        wanted = "no generation before the current one" if name is None else f"no complete generation {name!r}"
        refuse({f"{self.folder.path} has {wanted}; complete are {listed}": not fitting})
        found = fitting[-1]
        is_damaged = not found.model.is_file() or hash_file(found.model) != hashes[found.name]
        refuse({f"{found.model} is missing or damaged; choose another generation": is_damaged}, CheckpointError)
        return found

    def _is_exported(self) -> bool:
        """Return whether all files are as the shop has them."""
        state = (self.folder.path, self.log.entries, self.outbox)
        return not self.newest or (self._is_used and ask(self.log_path, are_current, *state))

    @property
    def _is_used(self) -> bool:
        """Whether the folder shows the generation in force, or does not hold it, as another computer's."""
        used = Generation(self.folder.path / self.generation)
        held = bool(self.generation) and used.path.is_dir()
        return not held or (self.folder.current == used and self.folder.is_shown)

    def export(self) -> None:
        """Write the files, while no other command writes, as the shop is by then."""
        with writing(self.log_path) as database:
            now = self.renewed(database)
            if now.newest:
                if not now._is_used:
                    self.folder.use(Generation(self.folder.path / now.generation))
                write_files(database, self.folder.path, now.log.entries, now.outbox)


def system_day() -> date:
    """Return the day of the system's clock."""
    return date.today()
