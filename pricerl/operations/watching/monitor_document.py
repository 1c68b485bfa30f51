"""Findings of a watch, and the document ``monitor.json`` that holds them."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal, get_args

import msgspec

from pricerl import __version__

MONITOR_FILE = "monitor.json"
"""Document of the last watch, in the run's folder."""

Severity = Literal["ok", "unknown", "warning", "alarm"]
SEVERITIES: tuple[Severity, ...] = ("ok", "unknown", "warning", "alarm")
"""Ascending. ``unknown`` means that too few days are there to judge."""

Kind = Literal["stop rule", "drift", "data", "conversion", "other price"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Result of one check."""

    kind: Kind
    severity: Severity
    text: str
    """Finding in words, a sentence without its period."""
    value: float | None = None
    """Number that was judged."""
    limit: float | None = None
    """Number beyond which it is reported."""
    step: str = ""
    """Next step, a sentence; empty if there is none."""


class WatchedProduct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Findings about one product."""

    product: str
    last_day: str
    new_days: int
    """Days after those that the model was fitted to."""
    findings: list[Finding]


class Monitor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Document of a watch."""

    format: int
    pricerl: str
    run: str
    generation: str | None
    today: str
    severity: Severity
    findings: list[Finding]
    """Findings about the file and the model."""
    products: list[WatchedProduct]

    @classmethod
    def of(
        cls, run: str, generation: str | None, today: date, findings: list[Finding], products: list[WatchedProduct]
    ) -> Monitor:
        """Return the document, in the present format and with the highest severity of its findings."""
        listed = [*findings, *(finding for item in products for finding in item.findings)]
        severity = max((finding.severity for finding in listed), key=SEVERITIES.index, default=SEVERITIES[0])
        return cls(1, __version__, run, generation, today.isoformat(), severity, findings, products)

    def listed(self) -> list[tuple[str, Finding]]:
        """Return all findings with their product, an empty one for those about the file, the most severe first."""
        found = [
            *(("", finding) for finding in self.findings),
            *((product.product, finding) for product in self.products for finding in product.findings),
        ]
        return sorted(found, key=lambda pair: (-SEVERITIES.index(pair[1].severity), KINDS.index(pair[1].kind)))

    def urgent(self) -> list[tuple[str, Finding]]:
        """Return the warnings and alarms among `listed`."""
        return [(product, finding) for product, finding in self.listed() if finding.severity in ("warning", "alarm")]


def read_monitor(folder: Path) -> Monitor | None:
    """Return the findings of the last watch of a run's folder, if this version can read them."""
    try:
        return msgspec.json.decode((folder / MONITOR_FILE).read_bytes(), type=Monitor)
    except (OSError, msgspec.MsgspecError, RecursionError):
        return None


def to_json(monitor: Monitor) -> str:
    """Return the document, indented."""
    return msgspec.json.format(msgspec.json.encode(monitor), indent=1).decode() + "\n"
