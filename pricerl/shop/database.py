"""Database of a shop: a SQLite file in its folder, or a schema of a PostgreSQL server, with the same statements.

The address of a server is in the variable ``PRICERL_SHOP``, such as ``postgresql://host/name``; every shop has a schema
of its own there, named after its folder. Writers come one after the other, readers see one state.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pricerl.errors import DataError, UsageError, import_extra
from pricerl.writing import explained

FILE = "shop.db"
OLDER = "decisions.jsonl"
"""Log of pricerl 1.0 in the folder of a shop; its head is a file of the same name with another ending."""
ADDRESS = "PRICERL_SHOP"

MODEL = "model"
"""Fact with the name of the generation in force."""

READING = "reading"
"""Fact with the settings with which the last file was read."""

ALIASES = "names in files"
"""Fact with the shop's name of each product by another name that files have for it."""

PREFIX = "pricerl "
"""Beginning of the name of a shop's schema on a server."""

REMEDY = "restore it from a copy"
"""Remedy for a file or a log that was changed by others."""

BUSY = "another command is writing it; try again"
"""Why a command has to wait for another one."""

PRAGMAS = ("page_size = 16384", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON")
"""Settings of a file that is written: larger pages than usual, as most rows are long."""

PATIENCE = 30.0
"""Seconds that a writer waits for another one."""

MIGRATIONS = (
    """
    CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE entry (
        id INTEGER PRIMARY KEY, kind TEXT NOT NULL, product TEXT, hash TEXT NOT NULL, line TEXT NOT NULL
    ) STRICT;
    CREATE INDEX entry_of ON entry (product, kind, id);
    CREATE TABLE file (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, added TEXT NOT NULL, sales TEXT NOT NULL,
        missing_days TEXT NOT NULL, date_order TEXT NOT NULL, currency TEXT NOT NULL
    ) STRICT;
    CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, category TEXT NOT NULL) STRICT;
    CREATE TABLE day (
        product INTEGER NOT NULL REFERENCES product (id), date TEXT NOT NULL,
        file INTEGER NOT NULL REFERENCES file (id), known INTEGER NOT NULL,
        price REAL, sales REAL, units REAL, profit REAL, organic REAL, ad REAL, predicted REAL, unit_cost REAL,
        competitor REAL, coupons REAL, ad_spend REAL, promotion REAL, in_stock REAL,
        PRIMARY KEY (product, date)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE advice (
        product TEXT PRIMARY KEY, place INTEGER NOT NULL, entry INTEGER NOT NULL REFERENCES entry (id),
        record TEXT NOT NULL
    ) STRICT;
    """,
    """
    DROP TABLE advice;
    CREATE TABLE advice (
        product TEXT PRIMARY KEY, place INTEGER NOT NULL, entry INTEGER NOT NULL REFERENCES entry (id),
        file INTEGER NOT NULL, stands TEXT NOT NULL, summary TEXT NOT NULL, days TEXT NOT NULL, record TEXT NOT NULL
    ) STRICT;
    DELETE FROM fact WHERE name = 'publication';
    ALTER TABLE product ADD COLUMN file INTEGER NOT NULL DEFAULT 0;
    """,
    """
    CREATE TABLE edge (
        date TEXT NOT NULL, product INTEGER NOT NULL REFERENCES product (id), number TEXT NOT NULL,
        units REAL NOT NULL, sales REAL NOT NULL, PRIMARY KEY (date, product, number)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE INDEX advice_in_order ON advice (place, product);
    CREATE TABLE model (name TEXT PRIMARY KEY, hash TEXT NOT NULL) STRICT;
    """,
    "DELETE FROM fact WHERE name = 'publication';",
)
"""Statements that bring a database from one version of its schema to the next, the first from nothing."""

DAYS_KNOWN = (
    "SELECT name, count(*), min(date), max(date) FROM day JOIN product ON product.id = day.product"
    " WHERE known = 1 GROUP BY product.id, name ORDER BY product.id"
)
"""Rows with name, number of known days, first and last one of each product."""

Answer = TypeVar("Answer")
Values = Sequence[str | int | float | bytes | None]


@dataclass
class Database:
    """Open connection, inside one transaction."""

    connection: Any
    is_server: bool

    def run(self, statement: str, values: Values = ()) -> list[Any]:
        """Run a statement with ``?`` for each value, and return its rows."""
        found = self.connection.execute(self._translated(statement), values)
        return [] if found.description is None else found.fetchall()

    def each(self, statement: str) -> Iterator[Any]:
        """Return the rows of a statement, which are not held in memory at once."""
        if not self.is_server:
            return iter(self.connection.execute(statement))
        return self._each_of_server(self._translated(statement))

    def _each_of_server(self, statement: str) -> Iterator[Any]:
        with self.connection.cursor("each") as cursor:
            yield from cursor.execute(statement)

    def run_many(self, statement: str, rows: Iterable[Values]) -> int:
        """Run a statement for each row of values, and return how many rows of the database changed."""
        cursor = self.connection.cursor()
        cursor.executemany(self._translated(statement), rows)
        return int(cursor.rowcount)

    def fact(self, name: str) -> str:
        """Return a fact about the shop; empty if it is unknown."""
        return "".join(value for (value,) in self.run("SELECT value FROM fact WHERE name = ?", (name,)))

    def keep_fact(self, name: str, value: str) -> None:
        """Keep a fact about the shop, in place of an earlier one of its name."""
        self.run(
            "INSERT INTO fact VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value)
        )

    @property
    def version(self) -> int:
        """Number of the schema's version; 0 if nothing was ever kept."""
        server = "pg_tables WHERE schemaname = current_schema() AND tablename"
        known = self.run(f"SELECT 1 FROM {server if self.is_server else 'sqlite_schema WHERE name'} = 'fact'")
        return int(self.fact("schema")) if known else 0

    def migrate(self, place: Path) -> None:
        """Bring the schema to this version; errors are as in `check_version`."""
        known = self.check_version(place)
        for statement in filter(str.strip, "".join(MIGRATIONS[known:]).split(";")):
            self.run(statement)
        if known < len(MIGRATIONS):
            self.keep_fact("schema", str(len(MIGRATIONS)))

    def check_version(self, place: Path) -> int:
        """Return the number of the schema's version; a newer one is a ``UsageError``."""
        if (known := self.version) > len(MIGRATIONS):
            raise UsageError(f"{place} is of a newer version (schema {known}); update pricerl to use it")
        return known

    def _translated(self, statement: str) -> str:
        """Return a statement in the dialect of the server."""
        if not self.is_server:
            return statement
        types = {"INTEGER": "BIGINT", "REAL": "DOUBLE PRECISION", "STRICT, WITHOUT ROWID": "", "STRICT": ""}
        found = re.sub("|".join(types), lambda found: types[found[0]], statement).replace("?", "%s")
        return re.sub(r"CAST\((\w+) AS BLOB\)", r"convert_to(\1, 'UTF8')", found)


def exists(path: Path) -> bool:
    """Return whether there is a shop; its path names it even where a server holds it."""
    if not _address():
        return path.is_file()
    with _connected(path) as database:
        return bool(database.run("SELECT 1 FROM pg_namespace WHERE nspname = ?", (_schema_of(path),)))


def shops_of_server() -> list[str]:
    """Return the names of all shops on the server; none without one."""
    if not _address():
        return []
    with _connected(Path(FILE)) as database:
        named = "SELECT nspname FROM pg_namespace WHERE nspname LIKE ? ORDER BY nspname"
        return [name.removeprefix(PREFIX) for (name,) in database.run(named, (f"{PREFIX}%",))]


@contextlib.contextmanager
def reading(path: Path) -> Iterator[Database]:
    """Open a shop to read one state of it; one that does not exist yet is empty."""
    with _connected(path) as database:
        database.run("BEGIN ISOLATION LEVEL REPEATABLE READ" if _address() else "BEGIN")
        if database.check_version(path):
            yield database
            return
    with contextlib.closing(sqlite3.connect(":memory:")) as nothing:
        database = Database(nothing, False)
        database.migrate(path)
        yield database


def ask(path: Path, question: Callable[..., Answer], *given: object) -> Answer:
    """Return what a function answers, given one state of a shop and its other arguments."""
    with reading(path) as database:
        return question(database, *given)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Database]:
    """Open a shop, made if absent, for one transaction: all of it is kept, or nothing."""
    with explained(path.parent, "nothing was changed"):
        path.parent.mkdir(parents=True, exist_ok=True)
    with _connected(path, writes=True) as database:
        if _address():
            database.run("BEGIN")
            database.run(f"SET LOCAL lock_timeout = {max(round(1000 * PATIENCE), 1)}")
            database.run("SELECT pg_advisory_xact_lock(hashtext(?))", (_schema_of(path),))
            database.run(f'CREATE SCHEMA IF NOT EXISTS "{_schema_of(path)}"')
        else:
            database.run("BEGIN IMMEDIATE")
        database.migrate(path)
        yield database
        database.run("COMMIT")


def backup(path: Path, target: Path) -> None:
    """Write a copy of a shop's file to another one, as SQLite's own backup does."""
    closing = contextlib.closing
    with _explained(path), closing(_connect_file(path, False)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


def _address() -> str:
    return os.environ.get(ADDRESS, "")


def _schema_of(path: Path) -> str:
    """Return the name of a shop's schema; folders of runs have no quotation marks in their names."""
    return f"{PREFIX}{path.parent.name}"[:63]


@contextlib.contextmanager
def _connected(path: Path, writes: bool = False) -> Iterator[Database]:
    """Connect to a shop; the end of the connection undoes a transaction that was not committed."""
    connect = _connect_server if _address() else partial(_connect_file, writes=writes)
    with _explained(path), contextlib.closing(connect(path)) as connection:
        yield Database(connection, bool(_address()))


def _connect_server(path: Path) -> Any:
    psycopg = import_extra("psycopg", 'a shop on a server needs psycopg; run pip install -e ".[server]"')
    found = psycopg.connect(_address(), autocommit=True)
    found.execute(f'SET search_path TO "{_schema_of(path)}"')
    return found


def _connect_file(path: Path, writes: bool) -> sqlite3.Connection:
    """Open a file; one in a folder that may not be written is read as it is, an absent one as an empty database."""
    if not (writes or path.is_file()):
        return sqlite3.connect(":memory:", isolation_level=None)
    frozen = "" if writes or os.access(path.parent, os.W_OK) else "&immutable=1"
    mode = "rwc" if writes else "ro" if frozen else "rw"
    address = f"{path.absolute().as_uri()}?mode={mode}{frozen}"
    found = sqlite3.connect(address, timeout=PATIENCE, isolation_level=None, uri=True)
    end = time.monotonic() + PATIENCE
    while writes:
        try:
            found.executescript("".join(f"PRAGMA {pragma};" for pragma in PRAGMAS))
            break
        except sqlite3.DatabaseError as error:  # SQLite itself does not wait for another one that makes the file
            if "locked" not in str(error) or time.monotonic() >= end:
                found.close()
                raise
            time.sleep(0.01)
    return found


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn an error of the database into one sentence."""
    try:
        yield
    except sqlite3.OperationalError as error:
        why = BUSY if "locked" in str(error) else str(error)
        raise UsageError(f"{path} cannot be used: {why}; nothing was changed") from error
    except sqlite3.DatabaseError as error:
        raise DataError(str(path), [f"is damaged ({error}); {REMEDY}"]) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "psycopg":
            raise
        why = BUSY if type(error).__name__ == "LockNotAvailable" else " ".join(str(error).split())
        raise UsageError(f"{ADDRESS}: {why}; nothing was changed") from error
