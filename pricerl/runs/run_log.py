"""Log of the commands of a run: ``run.log`` in its folder, rotated, without secrets and absolute paths."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from logging.handlers import MemoryHandler, RotatingFileHandler
from pathlib import Path

from pricerl.runs.folder import RUN_LOG

LOG_BYTES = 1_000_000
"""Largest size of the file."""
OLD_LOGS = 3
"""Older files that are kept: ``run.log.1`` and so on."""
MOST_WAITING = 1000
"""Most records in memory before the run is known."""

URL = re.compile(r"\b[A-Za-z][\w+.-]*://\S+")
NAMED_SECRET = re.compile(
    r"(?i)([\w.-]*(?:password|passwd|secret|token|api_?key|alert_urls)[\w.-]*[\"']?\s*[=:\s]\s*)\S+"
)
SECRET_NAMES = re.compile(r"(?i)PASS|SECRET|TOKEN|KEY|ALERT_URLS")
FEWEST_SECRET = 6
"""Fewest characters of the value of an environment variable that counts as a secret."""
FOLDERS = re.compile(r"(?<![\w.…])(?:~|[A-Za-z]:\\)?(?:[/\\][^\s/\\'\":,;=]+)+[/\\](?=[^\s/\\'\":,;=])")
"""Folders of an absolute path, of which the file's name follows."""


def logger() -> logging.Logger:
    """Return the package's logger, which shows nothing by itself."""
    found = logging.getLogger("pricerl")
    if not found.handlers:
        found.addHandler(logging.NullHandler())
    return found


def without_secrets(text: str) -> str:
    """Return a text without addresses, values of settings named like secrets, and secrets of the environment."""
    secrets = (value for name, value in os.environ.items() if SECRET_NAMES.search(name))
    for secret in sorted({part for value in secrets for part in value.split()}, key=len, reverse=True):
        if len(secret) >= FEWEST_SECRET:
            text = text.replace(secret, "…")
    return NAMED_SECRET.sub(r"\1…", URL.sub("…", text))


def without_folders(text: str) -> str:
    """Return a text with absolute paths cut to the names of their files."""
    known = {str(Path.cwd()), str(Path.home()), sys.prefix, sys.base_prefix} - {"/"}
    for folder in sorted(known, key=len, reverse=True):
        text = text.replace(f"{folder}{os.sep}", "…/")
    return FOLDERS.sub("…/", text)


class _Discreet(logging.Formatter):
    """Formatter that removes secrets and folders from every record, its traceback included."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        return without_folders(without_secrets(super().format(record)))


class _LogFile(RotatingFileHandler):
    """File that drops what cannot be written, as on a full disk: a log changes no command."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the name in logging
        """Drop a record, instead of printing a traceback."""

    def close(self) -> None:
        """Close the file; what it has not written yet is lost."""
        with contextlib.suppress(OSError):
            super().close()


_waiting = MemoryHandler(MOST_WAITING, flushLevel=logging.CRITICAL + 1, flushOnClose=False)
_folder: list[Path] = []
"""Folder of the command's run, once it is known."""


def write_run_log(folder: Path) -> None:
    """Write this command's records to the log of a run, once its folder exists."""
    if os.environ.get("LOCAL_RANK", "0") != "0":
        return
    _folder[:] = [folder]
    with contextlib.suppress(OSError):  # a folder that cannot be read or written
        if _waiting.target is None and folder.is_dir():
            file = _LogFile(folder / RUN_LOG, maxBytes=LOG_BYTES, backupCount=OLD_LOGS, encoding="utf-8")
            file.setFormatter(_Discreet("%(asctime)sZ %(process)d %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S"))
            _waiting.setTarget(file)
            _waiting.flush()
            logger().removeHandler(_waiting)
            logger().addHandler(file)


@contextlib.contextmanager
def logged_command(words: Sequence[str]) -> Iterator[None]:
    """Log a command from its words to its end; errors are logged by `log_failure`."""
    log = logger()
    start = time.monotonic()
    _folder.clear()
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(_waiting)
    log.info("command: %s", " ".join(words))
    try:
        yield
    finally:
        log.info("ended after %.1f s", time.monotonic() - start)
        if _folder:
            write_run_log(_folder[0])
        if (file := _waiting.target) is not None:
            log.removeHandler(file)
            file.close()
        _waiting.buffer.clear()
        _waiting.setTarget(None)
        log.removeHandler(_waiting)
        log.propagate = True


def log_failure(message: str, code: int, bug: bool) -> None:
    """Log why a command failed, with the traceback of the exception that is being handled."""
    logger().log(logging.CRITICAL if bug else logging.ERROR, "exit code %d: %s", code, message, exc_info=True)
