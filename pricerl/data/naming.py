"""Sources and products as the user names them, and the name that run and product take from the first source."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from urllib.parse import unquote

from pricerl.data.reading.problems import list_names
from pricerl.errors import MAX_PROBLEMS_SHOWN, UsageError, did_you_mean, refuse
from pricerl.terminal import shown

Sources = str | Path | Sequence[str | Path]
"""A file, folder, pattern or database, or several: the sales report first, then the reports to join to it."""

SECRET = re.compile(
    r"(?i)://([^:/]*:[^@]*@|.*(pass(?!file)|pwd|secret|token|credential|(api|access|account|private)_?key)\w*\s*=)"
)
"""Password before the host of a database's URL, as SQLAlchemy reads it, or a setting that holds one."""

SECRETS = (
    "data.path: a database URL must not hold a password or token, as files of the run record it; use the driver's own "
    "file or an environment variable such as PGPASSWORD"
)

COSTS_FILE = "costs.csv"
"""Usual name of the table of costs, in the folder of the seller's files."""

LONGEST_NAME = 80
"""Characters; longer names fit in no table."""


def list_sources(sources: Sources | None) -> list[str]:
    """Return each source as written, none for a simulated seller; raise a ``UsageError`` for no file, or a password."""
    if sources is None:
        return []
    if not isinstance(sources, str | Path | Sequence):
        raise UsageError(f"expected a file, folder, database or DataFrame, found {type(sources).__name__}")
    found = [str(sources)] if isinstance(sources, str | Path) else list(map(str, sources))
    refuse(
        {
            "data.path: must name at least one file, found an empty list": not found,
            SECRETS: any(SECRET.search(unquote(source)) for source in found),
        }
    )
    return found


def name_after(sources: Sources | None) -> str:
    """Return the name of the first file or folder without its endings, in characters that every folder may have.

    >>> name_after("exports/soapnuts 2025.csv.gz")
    'soapnuts 2025'
    """
    if sources is None:
        return "simulated"
    source = list_sources(sources)[0]
    name = Path(source).resolve().name if Path(source).name in ("", "..") else Path(source).name
    name = re.sub(r"(\.(gz|zip|bz2|xz|zst))+$", "", name)
    name = re.sub(r"[^\w .@+=,-]+", "-", Path(name).stem).strip(" .-_")
    return name[:LONGEST_NAME].rstrip(" .-_") or "file"


def choose_product(names: Sequence[str], wanted: str | None, place: str) -> str:
    """Return the product named by ``--product``, or the only one of those that a place holds.

    A name that is unknown, or missing although there are several products, is a ``UsageError``.
    """
    listed = ", ".join(map(shown, names[:10]))
    refuse({f"--product is needed, {place} has {len(names)}: {listed}": wanted is None and len(names) > 1})
    if wanted is not None and wanted not in names:
        raise UsageError(f"--product {shown(wanted)!r} is unknown; known are {listed}{did_you_mean(wanted, names)}")
    return names[0] if wanted is None else wanted


def describe_strangers(names: Sequence[str], known: Collection[str]) -> str:
    """Return that the history has no such products, with the closest names and the names that it has."""
    hints = (f"{name!r}{did_you_mean(name, known)}" for name in names[:MAX_PROBLEMS_SHOWN])
    return f"the history has no product {', and none '.join(hints)}; use its names: {list_names(sorted(known))}"
