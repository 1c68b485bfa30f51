"""A simulated shop from outside: it runs a command, whatever breaks, and checks what must hold after it."""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from breaks import Break, Killed, System, connect
from seller import Seller
from shop_model import Entry, Model
from shop_rules import BrokenRuleError, demand
from situations import SITUATIONS, Step

from pricerl.errors import PricerlError
from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder

__all__ = ["BrokenRuleError", "Command", "World", "demand"]


class Command(NamedTuple):
    """What somebody does, and what breaks meanwhile."""

    kind: str
    seed: int
    breaks: Break | None = None


INSIDE = ("predict", "override", "resume", "approve", "limits", "publishing", "rollback", "look", "neighbour")
"""Commands that may come while another one runs."""


class World:
    """A shop, its seller, and what it must hold."""

    def __init__(self, root: Path, counts: Counter[str] | None) -> None:
        self.root = root
        self.folder = root / "checkpoints" / "shop"
        self.system = System()
        self.seller = Seller(self.system.today)
        self.model = Model()
        self.counts = counts
        self.held: Shop | None = None
        """A shop that was opened earlier and not closed."""
        self.kept: tuple[Path, Model] | None = None
        """A backup, and what it must hold."""
        self.batches = 0
        self.is_fresh = False
        """Whether the files must be those of today."""
        self.is_restored = False
        """Whether a backup was put in place, which does not know what was written since."""
        self.is_copy = self.went_back = self.was_locked = self.is_late = self.had_order = False
        self.file: Any = None
        """The file that the command reads."""
        self.inner_file: Any = None
        """The file that another command read meanwhile."""
        self.early: Any = None
        """A file that was read before, and not yet kept."""
        self.neighbours: set[str] = set()
        """Products of another shop of the same folder with a cost in costs.csv."""
        self.gone: set[str] = set()
        """Products that were not in the last file."""
        self.charged_otherwise: set[str] = set()
        """Products of which the platform charged another price than the last table had."""
        self.is_inside = False
        self.command = Command("", 0)
        self.inner: set[str] = set()
        """Hashes of entries that others made while the command ran."""
        self.acting = ""
        """Day that the command takes as today."""
        self.others = 0
        """Entries that others made while the command ran."""

    # --- one command

    def run(self, command: Command) -> None:
        """Run a command, and check what must hold after it."""
        self.command = command
        getattr(self, command.kind)(random.Random(command.seed))

    @property
    def today(self) -> str:
        """Day in ISO format."""
        return self.system.today.isoformat()

    @property
    def path(self) -> Path:
        """Path of the database."""
        return self.folder / "shop.db"

    def open(self, chance: random.Random) -> Shop:
        """Open the shop, now and then one that was opened earlier."""
        if self.held is not None and chance.random() < 0.3:
            self.acting = str(self.held.given_day or self.today)
            self.is_late = self.held.log.head.entries < len(self.model.entries)
            return self.held
        return Shop.open(RunFolder(self.folder), self.today if chance.random() < 0.5 else None)

    def call(self, do: Callable[[], Sequence[Entry] | None], refuses: str | None = None, count: int = 1) -> str:
        """Run a command with its break; return its outcome, after all checks.

        ``refuses`` says why it must be refused, empty if it must not; None if the simulation does not know. ``count``
        is the number of entries that it makes.
        """
        command, file = self.command, self.file
        broken = None if self.is_inside else command.breaks
        self.system.plan(broken, self._meanwhile)
        made, said = None, ""
        if not self.is_inside:
            self._look_around()
        known = len(self.model.entries)
        if not self.is_inside:
            self.others, self.inner, self.acting = 0, set(), self.today
        try:
            made = do()
            outcome = "done"
        except Killed:
            outcome = "killed"
        except PricerlError as error:
            said = str(error)
            outcome = "unpublished" if said.startswith("recorded, but not yet published") else "refused"
        except (OSError, sqlite3.Error) as error:
            demand(bool(self.system.broke), "traceback", repr(error))
            outcome = "refused"
        broke, others = self.system.broke, self.others
        if not self.is_inside:
            self.system.plan(None)
            self.system.hang_up()
        self.learn()
        new = [entry for entry in self.model.entries[known:] if entry["hash"] not in self.inner]
        if file is not None:
            refuses = self.learn_file(file, outcome, new)
        demand(outcome != "done" or made is None or list(made) == new, "acknowledged", made, "kept", new)
        demand(outcome != "unpublished" or len(new) == count, "said to be recorded", said)
        demand(outcome != "refused" or not new, "refused, but recorded", said, new)
        demand(outcome != "killed" or len(new) in (0, count), "a part was recorded", new)
        waited = "another command is writing it" in said
        if file is not None and not waited and (not broke or (others and outcome != "killed")):
            demand((outcome != "refused") == (not refuses), command.kind, "refuses:", refuses, "but:", outcome, said)
        elif not broke and not others and not self.is_inside and self.acting == self.today:
            demand(outcome in ("done", "refused"), "not published", said)
            if refuses is not None:
                demand(
                    (outcome == "refused") == bool(refuses), command.kind, "refuses:", refuses, "but:", outcome, said
                )
        quiet = not broke or (command.breaks is not None and command.breaks.kind == "meanwhile")
        if outcome == "done" and quiet and not self.is_inside:
            self.is_fresh = self.acting == self.today
        elif broke:
            self.is_fresh = False
        if self.is_inside and waited:
            self.was_locked = True
        if not self.is_inside:
            self.check()
            planned = command.breaks.kind if command.breaks else ""
            self._count(Step(command.kind, planned, outcome, broke, refuses or "", new, others, self))
        return outcome

    def _look_around(self) -> None:
        """Note what situations ask for."""
        items = self.model.items
        self.was_locked = self.is_late = False
        self.had_order = any(self.model.order_on(name, self.today)[1] for name in items)
        self.gone = {name for name, item in items.items() if item.advice["source"] != self.model.batch}

    def _meanwhile(self) -> None:
        """Let another command run inside one."""
        chance = random.Random(self.command.seed + 1)
        command, held, file, self.is_inside = self.command, self.held, self.file, True
        self.held = self.file = None
        kinds = (*INSIDE, *["add"] * 20) if command.kind == "add" else INSIDE
        self.command = Command(chance.choice(kinds), chance.getrandbits(30))
        self.learn()
        known = len(self.model.entries)
        try:
            inner = getattr(self, self.command.kind)(chance)
        finally:
            self.command, self.held, self.file, self.is_inside = command, held, file, False
            self.inner_file = inner
        self.inner = {entry["hash"] for entry in self.model.entries[known:]}
        self.others = len(self.inner) or 1

    def _count(self, step: Step) -> None:
        if self.counts is None:
            return
        for name, holds in SITUATIONS.items():
            if holds(step):
                self.counts[name] += 1

    def learn_file(self, file: Any, outcome: str, new: Sequence[Entry]) -> str:
        """Follow a file that the command has read, and return why it had to be refused."""
        raise NotImplementedError

    # --- checks

    def rows(self, statement: str) -> list[Any]:
        """Return rows of the database, read without the shop's code."""
        return self.reader().execute(statement).fetchall()

    def reader(self) -> Any:
        """Return a connection of another process, which stays open and never breaks."""
        if self.system.reader is None or self.system.reader[0] != self.path:
            self.system.leave()
            if self.system.address:
                server = import_module("psycopg").Connection.connect(self.system.address, autocommit=True)
                server.execute('SET search_path TO "pricerl shop"')
                self.system.reader = (self.path, server)
            else:
                self.system.reader = (self.path, connect(self.path, isolation_level=None))
        return self.system.reader[1]

    @property
    def no_table(self) -> type[Exception]:
        """Error of a statement about a table that does not exist."""
        found: type[Exception] = import_module("psycopg").Error if self.system.address else sqlite3.Error
        return found

    @property
    def exists(self) -> bool:
        """Whether there is a database."""
        return bool(self.system.address) or self.path.exists()

    def learn(self) -> None:
        """Follow the entries that are new in the log; those known must still be there."""
        if not self.exists:
            demand(not self.model.entries, "lost database")
            return
        known = len(self.model.entries)
        try:
            lines = self.rows(f"SELECT id, hash, line FROM entry WHERE id >= {known} ORDER BY id")
        except self.no_table:
            lines = []
        if known:
            demand(lines and lines[0][:2] == (known, self.model.entries[-1]["hash"]), "lost entries")
            lines = lines[1:]
        for number, digest, line in lines:
            entry = json.loads(line)
            demand((entry["id"], entry["hash"]) == (number, digest), "row", number)
            self.model.absorb(entry, str(entry.get("today") or entry["time"][:10]))  # of another command, too
        facts = dict(self.rows("SELECT name, value FROM fact")) if self.model.entries else {}
        if self.model.entries:
            demand(facts["model"] == self.model.generation, "generation", facts["model"], self.model.generation)

    def check(self) -> None:
        """Check what must hold after a command."""
        if not self.is_fresh or not self.model.items:
            return
        model = self.model
        found = (self.folder / "prices.csv").read_bytes().decode()
        wanted = model.table(self.today)
        demand(
            sorted(found.split("\r\n")) == sorted(wanted.split("\r\n")), "prices.csv:\n", found, "instead of\n", wanted
        )
        for name, (day, price, last, ordered) in model.rows(self.today).items():
            self.check_row(name, day, price, last, ordered)
        records = {
            name: f'{{"product": "{name}", "batch": "{item.advice["source"]}"}}' for name, item in model.items.items()
        }
        document = (self.folder / "advice.json").read_text(encoding="utf-8")
        wanted = [model.batch, *sorted(records.values())]
        demand(
            [document.split("\n")[0], *sorted(document.split("\n")[1:-1])] == wanted, "advice.json", document, wanted
        )
        pages = sorted(path.stem[4:] for path in (self.folder / "report").glob("*.html"))
        wanted = sorted(name.strip("=") for name, item in model.items.items() if item.advice["source"] == model.batch)
        demand(pages == wanted, "pages", pages, wanted)
        used, *_ = (self.folder / "current").read_text().split()
        demand(used == model.generation, "name of the generation", used)
        costs = self.root / "costs.csv"
        rows = costs.read_text(encoding="utf-8").splitlines()[1:] if costs.exists() else []
        cells = {(name.lstrip("'"), since): float(cost) for name, cost, since, *_ in (row.split(",") for row in rows)}
        demand(all(cells.get(key) == cost for key, cost in model.costs.items()), "costs.csv", rows, model.costs)
        demand(self.neighbours <= {name for name, _ in cells}, "costs of another shop", rows, self.neighbours)

    def check_row(self, name: str, day: str, price: float, last: str, ordered: bool) -> None:
        """Check a price to charge by itself: open, inside today's limits, and to be reached from today's price."""
        item = self.model.items[name]
        settings = self.model.settings(name)
        now = item.advice["current_price"]
        demand(self.today <= day <= last, "a day that has passed", name, day, last)
        if ordered:
            was_charged = item.test is not None and price == item.test["regular_price"]
            demand(not self.model.forbids(name, price, was_charged), "ordered beyond a limit", name, price, settings)
        else:
            most = settings["max_change"]
            demand(abs(price / now - 1) <= most + 1e-6, "too far", name, now, price, most)
