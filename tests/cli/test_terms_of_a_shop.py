"""Publishing and limits belong to a shop: every command keeps them, and says what it changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from advice_outputs import lowering_policy
from command_line import FAST, Result, entries_of, run, write_lines

from pricerl.operations.log.drafts import draft_limits, draft_publishing
from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder
from pricerl.tasks import advise

QUIET = ("--trainer.enable_progress_bar", "false")
FREE = ("--decision.min_chance", "0")


@pytest.fixture
def folder(trained: Path) -> Path:
    return trained.parents[1]


def ok(folder: Path, *words: str) -> Result:
    with lowering_policy():
        result = run(folder, *words)
    assert result.code in (0, 4), result.err
    return result


def shop(folder: Path) -> Shop:
    return Shop.open(RunFolder(folder / "checkpoints/seller"), "2025-04-01")


def charged(folder: Path) -> list[float]:
    return [row.price for row in shop(folder).outbox.rows]


def newest(folder: Path) -> dict[str, Any]:
    return shop(folder).newest["seller"]


def test_a_manual_shop_stays_manual_until_a_person_says_otherwise(folder: Path) -> None:
    ok(folder, "predict", "--decision.approval", "manual", *FREE, *QUIET)
    assert [entry["kind"] for entry in entries_of(folder)] == ["advice", "publishing", "advice"]
    ok(folder, "predict", *QUIET)
    fit = ("fit", "--data.path", "seller.csv", "--run_name", "seller", *FAST, *FREE)
    ok(folder, *fit)
    assert (shop(folder).publishing, charged(folder)) == ("manual", []) and entries_of(folder)[-1]["command"] == "fit"
    assert newest(folder)["terms"]["approval"] == "manual"
    assert json.loads((folder / "checkpoints/seller/advice.json").read_text())["approval"] == "manual"
    looser = ok(folder, "predict", "--config", json.dumps({"decision": {"approval": "auto"}}), *QUIET)
    assert "publishing: manual → auto" in looser.err and charged(folder) == [9.5]
    *_, entry, _ = shop(folder).log.entries
    assert (entry["mode"], entry["instead_of"], entry["reason"]) == ("auto", "manual", "--decision.approval auto")
    assert "publishing" not in ok(folder, "predict", "--decision.approval", "auto", *QUIET).err


def test_every_command_keeps_the_limits_of_the_shop_and_typed_ones_change_them_alone(folder: Path) -> None:
    own = {"floor": 8.0, "ceiling": 20.0, "price_ladder": [9.5, 9.75, 10.0, 10.5]}
    ok(folder, "predict", "--config", json.dumps({"data": {"guardrails": own}}), *FREE, *QUIET)
    (entry,), _ = shop(folder).record(lambda now: [draft_limits(now, {"floor": 9.6}, "anna", "brand")])
    assert (charged(folder), entry["limits"]) == ([], {"floor": 9.6})
    ok(folder, "predict", *QUIET)
    kept = {**own, "floor": 9.6}
    assert charged(folder) == [9.75] and newest(folder)["terms"]["guardrails"] == kept
    write_lines(folder / "guardrails.yaml", ["data: {guardrails: {floor: 33}}"])
    ok(folder, "fit", "--data.path", "seller.csv", "--run_name", "seller", *FAST, *FREE)
    assert newest(folder)["terms"]["guardrails"] == kept
    ok(folder, "predict", "--data.guardrails.floor", "null", *QUIET)
    assert newest(folder)["terms"]["guardrails"] == {name: kept[name] for name in ("ceiling", "price_ladder")}


def test_limits_typed_and_publishing_tightened_during_an_advice_hold(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = advise.make_advice

    def interrupted(*args: Any, **options: Any) -> Any:
        made = make(*args, **options)
        drafts = [
            draft_limits(shop(folder), {"floor": 9.8}, "anna", ""),
            draft_publishing(shop(folder), "manual", "anna", ""),
        ]
        shop(folder).record(lambda _: drafts)
        return made

    monkeypatch.setattr(advise, "make_advice", interrupted)
    ok(folder, "predict", *FREE, *QUIET)
    monkeypatch.undo()
    assert [entry["kind"] for entry in entries_of(folder)[1:]] == ["limits", "publishing", "advice"]
    assert (shop(folder).publishing, shop(folder).guardrails["floor"], charged(folder)) == ("manual", 9.8, [])
    ok(folder, "predict", *QUIET)
    assert newest(folder)["days"][0]["price"] == 9.8 and charged(folder) == []
    ok(folder, "approve")
    assert charged(folder) == [9.8]


def test_an_advice_from_an_editors_files_waits_until_it_is_approved_or_files_are_named(folder: Path) -> None:
    named = ("predict", "--data.path", "seller.csv", "--run_name", "seller", *FREE, *QUIET)
    ok(folder, *named, "--waits", "editor")
    assert charged(folder) == [] and "as an editor asked for this advice" in shop(folder).outbox.notes[0]
    ok(folder, "predict", *QUIET)
    ok(folder, "predict", "--horizon", "7", *QUIET)
    assert charged(folder) == [] and newest(folder)["terms"]["waits"] == "editor"
    ok(folder, *named)
    assert charged(folder) == [9.5]
    ok(folder, *named, "--waits", "editor", "--horizon", "7")
    ok(folder, "approve")
    assert charged(folder) == [9.5]


def test_limits_of_a_shop_of_an_older_version_are_those_of_its_checkpoint_and_its_log(folder: Path) -> None:
    ok(folder, "predict", "--data.guardrails.floor", "8", *QUIET)
    state = shop(folder)
    (entry,) = [item for item in state.log.entries if item["id"] == 2]
    for name in ("guardrails", "since"):
        entry["terms"].pop(name)
    assert state.guardrails["floor"] == 8 and state.guardrails["max_change"] == 0.05


def test_a_marketplace_that_hides_dear_offers_limits_the_price_until_somebody_says_otherwise(tmp_path: Path) -> None:
    header = "amazon-order-id,purchase-date,order-status,sku,asin,quantity,item-price,currency"
    days = np.datetime64("2025-01-01") + np.arange(70)
    orders = [f"{at},{day},Shipped,seller,B0,{2 + at % 3},{20 + 2 * at},EUR" for at, day in enumerate(days)]
    write_lines(tmp_path / "seller.csv", [header, *orders])
    said = ok(tmp_path, "fit", "--data.path", "seller.csv", "--run_name", "seller", *FAST)
    assert "Amazon may hide an offer far above its recent prices, so advice stays at most 20 % above" in said.err
    assert newest(tmp_path)["terms"]["guardrails"]["max_above_median"] == 0.2
    ok(tmp_path, "predict", "--data.guardrails.ceiling", "200", *QUIET)
    assert newest(tmp_path)["terms"]["guardrails"]["max_above_median"] == 0.2
    own = ("--data.path", "seller.csv", "--data.guardrails.max_above_median", "0.5")
    assert "may hide" not in ok(tmp_path, "predict", *own, *QUIET).err
    assert newest(tmp_path)["terms"]["guardrails"]["max_above_median"] == 0.5
