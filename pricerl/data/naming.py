"""Name of a product without a ``Product`` column, and of a run: that of the seller's file."""

from __future__ import annotations

import re
from pathlib import Path

COMPRESSED = (".gz", ".zip", ".bz2", ".xz", ".zst")
"""Endings after which a file's own ending comes, as in ``sales.csv.gz``."""

LONGEST_NAME = 80
"""Characters; longer names fit in no table."""


def name_after(source: str | Path | None) -> str:
    """Return the name of a file or folder without its endings, in characters that every folder may have.

    >>> name_after("exports/soapnuts 2025.csv.gz")
    'soapnuts 2025'

    Args:
        source: file, folder or another source, as the user wrote it; None for a simulated seller.
    """
    if source is None:
        return "simulated"
    name = Path(source).resolve().name if Path(source).name in ("", "..") else Path(source).name
    for ending in COMPRESSED:
        name = name.removesuffix(ending)
    name = re.sub(r"[^\w .@+=,-]+", "-", Path(name).stem).strip(" .-_")
    return name[:LONGEST_NAME].rstrip(" .-_") or "file"
