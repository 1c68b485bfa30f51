"""Parts that all entries of the decision log share."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec

FORMAT = 2
"""Format of the entries."""

Hash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, msgspec.Meta(ge=0)]
Money = Annotated[float, msgspec.Meta(gt=0)]


class Part(msgspec.Struct, forbid_unknown_fields=True):
    """Object inside an entry, or an entry."""


class LogEntry(Part, tag_field="kind", kw_only=True):
    """Keys of every entry."""

    id: Annotated[int, msgspec.Meta(ge=1)]
    """Its line number."""
    previous: Hash
    """Hash of the line before; 64 zeros in the first."""
    hash: Hash
    """sha256 of the canonical JSON of all other keys."""
    time: datetime
    actor: str
    reason: str
    format: Literal[2]
    staged: Count = 0
    """Number of the prepared decision that this one approves or rejects; 0 if there is none."""
    today: date | None = None
    """Day that the command took as today: of every advice, and of other entries if ``--today`` named it."""
