"""A server process of a folder, for tests over real sockets."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2

MAIN = Path(__file__).parents[2] / "main.py"


class Server:
    """A server process of a folder."""

    def __init__(self, folder: Path, today: str) -> None:
        words = [str(MAIN), "serve", str(folder), "--port", "0", "--no-browser", "--today", today]
        begun = time.perf_counter()
        self.process = subprocess.Popen([sys.executable, *words], stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        address = self.process.stderr.readline().split()[-1]
        self.url, _, self.token = address.partition("?token=")
        self.client = httpx2.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=60)
        while True:
            try:
                self.client.get("/api/shops").raise_for_status()
                break
            except httpx2.TransportError:
                time.sleep(0.02)
        self.start = time.perf_counter() - begun

    @property
    def memory(self) -> int:
        """Largest resident memory so far, bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return 1024 * int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0])

    def end(self, how: int = signal.SIGTERM) -> str:
        """End the process, and return what it printed."""
        self.process.send_signal(how)
        self.client.close()
        return self.process.communicate()[1]
