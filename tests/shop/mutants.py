"""Planted faults: one changed line of production code each, which the simulation must find."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Mutant(NamedTuple):
    """A planted fault."""

    file: str
    """Path below ``pricerl``."""
    old: str
    new: str


OUTBOX = "operations/outbox.py"
DRAFTS = "operations/log/drafts.py"
ORDERS = "operations/log/orders.py"
STAGING = "operations/log/staging.py"
LIMITS = "operations/log/typed_limits.py"
LOG = "operations/log/decision_log.py"
SHOP = "operations/shop.py"
EXPORTS = "operations/exports.py"
DAYS = "shop/days.py"
NAMES = "shop/names.py"
JOINED = "shop/orders.py"
ROWS = "data/cleaning/rows.py"
DATABASE = "shop/database.py"

MUTANTS = (
    Mutant(OUTBOX, "return max(today.isoformat(), str", "return min(today.isoformat(), str"),
    Mutant(OUTBOX, "if order.kind not in HELD:", "if True:"),
    Mutant(OUTBOX, 'followed = advice.get("order") or', 'followed = False and advice.get("order") or'),
    Mutant(OUTBOX, "last_day_of(advice) < day,", "last_day_of(advice) <= day,"),
    Mutant(OUTBOX, "state.generation and generation not in", "False and generation not in"),
    Mutant(OUTBOX, 'state.publishing == "shadow",', "False,"),
    Mutant(OUTBOX, 'if state.publishing == "manual" or why:', 'if state.publishing == "manual":'),
    Mutant(OUTBOX, 'if state.publishing == "manual" or why:', "if why:"),
    Mutant(OUTBOX, "return next(chain(decided, advised), None)", "return next(chain(advised, decided), None)"),
    Mutant(OUTBOX, "return refuse_change(row.price, advice, state.typed, row.ordered) or full", "return full"),
    Mutant(OUTBOX, " and same_price(limit, _forcing(entry))", ""),
    Mutant(OUTBOX, 'if terms.get("waits") else ""', 'if False else ""'),
    Mutant(OUTBOX, '[entry["id"] not in ended for', "[True for"),
    Mutant(OUTBOX, ' or any(entry.get("ends") == given["id"] for entry in own):', ":"),
    Mutant(OUTBOX, "next((entry for entry in reversed(own) if", "next((entry for entry in own if"),
    Mutant(OUTBOX, "return given if all(", "return given if any("),
    Mutant(OUTBOX, "and advising_generation(item) == generation]", "]"),
    Mutant(OUTBOX, 'first = max(change["date"], day)\n    price', 'first = change["date"]\n    price'),
    Mutant(OUTBOX, 'if row["date"] <= first)', 'if row["date"] >= first)'),
    Mutant(OUTBOX, "is_outside(planned, low, high) else planned", "False else planned"),
    Mutant(OUTBOX, ' if price != advice["current_price"] else ""', ""),
    Mutant(OUTBOX, "+ timedelta(days=step_of(advice) - 1)", "+ timedelta(days=step_of(advice))"),
    Mutant(OUTBOX, "if name not in leaving}", "if name != next(iter(leaving))}"),
    Mutant(OUTBOX, "if not row.ordered}", "}"),
    Mutant(OUTBOX, "row is not None and row.date <= day else", "row is not None else"),
    Mutant(OUTBOX, "(safe_text(name), first", "(name, first"),
    Mutant(ORDERS, 'if entry["until"] < first_day else', 'if entry["until"] <= first_day else'),
    Mutant(ORDERS, 'else "ended" if entry["id"] in ended else', "else"),
    Mutant(ORDERS, 'entry["id"] for entry in given}', 'entry["id"] for entry in reversed(given)}'),
    Mutant(ORDERS, "None not in (given, currency) and given != currency\n", "False\n"),
    Mutant(ORDERS, "restarts or any(entry", "restarts and any(entry"),
    Mutant(ORDERS, "refused = replace(order, status=", "refused = order if True else replace(order, status="),
    Mutant(DRAFTS, 'choose a later day": last < first,', 'choose a later day": False,'),
    Mutant(DRAFTS, "refuse_price(orders.positive_price(price), limits_of", '"" and refuse_price(price, limits_of'),
    Mutant(DRAFTS, "doubt and not (force or refusal)", "False"),
    Mutant(DRAFTS, 'newest["id"] != number,', "False,"),
    Mutant(DRAFTS, "if order is not None and order.id not in (advice", "if False and order.id not in (advice"),
    Mutant(DRAFTS, "if not may_widen and (wider := widened(", "if not may_widen and not (wider := widened("),
    Mutant(DRAFTS, "LOOSENESS.index(mode) > LOOSENESS", "LOOSENESS.index(mode) < LOOSENESS"),
    Mutant(DRAFTS, 'current price breaks": broken and not may_widen}', 'current price breaks": False}'),
    Mutant(DRAFTS, "broken and not force}", "False}"),
    Mutant(ORDERS, 'entry.get("verdict") == "higher"', 'entry.get("verdict") == "lower"'),
    Mutant(ORDERS, "order.kind == PRICE_TEST and len(active) > 1", "False"),
    Mutant(ORDERS, "if day >= over]", "if day > over]"),
    Mutant(OUTBOX, 'or test.id > advice["seen"]', 'or test.id <= advice["seen"]'),
    Mutant(OUTBOX, "date.fromisoformat(run[0])", "date.fromisoformat(days[-1])"),
    Mutant(OUTBOX, "known[name][0] == last", "known[name][0] > 0"),
    Mutant(DRAFTS, ": begins < first,", ": False,"),
    Mutant(DRAFTS, '"end it with resume first": order,', '"end it with resume first": None,'),
    Mutant(STAGING, 'if entry.get("staged") == staged["id"]:', "if False:"),
    Mutant(STAGING, 'if entry["kind"] == orders.ADVICE:', "if False:"),
    Mutant(LIMITS, 'entry["id"] > (advice', 'entry["id"] >= (advice'),
    Mutant(LIMITS, "return now\n    ceiling", "return found\n    ceiling"),
    Mutant(LIMITS, 'newest.get(entry["product"], last))', "last)"),
    Mutant(LIMITS, 'if narrower and entry["product"] in ("", advice["product"]):', "if narrower:"),
    Mutant(LIMITS, "walks = now < price < limits.floor", "walks = now < price"),
    Mutant(LIMITS, "return value > before if name in", "return value < before if name in"),
    Mutant(LOG, 'OR product IN (SELECT product FROM entry WHERE kind <> \'advice\')"""', '"""'),
    Mutant(LOG, "hashlib.sha256(canonical(entry).encode())", "hashlib.sha256(canonical(draft).encode())"),
    Mutant(SHOP, "== (self.log.head, self.generation, self.today) else", "!= () else"),
    Mutant(SHOP, "database.fact(MODEL) or (", "("),
    Mutant(NAMES, "rows.known_files != last_file(database):", "False:"),
    Mutant(EXPORTS, "names) if time == _time_of(folder) else", "names) if True else"),
    Mutant(EXPORTS, "for path in _optional_files(folder).difference(", "for path in set().difference("),
    Mutant(EXPORTS, "write_costs(database, folder, entries)\n", "\n"),
    Mutant(EXPORTS, "and path.read_bytes() == outbox.render().encode()", "and True"),
    Mutant(DAYS, "if not accepts_changes and (found :=", "if accepts_changes and (found :="),
    Mutant(DAYS, "& (dates < last) &", "& (dates <= last) &"),
    Mutant(DAYS, "and self.currency != fresh.currency:", "and False:"),
    Mutant(DAYS, "if len({*steps}) > 1:", "if len({*steps}) > 2:"),
    Mutant(DAYS, "file = excluded.file, ", ""),
    Mutant(DAYS, "{**known_names(database), **rows.aliases}", "rows.aliases"),
    Mutant(ROWS, ".groupby(ORDER, as_index=False)[AMOUNTS].sum()", ""),
    Mutant(ROWS, "frame[twice].sort_values(columns.TOTAL_SALES)", "frame[twice]"),
    Mutant(NAMES, "rows = rows.renamed(known_names(database))", "rows = rows"),
    Mutant(NAMES, "for name in products if name not in present}", "for name in products}"),
    Mutant(NAMES, "return replace(rows.renamed(aliases), aliases=aliases)", "return rows.renamed(aliases)"),
    Mutant(NAMES, "LEAST_INFORMATION = 10.0", "LEAST_INFORMATION = 4.0"),
    Mutant(NAMES, '(rated["same"] >= LEAST_SAME * rated["days"]) & ', ""),
    Mutant(NAMES, '(new["first"] >= span.end) & ', ""),
    Mutant(NAMES, 'old["last"] > span.end - reach', 'old["last"] > span.end - 1'),
    Mutant(JOINED, ' = ~known["number"].isin([*rows.orders.numbers])', " = True"),
    Mutant(JOINED, "known[columns.REPORT_DATE].isin(pd.to_datetime(ends)) & ", ""),
    Mutant(JOINED, "_replace(parts=known[columns.REPORT_DATE].unique())", "_replace(parts=())"),
    Mutant(JOINED, "known.intersection(rows.orders.numbers)", "known.intersection(())"),
    Mutant(JOINED, "WHERE date > ? AND date < ?", "WHERE date > ? AND date < ? AND false"),
    Mutant(DATABASE, 'database.run("BEGIN IMMEDIATE")', 'database.run("SELECT 1")'),
)


@contextlib.contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """Import a module with a planted fault, which must not have been imported before."""
    path = ROOT / "pricerl" / mutant.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.file} has {mutant.old!r} {text.count(mutant.old)} times")
    name = "pricerl." + mutant.file.removesuffix(".py").replace("/", ".")
    code = compile(text.replace(mutant.old, mutant.new), str(path), "exec")

    class Faulty(Loader):
        def exec_module(self, module: ModuleType) -> None:
            exec(code, module.__dict__)

    class Finder(MetaPathFinder):
        def find_spec(self, wanted: str, _: Sequence[str] | None, __: object = None) -> ModuleSpec | None:
            return importlib.util.spec_from_loader(name, Faulty()) if wanted == name else None

    finder = Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
