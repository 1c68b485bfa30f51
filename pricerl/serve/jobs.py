"""Commands that a page starts: one at a time, as processes of their own, with their output as events."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pricerl.errors import EXIT_ALARM, EXIT_BUG, EXIT_NOT_ENOUGH_EVIDENCE, EXIT_OK, EXIT_WARNING, UsageError
from pricerl.terminal import clean

ANSWERED = (EXIT_OK, EXIT_NOT_ENOUGH_EVIDENCE, EXIT_WARNING, EXIT_ALARM)
"""Exit codes of commands that did what they were asked for."""

PROGRAM = """
import sys
sys.path = [*filter(None, sys.path)]
import json
from pricerl.cli.main import main, prepare_process
prepare_process()
import pricerl.cli.advise
words = json.loads(sys.stdin.readline() or "[]")
raise SystemExit(main(words) if words else 0)
"""
"""Imports what commands on files need, and waits for the words of one; without any, it ends."""
ORDER = "--data.reading.date_order="
"""Option that a person or the shop's earlier files have answered, which the output repeats."""
PAUSE = 0.2
"""Seconds between two looks at the output of a command."""


@dataclass
class Job:
    """Commands one after the other; the first that fails ends them."""

    id: int
    commands: Sequence[Sequence[str]]
    leads_to: str
    """Path of the page with the result; empty for the page that started it."""
    lines: list[str] = field(default_factory=list)
    """Output so far, results and problems alike."""
    code: int | None = None
    """Exit code of the last command; None while one is running."""
    process: subprocess.Popen[str] | None = None

    def run(self, begin: Callable[[], subprocess.Popen[str]]) -> None:
        """Run the commands in processes that ``begin`` returns."""
        code = EXIT_BUG
        try:
            for words in self.commands:
                with begin() as process:
                    self.process = process
                    assert process.stdin is not None and process.stdout is not None
                    with process.stdin as given:
                        given.write(json.dumps(words))
                    texts = (clean(line.removesuffix("\n")) for line in process.stdout)
                    for text in filter(str.strip, texts):  # \r ends a line, too, so that bars of progress are kept
                        self.lines.append(text)
                code = process.returncode
                if code not in ANSWERED:
                    break
        finally:
            self.code = code

    async def events(self) -> AsyncIterator[str]:
        """Yield server-sent events: each line, then ``end`` with exit code and the page with the result."""
        sent = 0
        while self.code is None or sent < len(self.lines):
            for line in self.lines[sent:]:
                sent += 1
                yield f"data: {json.dumps(line)}\n\n"
            await asyncio.sleep(PAUSE)
        done = {"code": self.code, "answered": self.code in ANSWERED, "leads_to": self.leads_to}
        yield f"event: end\ndata: {json.dumps(done)}\n\n"


class Jobs:
    """Jobs of a server, of which one runs at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known: dict[int, Job] = {}
        self._lock = threading.Lock()
        self._spare: subprocess.Popen[str] | None = None

    @property
    def running(self) -> Job | None:
        """The job that is running, if any."""
        return next((job for job in self.known.values() if job.code is None), None)

    def start(self, commands: Sequence[Sequence[str]], leads_to: str) -> Job:
        """Start a job; a ``UsageError`` while another is running."""
        with self._lock:
            if (other := self.running) is not None:
                raise UsageError(f"pricerl {other.commands[0][0]} is running here; wait until it ends")
            orders = {word.rpartition("=")[2] for words in commands for word in words if ORDER in word}
            job = Job(len(self.known) + 1, commands, leads_to, [f"dates have the {order} first" for order in orders])
            self.known[job.id] = job
        threading.Thread(target=job.run, args=(self.begin,), daemon=True).start()
        return job

    def prepare(self) -> None:
        """Begin the process of a command that is likely to be started soon, which takes seconds to import."""
        with self._lock:
            if self._spare is None and self.running is None:
                self._spare = self._open()

    def begin(self) -> subprocess.Popen[str]:
        """Return a process that waits for the words of a command."""
        spare, self._spare = self._spare, None
        return self._open() if spare is None or spare.poll() is not None else spare

    def _open(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-u", "-c", PROGRAM],
            cwd=self.folder,
            env={**os.environ, "COLUMNS": "72"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )

    def stop(self) -> None:
        """Ask the running command to end; it saves what it has to."""
        running = (job.process for job in self.known.values() if job.code is None)
        for process in filter(None, (self._spare, *running)):
            process.terminate()
