"""Load on `pricerl serve`: clients that read and decide at once, then kills between a decision and its log entry.

    python benchmarks/serve_load.py --folder FOLDER --shop SHOP [--seconds 120] [--kills 200]

The folder is copied first. Printed are the times of reads and writes, and what the log holds afterwards.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

from pricerl.operations.log.decision_log import verify

MAIN = Path(__file__).parents[1] / "main.py"
READERS, WRITERS = 50, 5
PAUSES = {"read": 1.0, "write": 5.0}
"""Mean seconds between the answer to a client and its next request."""


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

    def end(self, how: int = signal.SIGTERM) -> None:
        """End the process."""
        self.process.send_signal(how)
        self.process.wait()
        self.client.close()


def measure_load(server: Server, shop: str, seconds: float, until: str) -> dict[str, list[float]]:
    """Return the seconds of each read and each write of clients."""
    paths = ("/", f"/shops/{shop}", f"/shops/{shop}/products/1", f"/api/shops/{shop}/outbox", f"/shops/{shop}/history")
    products = [item["product"] for item in server.client.get(f"/api/shops/{shop}").json()["products"]]
    end = time.monotonic() + seconds
    found: dict[str, list[float]] = {"read": [], "write": []}
    cookie = httpx2.Client(base_url=server.url, timeout=60).get(f"/?token={server.token}").headers["set-cookie"]

    def act(kind: str, number: int) -> None:
        draw = random.Random(number)
        with httpx2.Client(base_url=server.url, timeout=60) as client:
            while time.monotonic() < end:
                if kind == "read":
                    answer = client.get(draw.choice(paths), headers={"Cookie": cookie.partition(";")[0]})
                else:
                    body = {"product": draw.choice(products), "until": until, "reason": "load", "by": str(number)}
                    headers = {"Authorization": f"Bearer {server.token}"}
                    answer = client.post(f"/api/shops/{shop}/pause", json=body, headers=headers)
                found[kind].append(answer.elapsed.total_seconds())
                answer.raise_for_status()
                time.sleep(draw.expovariate(1 / PAUSES[kind]))

    kinds = ["read"] * READERS + ["write"] * WRITERS
    with concurrent.futures.ThreadPoolExecutor(len(kinds)) as pool:
        for done in [pool.submit(act, kind, number) for number, kind in enumerate(kinds)]:
            done.result()
    return found


def measure_kills(folder: Path, shop: str, kills: int, today: str, until: str) -> dict[str, Any]:
    """Kill the server while it records a decision; return how many were answered, in the log, and lost or doubled."""
    draw = random.Random(1)
    answered: set[str] = set()
    for number in range(kills):
        server = Server(folder, today)
        product = server.client.get(f"/api/shops/{shop}").json()["products"][0]["product"]
        reason = f"decision {number}"

        def decide(server: Server = server, product: str = product, reason: str = reason) -> None:
            body = {"product": product, "until": until, "reason": reason}
            try:
                if server.client.post(f"/api/shops/{shop}/pause", json=body).is_success:
                    answered.add(reason)
            except httpx2.TransportError:
                pass

        writer = threading.Thread(target=decide)
        writer.start()
        time.sleep(draw.uniform(0, 0.25))
        server.process.kill()
        writer.join()
        server.end(signal.SIGKILL)
    log = list(verify(folder / "checkpoints" / shop / "decisions.jsonl").entries)
    written = [entry["reason"] for entry in log if entry["kind"] == "pause" and entry["reason"].startswith("decision ")]
    return {
        "kills": kills,
        "answered": len(answered),
        "in the log": len(written),
        "lost": len(answered - {*written}),
        "doubled": len(written) - len({*written}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", required=True, help="folder with a shop that has been advised")
    parser.add_argument("--shop", required=True)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--kills", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "shop"
        shutil.copytree(options.folder, folder, symlinks=True)
        log = verify(folder / "checkpoints" / options.shop / "decisions.jsonl").entries
        last = max(entry["days"][0]["date"] for entry in log if entry["kind"] == "advice")
        until = (date.fromisoformat(last) + timedelta(days=5)).isoformat()
        server = Server(folder, last)
        print(f"first answer after {server.start:.1f} s")
        found = measure_load(server, options.shop, options.seconds, until)
        server.end()
        for kind, times in found.items():
            p50, p95 = 1000 * np.quantile(times, [0.5, 0.95])
            print(f"{kind}: {len(times)} in {options.seconds:g} s, median {p50:.0f} ms, 95 % within {p95:.0f} ms")
        after = verify(folder / "checkpoints" / options.shop / "decisions.jsonl").entries
        print(f"log verified: {len(after) - len(log)} entries for {len(found['write'])} answered writes")
        if options.kills:
            print(json.dumps(measure_kills(folder, options.shop, options.kills, last, until)))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
