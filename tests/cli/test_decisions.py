"""Commands for people's decisions and the decision log."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import FAST, SMALL_NETWORK, Result, edit, entries_of, fresh_shop, run, seller_lines, write_lines

from pricerl.arrays import unpack
from pricerl.cli.advise import run_lightning
from pricerl.cli.loading import load_words

RUN = ("--run_name", "seller")
QUIET = ("--trainer.enable_progress_bar", "false", "--verbose")
BEST = "checkpoints/seller/best.ckpt"
LOG = "checkpoints/seller/shop.db"
NASTY = "\u202etwo\nlines, =cmd()  \u200f" + "x" * 5000


@pytest.fixture
def shop(trained_once: Path, tmp_path: Path) -> Path:
    """A folder with a run of its own, one advice in its log."""
    return fresh_shop(trained_once, tmp_path)


def _predict(shop: Path, *words: str, data: str = "seller.csv") -> tuple[Result, dict[str, Any], list[dict[str, str]]]:
    result = run(shop, "predict", "--ckpt_path", BEST, "--data.path", data, *QUIET, *words)
    assert result.code in (0, 4), result.err
    folder = shop / "checkpoints" / "seller"
    (product,) = json.loads((folder / "advice.json").read_text(encoding="utf-8"))["products"]
    with (folder / "advice.csv").open(encoding="utf-8", newline="") as file:
        return result, product, list(csv.DictReader(file))


def _override(shop: Path, price: str, until: str, *words: str, reason: str = "clearance") -> Result:
    said = ("--reason", reason, "--by", "anna", "--force")
    return run(shop, "override", *RUN, "--price", price, "--until", until, *said, *words)


def test_fit_records_what_it_decided_and_from_what(shop: Path) -> None:
    (entry,) = entries_of(shop)
    assert (entry["kind"], entry["command"], entry["actor"], entry["product"]) == (
        "advice",
        "fit",
        "pricerl",
        "seller",
    )
    assert (entry["path"], entry["checkpoint"], entry["seed"], entry["history_end"]) == (
        *("seller.csv", "gen-0001/best.ckpt", 0),
        "2025-03-31",
    )
    assert set(entry["hashes"]) == {"data", "file", "config", "model"}
    assert all(len(value) == 64 for value in entry["hashes"].values())
    assert len(entry["days"]) == len(entry["proposal"]) == 14 and entry["grade"] in ("A", "B", "B-", "C", "D")
    assert entry["limits"]["floor"] == pytest.approx(4 / 0.85, rel=0.02)


def test_an_override_replaces_the_model_whose_advice_stays_on_record(shop: Path) -> None:
    before = _predict(shop)[1]
    made = _override(shop, "12.50", "2025-04-05")
    assert made.code == 0 and "seller: 12.50 until 2025-04-05, active (entry 2" in made.out
    result, product, rows = _predict(shop)
    assert {row["Source"] for row in rows} == {"override"} and {row["Recommended Price"] for row in rows} == {"12.50"}
    assert "Override by anna until 5 Apr 2025 (entry 2): “clearance”. The model alone: " in product["reason"]
    assert "Raise to 12.50 on Tue 1 Apr" in result.out and "decided by override: " in result.out
    assert "after the override ends on 5 Apr 2025" in rows[5]["Reason"] and "ends" not in rows[4]["Reason"]
    assert product["model"]["days"] == before["days"] and product["model"]["decision"] == before["decision"]
    last = entries_of(shop)[-1]
    assert last["order"] == 2 and [day["price"] for day in last["model_days"]] == [
        day["recommended_price"] for day in before["days"]
    ]


def test_nothing_is_forecast_at_a_forced_price_outside_the_tried_ones(shop: Path) -> None:
    assert _override(shop, "12.50", "2025-04-05").code == 0
    result, product, rows = _predict(shop)
    for row in rows:
        assert row["Recommended Price"] == "12.50" and "not forecast: outside tried prices" in row["Reason"]
        assert not any(row[f"{name} {kind}"] for name in ("Units", "Sales", "Profit") for kind in ("Low", "High"))
        assert not any(row[f"Expected {name}"] for name in ("Units", "Sales", "Profit")) and not row["Chance Better"]
    assert product["recommended"] is None and product["uplift"] is None
    assert "Nothing is forecast: you have charged 9.50 to 11.00." in product["reason"]
    assert "Nothing is forecast" in result.out
    assert entries_of(shop)[1]["forced"] is True and entries_of(shop)[-1]["days"][0]["units"] is None
    page = (shop / "checkpoints/seller/report.html").read_text(encoding="utf-8")
    assert "not forecast: outside tried prices" in page and 'points=""' not in page


def test_a_price_inside_tolerance_and_tried_prices_needs_no_force_and_is_forecast(shop: Path) -> None:
    words = ("--price", "10.50", "--until", "2025-04-05", "--reason", "x")
    assert run(shop, "override", *RUN, *words).code == 0
    _, product, rows = _predict(shop)
    assert entries_of(shop)[1]["forced"] is False and product["uplift"] is not None
    assert all(row["Expected Units"] and "not forecast" not in row["Reason"] for row in rows)


def test_a_pause_keeps_the_price_with_the_source_manual(shop: Path) -> None:
    paused = run(shop, "pause", *RUN, "--until", "2025-04-30", "--reason", "new supplier", "--by", "ben")
    assert paused.code == 0 and "seller: 10.00 kept until 2025-04-30, active" in paused.out
    result, product, rows = _predict(shop, "--decision.min_chance", "0")
    assert result.code == 0
    assert {(row["Source"], row["Recommended Price"]) for row in rows} == {
        ("manual", row["Current Price"]) for row in rows
    }
    assert "aused by ben until 30 Apr 2025" in product["reason"]


def test_an_expired_order_is_ignored_and_listed(shop: Path) -> None:
    assert _override(shop, "12.50", "2025-04-03").code == 0
    write_lines(shop / "later.csv", seller_lines(95))
    result, product, rows = _predict(shop, data="later.csv")
    assert {row["Source"] for row in rows} <= {"planner", "policy", "hold"}
    assert "The override of entry 2 by anna (12.50 until 3 Apr 2025) has expired." in result.out
    assert [order["status"] for order in product["orders"]] == ["expired"]
    account = product["account"]
    assert account["ends"] == "2025-06-30" and account["so_far"][0] != 0, (
        "five days at other prices than the first advice's"
    )
    assert " Quarter " in result.out and "would have" in result.out
    assert "12.50 until 2025-04-03, expired" in run(shop, "history", *RUN).out


def test_costs_that_rose_refuse_an_order_that_was_allowed(shop: Path) -> None:
    assert _override(shop, "8.00", "2025-04-30").code == 0
    result, product, rows = _predict(shop, "--data.guardrails.floor", "9")
    assert {row["Source"] for row in rows} != {"override"}
    assert min(float(row["Recommended Price"]) for row in rows) >= 9
    assert "is not followed: the override of 8 is below the floor of 9" in result.out
    assert product["orders"][0]["status"] == "refused"


WRONG = {
    "override --price 3 --until 2025-04-30 --reason x": "--price: the override of 3 is below the floor of 4.7",
    "override --price 0.001 --until 2025-04-30 --reason x": "is below the floor",
    "override --price 10.123 --until 2025-04-30 --reason x": "10.123 is not a multiple of the price step of 0.01",
    "override --price 12.01 --until 2025-04-30 --reason x": "--price: 12.01 is 20.1 % above the current price of 10",
    "override --price 9 --until 2025-04-30 --reason x --tolerance 0.05": "10 % below the current price of 10 (--tol",
    "override --price 11.5 --until 2025-04-30 --reason x": "11.5 is outside the prices tried, 9.5 to 11",
    "override --price 10 --until 2025-04-30 --reason x --tolerance -1": "--tolerance: must be 0 or more, found -1",
    "override --price 10 --until 2025-04-30 --reason x --tolerance nan": "--tolerance: must be 0 or more, found nan",
    "override --price nan --until 2025-04-30 --reason x": "--price: must be a positive number up to 1e+12, found nan",
    "override 1e308 --force --until 2025-04-30 --reason x": "must be a positive number up to 1e+12, found 1e+308",
    "override --price abc --until 2025-04-30 --reason x": "--price: must be a number, found 'abc'",
    "override --price 9 --until 2025-03-31 --reason x": "2025-03-31 is before 2025-04-01",
    "override --price 9 --until 31.12.2025 --reason x": "must be a day such as 2026-01-31, found '31.12.2025'",
    "override --price 9 --until 2025-04-30": "required: --reason",
    "override --price 9 --reason x": "required: --until",
    "override --price 9 --until 2025-04-30 --reason \u200f": "--reason: must be a text",
    "pause --until 2025-04-30 --reason x --product seler": "did you mean 'seller'?",
    "pause --until 2025-04-30 --reason x --prize 3": "unknown option --prize",
    "approve 9": "entry 9 does not exist; the log holds 1 entries",
    "history --product x": "--product 'x' is unknown; known are seller",
    "audit replay 1": "must be one of verify, found 'replay'",
    "what-if --ckpt_path checkpoints/seller/best.ckpt --price -1": "must be a positive number up to 1e+12, found -1",
    "what-if 9 --price 8": "--price: found two values, 9 in the first place and 8; give one",
    "override 9 --price 8 --until 2025-04-30 --reason x": "--price: found two values, 9 in the first place and 8",
}


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_order_is_answered_with_one_line_and_nothing_is_written(words: str, shop: Path) -> None:
    before = entries_of(shop)
    run_option = () if words.startswith("what-if") else RUN
    result = run(shop, *words.split(" "), *run_option)
    assert result.code == 2 and result.err.startswith("error: ") and result.err.count("\n") == 1
    assert WRONG[words] in result.err
    assert entries_of(shop) == before


def test_the_only_run_is_found_and_one_of_several_must_be_named(shop: Path, tmp_path: Path) -> None:
    assert run(shop, "history").out == run(shop, "history", *RUN).out != ""
    ordered = run(shop, "override", "10.50", "--until", "2025-04-30", "--reason", "x", "--product", "seller")
    assert ordered.code == 0 and "seller: 10.50 until 2025-04-30, active " in ordered.out
    (other := shop / "checkpoints" / "other").mkdir()
    shutil.copy(shop / LOG, other)
    several = run(shop, "pause", "--until", "2025-04-30", "--reason", "x")
    assert (several.code, several.err) == (
        2,
        "error: checkpoints holds 2 runs, other, seller; name one with --run_name\n",
    )
    (tmp_path / "new").mkdir()
    assert "holds no run with shop.db yet; start with: pricerl advise FILE" in run(tmp_path / "new", "history").err


def test_a_run_must_exist(shop: Path) -> None:
    wrong = run(shop, "history", "--run_name", "seler")
    assert wrong.code == 2 and "is not a folder of a run; did you mean 'seller'?" in wrong.err
    assert run(shop, "history", "--ckpt_path", BEST).code == 0
    (shop / "checkpoints" / "new").mkdir()
    empty = run(shop, "pause", "--run_name", "new", "--until", "2025-04-30", "--reason", "x")
    assert empty.code == 3 and "has no advice yet; run fit or predict first" in empty.err


def test_an_approval_is_recorded_once_and_only_for_a_change(shop: Path) -> None:
    nothing = run(shop, "approve", "1", *RUN)
    assert nothing.code == 2 and "nothing to approve" in nothing.err
    assert _override(shop, "12.50", "2025-04-05").code == 0
    _predict(shop)
    approved = run(shop, "approve", *RUN, "--by", "carla", "--reason", "agreed")
    assert approved.code == 0 and "12.50 on 2025-04-01 approved (entry 3) (entry 4 of " in approved.out
    again = run(shop, "approve", *RUN)
    assert again.code == 2 and "entry 3 was approved before, by carla" in again.err
    assert run(shop, "resume", *RUN).out.startswith("seller: the order of entry 2 has ended (entry 5 of")
    assert run(shop, "resume", *RUN).out.startswith("seller: the approval of entry 4 has ended (entry 6 of")
    assert run(shop, "approve", *RUN).code == 0


def test_history_tells_what_was_decided_by_whom_and_why_on_one_line_each(shop: Path) -> None:
    assert _override(shop, "12.50", "2025-04-05", reason=NASTY).code == 0
    assert run(shop, "pause", *RUN, "--until", "2025-04-30", "--reason", "new supplier", "--by", "ben").code == 0
    out = run(shop, "history", *RUN).out
    lines = out.splitlines()
    assert len(lines) == 6 and out.isprintable() is False and "\u202e" not in out and "\u200f" not in out
    assert "override  by anna     seller: 12.50 until 2025-04-05, replaced" in lines[2]
    assert lines[3].strip().startswith("two lines, =cmd()") and len(lines[3]) < 200
    assert "pause     by ben      seller: 10.00 kept until 2025-04-30, active" in lines[4]
    assert entries_of(shop)[1]["reason"] == NASTY.strip()
    assert run(shop, "audit", "verify", *RUN).code == 0


def test_prices_are_printed_and_written_in_the_form_of_a_platform_with_their_undo(shop: Path) -> None:
    assert _override(shop, "12.50", "2025-04-05").code == 0
    (advice, _) = entries_of(shop)
    printed = run(shop, "prices", *RUN)
    assert printed.code == 0 and printed.out.splitlines()[1].split()[:3] == ["seller", "2025-04-01", "12.50"]
    assert not (shop / "woocommerce.csv").exists()
    written = run(shop, "prices", *RUN, "--as", "woocommerce", "--out", "new/folder")
    assert written.code == 0 and "new/folder/woocommerce.undo.csv: the prices until now" in written.out
    assert "new/folder/woocommerce.csv: 1 price of today; upload: " in written.out
    assert (shop / "new/folder/woocommerce.csv").read_bytes() == b"SKU,Regular price\r\nseller,12.50\r\n"
    undo = (shop / "new/folder/woocommerce.undo.csv").read_text(encoding="utf-8")
    assert undo.split() == ["SKU,Regular", "price", f"seller,{advice['current_price']:.2f}"]
    unknown = run(shop, "prices", *RUN, "--as", "etsy")
    assert unknown.code == 2 and "amazon" in unknown.err and "Traceback" not in unknown.err


def test_a_nasty_reason_breaks_none_of_the_outputs(shop: Path) -> None:
    assert _override(shop, "12.50", "2025-04-05", reason=NASTY).code == 0
    _, product, rows = _predict(shop)
    assert len(rows) == 14 and "two lines, =cmd()" in rows[0]["Reason"] and "\n" not in rows[0]["Reason"]
    assert product["orders"][0]["reason"] == NASTY.strip() and len(product["reason"]) < 1000


def test_bytes_that_are_no_text_break_none_of_the_outputs(shop: Path) -> None:
    assert _override(shop, "12.50", "2025-04-05", reason="caf\udce9").code == 0
    _, product, _ = _predict(shop)
    assert product["orders"][0]["reason"] == "caf\\udce9" and "“caf\\udce9”" in product["reason"]


DAMAGES = {
    "UPDATE entry SET line = replace(line, '\"price\":12.5,', '\"price\":11.5,')": "entry 2: was changed after it was",
    "DELETE FROM entry WHERE id = 2": "was cut or rewritten: it has 1 entries",
    "DELETE FROM entry": "was cut or rewritten: it has 0 entries",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_changed_or_cut_log_is_noticed_by_every_command_that_reads_it(damage: str, shop: Path) -> None:
    assert _override(shop, "12.50", "2025-04-05").code == 0
    fine = run(shop, "audit", "verify", *RUN)
    assert fine.code == 0 and "unbroken, 2 entries, last hash " + entries_of(shop)[1]["hash"] in fine.out
    edit(shop / LOG, damage)
    commands = [("audit", "verify", *RUN), ("audit", "verify", LOG), ("approve", *RUN), ("history", *RUN)]
    commands += [("predict", "--ckpt_path", BEST, "--data.path", "seller.csv", *QUIET)]
    for broken in (*(run(shop, *words) for words in commands), _override(shop, "12.50", "2025-04-05")):
        assert broken.code == 3 and DAMAGES[damage] in broken.err and broken.err.count("\n") == 1


def test_verify_says_whether_a_hash_that_a_report_printed_is_an_entry(shop: Path) -> None:
    assert _override(shop, "12.50", "2025-04-05").code == 0
    first, second = (entry["hash"] for entry in entries_of(shop))
    for anchor, number in ((first, 1), (second[:12], 2), (f"{first[:12].upper()}…", 1)):
        fine = run(shop, "audit", "verify", *RUN, "--anchor", anchor)
        assert fine.code == 0 and f"is entry {number} of 2" in fine.out
    empty = run(shop, "audit", "verify", *RUN, "--anchor", "0" * 12)
    assert empty.code == 0 and "is the head of an empty log" in empty.out
    other = run(shop, "audit", "verify", *RUN, "--anchor", "f" * 12)
    assert other.code == 3 and "no entry has the hash ffffffffffff: the log was rewritten" in other.err
    for wrong in (first[:11], "xyz", f"{first}0", ""):
        short = run(shop, "audit", "verify", *RUN, f"--anchor={wrong}")
        assert short.code == 2 and "--anchor: must be at least 12 digits of a hash" in short.err


def test_each_report_prints_the_head_of_the_log_by_which_it_is_verified_later(shop: Path) -> None:
    _predict(shop)
    folder = shop / "checkpoints/seller"
    head = json.loads((folder / "advice.json").read_text(encoding="utf-8"))["decision_log"]
    assert (head["entries"], head["hash"]) == (1, entries_of(shop)[0]["hash"]), "the entry that the advice knew"
    printed = re.search(r"decision log: (\d+) entr(?:y|ies), head (\w+…)", (folder / "report.html").read_text("utf-8"))
    assert printed is not None and (int(printed[1]), printed[2]) == (head["entries"], f"{head['hash'][:12]}…")
    assert _override(shop, "12.50", "2025-04-05").code == 0
    assert run(shop, "audit", "verify", *RUN, "--anchor", printed[2]).code == 0


def test_what_was_advised_is_held_against_what_happened(shop: Path) -> None:
    now = float(seller_lines()[-1].split(",")[1])
    lines = seller_lines(97)
    kept = [line if day <= 90 else _repriced(line, now) for day, line in enumerate(lines)]
    kept[92] = _repriced(lines[92], now + 1)
    write_lines(shop / "later.csv", kept)
    result, product, _ = _predict(shop, data="later.csv")
    record = product["track_record"]
    assert [day["outcome"] for day in record["days"]] == ["followed", "not followed", *["followed"] * 5]
    assert record["followed"] == 6 and record["inside"]["units"][1] == 6
    assert record["total"]["profit"]["low"] < record["total"]["profit"]["predicted"] < record["total"]["profit"]["high"]
    assert "7 advised days passed, 6 at the advised price." in result.out and "Inside the 90 % interval: " in result.out
    assert "Not followed, so no test of the forecast: 2 Apr 2025" in result.out


def test_every_command_marks_the_days_at_advised_prices(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    advised = [day["price"] for day in entries_of(shop)[0]["days"][:9]]
    lines = seller_lines(99)
    for day, price in enumerate([*advised[:8], advised[8] + 1], start=91):
        lines[day] = _repriced(lines[day], price)
    write_lines(shop / "later.csv", lines)
    monkeypatch.chdir(shop)
    given = ["--data.path", "later.csv", *QUIET]
    loaded = load_words("predict", ["--ckpt_path", BEST, *given])
    own = loaded.pricing.market.preprocessor.products[0].own_price
    assert own is not None and own.nonzero()[0].tolist() == list(range(90, 98))
    _predict(shop, data="later.csv")
    fresh = run_lightning("fit", [*given, *RUN, *FAST])
    assert fresh.checkpoint is not None
    fresh.held.close()
    history = fresh.checkpoint.content["PricingDataModule"]["preprocessor"]["history"]
    (stored,) = unpack(history.numpy())["products"]
    assert stored["own_price"].tolist() == own.tolist()
    (shop / LOG).unlink()
    assert load_words("predict", ["--ckpt_path", BEST, *given]).pricing.preprocessor.products[0].own_price is None


def test_an_override_is_scored_in_the_track_record(shop: Path) -> None:
    assert _override(shop, "12.50", "2025-04-05").code == 0
    _predict(shop)
    lines = seller_lines(93)
    write_lines(shop / "later.csv", [line if day <= 90 else _repriced(line, 12.5) for day, line in enumerate(lines)])
    result, product, _ = _predict(shop, data="later.csv")
    overruled = product["track_record"]["overruled"]
    assert (overruled["days"], overruled["charged_price"]) == (3, 12.5)
    assert overruled["model_price"] == entries_of(shop)[0]["days"][0]["price"]
    assert "On 3 days the model's price was not charged" in result.out


def _repriced(line: str, price: float) -> str:
    """The same day at another price, with the units that the seller's known demand brings there."""
    date, _, _, _, *rest = line.split(",")
    units = round(20 * (price / 10) ** -2)
    return ",".join([date, f"{price:.2f}", f"{price * units:.2f}", f"{0.85 * price * units - 4 * units:.2f}", *rest])


def test_three_bad_days_at_the_advised_price_stop_the_model_and_name_the_last_good_price(shop: Path) -> None:
    lines = seller_lines(93)
    before = float(lines[-4].split(",")[1])
    advised = [day["price"] for day in entries_of(shop)[0]["days"][:3]]
    cells = [line.split(",") for line in lines[-3:]]
    bad = [
        ",".join([cell[0], f"{price:.2f}", f"{price:.2f}", "1", *cell[4:]])  # one unit per day
        for cell, price in zip(cells, advised, strict=True)
    ]
    write_lines(shop / "bad.csv", [*lines[:-3], *bad])
    off = _predict(shop, "--decision.kill_days", "0", data="bad.csv")[1]
    assert off["alarm"] is None and "in a row" not in off["reason"]
    assert _predict(shop, "--decision.kill_days", "4", data="bad.csv")[1]["alarm"] is None
    result, product, rows = _predict(shop, "--decision.kill_days", "3", data="bad.csv")
    assert product["alarm"]["days"] == 3 and product["alarm"]["last_good_price"] == before
    assert (rows[0]["Source"], rows[-1]["Recommended Price"]) == ("hold", f"{before:.2f}")
    assert "ales at the advised price were below the 5 % limit of their prediction on 3 days" in product["reason"]
    assert "The last good price was" in product["reason"] and product["model"] is not None
    assert "decided by policy, then hold: " in result.out
    (shop / LOG).unlink()
    assert _predict(shop, data="bad.csv")[1]["alarm"] is None, "nobody advised these prices"


def test_what_if_answers_beside_keeping_the_price(shop: Path) -> None:
    words = ["what-if", "--ckpt_path", BEST, "--data.path", "seller.csv", "--price"]
    result = run(shop, *words, "10.40", *QUIET)
    assert (result.code, result.err) == (0, "")
    for name in ("units", "sales", "profit", "organic conversion %", "ad conversion %", "would earn more in"):
        assert f"  {name}" in result.out
    assert "at 10.40" in result.out and "within all limits" in result.out and "override" not in result.out
    assert "outside a limit: at most 5 % above the current price" in run(shop, *words, "15", *QUIET).out
    refused = run(shop, *words, "15", "--data.guardrails.ceiling", "12", *QUIET).out
    assert "outside a limit: at most 12" in refused
    assert len(entries_of(shop)) == 1
    wrong = run(shop, *words, "10", "--product", "seler")
    assert wrong.code == 2 and "did you mean 'seller'?" in wrong.err


@pytest.mark.slow
def test_several_products_must_be_named(shop: Path) -> None:
    lines = seller_lines(60, product="Mug") + seller_lines(60, product="Bowl", seed=3)[1:]
    write_lines(shop / "two.csv", lines)
    words = ["--trainer.max_steps", "20", "--data.eval_every", "20", *QUIET, *SMALL_NETWORK]
    words += ["--data.market.num_draws", "16", "--data.num_envs", "16", "--run_name", "seller"]
    (shop / LOG).unlink()
    assert run(shop, "fit", "--data.path", "two.csv", *words).code in (0, 4)
    assert [entry["product"] for entry in entries_of(shop)] == ["Mug", "Bowl"]
    unnamed = _override(shop, "12.50", "2025-04-05")
    assert unnamed.code == 2 and "--product is needed, this run has 2: Mug, Bowl" in unnamed.err
    asked = run(shop, "what-if", "--ckpt_path", BEST, "--data.path", "two.csv", "--price", "9")
    assert asked.code == 2 and "--product is needed, the file has 2: Mug, Bowl" in asked.err
    assert _override(shop, "12.50", "2025-04-05", "--product", "Mug").code == 0
    assert run(shop, "predict", "--ckpt_path", BEST, "--data.path", "two.csv", *QUIET).code in (0, 4)
    assert [(entry["product"], entry.get("order")) for entry in entries_of(shop)[3:]] == [("Mug", 3)]
    assert "Mug" not in run(shop, "history", *RUN, "--product", "Bowl").out


def test_a_rollback_brings_the_weights_of_the_generation_before_back(shop: Path) -> None:
    folder = shop / "checkpoints" / "seller"
    before = (folder / "best.ckpt").read_bytes()
    words = [*QUIET, *FAST, "--seed_everything", "1"]
    assert run(shop, "fit", "--data.path", "seller.csv", *RUN, *words).code in (0, 4)
    assert (folder / "best.ckpt").read_bytes() != before
    result = run(shop, "rollback", *RUN, "--reason", "it was better", "--by", "anna")
    assert (result.code, result.err) == (0, "") and "gen-0001 instead of gen-0002 (entry 3" in result.out
    assert "its advice is from gen-0002, which a rollback replaced; run predict" in " ".join(result.out.split())
    assert (folder / "best.ckpt").read_bytes() == before
    assert "gen-0001 instead of gen-0002" in run(shop, "history", *RUN).out
    forward = run(shop, "rollback", *RUN, "--to", "gen-0002")
    assert forward.code == 0 and "gen-0002 instead of gen-0001" in forward.out
    unknown = run(shop, "rollback", *RUN, "--to", "gen-0009")
    assert unknown.code == 2 and "complete are gen-0001, gen-0002" in unknown.err
    assert run(shop, "audit", "verify", *RUN).code == 0


def test_a_damaged_generation_is_not_rolled_back_to(shop: Path) -> None:
    folder = shop / "checkpoints" / "seller"
    assert run(shop, "fit", "--data.path", "seller.csv", *RUN, *QUIET, *FAST).code in (0, 4)
    (folder / "gen-0001" / "config.yaml").write_text("model: {}\n")
    result = run(shop, "rollback", *RUN)
    assert result.code == 5 and "config.yaml was changed" in result.err
    assert (folder / "current").read_text() == "gen-0002\n"
