"""A prediction about which nothing is new is printed again, without a market or a network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Result, run, seller_lines, write_lines

from pricerl.shop.database import reading

QUIET = "--trainer.enable_progress_bar=false"


class ComputedError(Exception):
    """The advice was computed."""


@pytest.fixture
def shop(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shop whose advice was computed today; whatever would compute it again fails."""
    folder = trained.parents[1]
    predict(folder)

    def refuse(words: object) -> int:
        raise ComputedError

    monkeypatch.setattr("pricerl.cli.advise.advise_with_policy", refuse)
    return folder


def predict(folder: Path, *words: str, today: str = "2025-04-01") -> Result:
    result = run(folder, "predict", "--today", today, QUIET, *words)
    if "ComputedError" in result.err:
        raise ComputedError
    assert result.code in (0, 4), result.err
    return result


def test_the_same_day_again_prints_the_same_answer_and_records_nothing(shop: Path) -> None:
    before = (shop / "checkpoints/seller/advice.json").read_bytes()
    first, second = predict(shop), predict(shop, "--data.path", "seller.csv")
    assert first == second and "nothing is new for 1 product: the last advice stands" in first.err
    assert (shop / "checkpoints/seller/advice.json").read_bytes() == before


def test_a_later_day_renews_the_pages_and_leaves_the_tables_as_the_advice_was_made(shop: Path) -> None:
    folder = shop / "checkpoints/seller"
    before = {name: (folder / name).read_bytes() for name in ("advice.json", "advice.csv")}
    (folder / "report.html").write_text("older")
    predict(shop, today="2025-04-02")
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert len((folder / "report.html").read_text(encoding="utf-8")) > 1000


CHANGES = {
    "a new day": lambda folder: write_lines(folder / "seller.csv", seller_lines(91)),
    "a decision": lambda folder: run(folder, "pause", "--until", "2025-04-09", "--reason", "x"),
    "another model": lambda folder: (folder / "checkpoints/seller/gen-0001/best.ckpt").write_bytes(b"x"),
    "no file": lambda folder: (folder / "seller.csv").unlink(),
}


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_is_new_is_computed(name: str, shop: Path) -> None:
    CHANGES[name](shop)
    with pytest.raises(ComputedError):
        predict(shop)


@pytest.mark.parametrize("words", [["--horizon", "7"], ["--decision.min_chance", "0.9"], ["--out", "copy"]])
def test_settings_and_other_outputs_are_computed(words: list[str], shop: Path) -> None:
    with pytest.raises(ComputedError):
        predict(shop, *words)


def test_corrections_that_were_accepted_stay_when_no_file_is_named(trained: Path) -> None:
    folder = trained.parents[1]
    predict(folder)
    lines = seller_lines()
    cells = lines[30].split(",")
    write_lines(folder / "fixed.csv", [*lines[:30], ",".join([*cells[:2], "99.00", *cells[3:]]), *lines[31:]])
    assert run(folder, "add", "fixed.csv", "--accept", "changed").code == 0
    predict(folder)
    sales = [day for day in read_days_of(folder) if day == 99.0]
    assert len(sales) == 1


def read_days_of(folder: Path) -> list[float]:
    with reading(folder / "checkpoints/seller/shop.db") as database:
        return [sales for (sales,) in database.run("SELECT sales FROM day")]


def test_what_if_reads_off_prices_of_the_curves_and_computes_others(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = json.loads((shop / "checkpoints/seller/advice.json").read_text(encoding="utf-8"))
    (product,) = document["products"]
    prices = product["details"]["curves"]["price"]
    words = ("--today", "2025-04-01")
    exact = {price: run(shop, "what-if", f"{price}", *words, "--horizon", "14").out for price in prices[::20]}
    between = f"{(prices[0] + prices[1]) / 2:.5f}"

    def refuse(options: object, rest: object) -> int:
        raise ComputedError

    monkeypatch.setattr("pricerl.cli.advise.ask_market", refuse)
    assert len(exact) > 1 and {price: run(shop, "what-if", f"{price}", *words).out for price in exact} == exact
    for others in ([between], [f"{prices[0]}", "--unit_cost", "4"], [f"{prices[0]}", "--data.guardrails.floor", "1"]):
        assert "ComputedError" in run(shop, "what-if", *others, *words).err
    write_lines(shop / "seller.csv", seller_lines(91))
    assert "ComputedError" in run(shop, "what-if", f"{prices[0]}", *words).err
