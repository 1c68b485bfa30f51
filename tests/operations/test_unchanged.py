"""Products about which nothing is new keep their advice: it is what the whole computation would return."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from command_line import FAST, Result, run, seller_lines, write_lines

from pricerl.advice.files import Stored
from pricerl.decide.account import DAYS_PER_QUARTER
from pricerl.operations.log import unchanged
from pricerl.operations.log.decision_log import LOG_FILE, Entry, read_log
from pricerl.training.saved_policy import SavedPolicy

NAMES = ("mug", "bowl", "jug")
LAST = date(2025, 3, 31)
"""Last day of every history at first."""


def predict(folder: Path, today: date, *words: str) -> Result:
    result = run(folder, "predict", "--today", today.isoformat(), "--trainer.enable_progress_bar=false", *words)
    assert result.code in (0, 4), result.err
    return result


def write_rows(folder: Path, days: dict[str, int]) -> None:
    """Write a file with as many days of each product."""
    parts = [seller_lines(days[name], product=name, seed=seed, columns=3) for seed, name in enumerate(NAMES)]
    write_lines(folder / "shop.csv", [parts[0][0], *(line for part in parts for line in part[1:])])


def newest(folder: Path) -> dict[str, Entry]:
    return {
        entry["product"]: entry for entry in read_log(folder / "checkpoints/shop" / LOG_FILE).entries[-len(NAMES) :]
    }


def kept(folder: Path) -> set[str]:
    return {name for name, entry in newest(folder).items() if entry.get("kept")}


def content(folder: Path) -> tuple[list[Any], list[str]]:
    """Advice and charged prices, without what names log entries."""
    published = folder / "checkpoints/shop"
    products = json.loads((published / "advice.json").read_text(encoding="utf-8"))["products"]
    rows = [line.rpartition(",")[0] for line in (published / "prices.csv").read_text().splitlines()]
    return [{**product, "previous": None} for product in products], rows


@pytest.fixture(scope="module")
def advised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue that was trained and then advised with a day more, so that its accounts are open."""
    folder = tmp_path_factory.mktemp("catalogue")
    write_rows(folder, dict.fromkeys(NAMES, 90))
    words = ["--data.path", "shop.csv", "--run_name", "shop", "--data.cost.unit_cost", "4", *FAST]
    result = run(folder, "fit", "--today", "2025-04-01", *words)
    assert result.code in (0, 4), result.err
    write_rows(folder, dict.fromkeys(NAMES, 91))
    predict(folder, LAST + timedelta(days=2))
    assert not kept(folder) and all("account" in entry for entry in newest(folder).values())
    return folder


@pytest.fixture
def shop(advised: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(advised, tmp_path / "shop", symlinks=True))


@pytest.fixture
def computed() -> Iterator[Callable[[Path, date], tuple[list[Any], list[str]]]]:
    """Function that advises on all products of a copy of a shop, whatever is new, and returns the content."""

    def compute(folder: Path, today: date) -> tuple[list[Any], list[str]]:
        whole = Path(shutil.copytree(folder, folder.parent / "whole", symlinks=True))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pricerl.tasks.advise.find_unchanged", lambda *_: {})
            predict(whole, today)
        assert not kept(whole)
        return content(whole)

    yield compute


def test_a_night_computes_the_products_with_new_rows_and_keeps_what_the_whole_computation_returns(
    shop: Path, computed
) -> None:
    write_rows(shop, {**dict.fromkeys(NAMES, 91), "jug": 92})
    before = newest(shop)
    night = LAST + timedelta(days=3)
    expected = computed(shop, night)
    result = predict(shop, night)
    after = newest(shop)
    assert kept(shop) == {"mug", "bowl"}
    assert "nothing is new for 2 of 3 products: the last advice stands" in result.err
    assert content(shop) == expected
    for name in ("mug", "bowl"):
        entry = after[name]
        assert (entry["kept"], entry["seen"], entry["today"]) == (before[name]["id"], 6, night.isoformat())
        assert entry["account"]["days_left"] == before[name]["account"]["days_left"] - 1
        assert entry["days"] == before[name]["days"]


def test_the_same_day_again_keeps_everything_and_names_the_advice_that_was_computed(shop: Path) -> None:
    before, today = content(shop), LAST + timedelta(days=2)
    first = newest(shop)
    for _ in range(2):
        predict(shop, today)
        assert {name: entry["kept"] for name, entry in newest(shop).items()} == {
            name: entry["id"] for name, entry in first.items()
        }
        assert content(shop) == before


def test_nothing_stands_that_code_of_the_users_own_has_computed(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SavedPolicy, "__module__", "my_shop.learner")
    predict(shop, LAST + timedelta(days=2))
    assert not kept(shop)


@pytest.mark.parametrize(
    ("change", "fresh"),
    [
        (["override", "--product", "mug", "--price", "10", "--until", "2025-04-09", "--reason", "try"], {"mug"}),
        (["predict", "--decision.min_chance", "0.8", "--today", "2025-04-02"], set()),
    ],
    ids=["an order", "a setting"],
)
@pytest.mark.slow
def test_an_order_is_new_and_a_changed_setting_only_once(shop: Path, change: list[str], fresh: set[str]) -> None:
    assert run(shop, *change).code in (0, 4)
    assert not kept(shop)
    today = LAST + timedelta(days=2)
    predict(shop, today)
    assert kept(shop) == set(NAMES) - fresh
    predict(shop, today)
    assert kept(shop) == set(NAMES), "the order is part of the advice that stands on this day"
    predict(shop, today + timedelta(days=1))
    assert not fresh & kept(shop), "the order may end on any later day"


def test_another_setting_and_a_related_product_are_computed(shop: Path) -> None:
    today = LAST + timedelta(days=2)
    predict(shop, today, "--decision.loss_weight", "2")
    assert not kept(shop)
    line = json.dumps([{"kind": "one_price", "products": ["mug", "jug"]}])
    for _ in range(2):
        predict(shop, today, "--data.guardrails.relations", line)
        found = kept(shop)
    assert found == {"bowl"}


@pytest.mark.slow
def test_a_new_week_of_the_quarter_and_a_new_quarter_are_computed(shop: Path) -> None:
    for days, stand in ((7, True), (8, False), (8, True)):
        predict(shop, LAST + timedelta(days=days))
        assert bool(kept(shop)) == stand
    for days in (DAYS_PER_QUARTER, DAYS_PER_QUARTER + 1):
        predict(shop, LAST + timedelta(days=days))
        assert not kept(shop)


@pytest.mark.parametrize("damage", ['{"format": 5}', "[]", "", None])
def test_a_published_document_that_is_damaged_or_not_of_the_log_is_not_trusted(shop: Path, damage: str | None) -> None:
    path = shop / "checkpoints/shop/advice.json"
    head, first, *others = path.read_text(encoding="utf-8").splitlines()
    product = json.loads(first[:-1])
    product["days"][0]["recommended_price"] += 0.01
    path.write_text("\n".join([head, f"{json.dumps(product)},", *others, ""]) if damage is None else damage)
    predict(shop, LAST + timedelta(days=2))
    assert kept(shop) == (set(NAMES) - {NAMES[0]} if damage is None else set())


def test_an_advice_outlasts_the_days_of_a_week_of_its_quarter() -> None:
    account = {"opened": "2025-03-31", "price": 10.0}
    advice = {"account": {"account": account, "days_left": 80}}
    calm = Stored("mug", [], None, None, {}, None)
    last = date(2025, 3, 31) + timedelta(days=DAYS_PER_QUARTER - 78)
    lasts = unchanged._outlasts
    assert lasts(advice, calm, last) and not lasts(advice, calm, last + timedelta(days=1))
    assert not lasts(advice, calm, date(2025, 6, 30)), "its quarter is over"
    assert lasts({}, calm, date(2025, 6, 30))
    assert not lasts(advice, msgspec.structs.replace(calm, alarm={"days": 3}), last)
    assert not lasts(advice, msgspec.structs.replace(calm, stock={"orders": []}), last)
