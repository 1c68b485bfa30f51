"""Command ``audit``: is the decision log unbroken?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pricerl.cli.commands.decisions import add_run_options, shop_of
from pricerl.cli.usage import Parser
from pricerl.errors import EXIT_OK, DataError, UsageError
from pricerl.operations.log.decision_log import FEWEST_DIGITS, LOG_FILE, verify
from pricerl.terminal import write_lines


def audit_log(words: Sequence[str]) -> int:
    """Check that the decision log is unbroken (verify)."""
    parser = Parser(prog="pricerl audit", description=audit_log.__doc__, allow_abbrev=False)
    parser.add_argument("action", choices=("verify",))
    parser.add_argument("target", nargs="?", help="a log file instead of a run")
    add_run_options(parser)
    parser.add_argument("--anchor", help="hash of an entry, as a report prints it, that the log must contain")
    options = parser.parse_args(words)
    path = shop_of(options).log_path if options.target is None else Path(options.target)
    path = path / LOG_FILE if path.is_dir() else path
    anchor = (options.anchor or "").strip().rstrip("….").lower()  # reports print the first twelve digits
    if options.anchor is not None and not re.fullmatch(f"[0-9a-f]{{{FEWEST_DIGITS},64}}", anchor):
        raise UsageError(f"--anchor: must be at least {FEWEST_DIGITS} digits of a hash, found {options.anchor!r}")
    log = verify(path)
    lines = [f"{path}: unbroken, {len(log.entries)} entries, last hash {log.head.hash}"]
    if anchor:
        number = log.find(anchor)
        if number is None:
            found = f"no entry has the hash {anchor}: the log was rewritten, cut, or belongs to another run"
            raise DataError(str(path), [f"{found}; restore it from a copy"])
        place = f"entry {number} of {len(log.entries)}" if number else "the head of an empty log"
        lines.append(f"{anchor} is {place}")
    write_lines(lines)
    return EXIT_OK
