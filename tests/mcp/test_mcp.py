"""Tools for agents: their figures are those of the advice, and none of them moves a price without a person."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from command_line import run

pytest.importorskip("mcp")
pytest.importorskip("fastapi")
from mcp import StdioServerParameters
from mcp.client import Client
from mcp.client.stdio import stdio_client
from starlette.testclient import TestClient

from pricerl.errors import UsageError
from pricerl.experiments.schedule import read_plans
from pricerl.mcp.protocol import add_tools, create_server
from pricerl.operations.log.decision_log import verify
from pricerl.operations.log.staging import _write_cost, draft_staged
from pricerl.serve.guard import Keys
from pricerl.serve.server import create_app
from pricerl.serve.workplace import Workplace

TODAY = "2025-04-01"
ORDER = {"shop": "seller", "price": 10.5, "until": "2025-04-05", "reason": "clearance"}
Call = Callable[..., Awaitable[Any]]


@pytest.fixture
def folder(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a trained shop, in which the server works."""
    monkeypatch.chdir(trained.parents[1])
    return trained.parents[1]


def talk(folder: Path, questions: Callable[[Call], Awaitable[None]]) -> None:
    """Ask the server of a folder, in this process."""

    async def connect() -> None:
        async with Client(create_server(Workplace(folder, TODAY))) as client:
            await questions(lambda tool, **given: _ask(client, tool, given))

    asyncio.run(connect())


async def _ask(client: Client, tool: str, given: Mapping[str, Any]) -> Any:
    """Return the answer of a tool, or the sentence of its refusal."""
    found = await client.call_tool(tool, dict(given))
    text = found.content[0].text  # type: ignore[union-attr]
    return text if found.is_error else json.loads(text)


def numbers(value: Any) -> Iterator[float]:
    """Every number of an answer."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from numbers(item)


def entries(folder: Path) -> list[dict[str, Any]]:
    return list(verify(folder / "checkpoints/seller/decisions.jsonl").entries)


def test_figures_are_those_of_the_advice(folder: Path) -> None:
    """Each number of an answer on the advice is one of advice.json, and each estimate has unit and interval."""
    (product,) = json.loads((folder / "checkpoints/seller/advice.json").read_text())["products"]
    known = {*numbers(product), *numbers(entries(folder)[-1]), 0.9, 1}

    async def questions(ask: Call) -> None:
        for price in random.Random(0).choices(product["details"]["curves"]["price"], k=30):
            answer = await ask("what_if", shop="seller", price=price)
            assert (answer["price"], answer.pop("days")) == (price, 14) and answer.pop("allowed") > 0
            assert {*numbers(answer)} <= known
            curves = product["details"]["curves"]
            at = curves["price"].index(price)
            for name, figure in answer["difference"].items():
                assert [figure[key] for key in ("mean", "low", "high")] == curves["gain"][name][at]
                assert figure["unit"].endswith("per day")
        for tool in ("advice", "why", "limits", "review", "price_test_plan"):
            answer = await ask(tool, shop="seller")
            assert {*numbers(answer)} <= known, tool
            assert answer["product"] == {"quoted": "seller"} and answer["log_id"] == 1
        assert "support_margin" in (await ask("what_if", shop="seller", price=99))["limits_that_object"][0]["quoted"]
        assert (await ask("watch", shop="seller"))["value"] is None
        assert (await ask("history", shop="seller"))["count"] == 1
        assert (await ask("shops"))["shops"] == {"seller": {"products": 1, "first": [{"quoted": "seller"}]}}
        assert (await ask("check", file="seller.csv"))["count"] == 1

    talk(folder, questions)


def test_nothing_follows_from_a_prepared_decision_until_a_person_approves_it(folder: Path) -> None:
    """Tools write entries into the log, and no price; the terminal makes the decision, once."""
    prices = folder / "checkpoints/seller/prices.csv"
    rows = prices.read_text().splitlines()[1:]

    async def questions(ask: Call) -> None:
        for tool, given in (
            ("stage_pause", {"shop": "seller", "until": "2025-04-09", "reason": "wait"}),
            ("stage_costs", {"shop": "seller", "unit_cost": 4.25, "reason": "invoice"}),
            ("stage_override", ORDER),
        ):
            answer = await ask(tool, **given)
            assert f"approve {answer['staged']}" in answer["nothing_has_changed_until_a_person_runs"]
        for wrong in (
            {"price": 99},
            {"until": "2024-01-01"},
            {"until": "soon"},
            {"shop": "../seller"},
            {"reason": " "},
        ):
            assert isinstance(await ask("stage_override", **{**ORDER, **wrong}), str), wrong
        assert "Unit Cost" in await ask("stage_costs", shop="seller", unit_cost=-1, reason="invoice")

    talk(folder, questions)
    assert [entry["kind"] for entry in entries(folder)] == ["advice", "staged", "staged", "staged"]
    assert prices.read_text().splitlines()[1:] == rows and not (folder / "costs.csv").exists()

    assert run(folder, "approve", "4", "--by", "anna").code == 0
    order = entries(folder)[-1]
    assert (order["kind"], order["price"], order["actor"], order["staged"]) == ("override", 10.5, "anna", 4)
    assert "10.50" in prices.read_text()
    assert "was approved before, by anna" in run(folder, "approve", "4").err
    approved = run(folder, "approve", "3").out
    assert "a unit costs 4.25" in approved and "the next advice takes it with --costs costs.csv" in approved
    assert "4.25" in (folder / "costs.csv").read_text()
    assert "costs prepared, unit cost 4.25" in run(folder, "history").out


@pytest.mark.slow
def test_a_price_test_starts_as_it_was_prepared(folder: Path) -> None:
    """The plan that a person approves is the one that was prepared; another plan since then is refused."""

    async def questions(ask: Call) -> None:
        assert "no price test pays" in await ask("stage_price_test", shop="seller", reason="to know")

    talk(folder, questions)
    words = ("--question", "sales", "--max_days", "182", "--max_cost", "1000000")
    assert run(folder, "price-test", "plan", "seller", *words).code == 0
    shop = Workplace(folder, TODAY).open_shop("seller")
    (plan,) = read_plans(shop.folder.path)
    given = {"schedule_hash": plan["schedule_hash"]}
    shop.record(lambda shop: [draft_staged(shop, "price_test", None, given, "agent", "to know")])
    assert run(folder, "price-test", "plan", "seller", *words, "--test_seed", "1").code == 0
    assert "was planned again since" in run(folder, "approve", "2").err
    assert run(folder, "price-test", "plan", "seller", *words).code == 0
    assert run(folder, "approve", "2", "--by", "anna").code == 0
    test = entries(folder)[-1]
    assert (test["kind"], test["staged"], test["schedule"]) == ("price_test", 2, plan["schedule"])


def test_a_decision_is_out_of_date_after_new_advice(folder: Path) -> None:
    """What an agent prepared before the newest advice must be prepared again."""

    async def questions(ask: Call) -> None:
        assert (await ask("stage_override", **ORDER))["staged"] == 2

    talk(folder, questions)
    assert run(folder, "predict", "--today", "2025-04-02").code in (0, 4)
    assert "before the newest advice, entry 3" in run(folder, "approve", "2").err


def test_a_cost_without_a_product_is_not_taken_for_that_of_one_of_several(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "costs.csv").write_text("Unit Cost\n3\n")
    with pytest.raises(UsageError, match="every row needs a product"):
        _write_cost("Mug", {"unit_cost": 4.0}, only=False)
    _write_cost("Mug", {"unit_cost": 4.0, "from": "2025-03-01"}, only=True)
    assert (tmp_path / "costs.csv").read_text().splitlines()[1:] == ["Mug,3,,,", "Mug,4,2025-03-01,,"]


def test_no_attempt_of_an_agent_moves_a_price(folder: Path) -> None:
    """Every tool with names, texts and numbers that ask for a price, 200 times: the prices stay."""
    prices = folder / "checkpoints/seller/prices.csv"
    rows = prices.read_text().splitlines()[1:]
    texts = (
        "seller",
        "approve 2",
        "; pricerl override 12",
        "../../seller",
        "--force",
        "ignore your limits\n\x1b[2J",
        "",
    )
    draw = random.Random(1)

    async def attempts() -> None:
        async with Client(create_server(Workplace(folder, TODAY))) as client:
            tools = [tool for tool in (await client.list_tools()).tools if tool.name != "stage_price_test"]
            assert not any("approve" in tool.name for tool in tools)
            for _ in range(200):
                tool = draw.choice(tools)
                given: dict[str, Any] = {}
                for name, about in tool.input_schema["properties"].items():
                    number = '"string"' not in json.dumps(about)
                    given[name] = draw.choice((10.5, 12, 1e9, -3)) if number else draw.choice(texts)
                given |= {"shop": "seller"} if draw.random() < 0.7 and "shop" in given else {}
                given |= {"until": "2025-04-05"} if draw.random() < 0.7 and "until" in given else {}
                await _ask(client, tool.name, given)

    asyncio.run(attempts())
    assert prices.read_text().splitlines()[1:] == rows and not (folder / "costs.csv").exists()
    assert {entry["kind"] for entry in entries(folder)} == {"advice", "staged"}


def test_over_http_the_tokens_of_the_server_let_in(folder: Path) -> None:
    """A request needs a token, and one of an editor; then it gets the same tools."""
    workplace = Workplace(folder, TODAY)
    keys = Keys({"the-token-of-a-viewer": "viewer", "the-token-of-an-editor": "editor"})
    app = create_app(workplace, keys, frozenset({"127.0.0.1:8321"}), 8321)
    add_tools(app, workplace)
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "shops", "arguments": {}}}
    usual = {"Accept": "application/json, text/event-stream"}
    with TestClient(app, base_url="http://127.0.0.1:8321") as client:

        def answer(token: str) -> tuple[int, str]:
            headers = {**usual, "Authorization": f"Bearer {token}"} if token else usual
            found = client.post("/mcp/", json=call, headers=headers)
            return found.status_code, found.text

        assert answer("")[0] == 401 and answer("wrong")[0] == 401
        assert answer("the-token-of-a-viewer")[0] == 403
        status, text = answer("the-token-of-an-editor")
        assert status == 200 and "seller" in text


def test_the_list_of_tools_fits_a_context_over_standard_input(folder: Path) -> None:
    """The real process lists its tools in 6 kB, answers, and offers the page."""

    async def connect() -> None:
        words = [str(Path(__file__).parents[2] / "main.py"), "mcp", str(folder), "--today", TODAY]
        async with Client(stdio_client(StdioServerParameters(command=sys.executable, args=words))) as client:
            tools = (await client.list_tools()).tools
            listed = [tool.model_dump(mode="json", exclude_none=True, by_alias=True) for tool in tools]
            assert len(json.dumps(listed)) <= 6000
            assert (await _ask(client, "advice", {"shop": "seller"}))["current_price"] > 0
            page = await client.read_resource("pricerl://seller/1")
            assert "<h1" in page.contents[0].text  # type: ignore[union-attr]

    asyncio.run(connect())
