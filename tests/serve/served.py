"""The server in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAM = "from pricerl.cli.main import main; raise SystemExit(main())"


@contextmanager
def served(folder: Path, today: str) -> Iterator[str]:
    """Serve a folder and yield the address that is printed, with its token; the server ends with it."""
    words = [sys.executable, "-c", PROGRAM, "serve", str(folder), "--no-browser", "--port", "0", "--today", today]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            yield re.findall(r"http://\S+", process.stderr.readline())[0]
        finally:
            process.terminate()
        assert "Traceback" not in process.stderr.read()
