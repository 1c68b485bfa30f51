"""Time of the server's answers on a shop of 1,000 products, with 50 readers and 5 writers.

    python benchmarks/counter.py

The shop has the advice on one simulated product under 1,000 names. A reader opens a page, then waits 2 s on average as
people do; a writer charges another price for a product and takes that back. Printed are number, median and 95 % time
of the answers per route, in milliseconds.
"""

from __future__ import annotations

import http.client
import json
import random
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from runner import MAIN, measure, read_options, served

from pricerl.advice.stored import StoredAdvice
from pricerl.operations.exports import Publication, read_advice, read_publication
from pricerl.operations.log.orders import ADVICE
from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder
from pricerl.shop.database import reading

TODAY = "2025-05-11"
READERS, WRITERS, PAUSE = 50, 5, 2.0
PAGES = ("/", "/shops/shop", "/shops/shop/products/{name}", "/shops/shop/history", "/shops/shop/settings")
PAGES += ("/api/shops/shop/products/{name}", "/api/shops/shop/outbox", "/shops/shop/review")
Times = dict[str, list[float]]


def make_shop(folder: Path, count: int) -> tuple[list[str], float]:
    """Advise on one simulated product, store that under many names, and return these and its price."""
    seller = "--out shop.csv --days 130 --market linear --units 60 --seed 1"
    measure([str(MAIN), "simulate", *seller.split()], folder)
    measure([str(MAIN), "advise", "shop.csv", "--run_name", "shop", "--today", TODAY], folder)
    shop = Shop.open(RunFolder(folder / "checkpoints/shop"), TODAY)
    (entry,) = (entry for entry in shop.entries() if entry["kind"] == ADVICE)
    product = entry["product"]
    with reading(shop.log_path) as database:
        publication = read_publication(database)
        (advice,) = read_advice(database)
    assert isinstance(publication, Publication)
    publication = publication._replace(about=publication.about._replace(source="copies.csv"))  # its tables are new
    record = json.loads(advice.record)
    names = [f"{product} {number:04d}" for number in range(count - 1)]
    own = {key: value for key, value in entry.items() if key not in ("id", "previous", "hash", "format")}
    fresh = [(StoredAdvice.of({**record, "product": name}, publication.formatter), TODAY) for name in names]
    shop.record(lambda _: [{**own, "product": name} for name in names], publication, fresh)
    return names, record["current_price"]


class Visitor:
    """A connection of a token, and the times of its answers by route."""

    def __init__(self, address: str, token: str, times: Times) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.times = times

    def ask(self, route: str, path: str, body: object = None) -> None:
        """Send a request and note the time until its whole answer has come; another status than 200 is an error."""
        begun = time.perf_counter()
        sent = None if body is None else json.dumps(body)
        self.connection.request("GET" if body is None else "POST", path, sent, self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        self.times[route].append(time.perf_counter() - begun)
        if answer.status != 200:
            raise SystemExit(f"{route}: {answer.status} {text[:200]!r}")


def visit(visitor: Visitor, names: list[str], price: float, until: float, number: int) -> None:
    """Read pages, or charge another price and take it back, with pauses, until a time."""
    draw = random.Random(number)
    writes = number < WRITERS
    while time.perf_counter() < until:
        time.sleep(draw.uniform(0, 2 * PAUSE))
        name = names[number] if writes else draw.choice(names)
        if writes:
            order = {"product": name, "price": price, "until": "2025-05-20", "reason": "trial", "force": True}
            visitor.ask("override", "/api/shops/shop/override", order)
            visitor.ask("resume", "/api/shops/shop/resume", {"product": name})
        else:
            page = draw.choice(PAGES)
            visitor.ask(page, page.format(name=name.replace(" ", "%20")))


def measure_answers(folder: Path, names: list[str], price: float, seconds: float) -> Times:
    """Serve a folder, let readers and writers in, and return the times of the answers by route."""
    times: Times = defaultdict(list)
    with served(folder, TODAY) as (address, token):
        for page in PAGES:  # first answers fill caches and are not counted
            Visitor(address, token, defaultdict(list)).ask(page, page.format(name=names[0].replace(" ", "%20")))
        until = time.perf_counter() + seconds
        people = [
            threading.Thread(target=visit, args=(Visitor(address, token, times), names, price, until, at))
            for at in range(READERS + WRITERS)
        ]
        for person in people:
            person.start()
        for person in people:
            person.join()
    return times


if __name__ == "__main__":
    options = read_options(__doc__, products=1000, seconds=30.0)
    with tempfile.TemporaryDirectory() as place:
        made = make_shop(Path(place), options.products)
        for route, found in sorted(measure_answers(Path(place), *made, options.seconds).items()):
            middle, most = 1000 * np.quantile(found, [0.5, 0.95])
            print(f"{route:34} {len(found):5d} {middle:8.1f} {most:8.1f}")
