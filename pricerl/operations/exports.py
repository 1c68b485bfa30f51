"""Files of a shop: written from its database, each by one rename, and written again after an interruption."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec

from pricerl.advice.exports import DOCUMENT, PRICES, REORDERS, WORKBOOK, write_workbook
from pricerl.advice.files import About, render_files
from pricerl.advice.report.render import FOLDER, PAGE
from pricerl.advice.report.work_list import WorkList
from pricerl.advice.stored import StoredAdvice, Summary
from pricerl.data.reading.problems import Problem
from pricerl.errors import PROBLEMS
from pricerl.formatting import Formatter
from pricerl.operations.log.approved_costs import unwritten, write_costs
from pricerl.operations.log.decision_log import Entry
from pricerl.operations.log.orders import ADVICE
from pricerl.operations.outbox import Outbox, advising_generation
from pricerl.shop.database import FILE, MODEL, Database, ask, reading
from pricerl.shop.files import last_file
from pricerl.writing import explained, refuse_folders, rewriting, write_text

PUBLICATION = "publication"
"""Fact with what the files say about an advice as a whole."""
EXPORTED = "exported"
"""Beginning of the fact with a folder's files, the publication that they show, and when they were written."""
REPLACED = "A rollback has replaced the model of this advice: its prices are not charged any more. Run pricerl predict."
"""Sentence at the top of its pages."""
RECEIPT = "receipt"
"""Fact with what the new prices of the last roll-out have earned, in words."""


Fresh = tuple[StoredAdvice, str]
"""New advice on a product, and the last day through which it stands if nothing else changes, ISO format."""


class Publication(NamedTuple):
    """An advice as a whole, as its files state it."""

    about: About
    formatter: Formatter
    problems: Sequence[Problem] = ()
    excel: bool = False
    """Whether the tables are written into a workbook, too."""

    def write(
        self,
        folder: Path,
        products: Iterable[StoredAdvice],
        outbox: Outbox,
        note: str = "",
        work: WorkList | None = None,
        kept: Collection[str] = (),
    ) -> list[str]:
        """Write the files of an advice and of the outbox into a folder, made if absent, and return their names.

        Pages begin with the ``note``, if there is one. Of a ``work`` list nothing but the pages is written: the other
        files, by their names, are ``kept``. Files of earlier advice that have no successor are removed, whoever wrote
        them. One that cannot be written raises a ``UsageError``; those before it are new then.
        """
        written: dict[str, IO[bytes]] = {}
        with explained(folder), contextlib.ExitStack() as open_files:
            for name, piece in render_files(products, self.about, self.formatter, self.problems, note, work):
                if name not in written:
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    refuse_folders(folder, [name])
                    written[name] = open_files.enter_context(rewriting(folder / name))
                written[name].write(piece if isinstance(piece, bytes) else piece.encode())
        names = {*kept, *written, PRICES, *([WORKBOOK] if self.excel else [])}
        for path in _optional_files(folder).difference(folder / name for name in names):
            path.unlink(missing_ok=True)
        _write_prices(folder, outbox, self.excel)
        return sorted(names)

    def keep(self, database: Database, fresh: Iterable[Fresh], numbers: Mapping[str, int]) -> None:
        """Keep the advice as a whole, and the ``fresh`` one on some products; the other products' stays.

        The ``numbers`` of the newest entries are by product. A product stays in its place in the order of all.
        """
        file = last_file(database)
        own = ("entry", "file", "stands", "summary", "days", "record")
        database.run_many(
            "INSERT INTO advice SELECT ?, coalesce(max(place) + 1, 0), ?, ?, ?, ?, ?, ? FROM advice WHERE true"
            f" ON CONFLICT (product) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in own)}",
            (
                (item.product, numbers[item.product], file, until, *map(bytes.decode, texts))
                for item, until in fresh
                for texts in [(msgspec.json.encode(item.summary), item.days, item.record)]
            ),
        )
        database.keep_fact(PUBLICATION, msgspec.json.encode(self).decode())


def are_current(database: Database, folder: Path, entries: Sequence[Entry], outbox: Outbox) -> bool:
    """Return whether the files in a folder show its database, and approved costs are in costs.csv."""
    of, _, names = _exported(database, folder)
    path = folder / PRICES
    return (
        of == _hash(database, entries)
        and _are_there(folder, names)
        and path.is_file()
        and path.read_bytes() == outbox.render().encode()
        and not unwritten(database, entries)
    )


def write_files(database: Database, folder: Path, entries: Sequence[Entry], outbox: Outbox) -> None:
    """Write the files of a shop into its folder, and approved costs into costs.csv.

    Pages say what to do on a day, the tables what was advised: without new advice, these stay as they are.
    """
    write_costs(database, folder, entries)
    of, tables, names = _exported(database, folder)
    publication = read_publication(database)
    is_whole = _are_there(folder, names)
    if publication is None or (of == _hash(database, entries) and is_whole):
        _write_prices(folder, outbox, publication is not None and publication.excel)
        return
    now = _hash_tables(publication)
    stand = is_whole and tables == now
    written = publication.write(
        folder,
        read_advice(database),
        outbox,
        _note(database, entries),
        work=read_work_list(folder / FILE) if stand else None,
        kept=[name for name in names if stand and not name.endswith(".html")],
    )
    database.keep_fact(_mark(folder), json.dumps([_hash(database, entries), written, _time_of(folder), now]))


def read_advice(database: Database, texts: bool = True) -> Iterator[StoredAdvice]:
    """Yield the newest advice on each product, perhaps without its ``texts``."""
    columns = "CAST(days AS BLOB), CAST(record AS BLOB)" if texts else "'', ''"
    for product, summary, days, record in database.each(
        f"SELECT product, summary, {columns} FROM advice ORDER BY place, product"
    ):
        yield StoredAdvice(product, msgspec.json.decode(summary, type=Summary), days, record)


def read_work_list(path: Path) -> WorkList:
    """Return the work list of the newest advice on all products of a shop, given the path of its database."""
    with reading(path) as database:
        return WorkList(read_advice(database, texts=False), lambda item: ask(path, read_record, item.product))


def read_record(database: Database, product: str) -> dict[str, Any]:
    """Return the record of the newest advice on a product; empty without one."""
    found = database.run("SELECT record FROM advice WHERE product = ?", (product,))
    return dict(msgspec.json.decode(found[0][0])) if found else {}


def read_standing(database: Database, newest: Iterable[Entry]) -> dict[str, str]:
    """Return the last day through which each product's ``newest`` advice stands if the shop has no newer days of it."""
    numbers = {entry["id"] for entry in newest}
    rows = database.run(
        "SELECT advice.entry, advice.product, advice.stands FROM advice"
        " LEFT JOIN product ON product.name = advice.product WHERE coalesce(product.file, 0) <= advice.file"
    )
    return {product: stands for number, product, stands in rows if number in numbers}


def _optional_files(folder: Path) -> set[Path]:
    """Return the files in a folder that an advice may have or not, by their names; others are the user's own."""
    pages = (path for path in (folder / FOLDER).glob("*.html") if PAGE.fullmatch(path.name))
    return {*pages, folder / PROBLEMS, folder / REORDERS, folder / WORKBOOK}


def _are_there(folder: Path, names: Iterable[str]) -> bool:
    return all((folder / name).is_file() for name in names)


def _write_prices(folder: Path, outbox: Outbox, excel: bool) -> None:
    write_text(folder / PRICES, outbox.render())
    if excel:
        with explained(folder):
            write_workbook(folder, outbox.table())


def _exported(database: Database, folder: Path) -> tuple[str, str, list[str]]:
    """Return the hashes of the publication that a folder's files show and of its tables, and the names of all.

    The hashes are empty if the files were written otherwise: a backup that is put in place knows older ones.
    """
    of, names, time, *tables = json.loads(database.fact(_mark(folder)) or '["", [], 0]')
    return (of, "".join(tables), names) if time == _time_of(folder) else ("", "", names)


def _time_of(folder: Path) -> int:
    """Return when the document of an advice was written, nanoseconds; 0 without one."""
    path = folder / DOCUMENT
    return path.stat().st_mtime_ns if path.is_file() else 0


def _mark(folder: Path) -> str:
    """Return the fact's name for a folder on this computer, as several computers may share a shop."""
    return f"{EXPORTED} {hashlib.sha256(f'{socket.gethostname()}{folder.absolute()}'.encode()).hexdigest()[:12]}"


def _hash(database: Database, entries: Sequence[Entry]) -> str:
    known = database.fact(PUBLICATION)
    return hashlib.sha256(f"{known}{_note(database, entries)}".encode()).hexdigest() if known else ""


def _hash_tables(publication: Publication) -> str:
    """Return the hash of what the tables show: the day alone changes none of them, and every new advice the log."""
    made = publication._replace(about=publication.about._replace(today=""))
    return hashlib.sha256(repr(made).encode()).hexdigest()


def _note(database: Database, entries: Sequence[Entry]) -> str:
    """Return what pages begin with: that the generation of an advice is not in force any more, and the receipt."""
    used = database.fact(MODEL)
    last = next((advising_generation(entry) for entry in reversed(entries) if entry["kind"] == ADVICE), "")
    return " ".join(filter(None, (REPLACED if used and last not in (used, "") else "", database.fact(RECEIPT))))


def read_publication(database: Database) -> Publication | None:
    """Return what a database keeps about its newest advice as a whole, if anything."""
    kept = database.fact(PUBLICATION)
    return msgspec.json.decode(kept, type=Publication) if kept else None
