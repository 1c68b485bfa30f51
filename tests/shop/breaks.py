"""Breaks of a simulated shop: at any statement of its database, and at any write or rename of a file."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timezone
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple
from unittest.mock import patch

from pricerl.advice.report.render import page_name
from pricerl.operations import exports, shop
from pricerl.operations.log import decision_log
from pricerl.shop import database, names


class Killed(BaseException):
    """End of a process, which no code survives."""


class Break(NamedTuple):
    """What happens at one operation of a command, and at all later ones if the process has died or the disk is full."""

    kind: Literal["die", "die after", "full", "meanwhile"]
    at: int
    """Number of the operation."""
    on: str = ""
    """Beginning of the operation's name; every operation counts if it is empty."""


class System:
    """Clock, disk and database of a simulated shop, and the break that the next command meets."""

    def __init__(self) -> None:
        self.today = date(2026, 1, 1)
        self.hours = 9
        self.planned: Break | None = None
        self.meanwhile: Callable[[], None] = lambda: None
        self.count = 0
        self.broke = ""
        """Operation at which the break happened; empty if it has not."""
        self.address = os.environ.get(database.ADDRESS, "")
        """Address of a server that holds the shop; empty for a file."""
        self.full: Callable[[str], Exception] = sqlite3.OperationalError
        """Error of a database on a full disk."""
        self.connections: list[Any] = []
        self.reader: tuple[Path, Any] | None = None
        """Path and connection of another process that only reads, such as a browser's."""
        self.known: dict[tuple[int, str, str], dict[str, Any]] = {}
        """Entries that were checked before, by their rows."""

    def hang_up(self) -> None:
        """Close what a process that died has left open, as its end does."""
        while self.connections:
            self.connections.pop().close()

    def leave(self) -> None:
        """Close the connection of the process that only reads."""
        if self.reader is not None:
            self.reader[1].close()
            self.reader = None

    def check_row(self, path: Path, *row: Any) -> dict[str, Any]:
        """Return the entry of a row, checked once."""
        if row not in self.known:
            self.known[row] = check_row(path, *row)
        return self.known[row]

    def plan(self, planned: Break | None, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Let the next command meet a break."""
        self.planned, self.meanwhile, self.count, self.broke = planned, meanwhile, 0, ""

    def meet(self, what: str) -> bool:
        """Count an operation; return whether the process dies once it is done."""
        found = self.planned
        if found is None:
            return False
        self.count += self.count >= found.at or what.startswith(found.on)
        if self.count < found.at or (self.count > found.at and found.kind == "meanwhile"):
            return False
        if found.kind in ("full", "meanwhile") and (what == "unlink" or not what.startswith(found.on)):
            return False
        self.broke = self.broke or what
        if found.kind == "meanwhile":
            count, self.planned = self.count, None
            self.meanwhile()
            self.planned, self.count = None, count
        elif found.kind == "die" or (found.kind == "die after" and self.count > found.at):
            raise Killed
        elif found.kind == "full":
            if what.startswith("statement"):
                raise self.full("database or disk is full")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return found.kind == "die after"

    def now(self) -> datetime:
        """Return the time of the clock."""
        return datetime.combine(self.today, time(self.hours % 24), timezone.utc)


check_row = decision_log.check_row
connect = sqlite3.connect
"""The way to look into a database without being broken."""

WRITES = ("INSERT", "CREATE", "COMMIT", "DELETE")
"""Statements that a full disk refuses."""


def _connection_of(system: System, kind: type) -> Any:
    class Connection(kind):  # type: ignore[misc]
        """Connection whose statements count as operations."""

        def execute(self, statement: str, *values: Any) -> Any:
            planned = system.planned
            if planned is None or (planned.kind == "full" and not statement.startswith(WRITES)):
                return kind.cursor(self).execute(statement, *values)
            dies = system.meet(f"statement {statement[:6]}")
            found = kind.cursor(self).execute(statement, *values)
            if dies:
                raise Killed
            return found

        def cursor(self, *given: Any) -> Any:
            if system.meet("statement many"):
                raise Killed
            return super().cursor(*given)

    return Connection


def _counted(system: System, what: str, do: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*given: Any, **named: Any) -> Any:
        dies = system.meet(what)
        found = do(*given, **named)
        if dies:
            raise Killed
        return found

    return counted


def render_plainly(products: Any, about: Any, *given: Any) -> Iterator[tuple[str, str]]:
    """Yield files of an advice without sentences: a table, a document, and a page per product that was advised last."""
    products = list(products)
    if given[-1] is None:  # no work list
        yield "advice.csv", "".join(f"{item.product}\n" for item in products)
        yield "advice.json", f"{about.config}\n" + "".join(f"{item.record.decode()}\n" for item in products)
    for index, item in enumerate(products):
        if f'"{about.config}"'.encode() in item.record:
            yield f"report/{page_name(index, item.product)}", item.record.decode()


@contextlib.contextmanager
def simulated(system: System) -> Iterator[None]:
    """Let the shops of this process use a simulated system, without flushes to the disk."""
    module: Any = sqlite3
    if system.address:
        module = import_module("psycopg")
        system.full = module.errors.DiskFull
        with module.connect(system.address) as server:
            server.execute('DROP SCHEMA IF EXISTS "pricerl shop" CASCADE')
    connection = _connection_of(system, module.Connection)

    def connected(*given: Any, **named: Any) -> Any:
        made = connection.connect if system.address else partial(connect, factory=connection)
        system.connections.append(made(*given, **named))
        return system.connections[-1]

    with contextlib.ExitStack() as stack:
        for target, name, new in (
            (module, "connect", connected),
            (database, "PATIENCE", 0.0),
            (decision_log, "now", system.now),
            (decision_log, "check_row", system.check_row),
            (shop, "system_day", lambda: system.today),
            (exports, "render_files", render_plainly),
            (names, "print_notes", lambda _: None),
            (os, "fsync", _counted(system, "flush", lambda *_: None)),
            (os, "replace", _counted(system, "rename", os.replace)),
            (os, "unlink", _counted(system, "unlink", os.unlink)),
            (os, "symlink", _counted(system, "link", os.symlink)),
        ):
            stack.enter_context(patch.object(target, name, new))
        stack.callback(system.leave)
        yield
