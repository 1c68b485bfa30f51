"""Load on `pricerl serve`: kills between a decision and its log entry, then clients that read and decide at once.

    python benchmarks/serve_load.py [--products 1 1000] [--seconds 120] [--kills 200]

Sellers with these numbers of products are simulated and advised with few updates. The kills hit the first. Printed
are what its log holds afterwards, and per seller the times of reads and writes and the memory of the server.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from runner import MAIN, measure, read_options

from pricerl.operations.log.decision_log import LOG_FILE, verify

READERS, WRITERS = 50, 5
PAUSES = {"read": 1.0, "write": 5.0}
"""Mean seconds between the answer to a client and its next request."""
LONGEST_PAUSE = 4.0
"""Seconds until a client opens a new connection; the server closes one that is idle for 5 s."""
SELLER = ("--market", "linear", "--days", "120", "--units", "60", "--seed", "1")
TODAY = "2025-05-01"
"""Day after the last of a seller."""
UNTIL = "2025-05-10"
CHEAP = (
    *("--model.network.hidden", "[32,32]", "--model.algorithm.warmup_steps", "256", "--trainer.max_steps", "20"),
    *("--data.eval_every", "20", "--data.market.num_draws", "16", "--data.num_envs", "16"),
    *("--model.algorithm.actor_horizon", "0", "--trainer.enable_progress_bar", "false"),
    *("--decision.min_chance", "0", "--decision.approval", "manual", "--data.cost.unit_cost", "14"),
)
"""Settings that advise at once, and leave changes to approve."""


def advise(folder: Path, products: int) -> str:
    """Simulate and advise a seller with some number of products, and return the name of the shop."""
    shop = f"seller-{products}"
    simulate = ["simulate", "--out", f"{shop}.csv", "--products", str(products), *SELLER]
    for words in (simulate, ["fit", "--data.path", f"{shop}.csv", "--run_name", shop, "--today", TODAY, *CHEAP]):
        measure([str(MAIN), *words], folder)
    return shop


class Server:
    """A server process of a folder."""

    def __init__(self, folder: Path, today: str = TODAY) -> None:
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


def measure_load(server: Server, shop: str, seconds: float) -> dict[str, list[float]]:
    """Return the seconds of each read and each write of clients; products are read and paused at random."""
    products = [item["product"] for item in server.client.get(f"/api/shops/{shop}").json()["products"]]
    paths = ("/", "/shops/{}", "/shops/{}/products/{}", "/api/shops/{}/outbox", "/shops/{}/history")
    end = time.monotonic() + seconds
    found: dict[str, list[float]] = {"read": [], "write": []}
    cookie = httpx2.Client(base_url=server.url, timeout=60).get(f"/?token={server.token}").headers["set-cookie"]

    def act(kind: str, number: int) -> None:
        draw = random.Random(number)
        lasts = httpx2.Limits(keepalive_expiry=LONGEST_PAUSE)
        with httpx2.Client(base_url=server.url, timeout=60, limits=lasts) as client:
            while time.monotonic() < end:
                begun = time.perf_counter()
                if kind == "read":
                    path = draw.choice(paths).format(shop, draw.choice(products))
                    answer = client.get(path, headers={"Cookie": cookie.partition(";")[0]})
                else:
                    body = {"product": draw.choice(products), "until": UNTIL, "reason": "load", "by": str(number)}
                    headers = {"Authorization": f"Bearer {server.token}"}
                    answer = client.post(f"/api/shops/{shop}/pause", json=body, headers=headers)
                found[kind].append(time.perf_counter() - begun)
                answer.raise_for_status()
                time.sleep(draw.expovariate(1 / PAUSES[kind]))

    kinds = ["read"] * READERS + ["write"] * WRITERS
    with concurrent.futures.ThreadPoolExecutor(len(kinds)) as pool:
        for done in [pool.submit(act, kind, number) for number, kind in enumerate(kinds)]:
            done.result()
    return found


def report_load(folder: Path, shop: str, seconds: float) -> None:
    """Print the times of reads and writes, the memory of the server, and whether the log holds every write."""
    log = folder / "checkpoints" / shop / LOG_FILE
    before = len(verify(log).entries)
    server = Server(folder)
    print(f"{shop}: first answer after {server.start:.1f} s")
    found = measure_load(server, shop, seconds)
    memory = server.memory
    server.end()
    for kind, times in found.items():
        p50, p95 = 1000 * np.quantile(times, [0.5, 0.95])
        print(f"{kind}: {len(times)} in {seconds:g} s, median {p50:.0f} ms, 95 % within {p95:.0f} ms")
    written = len(verify(log).entries) - before
    print(f"log verified: {written} entries for {len(found['write'])} answered writes; memory {memory / 2**20:.0f} MiB")


def measure_kills(folder: Path, shop: str, kills: int) -> dict[str, Any]:
    """Kill the server while it records a decision; return how many were answered, in the log, and lost or doubled.

    Each decision pauses the only product, or ends the pause.
    """
    draw = random.Random(1)
    answered: set[str] = set()
    for number in range(kills):
        server = Server(folder)
        last = server.client.get(f"/api/shops/{shop}/history").json()[-1]["kind"]
        path = f"/api/shops/{shop}/{'resume' if last == 'pause' else 'pause'}"
        body = {"reason": f"decision {number}"} | ({} if last == "pause" else {"until": UNTIL})

        def decide(server: Server = server, path: str = path, body: dict[str, str] = body) -> None:
            try:
                server.client.post(path, json=body).raise_for_status()
                answered.add(body["reason"])
            except httpx2.TransportError:
                pass

        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            decided = pool.submit(decide)
            time.sleep(draw.uniform(0, 0.1))
            server.process.kill()
            decided.result()
        server.end(signal.SIGKILL)
    log = list(verify(folder / "checkpoints" / shop / LOG_FILE).entries)
    written = [entry["reason"] for entry in log if entry["reason"].startswith("decision ")]
    return {
        "kills": kills,
        "answered": len(answered),
        "in the log": len(written),
        "lost": len(answered - {*written}),
        "doubled": len(written) - len({*written}),
    }


def main() -> None:
    options = read_options(__doc__, products=[1, 1000], seconds=120.0, kills=200)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shops = [advise(folder, products) for products in options.products]
        print(json.dumps(measure_kills(folder, shops[0], options.kills)))
        for shop in shops:
            report_load(folder, shop, options.seconds)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
