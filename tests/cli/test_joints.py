"""Three commands in a row: history, current price, limits and outbox are the shop's, whoever reads them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import FAST, Result, entries_of, run, seller_lines, write_lines

from pricerl.tasks import advise

UNTIL = ("--until", "2025-04-30", "--reason", "x")
QUIET = ("--trainer.enable_progress_bar", "false")
FLOOR = ("--data.guardrails.floor", "10.3")
"""A floor above the current price, 10.00, so that every advice raises it."""


@pytest.fixture
def shop(trained: Path) -> Path:
    """The folder of the commands of one seller, whose file ends on 31 March 2025."""
    return trained.parents[1]


def ok(shop: Path, *words: str) -> Result:
    result = run(shop, *words)
    assert result.code in (0, 4), result.err
    return result


def refused(shop: Path, *words: str) -> str:
    result = run(shop, *words)
    assert result.code in (2, 3) and result.err.count("\n") == 1, result
    return result.err


def prices(shop: Path) -> list[str]:
    lines = (shop / "checkpoints/seller/prices.csv").read_text(encoding="utf-8").splitlines()[1:]
    return [",".join(line.split(",")[1:3]) for line in lines]


def product(shop: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shop / "checkpoints/seller/advice.json").read_text())["products"][0]
    return found


def later(days: int = 97, factor: float = 1.0) -> list[str]:
    """A fresher file: more days, the new ones at 10.50, all prices times a factor and the units as before."""
    lines = seller_lines(days)
    for at, line in enumerate(lines[1:], 1):
        day, price, sales, *rest = line.split(",")
        units = round(float(sales) / float(price))
        charged = factor * (10.5 if at > 90 else float(price))
        lines[at] = ",".join([day, f"{charged:.2f}", f"{charged * units:.2f}", *rest])
    return lines


def test_a_limit_that_rose_takes_an_ordered_and_an_approved_price_out_of_the_price_file(shop: Path) -> None:
    ok(shop, "predict", "--decision.approval", "manual", *QUIET)
    ok(shop, "override", "9.60", *UNTIL)
    assert prices(shop) == ["2025-04-01,9.60"]
    out = ok(shop, "predict", "--data.guardrails.floor", "9.9", *QUIET).out
    assert prices(shop) == [] and "the override of 9.6 is below the floor of 9.9" in " ".join(out.split())
    ok(shop, "resume")
    ok(shop, "predict", *FLOOR, *QUIET)
    ok(shop, "approve")
    assert prices(shop) == ["2025-04-01,10.30"]
    ok(shop, "predict", "--data.guardrails.floor", "null", "--data.guardrails.ceiling", "10.1", *QUIET)
    assert prices(shop) == []


def test_approve_takes_the_newest_advice_only(shop: Path) -> None:
    ok(shop, "predict", *FLOOR, *QUIET)
    ok(shop, "predict", "--data.guardrails.floor", "10.4", *QUIET)
    assert ", is not the newest advice on seller; the newest is entry 3, which advises " in refused(
        shop, "approve", "2"
    )
    assert "10.40 on 2025-04-01 approved" in ok(shop, "approve", "3").out


def test_orders_change_the_price_file_at_once(shop: Path) -> None:
    out = ok(shop, "predict", *FLOOR, *QUIET).out
    asked = "no price, your floor of 10.30 is above the current price 10.00; approve the change, or change the limit"
    assert prices(shop) == [] and asked in " ".join(out.split())
    ok(shop, "approve")
    assert prices(shop) == ["2025-04-01,10.30"]
    ok(shop, "override", "10.40", *UNTIL)
    assert prices(shop) == ["2025-04-01,10.40"]
    ok(shop, "pause", "--until", "2025-04-05", "--reason", "x", "--today", "2025-04-02")
    assert prices(shop) == []
    ok(shop, "history", "--today", "2025-04-06")
    assert prices(shop) == ["2025-04-06,10.30"]


def test_a_pause_during_an_advice_is_not_lost(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = advise.make_advice

    def interrupted(*args: Any, **options: Any) -> Any:
        made = make(*args, **options)
        ok(shop, "override", "10.45", *UNTIL)
        return made

    monkeypatch.setattr(advise, "make_advice", interrupted)
    ok(shop, "predict", *FLOOR, *QUIET)
    assert [entry["kind"] for entry in entries_of(shop)] == ["advice", "override", "advice"]
    assert product(shop)["recommended_price"] == 10.3 and prices(shop) == ["2025-04-01,10.45"]


def test_commands_without_a_file_read_the_last_one_again(shop: Path) -> None:
    write_lines(shop / "week.csv", later())
    ok(shop, "predict", "--data.path", "week.csv", *FLOOR, "--today", "2025-04-08", *QUIET)
    assert product(shop)["current_price"] == 10.5
    asked = ok(shop, "what-if", "10.60", "--today", "2025-04-08", *QUIET).out
    assert "seller: 10.60 instead of 10.50" in asked and "floor" not in asked
    assert "at least 10.3" in ok(shop, "what-if", "10.20", "--today", "2025-04-08", *QUIET).out
    kept = ("--until", "2025-04-30", "--reason", "x", "--today", "2025-04-08")
    assert "against keeping 10.50" in ok(shop, "override", "10.60", *kept).out
    ok(shop, "predict", "--today", "2025-04-08", *QUIET)
    assert entries_of(shop)[-1]["path"] == "week.csv" and entries_of(shop)[-1]["history_end"] == "2025-04-07"


def test_a_file_that_is_older_or_cut_or_gone_joins_the_days_that_the_shop_knows(shop: Path) -> None:
    today = ("--today", "2025-04-08", *QUIET)
    write_lines(shop / "week.csv", later())
    ok(shop, "predict", "--data.path", "week.csv", *today)
    before = product(shop)
    write_lines(shop / "cut.csv", [later()[0], *later()[31:]])
    for words in (["seller.csv"], ["cut.csv"], ["week.csv"]):
        again = ok(shop, "predict", "--data.path", *words, *today, "--verbose")
        assert "nothing is new for 1 of 1 product" in again.err and "recorded: no entry" in again.out
    (shop / "week.csv").unlink()
    ok(shop, "predict", *today)
    ok(shop, "what-if", "10.60", *today)
    assert product(shop) == before and len(entries_of(shop)) == 2


def test_a_past_day_that_changed_is_refused_with_both_values_until_it_is_accepted(shop: Path) -> None:
    write_lines(shop / "changed.csv", later(90, factor=1.02))
    changed = ("predict", "--data.path", "changed.csv", *QUIET)
    assert "2025-01-01: Product Price 10 → 10.2" in refused(shop, *changed), refused(shop, *changed)
    assert len(entries_of(shop)) == 1
    ok(shop, *changed, "--accept", "changed")
    assert product(shop)["current_price"] == 10.2


def test_an_old_file_gives_advice_but_no_price(shop: Path) -> None:
    out = ok(shop, "predict", *FLOOR, "--today", "2026-09-01", *QUIET).out
    assert "Too old    Your file ends on 31 Mar 2025" in out and "pricerl approve" not in out
    assert prices(shop) == [] and "longer ago than the advice reaches" in " ".join(out.split())
    assert "covers the days until 2025-04-14" in refused(shop, "approve", "--today", "2026-09-01")
    page = (shop / "checkpoints/seller/report.html").read_text(encoding="utf-8")
    assert "this advice is too old to change a price" in page and "pricerl approve" not in page
    for text in (out, page):
        assert "on Tue 1 Apr" in text and "on Tue 1 Sep" not in text


def test_a_file_that_ended_some_days_ago_gives_the_price_of_today(shop: Path) -> None:
    out = ok(shop, "predict", *FLOOR, "--today", "2025-04-05", *QUIET).out
    assert "on Sat 5 Apr" in out and prices(shop) == []
    ok(shop, "approve", "--today", "2025-04-05")
    assert prices(shop) == ["2025-04-05,10.30"]


@pytest.mark.slow
def test_prices_in_another_unit_end_the_account_and_earlier_orders(shop: Path) -> None:
    write_lines(shop / "week.csv", later())
    ok(shop, "predict", "--data.path", "week.csv", "--today", "2025-04-08", *QUIET)
    assert product(shop)["account"] is not None
    ok(shop, "override", "10.60", "--until", "2025-04-30", "--reason", "x", "--today", "2025-04-08")
    write_lines(shop / "taxed.csv", later(104, factor=2.0))
    taxed = ("predict", "--data.path", "taxed.csv", "--today", "2025-04-15", *QUIET)
    assert "take it all the same with --accept changed" in refused(shop, *taxed)
    out = ok(shop, *taxed, "--accept", "changed").out
    found = product(shop)
    assert found["account"] is None and found["orders"][0]["status"] == "refused" and prices(shop) == []
    said = "the prices from 2025-03-11 to 2025-04-07 are 2 times those that the last advice knew"
    assert found["previous"]["contradiction"] == said
    assert "Was a tax, the currency or the unit changed?" in " ".join(out.split())
    write_lines(shop / "next.csv", later(111, factor=2.0))
    ok(shop, "predict", "--data.path", "next.csv", "--today", "2025-04-22", *QUIET)
    account = product(shop)["account"]["account"]
    assert account == {"opened": "2025-04-14", "price": 21.0} and product(shop)["orders"][0]["status"] == "refused"


def test_an_order_in_another_currency_is_not_charged(shop: Path) -> None:
    ok(shop, "predict", "--data.currency", "USD", *QUIET)
    ok(shop, "override", "9.60", *UNTIL)
    ok(shop, "predict", "--data.currency", "EUR", *QUIET)
    assert prices(shop) == [] and product(shop)["orders"][0]["refusal"] == "the override is in USD, the file in EUR"


def test_after_a_rollback_every_command_goes_on_from_the_day_and_the_price_that_the_shop_knew_last(shop: Path) -> None:
    ok(shop, "predict", *FLOOR, *QUIET)
    ok(shop, "approve")
    write_lines(shop / "week.csv", later())
    today = ("--today", "2025-04-08")
    fit = ("fit", "--data.path", "week.csv", "--run_name", "seller", *FAST, *today)
    ok(shop, *fit, "--data.guardrails.floor", "null", "--data.guardrails.ceiling", "10.4")
    ok(shop, "approve", *today)
    newer = prices(shop)
    assert "is not the newest advice on seller" in refused(shop, "approve", "2", *today)
    replaced = "its advice is from gen-0002, which a rollback replaced; run predict"
    assert replaced in " ".join(ok(shop, "rollback", *today).out.split()) and prices(shop) == []
    doubted = refused(shop, "override", "8.00", "--until", "2025-04-30", "--reason", "x", *today)
    assert "23.8 % below the current price of 10.5" in doubted
    ok(shop, "rollback", "--to", "gen-0002", *today)
    assert prices(shop) == newer
    ok(shop, "rollback", *today)
    ok(shop, "predict", *today, *QUIET)
    last = entries_of(shop)[-1]
    assert (last["path"], last["current_price"]) == ("week.csv", 10.5) and last["checkpoint"].startswith("gen-0001")
    ok(shop, "rollback", "--to", "gen-0001", "--today", "2025-05-01")
    assert prices(shop) == []


def test_a_copy_is_a_shop_of_its_own(shop: Path, tmp_path: Path) -> None:
    ok(shop, "predict", *FLOOR, *QUIET)
    ok(shop, "approve")
    before, copy = prices(shop), tmp_path / "copy"
    shutil.copytree(shop, copy)
    ok(copy, "pause", *UNTIL)
    assert before == prices(shop) != prices(copy) == []
    ok(copy, "predict", *QUIET)
    assert product(copy)["orders"][0]["kind"] == "pause"


def test_a_day_that_is_none_is_refused(shop: Path) -> None:
    for words in (["predict"], ["history"], ["watch"], ["what-if", "10"]):
        assert "--today: must be a day such as 2026-01-31, found 'now'" in refused(shop, *words, "--today", "now")


def test_the_weights_behind_an_advice_stay_when_old_generations_go(shop: Path) -> None:
    folder = shop / "checkpoints/seller"
    fit = ("fit", "--run_name", "seller", "--keep", "1", "--today", "2025-04-01", *FAST, *QUIET)
    first = entries_of(shop)[-1]["checkpoint"]
    ok(shop, *fit)
    assert (folder / first).exists() and not (folder / first).with_name("last.ckpt").exists()
    ok(shop, "rollback", "--today", "2025-04-01")
