"""Commands about the shop's database: ``add``, ``shop``, ``backup`` and ``audit``."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from pricerl.cli.commands.decisions import receipt_lines, shop_of
from pricerl.cli.usage import RUN, Options, parser_of, takes
from pricerl.errors import DataError, refuse
from pricerl.formatting import plural
from pricerl.guardrails.relations import read_relations
from pricerl.operations.log.decision_log import FEWEST_DIGITS, LOG_FILE, verify
from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder
from pricerl.runs.names import RUNS, USUAL_PRESET, check_name, name_run, runs_with
from pricerl.shop.database import REMEDY, backup, exists
from pricerl.tasks.options import RUN_OPTIONS
from pricerl.terminal import shown, table, write_lines

ADDED: Options = {
    "path": {"nargs": "+", "metavar": "FILE", "help": "the seller's file, and ads reports to join to it"},
    "--accept": {"help": str(RUN_OPTIONS["accept"][0])},
}
"""Options of ``add``."""

AUDITED: Options = {
    "action": {"choices": ("verify",)},
    "target": {"nargs": "?", "help": "a database, such as a backup, instead of a run"},
    "--anchor": {"help": "hash of an entry, as a report prints it, that the log must contain"},
}
"""Options of ``audit``."""


@takes("add", ADDED, RUN, mixed=True)
def add(options: argparse.Namespace) -> None:
    """Add the days of a FILE to those that a shop has read: any length, in any order, twice the same is nothing."""
    from pricerl.data.config import DataConfig  # imports pandas, as the next ones
    from pricerl.data.reading.reader import read_rows
    from pricerl.shop.files import FilesRead, hash_files
    from pricerl.shop.names import read_accepted

    accepted = read_accepted(options.accept)
    shop = Shop.open(_folder(options), options.today)
    related = [relation.products for relation in read_relations(shop.guardrails.get("relations"))]
    hashes = hash_files(options.path)
    count = shop.add(FilesRead(read_rows(options.path, DataConfig(**shop.reading)), accepted, related, hashes))
    known = shop.summary()
    last = max(last for *_, last in known)
    write_lines(
        [f"{shop.log_path}: {plural(count, 'new or changed day')}; {plural(len(known), 'product')}, up to {last}"]
    )


def _folder(options: argparse.Namespace) -> RunFolder:
    """Return the run that is named, or the only one, or else one after the file."""
    if options.run_name:
        return RunFolder(RUNS / check_name(options.run_name))
    own = RunFolder(RUNS / name_run(options.path, USUAL_PRESET))
    found = runs_with(LOG_FILE)
    return found[0] if len(found) == 1 and not exists(own.path / LOG_FILE) else own


@takes("shop", RUN)
def show(options: argparse.Namespace) -> None:
    """Print what a shop has: products with their days, advice and orders."""
    shop = shop_of(options)
    head = f"{shop.log_path}: {shop.log.head.entries} entries in the decision log"
    prices = {name: f"{it['current_price']:.{shop.outbox.decimals}f}" for name, it in shop.newest.items()}
    rows = [
        (shown(name), f"{count}", first, last, prices.get(name, ""), shop.states[name][0] if name in prices else "")
        for name, count, first, last in shop.summary()
    ]
    columns = ("product", "days", "from", "to", "current price", "state")
    listed = table([columns, *rows]) if rows else ()
    write_lines([head, f"publishing: {shop.publishing or 'auto'}", *listed, *receipt_lines(shop)])


@takes("backup", {"file": {"type": Path, "help": "file to write"}}, RUN)
def back_up(options: argparse.Namespace) -> None:
    """Write a copy of a shop's database to a FILE, also while other commands use it."""
    shop = shop_of(options)
    refuse({f"{options.file} exists; name a new file": options.file.exists()})
    backup(shop.log_path, options.file)
    write_lines([f"{options.file}: {shop.log.head.entries} entries, last hash {shop.log.head.hash}"])


def audit_log(words: Sequence[str]) -> None:
    """Check that the decision log is unbroken (verify)."""
    options = parser_of("audit", audit_log.__doc__, AUDITED, RUN, allow_abbrev=False).parse_args(words)
    path = shop_of(options).log_path if options.target is None else Path(options.target)
    path = path / LOG_FILE if path.is_dir() else path
    anchor = (options.anchor or "").strip().rstrip("….").lower()  # reports print the first twelve digits
    wrong = options.anchor is not None and not re.fullmatch(f"[0-9a-f]{{{FEWEST_DIGITS},64}}", anchor)
    refuse({f"--anchor: must be at least {FEWEST_DIGITS} digits of a hash, found {options.anchor!r}": wrong})
    log = verify(path)
    lines = [f"{path}: unbroken, {len(log.entries)} entries, last hash {log.head.hash}"]
    if anchor:
        number = log.find(anchor)
        if number is None:
            found = f"no entry has the hash {anchor}: the log was rewritten, cut, or belongs to another run"
            raise DataError(str(path), [f"{found}; {REMEDY}"])
        place = f"entry {number} of {len(log.entries)}" if number else "the head of an empty log"
        lines.append(f"{anchor} is {place}")
    write_lines(lines)
