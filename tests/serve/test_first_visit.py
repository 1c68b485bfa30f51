"""A first visit and the next week, with a real server and real requests."""

from __future__ import annotations

import json
import re
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_line import run
from served_shop import served

from pricerl.operations.log.decision_log import verify

pytest.importorskip("fastapi")
httpx = pytest.importorskip("httpx2" if sys.version_info >= (3, 11) else "httpx")

FIRST_PAGE = 3.0
"""Seconds of computing from the command to the first page, at most; the clock's are more if others compute, too."""


@contextmanager
def visited(folder: Path, today: str) -> Iterator[Any]:
    """A browser's session with a server."""
    with served(folder, today) as opened:
        address, _, token = opened.partition("/?token=")
        with httpx.Client(base_url=address, follow_redirects=True, timeout=60) as client:
            client.get("/", params={"token": token})
            page = client.get("/")
            assert page.status_code == 200
            client.headers["Origin"] = address
            client.headers["X-CSRF-Token"] = re.findall(r'name="csrf" content="(\w+)"', page.text)[0]
            yield client


def get(client: Any, path: str) -> Any:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer


def send(client: Any, method: str, path: str, **body: Any) -> Any:
    answer = client.request(method, path, **body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def follow(client: Any, job: int) -> list[str]:
    """Follow a job to its end, and return its lines."""
    with client.stream("GET", f"/api/jobs/{job}/events") as events:
        found = [json.loads(line[6:]) for line in events.iter_lines() if line.startswith("data: ")]
    assert found[-1]["answered"] and found[-1]["leads_to"] == "/shops/garlic", found
    return found[:-1]


def upload(client: Any, lines: list[str]) -> None:
    assert send(client, "POST", "/api/files", files=[("files", ("garlic.csv", "\n".join(lines)))]) == ["garlic.csv"]


@pytest.mark.slow
def test_the_first_page_of_an_empty_folder_takes_less_than_three_seconds(tmp_path: Path) -> None:
    def computed() -> float:
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        return spent.ru_utime + spent.ru_stime

    before = computed()
    with visited(tmp_path, "2026-01-01"):
        pass
    assert 0.1 < computed() - before < FIRST_PAGE


@pytest.mark.slow
def test_a_first_visit_and_the_next_week(tmp_path: Path) -> None:
    seller = ("--market", "linear", "--days", "365", "--units", "60", "--seed", "1")
    assert run(tmp_path, "simulate", "--out", "made.csv", *seller).code == 0
    lines = (tmp_path / "made.csv").read_text(encoding="utf-8").splitlines()
    folder = tmp_path / "shops"
    folder.mkdir()
    with visited(folder, "2025-12-25") as client:
        upload(client, [line for line in lines if not "2025-12-25" <= line[:10] < "2026"])
        assert "30.37" in get(client, "/files?name=garlic.csv").text
        send(client, "PUT", "/api/costs", json={"rows": [{"product": "garlic", "unit_cost": 14}]})
        asked = {"files": ["garlic.csv"], "limits": {"max_change": 0.04}}
        said = follow(client, send(client, "POST", "/api/advise", json=asked)["job"])
        assert any("deciding on the prices" in line for line in said)
        listed, page = (get(client, f"/shops/garlic{path}").text for path in ("", "/products/garlic"))
        assert ">Approve<" in listed and "prices.csv" in listed
        assert 'id="slider"' in page and ">Approve " in page and "Undo" not in page
        advice = get(client, "/api/shops/garlic/products/garlic").json()
        price = advice["recommended_price"]
        assert price == pytest.approx(1.04 * 30.37, abs=0.01)
        approved = send(client, "POST", "/api/shops/garlic/approve", json={"by": "anna"})
        assert (approved["price"], approved["actor"]) == (price, "anna")
        assert ">Undo the approval<" in get(client, "/shops/garlic/products/garlic").text
        assert send(client, "POST", "/api/shops/garlic/resume", json={})["ends"] == approved["id"]
        send(client, "POST", "/api/shops/garlic/approve", json={"by": "anna"})
        assert f",{price:.2f}," in get(client, "/shops/garlic/prices.csv").text
    charged = [f"2025-12-{day},{price},,,,{44 * price:.2f}," for day in range(28, 32)]
    with visited(folder, "2026-01-01") as client:
        upload(client, [*(line for line in lines if line[:10] < "2025-12-28" or line[:1] == "R"), *charged])
        said = follow(client, send(client, "POST", "/api/shops/garlic/week", json={"files": ["garlic.csv"]})["job"])
        assert any("of the last 7 advised days at the advised price" in line for line in said)
        assert "at the advised price" in get(client, "/shops/garlic/review").text
        newest = get(client, "/api/shops/garlic/products/garlic").json()
        assert newest["current_price"] == price and len(newest["track_record"]["days"]) >= 4
        kinds = [entry["kind"] for entry in verify(folder / "checkpoints/garlic/shop.db").entries]
        assert kinds == ["advice", "approval", "resume", "approval", "advice"]
