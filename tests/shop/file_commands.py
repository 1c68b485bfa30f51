"""Commands of a simulated shop that read files, by several writers, and what must hold after each."""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from breaks import connect
from seller import DAY, NAMES
from seller_files import SellersFile, rows_of
from shop_days import ShopDays, Step
from shop_model import Entry
from world import World, demand

from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder
from pricerl.shop.files import FilesRead

ANSWERS = ((), (), ("changed",), ("renamed",), ("renamed",), ("changed", "renamed"), ("changed", "renamed"), ("new",))
"""Answers of ``--accept``."""


@dataclass
class FileRead:
    """A file, and how a command reads it."""

    file: SellersFile
    accepted: tuple[str, ...]
    advises: bool = False
    """Whether advice is made from it."""
    early: FilesRead | None = None
    """What the shop said about it when it was read, before others came."""
    said: int | None = None
    """Number of new days as the shop counts them."""
    count: int = 0
    is_late: bool = False
    """Whether others have added days since it was read early."""
    step: Step | None = None
    """What it was for the shop."""


def dump(days: ShopDays) -> tuple[set[Any], ...]:
    """Return the days that a database must have, the orders, the names in files and those of products."""
    return (
        {(*cell, *known.values, known.read) for cell, known in days.cells.items()},
        {(*line, *amounts) for line, amounts in days.orders.items()},
        {*days.aliases.items()},
        {*days.names},
    )


def files_read(shop: Shop, file: FileRead) -> FilesRead:
    """Return a file as a command that advises reads it: checked, and with what is new for the shop."""
    rows = rows_of(file.file)
    named = shop.named(rows, file.accepted)
    if (days := shop.days()) is not None:
        days.join(named, "changed" in file.accepted)
        named = days.news(named)
    return FilesRead(rows, file.accepted, unread=named)


class FileKeepers(World):
    """What people and nights do with files."""

    def add(self, chance: random.Random) -> FileRead:
        """Add the days of a file, and return it."""
        breaks = self.command.breaks
        tries = 4 if self.is_inside or (breaks is not None and breaks.kind == "meanwhile") else 1
        files = [self.seller.file(chance, self.model) for _ in range(tries)]  # two writers have orders, if they can
        chosen = next((found for found in files if found.lines), files[0])
        file = self.file = FileRead(chosen, chance.choice(ANSWERS))

        def do() -> None:
            file.said = Shop.open(RunFolder(self.folder)).add(FilesRead(rows_of(file.file), file.accepted))

        self.call(do)
        self.file = None
        return file

    def load(self, chance: random.Random) -> None:
        """Read a file for an advice that is made later."""
        file = FileRead(self.seller.file(chance, self.model), chance.choice(ANSWERS), advises=True)

        def do() -> None:
            file.early = files_read(Shop.open(RunFolder(self.folder)), file)

        if self.call(do, self.model.days.refuses(file.file, [*self.model.items], file.accepted)) == "done":
            self.early = file

    def rename(self, chance: random.Random) -> None:
        """Let the platform rename a product, or give it an earlier name back; the shop does not know yet."""
        name, other = chance.sample(NAMES, 2)
        label = chance.choice((f"{name} blue", f"{name} blue", f"{name} 2", f"{name} 3", name, f"{other} 2"))
        self.seller.labels.change(name, label, self.seller.today - chance.choice((0, 1, 1, 4)) * DAY)

    def neighbour(self, chance: random.Random) -> None:
        """Let another shop of the same folder write a cost, unless this one is writing."""
        name = f"other {chance.randrange(3)}"
        path = self.root / "costs.csv"
        locked = contextlib.closing(connect(self.root / ".costs.lock", timeout=0.0))
        with locked as lock, contextlib.suppress(sqlite3.Error):
            lock.execute("BEGIN IMMEDIATE")
            known = path.read_text(encoding="utf-8") if path.exists() else "product,unit_cost,from\n"
            if f"\n{name}," not in known:
                columns = known.split("\n", maxsplit=1)[0].count(",")
                path.write_text(f"{known}{name},1.0{',' * (columns - 1)}\n", encoding="utf-8")
            self.neighbours.add(name)

    def file_of_advice(self, chance: random.Random) -> FileRead | None:
        """Return the file from which an advice is made: one that was read earlier, a fresh one, or none."""
        file, self.early = self.early, None
        if file is None and chance.random() < 0.02:
            file = FileRead(self.seller.file(chance, self.model), chance.choice(ANSWERS), advises=True)
        return file

    # --- files

    def learn_file(self, file: FileRead, outcome: str, new: Sequence[Entry]) -> str:
        """Follow a file that a command has read, and return why it had to be refused.

        It is kept as a whole or not at all, and together with the advice that was made from it.
        """
        days = self.model.days
        refuses = days.refuses(file.file, [*self.model.items], file.accepted)
        after = days.copied()
        file.is_late = file.early is not None and file.early.unread.known_files != days.count
        if not refuses:
            file.count = after.learn(file.file, [*self.model.items], file.accepted, self.acting)
        found = self.find_days()
        is_kept = outcome == "done" or bool(new) or (outcome == "killed" and not file.advises and found == dump(after))
        if is_kept and not refuses:
            file.step = days.look_at(file.file, [*self.model.items], file.accepted)
            demand(file.said in (None, file.count), "days that are new", file.said, file.count)
            self.model.days = after
        wanted = dump(self.model.days)
        differ = [sorted(map(str, one ^ two))[:6] for one, two in zip(found, wanted, strict=True)]
        demand(found == wanted, "days, orders, names in files, products:", *differ)
        return refuses

    def find_days(self) -> tuple[set[Any], ...]:
        """Return what the database has of files, in the form of `dump`."""
        if not self.exists:
            return dump(ShopDays())
        try:
            days = self.rows(
                "SELECT product.name, day.date, day.price, day.sales, day.units, file.added FROM day"
                " JOIN product ON product.id = day.product JOIN file ON file.id = day.file"
            )
            orders = self.rows(
                "SELECT name, date, number, units, sales FROM edge JOIN product ON product.id = edge.product"
            )
            facts = dict(self.rows("SELECT name, value FROM fact"))
            names = self.rows("SELECT name FROM product")
        except self.no_table:
            return dump(ShopDays())
        aliases = json.loads(facts.get("names in files", "{}"))
        return {*map(tuple, days)}, {*map(tuple, orders)}, {*aliases.items()}, {name for (name,) in names}
