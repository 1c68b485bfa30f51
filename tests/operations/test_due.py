"""Products about which nothing is new keep their advice: it is what the whole computation would return."""

from __future__ import annotations

import json
import shutil
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from categories import Category
from command_line import FAST, Result, edit, run, seller_lines, write_lines

from pricerl.advice.result import ProductAdvice
from pricerl.cli.loading import load_words
from pricerl.decide.account import DAYS_PER_QUARTER
from pricerl.decide.standing import Account
from pricerl.operations.catalogue import Advised
from pricerl.operations.log.decision_log import LOG_FILE, Entry, read_log
from pricerl.operations.log.due import ALWAYS, stands_until
from pricerl.runs.run import Run
from pricerl.tasks import advise as tasks
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
    entries = read_log(folder / "checkpoints/shop" / LOG_FILE).entries
    return {entry["product"]: entry for entry in entries if entry["kind"] == "advice"}


def fresh(folder: Path, today: date, *words: str) -> set[str]:
    """Advise, and return the products whose advice was recorded."""
    before = newest(folder)
    predict(folder, today, *words)
    return {name for name, entry in newest(folder).items() if entry != before[name]}


def content(folder: Path) -> tuple[list[Any], list[str]]:
    """Advice and charged prices, without what names log entries."""
    published = folder / "checkpoints/shop"
    products = json.loads((published / "advice.json").read_text(encoding="utf-8"))["products"]
    lines = (published / "prices.csv").read_text().splitlines()
    rows = [",".join(line.split(",")[:5]) for line in lines]
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
    assert fresh(folder, LAST + timedelta(days=2)) == set(NAMES)
    assert all(entry["account"] for entry in newest(folder).values())
    return folder


@pytest.fixture
def shop(advised: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(advised, tmp_path / "shop", symlinks=True))


def test_a_night_computes_the_products_with_new_rows_and_keeps_what_the_whole_computation_returns(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(shop, {**dict.fromkeys(NAMES, 91), "jug": 92})
    before, night = newest(shop), LAST + timedelta(days=3)
    whole = Path(shutil.copytree(shop, shop.parent / "whole", symlinks=True))
    with monkeypatch.context() as patched:
        patched.setattr("pricerl.tasks.load.find_due", lambda run, _: {*run.pricing.catalogue})
        assert fresh(whole, night) == set(NAMES)
    result = predict(shop, night)
    assert {name for name, entry in newest(shop).items() if entry != before[name]} == {"jug"}
    assert "nothing is new for 2 of 3 products: the last advice stands" in result.err
    assert content(shop) == content(whole)


def test_only_products_with_something_new_are_read_and_one_other(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rows(shop, {**dict.fromkeys(NAMES, 91), "jug": 92})
    monkeypatch.chdir(shop)
    data = load_words("predict", ["--today", (LAST + timedelta(days=3)).isoformat()], whole=False).pricing
    assert data.concerned == {"jug"} and set(data.preprocessor.names) == {"mug", "jug"}
    assert {*data.catalogue} == {*NAMES}, "the number of all decides what is computed of one"


@pytest.mark.slow
def test_a_category_is_decided_on_as_a_whole_while_its_products_replace_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    rows = Category.draw("logit", 3, 20.0, rng).sell(203, rng)
    other = rows[rows["Product"] == "p00"].assign(Product="cup", Group="")
    rows = pd.concat([rows, other]).sort_values("Report Date", kind="stable")
    days = sorted(rows["Report Date"].unique())
    rows[rows["Report Date"] < days[200]].to_csv(tmp_path / "shop.csv", index=False)
    assert run(tmp_path, "fit", "--today", days[200], "--data.path", "shop.csv", *FAST).code in (0, 4)
    category = {"p00", "p01", "p02"}

    def night(at: int, product: str) -> set[str]:
        """Advise after a day with rows of one product alone; return the products whose advice was recorded."""
        new = (rows["Report Date"] == days[at]) & (rows["Product"] == product)
        rows[new].to_csv(tmp_path / "new.csv", index=False)
        words = ("--data.path", "new.csv", "--run_name", "shop")
        return fresh(tmp_path, date.fromisoformat(days[200]) + timedelta(days=at - 199), *words)

    assert {name for name, entry in newest(tmp_path).items() if entry["category"]} == category
    assert night(200, "p00") == category
    monkeypatch.setattr("pricerl.evaluation.pricing_data.find_cross_effects", lambda *_: {})
    assert night(201, "p01") == category, "their advice counted each other"
    assert not any(entry["category"] for entry in newest(tmp_path).values())
    assert night(202, "p02") == {"p02"}


def test_the_same_day_again_records_nothing(shop: Path) -> None:
    before, today = content(shop), LAST + timedelta(days=2)
    for _ in range(2):
        assert fresh(shop, today) == set()
        assert content(shop) == before


def test_nothing_stands_that_code_of_the_users_own_has_computed(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SavedPolicy, "__module__", "my_shop.learner")
    assert fresh(shop, LAST + timedelta(days=2), "--verbose") == set(NAMES)


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        (["override", "--product", "mug", "--price", "10", "--until", "2025-04-09", "--reason", "try"], {"mug"}),
        (["predict", "--decision.min_chance", "0.8", "--today", "2025-04-02"], set()),
    ],
    ids=["an order", "a setting"],
)
@pytest.mark.slow
def test_an_order_is_new_and_a_changed_setting_only_once(shop: Path, change: list[str], changed: set[str]) -> None:
    before = newest(shop)
    assert run(shop, *change).code in (0, 4)
    assert (newest(shop) == before) == bool(changed)
    today = LAST + timedelta(days=2)
    assert fresh(shop, today) == changed
    assert fresh(shop, today) == set(), "the order is part of the advice that stands on this day"
    assert fresh(shop, today + timedelta(days=1)) == changed, "the order may end on any later day"


def test_another_setting_and_a_related_product_are_computed(shop: Path) -> None:
    today = LAST + timedelta(days=2)
    assert fresh(shop, today, "--decision.loss_weight", "2") == set(NAMES)
    line = json.dumps([{"kind": "one_price", "products": ["mug", "jug"]}])
    found = [fresh(shop, today, "--data.guardrails.relations", line) for _ in range(2)]
    assert found[-1] == {"mug", "jug"}


@pytest.mark.slow
def test_a_new_week_of_the_quarter_and_a_new_quarter_are_computed(shop: Path) -> None:
    for days, stand in ((7, True), (8, False), (8, True)):
        assert (fresh(shop, LAST + timedelta(days=days)) == set()) == stand
    for days in (DAYS_PER_QUARTER, DAYS_PER_QUARTER + 1):
        assert fresh(shop, LAST + timedelta(days=days)) == set(NAMES)


def test_a_record_of_another_entry_than_the_newest_is_not_trusted(shop: Path) -> None:
    edit(shop / "checkpoints/shop" / LOG_FILE, "UPDATE advice SET entry = 1 WHERE product = 'mug'")
    assert fresh(shop, LAST + timedelta(days=2)) == {"mug"}


def test_an_advice_outlasts_the_days_of_a_week_of_its_quarter() -> None:
    opened = date(2025, 3, 31)
    plan = SimpleNamespace(account=Account(opened.isoformat(), 10.0))
    item = SimpleNamespace(alarm=None, stock=None, order=None, account=plan)
    day = opened + timedelta(days=DAYS_PER_QUARTER - 79)
    advice = {"today": day.isoformat(), "days": [{"date": day.isoformat()}]}

    def last(entries: list[Entry] | None = None, new: Entry | None = None, **changes: Any) -> str:
        changed: Any = SimpleNamespace(**{**vars(item), **changes})
        return stands_until({**advice, **(new or {})}, changed, entries or [], 1)

    assert last() == (day + timedelta(days=2)).isoformat(), "80 to 78 days are left at its beginning"
    over = opened + timedelta(days=DAYS_PER_QUARTER - 3)
    late = {"today": over.isoformat(), "days": [{"date": over.isoformat()}]}
    assert last(new=late) == (opened + timedelta(days=DAYS_PER_QUARTER)).isoformat(), "its quarter ends"
    assert last(account=None) == ALWAYS
    order = {"kind": "pause", "until": day.isoformat()}
    for found in (last(alarm={"days": 3}), last(stock={"orders": []}), last([order])):
        assert found == day.isoformat()
    assert last(new={"restarts": "another unit"}) == ""


def test_each_entry_is_that_of_its_advice_where_a_category_was_computed_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ["a", "b", "c"]
    parts = [Advised([_advised(name) for name in "acb"], [{"product": name} for name in "acb"], {}, ())]
    monkeypatch.setattr(tasks, "split", lambda *_: [])
    monkeypatch.setattr(tasks, "advise_chunks", lambda *_: (parts, {}))
    data = SimpleNamespace(preprocessor=SimpleNamespace(names=names), engine=object(), leave_out=lambda _: None)
    made = tasks.make_advice(cast(Run, SimpleNamespace(pricing=data)), [])
    assert [item.product for item in made.advice] == [draft["product"] for draft in made.drafts] == names


def _advised(product: str) -> ProductAdvice:
    return cast(ProductAdvice, SimpleNamespace(product=product, market=SimpleNamespace(substitution=None)))
