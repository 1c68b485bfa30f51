"""The folder that is served: the seller's files, what they typed about them, and the shops below it."""

from __future__ import annotations

import os
import shutil
import threading
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import quote, unquote

import yaml
from starlette.exceptions import HTTPException

from pricerl.advice.exports import DOCUMENT, PRICES
from pricerl.advice.files import read_summed
from pricerl.advice.report.render import formatter_of
from pricerl.advice.report.work_list import WorkList
from pricerl.advice.sentences.next_steps import prepared_words
from pricerl.cli.commands.decisions import receipt_lines
from pricerl.cli.usage import Options, option_words
from pricerl.data.days import read_day
from pricerl.data.naming import COSTS_FILE
from pricerl.data.reading.header import check_renames
from pricerl.errors import UsageError, did_you_mean, refuse
from pricerl.experiments.schedule import PLAN
from pricerl.formatting import language
from pricerl.operations.log.approved_costs import read_costs, type_costs
from pricerl.operations.log.decision_log import LOG_FILE, Entry
from pricerl.operations.log.staging import open_decisions
from pricerl.operations.shop import Shop, system_day
from pricerl.operations.watching.monitor_document import MONITOR_FILE
from pricerl.runs.folder import RunFolder
from pricerl.runs.names import NAME, RUNS, USUAL_PRESET, find_run, name_run, runs_with
from pricerl.shop.database import reading
from pricerl.tasks.reading import Reading, SellerFiles
from pricerl.terminal import clean
from pricerl.writing import explained, rewriting, write_text

COLUMNS = "columns.yaml"
"""Columns of ours by their names in the files, as the seller corrected them."""

UPLOADS = ".uploads"
"""Names of the files that came by upload, one per line: no upload replaces another file."""

OWN = {COSTS_FILE, PRICES}
"""Names of data files that are never a seller's export; others of pricerl's have other endings."""

MOST_PREPARED = 20
"""Decisions of agents that may wait in a shop unless more are allowed: as many as a person reads at a time."""

KINDS = {"csv", "tsv", "txt", "xlsx", "xls", "xlsb", "ods", "parquet", "json", "jsonl", "ndjson", "gz", "zip"}
"""Endings of the names of a seller's files; their bytes decide how they are read."""


SERVED: Options = {
    "folder": {"nargs": "?", "default": ".", "help": "folder with the seller's files; this one if absent"},
    "--today": {"help": "day to take as today, such as 2026-01-31; the clock's if absent"},
    "--most_prepared": {
        "type": int,
        "default": MOST_PREPARED,
        "help": f"most decisions of agents that may wait in a shop; {MOST_PREPARED} if absent",
    },
}
"""Options of a folder that is served."""


class Advised(NamedTuple):
    """Newest advice of a shop with the decisions since, its products that contain a text, and those that wait."""

    document: dict[str, Any]
    products: list[dict[str, Any]]
    waiting: list[dict[str, Any]]
    work: WorkList
    undecided: WorkList


@lru_cache(maxsize=16)
def _advised(shop: Shop, changed: int, find: str) -> Advised:
    if (found := read_summed(shop.folder.path, changed)) is None:
        path = shop.folder.path / DOCUMENT
        raise UsageError(f"{path} is missing or of another version of pricerl; run predict first")
    document = shop.decided(found[0])
    products = [item for item in document["products"] if find.casefold() in item["product"].casefold()]
    waiting = [item for item in products if shop.states[item["product"]][0] == "waiting"]
    known = {name: item for name, item in found[1].items() if name not in shop.decisions}
    works = (WorkList(items, most=MOST_ROWS, summaries=known) for items in (products, waiting))
    return Advised(document, products, waiting, *works)


BUSY: defaultdict[tuple[Path, str | None], threading.Lock] = defaultdict(threading.Lock)
"""Held while a shop is opened or changed: once for all who ask, who see it as it was until then."""

OPENED: dict[tuple[Path, str | None], tuple[Any, Shop]] = {}
"""Shops as they were opened last, with the state in which they were then, by folder and value of ``--today``."""

READING = threading.Lock()
LONGEST_WAIT = 20.0
"""Held while files are read, as that takes memory and time, and the seconds that another request waits for it."""

STATE = (DOCUMENT, PRICES, MONITOR_FILE, PLAN)
"""Files of a shop that change whenever a page of it does, as its database does."""

MOST_ROWS = 30
"""Most rows of a work list; search shows the others."""


@dataclass(frozen=True)
class Workplace:
    """Folder in which the server works; no file outside of it is read or written on behalf of a request."""

    folder: Path
    today: str | None = None
    """Value of ``--today``."""
    most_prepared: int = MOST_PREPARED
    """Most decisions that agents prepared and that wait in one shop."""

    @classmethod
    def enter(cls, options: Namespace) -> Workplace:
        """Make a folder of `SERVED` the current one, to which names of runs are relative; or raise a ``UsageError``."""
        folder = Path(options.folder).absolute()
        refuse({f"{options.folder} is not a folder; name the one with your files": not folder.is_dir()})
        if options.today is not None:
            read_day(options.today)
        os.chdir(folder)
        return cls(folder, options.today, options.most_prepared)

    def files(self) -> list[str]:
        """Return the names of the seller's files, the newest first."""
        found = [it for it in self.folder.iterdir() if it.is_file() and is_data(it.name) and self._is_inside(it)]
        return [path.name for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)]

    def _is_inside(self, path: Path) -> bool:
        return path.resolve().parent == self.folder.resolve()

    def find(self, names: Sequence[str]) -> list[str]:
        """Return names of files that are here, each once; another name is a ``UsageError``."""
        if unknown := set(names).difference(self.files()):
            raise UsageError(f"{clean(min(unknown), 100)!r} is not a file of this folder")
        return list(dict.fromkeys(names))

    def store(self, name: str, content: IO[bytes]) -> str:
        """Store an uploaded file, which replaces an earlier upload of its name.

        A name of another form, and the name of any other file whatever its case, is a ``UsageError``.
        """
        name = name.replace("\\", "/").rpartition("/")[2]
        unread = f"{clean(name, 100)!r} is not the name of a file that is read; it ends in .csv or .xlsx"
        refuse({unread: not is_data(name)})
        path = self.folder / name
        known = self.folder / UPLOADS
        present = {item.name for item in self.folder.iterdir()}
        uploads = present.intersection(known.read_text(encoding="utf-8").splitlines() if known.is_file() else ())
        same = {item for item in present if item.casefold() == name.casefold()}
        taken = not same <= uploads & {name} or (path.exists() and not same)
        refuse({f"{name} is in the folder, and no upload brought it there; give your file another name": taken})
        with explained(path), rewriting(path) as file:
            shutil.copyfileobj(content, file)
        write_text(known, "".join(f"{item}\n" for item in sorted({*uploads, name})))
        return name

    def shops(self) -> list[str]:
        """Return the names of the shops, in alphabetical order."""
        return [run.path.name for run in runs_with(LOG_FILE) if NAME.fullmatch(run.path.name)]

    def open_shop(self, name: str) -> Shop:
        """Open a shop; an unknown name, or one that leads outside, is a ``UsageError``."""
        folder = find_run(name, LOG_FILE)
        if name not in self.shops() or folder.path.resolve().parent != (self.folder / RUNS).resolve():
            raise UsageError(f"{clean(name, 100)!r} is not a shop of this folder")
        place = folder.path.absolute(), self.today
        if not BUSY[place].acquire(blocking=place not in OPENED):
            return OPENED[place][1]
        try:
            state = _state_of(folder.path, self.today)
            known, shop = OPENED.get(place, (None, None))
            if shop is None or known != state:
                shop = Shop.open(RunFolder(folder.path), self.today, shop)
                OPENED[place] = state, shop
            return shop
        finally:
            BUSY[place].release()

    def advice_of(self, shop: Shop) -> dict[str, Any]:
        """Return the newest advice of a shop with the decisions since; errors are as in `advised`."""
        return self.advised(shop).document

    def advised(self, shop: Shop, find: str = "") -> Advised:
        """Return the newest advice of a shop; none of this version is a ``UsageError``."""
        path = shop.folder.path / DOCUMENT
        return _advised(shop, path.stat().st_mtime_ns if path.exists() else 0, find)

    def prepared(self, shop: Shop) -> Iterator[dict[str, Any]]:
        """Yield the decisions that an agent prepared and nobody has decided, each with its ``effect`` in words."""
        document = self.advice_of(shop)
        for staged in open_decisions(shop):
            for record in (item for item in document["products"] if item["product"] == staged["product"]):
                yield {**staged, "effect": prepared_words(staged, record, formatter_of(document))}

    def receipt_of(self, shop: Shop) -> list[str]:
        """Return what the new prices of the last roll-out have earned, as sentences; none without one."""
        return read_receipt(shop, shop.log_path.stat().st_mtime_ns, language())

    @staticmethod
    def product_of(document: Mapping[str, Any], address: str) -> dict[str, Any]:
        """Return a product of an advice by its name, or by `address_of` it; another is an ``HTTPException`` 404."""
        products: dict[str, dict[str, Any]] = {item["product"]: item for item in document["products"]}
        found = products.get(address) or products.get(unquote(address))
        if found is None:
            hint = did_you_mean(address, products)
            raise HTTPException(404, f"the advice has no product {clean(address, 100)!r}{hint}")
        return found

    def columns(self) -> dict[str, str]:
        """Return corrected columns of ours by their names in the files."""
        try:
            known = yaml.safe_load((self.folder / COLUMNS).read_text(encoding="utf-8"))
            return {str(name): str(ours) for name, ours in known.items()}
        except FileNotFoundError:
            return {}
        except (OSError, yaml.YAMLError, AttributeError) as error:
            raise UsageError(f"{COLUMNS} is damaged; remove it, and name the columns again") from error

    def keep_columns(self, columns: Mapping[str, str]) -> None:
        """Remember corrected columns of a file, and forget those that are empty; wrong ones are a ``UsageError``."""
        check_renames({name: ours for name, ours in columns.items() if ours})
        known = {name: ours for name, ours in {**self.columns(), **columns}.items() if ours}
        write_text(self.folder / COLUMNS, yaml.safe_dump(known, allow_unicode=True))

    def read(self, names: Sequence[str], meant: Mapping[str, Any] | None = None) -> Reading:
        """Read files as ``check`` does, as they are ``meant``; describe what was found or why they cannot be read."""
        with _one_at_a_time():
            return self._files(self.find(names), meant or {}).describe()

    def _files(self, names: Sequence[str], meant: Mapping[str, Any], shop: str = "") -> SellerFiles:
        """Return files of a shop, or of the one that they show."""
        known = [name for name in self.shops() if shop in ("", name)]
        own = shop or name_run(names, USUAL_PRESET)
        return SellerFiles(names, self.columns(), self.costs(), meant, own, known, self.open_shop)

    def costs(self) -> list[dict[str, Any]]:
        """Return the rows of costs.csv by the keys of its columns; none without the file."""
        path = self.folder / COSTS_FILE
        return read_costs(path) if self._is_inside(path) else []

    def keep_costs(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Replace the rows of some products in costs.csv; errors are as in `type_costs`."""
        type_costs(self.folder / COSTS_FILE, self.costs(), rows)

    def typed_words(self, files: Sequence[str], shop: str, meant: Mapping[str, Any]) -> tuple[str, list[str]]:
        """Return the shop of some files, unless it is given, and the options with their columns, costs and meaning."""
        with _one_at_a_time():
            found = self._files(files, meant, shop)
            config, rows, shop, opened = found.read()
        order = None if config.date_order == "auto" else config.date_order
        reading = {"columns": config.columns, **meant, "date_order": order}
        named = {f"data.reading.{name}": value for name, value in reading.items()}
        return shop, option_words({"data.cost.products": found.costs_in(rows, opened) or None, **named})


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Wait for the reading of other files to end; if it does not, a ``UsageError`` says so."""
    if not READING.acquire(timeout=LONGEST_WAIT):
        raise UsageError("other files are being read; try again in a minute")
    try:
        yield
    finally:
        READING.release()


@lru_cache(maxsize=16)
def read_receipt(shop: Shop, changed: int, language: str) -> list[str]:
    """Read the receipt of a shop in a language, anew if its database has changed."""
    return receipt_lines(shop)


def record(shop: Shop, drafts: Callable[[Shop], Sequence[Entry]]) -> Entry:
    """Append entries to the log of a shop, as `Shop.record` does, and return the last one; others see it at once."""
    today = str(shop.given_day) if shop.given_day else None
    with BUSY[place := (shop.folder.path.absolute(), today)]:
        (*_, entry), after = shop.record(drafts)
        state = _state_of(shop.folder.path, today)
        if ("hash", after.log.head.hash) in state:
            OPENED[place] = state, after
    return entry


def _state_of(folder: Path, today: str | None) -> list[tuple[Any, ...]]:
    """Return what a shop changes with: its files, its facts and the day."""
    files = [path for name in STATE if (path := folder / name).exists()]
    state = [(path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in files]
    with reading(folder / LOG_FILE) as database:
        return [*state, *database.run("SELECT name, value FROM fact"), (today, system_day())]


def address_of(product: str) -> str:
    """Return a product's name for the end of an address; dots alone, which browsers resolve, are quoted twice."""
    quoted = quote(product, "")
    plain = product.strip(".") and product.isprintable()
    return quoted if plain else quote(quoted.replace(".", "%2E"), "")


def is_data(name: str) -> bool:
    """Return whether a name is one of a seller's file, without a path, and not one that pricerl reads itself."""
    return bool(NAME.fullmatch(name)) and name.rpartition(".")[2].lower() in KINDS and name.casefold() not in OWN
