"""A made-up seller, kills and full disks, and what must hold in a run's folder whatever commands ran before."""

from __future__ import annotations

import contextlib
import csv
import errno
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
from command_line import FAST, run, write_lines
from python_calamine import CalamineWorkbook

from pricerl.advice.exports import PRICES
from pricerl.operations.log.decision_log import LOG_FILE, read_log
from pricerl.operations.outbox import fill_outbox
from pricerl.operations.shop import name_in_force
from pricerl.runs.folder import LINKED, RunFolder
from pricerl.runs.run import Run

FIRST = date(2025, 1, 1)
"""First day of the seller's history."""
START = date(2025, 4, 1)
UNITS = {"mug": 200.0, "cap": 20.0}
"""Units per day at a price of 10."""
STEP = 0.05
"""Price step."""
KEPT = 0.85
"""Share of the price that the marketplace leaves."""

USUAL: dict[str, Any] = {
    "data.guardrails.floor": 1.0,
    "data.guardrails.ceiling": 100.0,
    "data.guardrails.max_change": 0.05,
    "data.guardrails.pause": False,
    "data.cost.unit_cost": 4.0,
    "decision.approval": "auto",
}
"""Settings that the machine changes, and their first values."""
FIXED = {
    "data.guardrails.price_step": STEP,
    "data.cost.share_kept": KEPT,
    "data.cost.fixed_cost": 0.0,
    "decision.min_chance": 0.0,
}
FIRST_ACTIONS = (-1.0, 1.0)
"""Action of the policy of each generation that the machine begins with."""
QUIET = ("--trainer.enable_progress_bar", "false")

OWN = {".lock", LOG_FILE, "decisions.head", "current", "price_test.json", "price_test.csv"}
"""Other names in a run's folder than the published ones and generations."""


def option_words(settings: Mapping[str, Any]) -> list[str]:
    """Return settings as options."""
    words = {name: value if isinstance(value, str) else json.dumps(value) for name, value in settings.items()}
    return [f"--{name}={word}" for name, word in words.items()]


def train_shop(folder: Path) -> None:
    """Fit two products twice, with a policy that lowers prices and with one that raises them."""
    folder.mkdir(parents=True)
    seller = Seller()
    seller.write(folder / "sales.csv")
    words = ["--data.path", "sales.csv", *FAST, *option_words({**FIXED, **USUAL})]
    for action in FIRST_ACTIONS:
        with aiming(action):
            result = run(folder, "fit", "--run_name", "shop", "--today", START.isoformat(), *words)
        assert result.code in (0, 4), result.err


@contextlib.contextmanager
def aiming(action: float) -> Iterator[None]:
    """Let the policy always ask for the same change, test no forecasts, and plan price tests roughly."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(
            patch.object(Run, "policy", property(lambda run: lambda seen: seen.new_full((len(seen), 1), action)))
        )
        stack.enter_context(patch("pricerl.operations.catalogue.run_backtests", lambda *_, **__: {}))
        yield


class Seller:
    """A seller of two products, their clock, and the prices that they charged."""

    def __init__(self) -> None:
        self.today = START
        chance = np.random.default_rng(1)
        days = (START - FIRST).days
        self.charged = {
            name: [float(price) for price in np.repeat(chance.choice([9.5, 10.0, 10.5, 11.0], days // 7 + 1), 7)[:days]]
            for name in UNITS
        }

    def wait(self, days: int, table: str, obeys: bool) -> None:
        """Let days pass; a seller who obeys takes over the prices of ``prices.csv``."""
        rows = list(csv.DictReader(table.splitlines()))
        for _ in range(days):
            for name, charged in self.charged.items():
                listed = [row for row in rows if row["Product"] == name]
                listed = [row for row in listed if row["Date"] <= self.today.isoformat() <= row["Last Day"]]
                charged.append(float(listed[0]["Price"]) if listed and obeys else charged[-1])
            self.today += timedelta(days=1)

    def last_prices(self, missing: int = 0, names: tuple[str, ...] = tuple(UNITS)) -> dict[str, float]:
        """Return the price of each product on the last day of a file."""
        return {name: self.charged[name][-1 - missing] for name in names}

    def write(self, path: Path, missing: int = 0, skipped: int = 0, names: tuple[str, ...] = tuple(UNITS)) -> None:
        """Write the seller's file without its last and its first days."""
        lines = ["Product,Report Date,Product Price,Total Sales"]
        for name in names:
            for day, price in list(enumerate(self.charged[name]))[skipped : len(self.charged[name]) - missing]:
                chance = np.random.default_rng([list(UNITS).index(name), day])
                units = chance.poisson(UNITS[name] * (price / 10) ** -2)
                lines.append(f"{name},{FIRST + timedelta(days=day)},{price:.2f},{price * units:.2f}")
        write_lines(path, lines)


class Killed(BaseException):
    """The end of a process, which no code survives."""


class Fault(NamedTuple):
    """A kill or a full disk, from one operation on files on."""

    kills: bool
    recorded: bool
    """Whether operations count from the flush of the decision log on, rather than from the start."""
    at: int
    """Number of the first operation that fails."""
    torn: int = 0
    """Bytes of the last line of the log that a power failure during its flush loses, if it is the only new one."""


CHANGING = ("fsync", "replace", "rename", "symlink", "link")
REMOVING = ("unlink", "rmdir")


@contextlib.contextmanager
def failing(fault: Fault | None) -> Iterator[list[str]]:
    """Let operations on files fail from one on; yield the names of those that failed."""
    failed: list[str] = []
    count = None if fault is None or fault.recorded else 0

    def wrap(name: str, do: Any) -> Any:
        def wrapped(*words: Any, **named: Any) -> Any:
            nonlocal count
            log = Path(f"/proc/self/fd/{words[0]}").resolve() if name == "fsync" else None
            flushes = log is not None and log.name == LOG_FILE
            count = 0 if flushes and count is None else count
            count = None if count is None else count + 1
            if fault is None or count is None or count < fault.at:
                return do(*words, **named)
            if fault.kills and fault.torn and flushes and log is not None and not failed:
                lines = log.read_bytes().splitlines(keepends=True)
                head = json.loads(log.with_suffix(".head").read_text(encoding="ascii"))
                if len(lines) == head["entries"] + 1:
                    log.write_bytes(b"".join(lines)[: -min(fault.torn, len(lines[-1]))])
            failed.append(name)
            raise Killed if fault.kills else OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        return wrapped

    with contextlib.ExitStack() as stack:
        if fault is not None:
            for name in (*CHANGING, *(REMOVING if fault.kills else ())):
                stack.enter_context(patch.object(os, name, wrap(name, getattr(os, name))))
        yield failed


class Advised(NamedTuple):
    """What the machine knows of a generation's newest advice, from the words that it gave."""

    settings: Mapping[str, Any]
    path: str
    prices: Mapping[str, float]
    """Price of each product on the last day of the file."""


@dataclass
class Order:
    """A person's order or a price test, as the machine gave it."""

    id: int
    kind: str
    price: float | None
    until: date
    prices: tuple[float, ...] = ()
    """Prices of a price test."""
    ended: bool = False

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Order:
        """Return the order of an entry."""
        prices = tuple(day["price"] for day in entry.get("schedule", ()))
        price = entry.get("regular_price", entry.get("price"))
        return cls(entry["id"], entry["kind"], price, date.fromisoformat(entry["until"]), prices)


@dataclass
class Known:
    """What a run's state must be, followed from the commands that were recorded."""

    base: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings that each generation was fitted with."""
    advised: dict[str, Advised] = field(default_factory=dict)
    orders: dict[str, list[Order]] = field(default_factory=lambda: {name: [] for name in UNITS})
    last: dict[str, Advised] = field(default_factory=dict)
    """Newest advice on each product, whichever generation made it."""
    path: str = "sales.csv"
    """File of the newest advice."""
    approved: list[tuple[str, str, float]] = field(default_factory=list)
    """Generation, product and price of each approval that no later advice has withdrawn."""
    generation: str = ""

    def settings(self) -> Mapping[str, Any]:
        """Return the settings in force."""
        found = self.advised.get(self.generation)
        return self.base[self.generation] if found is None else found.settings

    def newest(self, folder: Path, product: str) -> dict[str, Any]:
        """Return the newest advice of the generation in force on a product."""
        entries = [entry for entry in entries_of(folder) if entry["kind"] == "advice" and entry["product"] == product]
        return [entry for entry in entries if entry["checkpoint"].startswith(self.generation)][-1]

    def order_on(self, product: str, today: date) -> Order | None:
        """Return the order that decides on a product, whether or not the limits allow it."""
        for kinds in (("override", "pause"), ("price_test",)):
            found = [order for order in self.orders[product] if order.kind in kinds][-1:]
            if found and not found[0].ended and found[0].until >= today:
                return found[0]
        return None

    def ended_tests(self, product: str, today: date) -> list[Order]:
        """Return the price tests that are over, whose regular price holds again."""
        tests = (order for order in self.orders[product] if order.kind == "price_test")
        return [order for order in tests if order.ended or order.until < today]

    def present(self, folder: Path, product: str) -> dict[str, Any]:
        """Return the newest advice on a product, whichever generation made it."""
        entries = [entry for entry in entries_of(folder) if entry["kind"] == "advice" and entry["product"] == product]
        return entries[-1]

    def allows(self, product: str, price: float, now: float | None = None) -> bool:
        """Return whether the hard limits in force allow a price; from a price beyond one, also on the way back."""
        settings = self.last[product].settings
        lowest = max(settings["data.guardrails.floor"], settings["data.cost.unit_cost"] / KEPT, STEP)
        highest = settings["data.guardrails.ceiling"]
        low = price >= lowest - 1e-3 or (now is not None and price > now)
        high = price <= highest + 1e-3 or (now is not None and price < now)
        return low and high and abs(price / STEP - round(price / STEP)) < 1e-3


def entries_of(folder: Path) -> list[dict[str, Any]]:
    """Return the complete entries of the log as they stand in the file."""
    return [json.loads(line) for line in (folder / LOG_FILE).read_bytes().split(b"\n")[:-1]]


def read_rows(folder: Path) -> list[dict[str, str]]:
    """Return the rows of ``prices.csv``."""
    with (folder / PRICES).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def check_outbox(folder: Path, today: date) -> None:
    """``prices.csv`` is the outbox of the state."""
    log = read_log(folder / LOG_FILE)
    box = fill_outbox(log.entries, log.head, name_in_force(RunFolder(folder), log.entries), today)
    found = (folder / PRICES).read_bytes().decode() if (folder / PRICES).exists() else ""
    assert found == box.render() or (not found and not box.rows), (found, box)
    if (folder / "advice.xlsx").exists():
        sheet = CalamineWorkbook.from_path(str(folder / "advice.xlsx")).get_sheet_by_name("Prices").to_python()
        assert sheet == [list(row) for row in csv.reader(found.splitlines())], (sheet, found)


def check_rows(folder: Path, known: Known, today: date) -> None:
    """Every row is open, allowed, and asked for by the newest advice, an order or an approval; none is missing."""
    rows = {row["Product"]: row for row in read_rows(folder)} if (folder / PRICES).exists() else {}
    if known.generation not in known.advised:
        assert not rows
        return
    advice = known.advised[known.generation]
    left = {name for name in known.last if name not in advice.prices and known.order_on(name, today)}
    assert set(rows) <= set(advice.prices) | left, ("a product that left", rows, advice.prices)
    for name in (*advice.prices, *left):
        row, order, now = rows.get(name), known.order_on(name, today), known.last[name].prices[name]
        if row is not None:
            assert today.isoformat() <= row["Date"] <= row["Last Day"], ("past", row, today)
            price = float(row["Price"])
            assert known.allows(name, price, None if order else now), ("limits", row, advice.settings, now)
        if order is not None and order.kind != "price_test":
            wanted = order.kind == "override" and known.allows(name, order.price or now)
            listed = None if row is None else (float(row["Price"]), row["Last Day"])
            assert listed == ((order.price, order.until.isoformat()) if wanted else None), (row, order)
        elif order is not None:
            stopped = "test" not in known.present(folder, name)  # by an alarm, or not yet known to the advice
            assert row is None or stopped or float(row["Price"]) in order.prices, (row, order)
        elif row is None or float(row["Price"]) not in {order.price for order in known.ended_tests(name, today)}:
            check_change(row, known.newest(folder, name), known, today, folder)


def check_change(
    row: Mapping[str, str] | None, entry: Mapping[str, Any], known: Known, today: date, folder: Path
) -> None:
    """The model's row on a product is one of its newest advice, within one change, approved if that is required."""
    name = entry["product"]
    settings = known.last[name].settings
    now, present = known.last[name].prices[name], known.present(folder, name)
    days = [day for day in entry["days"] if day["date"] >= present["days"][0]["date"]]
    change = next((day["price"] for day in days if day["price"] != now), None)
    free = change is not None and not entry.get("order") and not entry.get("test")
    open_still = free and today.isoformat() <= entry["days"][-1]["date"] and known.allows(name, change or now, now)
    if present["id"] != entry["id"] and change is not None:
        low, high = (present["limits"][end] for end in ("lowest", "highest"))
        open_still = open_still and low is not None and low - 1e-6 <= change <= high + 1e-6
    held = (known.generation, entry["product"], change) in known.approved
    if row is None:
        waits = {"auto": False, "manual": not held, "shadow": True}[settings["decision.approval"]]
        assert not open_still or waits, ("missing", entry)
        return
    price = float(row["Price"])
    assert free and price in {day["price"] for day in entry["days"]}, ("superseded", row, entry)
    assert not settings["data.guardrails.pause"], ("paused", row)
    most = settings["data.guardrails.max_change"]
    assert abs(price / now - 1) <= most + 1e-6, ("max_change", row, now, most)
    assert settings["decision.approval"] == "auto" or (held and settings["decision.approval"] == "manual"), row


def check_links(folder: Path, killed: bool) -> None:
    """Every published name is a link that leads somewhere, and every other name is known."""
    for path in folder.iterdir():
        if path.name in LINKED:
            assert path.is_symlink() and path.exists(), path
        else:
            leftover = killed and path.name.startswith(".") and path.name.endswith((".part", ".old"))
            assert path.name in OWN or path.name.startswith("gen-") or leftover, path
    assert (folder / "current").is_symlink()


def check_generation(folder: Path) -> None:
    """The generation in force is the one that the log names last."""
    names = []
    for entry in entries_of(folder):
        if entry["kind"] == "advice" and entry["command"] == "fit":
            names.append(entry["checkpoint"].partition("/")[0])
        elif entry["kind"] == "rollback":
            names.append(entry["generation"])
    found = str((folder / "current").readlink())
    assert found == names[-1], (found, names)


def check_faces(folder: Path, known: Known) -> None:
    """Document, table, page and log name one current price and one advice, those of the file."""
    if known.generation not in known.advised:
        assert not (folder / "advice.json").exists()
        return
    advice = known.advised[known.generation]
    document = json.loads((folder / "advice.json").read_text(encoding="utf-8"))
    with (folder / "advice.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert [item["product"] for item in document["products"]] == list(advice.prices), (document["products"], advice)
    for product in document["products"]:
        name, now, new = product["product"], product["current_price"], product["recommended_price"]
        entry = known.newest(folder, name)
        changes = [day["price"] for day in entry["days"] if day["price"] != entry["current_price"]]
        first = [row for row in rows if row["Product"] == name]
        assert now == advice.prices[name] == entry["current_price"], (name, now, advice.prices, entry["current_price"])
        assert new == (changes or [now])[0], (name, new, entry["days"])
        listed = [(row["Date"], float(row["Recommended Price"])) for row in first]
        assert listed == [(day["date"], day["price"]) for day in entry["days"]], (name, listed, entry["days"])
        if len(advice.prices) == 1:
            assert f"{now:.2f}" in page and f"{new:.2f}" in page
        else:
            own = [path for path in (folder / "report").iterdir() if path.stem.endswith(name)]
            text = own[0].read_text(encoding="utf-8")
            assert f"{now:.2f}" in text and f"{new:.2f}" in text


def torn_bytes(folder: Path) -> bytes:
    """Return what an interrupted write has left after the last complete line of the log; the next writer moves it."""
    return (folder / LOG_FILE).read_bytes().rpartition(b"\n")[2]


def check_log(folder: Path, today: date) -> None:
    """The log verifies, apart from the remains of an interrupted write."""
    result = run(folder.parents[1], "audit", "verify", "--run_name", "shop", "--today", today.isoformat())
    assert result.code == (3 if torn_bytes(folder) else 0), result.err
