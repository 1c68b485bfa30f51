"""A shop under seeded commands of several people, agents and nights, with breaks; and what it must hold after each.

A seed is a list of commands, each with a seed of its own, so that commands may be left out and the others stay as they
are. `shrink` does so while the same rule breaks.
"""

from __future__ import annotations

import gc
import random
import shutil
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from breaks import Break, check_row, simulated
from file_commands import FileKeepers, files_read
from seller import draft_advice, result_of, stored
from shop_model import Entry
from world import BrokenRuleError, Command, demand

from pricerl.advice.files import About
from pricerl.experiments.schedule import write_plans
from pricerl.formatting import Formatter
from pricerl.operations.exports import Publication
from pricerl.operations.log import drafts, staging
from pricerl.operations.log.decision_log import verify
from pricerl.operations.shop import Shop
from pricerl.runs.folder import Generation, RunFolder
from pricerl.shop.database import backup

gc.freeze()  # what is imported never becomes garbage, and takes long to look through

COMMANDS = 40
"""Commands of a seed."""

WEIGHTS = {
    **{"wait": 12, "predict": 16, "fit": 3, "rollback": 3, "override": 12, "pause": 4, "resume": 8, "approve": 9},
    **{"start": 9, "read": 3},
    **{"stage": 5, "decide": 5, "reject": 2, "limits": 9, "publishing": 5, "add": 0.4, "look": 5, "hold": 4},
    **{"copy": 1, "back_up": 1, "restore": 1, "rename": 1, "load": 0},
}
"""How often each kind of command comes, of about 100."""
KINDS = tuple(WEIGHTS)
FILES = {
    **dict.fromkeys(KINDS, 0),
    **{"wait": 10, "predict": 13, "fit": 3, "rollback": 6, "override": 9, "approve": 7, "publishing": 4, "stage": 2},
    **{"decide": 2, "copy": 2, "back_up": 4, "restore": 4, "add": 36, "rename": 16, "load": 4},
}
"""The same in a shop whose seller has many files, as one of 14 has."""


def commands_of(seed: int, count: int = COMMANDS) -> list[Command]:
    """Return the commands of a seed."""
    chance = random.Random(seed)
    found = [Command("fit", chance.getrandbits(30))]
    weights = FILES if chance.random() < 0.07 else WEIGHTS
    for kind in chance.choices(KINDS, [*weights.values()], k=count - 1):
        breaks = None
        if chance.random() < 0.25:
            kinds = ("die", "die", "die after", "full", "meanwhile", "meanwhile")
            on = chance.choice(("", "", "", "rename", "flush", "statement"))
            at = chance.choice((1, 2, 3, 5)) if on in ("rename", "flush") else int(2 ** (6 * chance.random()))
            breaks = Break(chance.choice(kinds), at, on)
        found.append(Command(kind, chance.getrandbits(30), breaks))
    return found


def count_files(commands: Sequence[Command]) -> int:
    """Return how many files are added by commands."""
    return sum(command.kind == "add" for command in commands)


class Shopkeepers(FileKeepers):
    """What the people of a shop, its nights and its agents do."""

    def finish(self) -> None:
        """Check that the shop still works once nothing breaks any more, and that its log verifies."""
        if not self.exists:
            return
        self.command = Command("look", 0)
        self.look(random.Random(0))
        for row, entry in self.system.known.items():
            demand(check_row(self.path, *row) == entry, "an entry was changed in memory", entry)
        self.system.known.clear()
        if self.model.entries:
            log = verify(self.path)
            demand(
                [entry["hash"] for entry in log.entries] == [entry["hash"] for entry in self.model.entries], "verify"
            )

    def wait(self, chance: random.Random) -> None:
        """Let days pass, or the clock go back; the platform takes over the prices, or charges another one."""
        days = chance.choice((0, 1, 1, 1, 2, 3, 7, 7, 14, -1))
        self.system.hours += chance.choice((1, 1, 8, -1))
        charged = self.model.rows(self.today) if self.model.items else {}
        self.charged_otherwise = self.seller.wait(days, charged, chance)
        self.went_back = self.went_back or days < 0
        self.system.today = self.seller.today
        self.is_fresh = self.is_fresh and not days

    def hold(self, chance: random.Random) -> None:
        """Open the shop, and keep it open until later."""

        def do() -> None:
            self.held = Shop.open(RunFolder(self.folder), self.today if chance.random() < 0.3 else None)

        self.call(do, "")

    def look(self, chance: random.Random) -> None:
        """Open the shop."""
        shop: list[Shop] = []

        def do() -> None:
            shop.append(Shop.open(RunFolder(self.folder), self.today if chance.random() < 0.5 else None))

        if self.call(do, "") == "done" and not self.is_inside and not self.others:
            self.check_shop(shop[0])

    def check_shop(self, shop: Shop) -> None:
        """Check what an open shop says of its facts."""
        model = self.model
        demand({*shop.newest} == {*model.items}, "products", [*shop.newest])
        demand((shop.publishing or "") == model.publishing, "publishing", shop.publishing)
        if model.items:
            known = shop.guardrails
            for name in model.items:
                own = {**known, **((known["products"] or {}).get(name) or {})}
                settings = model.settings(name)
                demand({item: own[item] for item in settings} == settings, "limits of", name, own, settings)
        for name in model.items:
            state, order = model.order_on(name, shop.today.isoformat())
            found = shop.order_on(name)
            demand((found and found.id) == (order["id"] if order and state == "in force" else None), name, found, order)
        demand([entry["id"] for entry in staging.open_decisions(shop)] == model.open_staged(), "prepared decisions")

    def predict(self, chance: random.Random, command: str = "predict") -> None:
        """Advise on some products from a file."""
        trained = command == "fit"
        names: list[str] = []
        file = self.file = None if self.is_inside else self.file_of_advice(chance)

        def do() -> Sequence[Entry]:
            shop = self.open(chance)
            generation = f"gen-{len(self.model.generations) + 1:04d}" if trained else shop.generation
            uses = Generation(self.folder / generation) if trained else None
            if uses is not None:
                uses.path.mkdir(parents=True, exist_ok=True)
                uses.model.touch()
            self.batches += 1
            batch = f"b{self.batches}"
            plain = self.is_inside or shop is self.held or (self.command.breaks or Break("die", 0)).kind == "meanwhile"
            made = draft_advice(shop, self.seller, chance, names, command, generation, batch, plain)
            if any("given" in draft["settings"] for draft in made):
                self.held = None
            fresh = [stored(name, batch) for name in names]
            about = Publication(About("sales.csv", "profit", config=batch), Formatter(currency="EUR"))
            read = None if file is None else file.early or files_read(shop, file)
            entries, _ = shop.record(lambda _: made, about, fresh, read, uses)
            return entries

        names += self.seller.some(chance, self.model)
        if not self.model.generation and not trained:
            return
        self.call(do, "", len(names))
        self.file = None

    def fit(self, chance: random.Random) -> None:
        """Train a new generation, and advise with it."""
        self.predict(chance, "fit")

    def rollback(self, chance: random.Random) -> None:
        """Use another generation again."""
        if not self.model.generations:
            return
        name = chance.choice(self.model.generations)

        def do() -> Sequence[Entry]:
            shop = self.open(chance)
            about = {"generation": name, "instead_of": shop.generation}
            return shop.record(
                lambda _: [drafts.typed_stamp("rollback", "anna", "") | about], uses=Generation(self.folder / name)
            )[0]

        self.call(do, "")

    def decision(self, chance: random.Random, draft: Callable[[Shop], Entry], refuses: str) -> str:
        """Record what a person decides."""
        return self.call(lambda: self.open(chance).record(lambda shop: [draft(shop)])[0], refuses)

    def override(self, chance: random.Random) -> None:
        """Order a price."""
        name, price, until = self.seller.order(chance, self.model)
        force = chance.random() < 0.4
        self.decision(
            chance,
            lambda shop: drafts.draft_override(shop, name, until, "anna", "x", price, force=force),
            self.model.refuses_order(name, price, until, force, self.today),
        )

    def pause(self, chance: random.Random) -> None:
        """Order to keep the price."""
        name, _, until = self.seller.order(chance, self.model)
        refuses = self.model.refuses_order(name, None, until, True, self.today)
        self.decision(chance, lambda shop: drafts.draft_pause(shop, name, until, "anna", "x"), refuses)

    def resume(self, chance: random.Random) -> None:
        """End an order, or take an approval back."""
        name = self.seller.one(chance, self.model)
        refuses = self.model.refuses_resumption(name, self.today)
        self.decision(chance, lambda shop: drafts.draft_resumption(shop, name, "anna", ""), refuses)

    def plan(self, chance: random.Random) -> Entry:
        """Plan a price test in place of the last one."""
        plan = self.model.planned = self.seller.test(chance, self.model)
        write_plans(self.folder, [(plan, {})])
        return plan

    def start(self, chance: random.Random) -> None:
        """Start a planned price test."""
        plan = self.plan(chance)
        force = chance.random() < 0.5
        refuses = self.model.refuses_test(plan, force, self.today)
        self.decision(chance, lambda shop: drafts.draft_price_test(shop, plan, "anna", "x", force=force), refuses)

    def read(self, chance: random.Random) -> None:
        """Read a price test that has a result, unless it was recorded before."""
        known = {entry.get("test") for entry in self.model.entries if entry["kind"] == "price_test_result"}
        tests = [item.test for item in self.model.items.values() if item.test and item.test["id"] not in known]
        if tests:
            drafted = result_of(chance.choice(tests), chance)
            self.decision(chance, lambda _: drafted, "")

    def approve(self, chance: random.Random) -> None:
        """Approve the newest advice, or another entry."""
        name = self.seller.one(chance, self.model)
        number = chance.choice((None, None, 1 + int(chance.random() * (len(self.model.entries) + 2))))
        refuses: str | None = "unknown product"
        if number is not None:
            found = self.model.entries[number - 1] if number <= len(self.model.entries) else {"kind": ""}
            if found["kind"] == "staged":
                return
            refuses = "no advice"
            if found["kind"] == "advice":
                name = found["product"]
                refuses = self.model.refuses_approval(name, number, self.today)
        elif name in self.model.items:
            refuses = self.model.refuses_approval(name, None, self.today)
        said = (None if number else name, number, "anna", "")
        self.decision(chance, lambda shop: staging.draft_approval(shop, *said), refuses)

    def stage(self, chance: random.Random) -> None:
        """Let an agent prepare a decision."""
        name, price, until = self.seller.order(chance, self.model)
        asks = chance.choice(("override", "pause", "costs", "price_test", "price_test"))
        cost = chance.choice((2.0, 3.5, 4.5, 99.0))
        since = {"from": self.today} if chance.random() < 0.8 else {}
        given = {"unit_cost": cost, **since}
        if asks == "price_test":
            plan = self.plan(chance)
            name, given = plan["product"], {"schedule_hash": plan["schedule_hash"]}
        elif asks != "costs":
            given = {"until": until} | ({"price": price} if asks == "override" else {})
        refuses = self.model.refuses_staged(asks, name, given, self.today)
        self.decision(chance, lambda shop: staging.draft_staged(shop, asks, name, given, "agent", "x"), refuses)

    def decide(self, chance: random.Random) -> None:
        """Approve what an agent prepared, or what it prepared once."""
        if (number := self.model.some_staged(chance)) is None:
            return
        refuses = self.model.refuses_decision(number, self.today)
        self.decision(chance, lambda shop: staging.draft_approval(shop, None, number, "anna", ""), refuses)

    def reject(self, chance: random.Random) -> None:
        """Reject what an agent prepared."""
        number = self.model.some_staged(chance) or 1
        refuses = "" if number in self.model.open_staged() else "not open"
        self.decision(chance, lambda shop: staging.draft_rejection(shop, number, "anna", ""), refuses)

    def limits(self, chance: random.Random) -> None:
        """Type limits, as an approver or an editor."""
        product, limits = self.seller.limits(chance, self.model)
        actor, force = chance.choice(("anna", "anna", "editor")), chance.random() < 0.5
        refuses = self.model.refuses_limits(product or "", limits, actor, force) if self.model.items else "no advice"
        may = actor != "editor"
        self.decision(
            chance, lambda shop: drafts.draft_limits(shop, limits, actor, "", product, force, may_widen=may), refuses
        )

    def publishing(self, chance: random.Random) -> None:
        """Publish another way, as an approver or an editor."""
        mode, actor = chance.choice(("auto", "auto", "manual", "manual", "shadow")), chance.choice(("anna", "editor"))
        refuses = self.model.refuses_publishing(mode, actor)
        may = actor != "editor"
        self.decision(chance, lambda shop: drafts.draft_publishing(shop, mode, actor, "", may), refuses)

    def copy(self, chance: random.Random) -> None:
        """Copy the folder, and go on with the copy."""
        if self.exists and self.folder.exists():
            target = self.root / f"copy-{chance.getrandbits(30)}" / "shop"
            shutil.copytree(self.folder, target, symlinks=True)
            self.folder, self.held, self.early, self.is_copy = target, None, None, True
            self.neighbours = set()

    def back_up(self, chance: random.Random) -> None:
        """Back the database up."""
        if self.path.exists():  # a server backs up its own shops
            target = self.root / f"backup-{chance.getrandbits(30)}.db"
            backup(self.path, target)
            self.kept = (target, self.model.copied())

    def restore(self, chance: random.Random) -> None:
        """Put a backup in the place of the database."""
        if self.kept is not None and self.kept[1].entries:
            self.system.leave()
            for name in ("shop.db-wal", "shop.db-shm"):
                (self.folder / name).unlink(missing_ok=True)
            shutil.copy(self.kept[0], self.path)
            planned = self.model.planned
            self.model, self.held, self.is_fresh, self.is_restored = self.kept[1].copied(), None, False, True
            self.model.planned, self.early = planned, None
            for name in self.model.generations:
                (self.folder / name).mkdir(exist_ok=True)
        del chance


def run(commands: Sequence[Command], counts: Counter[str] | None = None) -> str:
    """Run commands in a new shop, and return which rule broke at which command; empty if none did."""
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        world = Shopkeepers(Path(folder), counts)
        with simulated(world.system):
            try:
                for command in commands:
                    world.run(command)
                world.finish()
            except Exception as error:
                why = error if isinstance(error, BrokenRuleError) else traceback.format_exc()
                return f"{type(error).__name__} in {world.command}: {why}"
    return ""


def shrink(commands: Sequence[Command]) -> list[Command]:
    """Return as few of the commands as break a rule."""
    found = list(commands)
    size = len(found) // 2
    while size:
        at = 0
        while at < len(found):
            fewer = [*found[:at], *found[at + size :]]
            if run(fewer):
                found = fewer
            else:
                at += size
        size //= 2
    return found
