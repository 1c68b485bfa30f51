"""Alerts: a file of JSON lines, messages through apprise (mail, webhooks, chats), and Weights & Biases.

An alert is sent once per kind and product until its cool-down has passed, or its severity rises. Addresses contain
secrets: they come from an environment variable or a file, and appear in no message.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec

from pricerl.errors import UsageError, import_extra, refuse
from pricerl.operations.watching.monitor_document import SEVERITIES, Monitor, Severity
from pricerl.terminal import clean
from pricerl.writing import explained, sync_folder, write_through

ALERT_FILE = "alerts.jsonl"
"""Alerts in the run's folder, one JSON object per line, the newest last."""
ADDRESSES = "PRICERL_ALERT_URLS"
"""Environment variable with the addresses of apprise, separated by spaces or lines."""
MOST_LINES = 30
"""Most alerts in one message."""
TEST = "test"
"""Kind of an alert that only shows whether it arrives."""


class Alert(NamedTuple):
    """Message about one finding."""

    kind: str
    product: str
    """Empty for the file and the model."""
    severity: Severity
    text: str

    @property
    def line(self) -> str:
        """Alert on one line."""
        return f"{self.severity}: {f'{self.product}, ' if self.product else ''}{self.kind}: {self.text}"


class SentAlert(msgspec.Struct):
    """Line of the file of alerts."""

    kind: str
    product: str
    severity: Severity
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    sent: int
    """Channels that it reached."""
    failed: int


class Message(NamedTuple):
    """All alerts of one watch, or an advice with its page."""

    title: str
    body: str
    severity: Severity
    page: Path | None = None
    """File to attach."""


Channel = Callable[[Message], str]
"""Function that sends a message; returns why it could not, or an empty text."""


def alerts_of(monitor: Monitor) -> list[Alert]:
    """Return an alert for every warning and alarm, the most severe finding of each kind and product."""
    found: dict[tuple[str, str], Alert] = {}
    for product, item in monitor.urgent():
        found.setdefault((item.kind, product), Alert(item.kind, product, item.severity, item.text))
    return list(found.values())


def send_alerts(
    folder: Path, alerts: Iterable[Alert], channels: Sequence[Channel], cool_down: float, now: datetime
) -> tuple[list[Alert], list[str]]:
    """Send alerts to all channels, write them to the run's file, and return them with the failures of channels.

    Alerts of a kind and product that had one within ``cool_down`` days are left out. An alert that reached no channel,
    although there are some, is sent again by the next watch. The time ``now`` has a zone. A file that cannot be written
    is a ``UsageError``.
    """
    path = folder / ALERT_FILE
    known = read_alerts(path)
    due = [alert for alert in alerts if not _is_cooling(alert, known, cool_down, now)]
    if not due:
        return [], []
    severity = max((alert.severity for alert in due), key=SEVERITIES.index)
    lines = [clean(alert.line) for alert in due[:MOST_LINES]]
    more = [f"and {len(due) - MOST_LINES} more"] if len(due) > MOST_LINES else []
    message = Message(clean(f"pricerl {severity}: {folder.name}"), "\n".join([*lines, *more]), severity)
    failures = [fault for channel in channels if (fault := channel(message))]
    counts = {"sent": len(channels) - len(failures), "failed": len(failures), "time": now.isoformat(timespec="seconds")}
    text = "".join(f"{json.dumps({**alert._asdict(), **counts}, sort_keys=True)}\n" for alert in due)
    with explained(path):
        write_through(path, text.encode(), "ab")
    sync_folder(folder)
    return due, failures


def send_page(title: str, lines: Sequence[str], page: Path, addresses: str | None) -> int:
    """Send an advice, as the terminal prints it, with its page to every address; return how many there are.

    No address, or one that fails, is a ``UsageError``.
    """
    channels = apprise_channels(read_addresses(addresses))
    message = Message(clean(title), "\n".join(map(clean, lines)), "ok", page)
    refuse({f"--send: there is no address; name a file by --alert_file, or set {ADDRESSES}": not channels})
    refuse({fault: True for channel in channels if (fault := channel(message))})
    return len(channels)


def read_alerts(path: Path) -> list[SentAlert]:
    """Return the alerts in a file, without lines that were cut off or changed."""
    found = []
    with contextlib.suppress(OSError):
        for line in path.read_bytes().splitlines():
            with contextlib.suppress(msgspec.MsgspecError, RecursionError):
                found.append(msgspec.json.decode(line, type=SentAlert))
    return found


def _is_cooling(alert: Alert, known: Sequence[SentAlert], cool_down: float, now: datetime) -> bool:
    same = (sent for sent in reversed(known) if (sent.kind, sent.product) == (alert.kind, alert.product))
    last = next((sent for sent in same if sent.sent or not sent.failed), None)
    return (
        last is not None
        and SEVERITIES.index(alert.severity) <= SEVERITIES.index(last.severity)
        and now - last.time < timedelta(days=cool_down)
    )


def read_addresses(file: str | None) -> list[str]:
    """Return the addresses in a file, one per line with ``#`` for comments, or else in the environment variable.

    A file that cannot be read is a ``UsageError``.
    """
    if file is None:
        return os.environ.get(ADDRESSES, "").split()
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UsageError(f"--alert_file: {file} cannot be read: {getattr(error, 'strerror', error)}") from error
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def apprise_channels(addresses: Sequence[str]) -> list[Channel]:
    """Return one channel per address; a ``UsageError`` gives the number only of one that apprise does not know."""
    if not addresses:
        return []
    apprise = import_extra("apprise", 'alerts need apprise: pip install -e ".[alerts]"')
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # its messages contain addresses
    return [_apprise_channel(apprise, address, number) for number, address in enumerate(addresses, 1)]


def _apprise_channel(apprise: Any, address: str, number: int) -> Channel:
    sender = apprise.Apprise()
    refuse({f"alert address {number} is not one that apprise knows (docs/log.md)": not sender.add(address)})

    def send(message: Message) -> str:
        kind = {"alarm": "failure", "warning": "warning"}.get(message.severity, "info")
        attached = None if message.page is None else str(message.page)
        try:
            done = sender.notify(message.body, message.title, kind, attach=attached)
        except Exception as error:  # a plugin's own failure; its text may contain the address
            return f"alert address {number} failed: {type(error).__name__}"
        return "" if done else f"alert address {number} did not take the message"

    return send
