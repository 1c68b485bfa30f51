"""Commands for people's decisions, what they change, and the decision log."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from command_line import FAST, Result, edit, entries_of, fresh_shop, listing, run, seller_lines, write_lines
from saying import QUICK, says

from pricerl.arrays import unpack
from pricerl.cli.advise import run_lightning
from pricerl.cli.loading import load_words, long_words

QUIET = "--trainer.enable_progress_bar false --verbose"
BEST = "checkpoints/seller/best.ckpt"
LOG = "checkpoints/seller/shop.db"
UNTIL = "--until 2025-04-30 --reason x"
NASTY = "clearance\u202e of two\nlines, =cmd()  \u200f caf\udce9 " + "x" * 5000


class Advised(NamedTuple):
    """Output of ``predict``, and the product and the rows that it wrote."""

    result: Result
    product: dict[str, Any]
    rows: list[dict[str, str]]


def _document(shop: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shop / "checkpoints/seller/advice.json").read_text(encoding="utf-8"))
    return found


def _predict(shop: Path, words: str = "", data: str = "seller.csv") -> Advised:
    result = run(shop, "predict", "--ckpt_path", BEST, "--data.path", data, *f"{QUIET} {words}".split())
    assert result.code in (0, 4), result.err
    (product,) = _document(shop)["products"]
    with (shop / "checkpoints/seller/advice.csv").open(encoding="utf-8", newline="") as file:
        return Advised(result, product, list(csv.DictReader(file)))


def _prices(shop: Path) -> list[str]:
    lines = (shop / "checkpoints/seller/prices.csv").read_text(encoding="utf-8").splitlines()[1:]
    return [",".join(line.split(",")[:3]) for line in lines]


def _override(shop: Path, price: str, until: str, reason: str = "clearance") -> Result:
    words = ("--until", until, "--reason", reason, "--by", "anna", "--force")
    return run(shop, "override", price, *words)


@pytest.fixture(scope="module")
def overridden(trained_once: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Advised]:
    """A shop whose model a person has overridden, far from the tried prices and with a nasty reason, and its advice."""
    shop = fresh_shop(trained_once, tmp_path_factory.mktemp("overridden"))
    made = _override(shop, "12.50", "2025-04-05", reason=NASTY)
    assert made.code == 0 and "seller: 12.50 until 2025-04-05, active (entry 2" in made.out
    return shop, _predict(shop)


def test_fit_records_what_it_decided_and_from_what(shop: Path) -> None:
    (entry,) = entries_of(shop)
    expected = {"kind": "advice", "command": "fit", "actor": "pricerl", "product": "seller", "path": "seller.csv"}
    expected |= {"checkpoint": "gen-0001/best.ckpt", "history_end": "2025-03-31"}
    assert {name: entry[name] for name in expected} == expected and entry["seed"] == 0
    assert set(entry["hashes"]) == {"data", "file", "config", "model"}
    assert all(len(value) == 64 for value in entry["hashes"].values())
    assert len(entry["days"]) == len(entry["proposal"]) == 14 and entry["grade"] in ("A", "B", "B-", "C", "D")
    assert entry["limits"]["floor"] == pytest.approx(4 / 0.85, rel=0.02)


def test_an_override_replaces_the_model_whose_advice_stays_on_record(
    overridden: tuple[Path, Advised], trained_once: Path
) -> None:
    folder, (result, product, rows) = overridden
    (before,) = json.loads((trained_once / "advice.json").read_text(encoding="utf-8"))["products"]
    assert {row["Source"] for row in rows} == {"override"} and {row["Recommended Price"] for row in rows} == {"12.50"}
    assert "Raise to 12.50 on Tue 1 Apr" in result.out and "decided by override: " in result.out
    assert "after the override ends on 5 Apr 2025" in rows[5]["Reason"] and "ends" not in rows[4]["Reason"]
    assert product["model"]["days"] == before["days"] and product["model"]["decision"] == before["decision"]
    last = entries_of(folder)[-1]
    assert last["order"] == 2 and [day["price"] for day in last["model_days"]] == [
        day["recommended_price"] for day in before["days"]
    ]


def test_a_nasty_reason_breaks_none_of_the_outputs(overridden: tuple[Path, Advised]) -> None:
    _, (_, product, rows) = overridden
    said = "Override by anna until 5 Apr 2025 (entry 2): “clearance of two lines, =cmd() caf\\udce9 xxx"
    assert said in product["reason"] and "”. The model alone: " in product["reason"] and len(product["reason"]) < 1000
    assert len(rows) == 14 and "of two lines, =cmd()" in rows[0]["Reason"] and "\n" not in rows[0]["Reason"]
    assert product["orders"][0]["reason"] == NASTY.replace("\udce9", "\\udce9")


def test_nothing_is_forecast_at_a_forced_price_outside_the_tried_ones(overridden: tuple[Path, Advised]) -> None:
    folder, (result, product, rows) = overridden
    for row in rows:
        assert "not forecast: outside tried prices" in row["Reason"] and not row["Chance Better"]
        for name in ("Units", "Sales", "Profit"):
            assert not any(row[column] for column in (f"Expected {name}", f"{name} Low", f"{name} High"))
    assert product["recommended"] is None and product["uplift"] is None
    assert "Nothing is forecast: you have charged 9.50 to 11.00." in product["reason"]
    assert "Nothing is forecast" in result.out
    assert entries_of(folder)[1]["forced"] is True and entries_of(folder)[-1]["days"][0]["units"] is None
    page = (folder / "checkpoints/seller/report.html").read_text(encoding="utf-8")
    assert "not forecast: outside tried prices" in page and 'points=""' not in page


def test_a_price_inside_tolerance_and_tried_prices_needs_no_force_and_is_forecast(shop: Path) -> None:
    says(shop, f"override --price 10.50 {UNTIL}")
    _, product, rows = _predict(shop)
    assert entries_of(shop)[1]["forced"] is False and product["uplift"] is not None
    assert all(row["Expected Units"] and "not forecast" not in row["Reason"] for row in rows)


def test_a_pause_keeps_the_price_with_the_source_manual_until_resume_ends_it_early(shop: Path) -> None:
    says(shop, f"pause {UNTIL} --by ben", "seller: 10.00 kept until 2025-04-30, active", code=0)
    result, product, rows = _predict(shop, "--decision.min_chance 0")
    assert result.code == 0 and "aused by ben until 30 Apr 2025" in product["reason"]
    assert all((row["Source"], row["Recommended Price"]) == ("manual", row["Current Price"]) for row in rows)
    says(shop, "resume --by anna --reason 'supplier found'", "the order of entry 2 has ended (entry 4 of", code=0)
    says(shop, "resume", "no override, pause, price test, clearance or approval of seller is in force", code=2)
    product = _predict(shop).product
    assert [order["status"] for order in product["orders"]] == ["ended"] and product["decision"]["source"] != "manual"
    says(shop, "history", "10.00 kept until 2025-04-30, ended", "the order of entry 2 has ended")
    says(shop, "audit verify", code=0)


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
    says(shop, "history", "12.50 until 2025-04-03, expired")


def test_costs_that_rose_refuse_an_order_that_was_allowed(shop: Path) -> None:
    assert _override(shop, "8.00", "2025-04-30").code == 0
    result, product, rows = _predict(shop, "--data.guardrails.floor 9")
    assert {row["Source"] for row in rows} != {"override"}
    assert min(float(row["Recommended Price"]) for row in rows) >= 9
    assert "is not followed: the override of 8 is below the floor of 9" in result.out
    assert product["orders"][0]["status"] == "refused"


WRONG = {
    "override --price 3 --until 2025-04-30 --reason x": "--price: the override of 3 is below the floor of 4.7",
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
    "approve 1": "nothing to approve",
    "approve 9": "entry 9 does not exist; the log holds 1 entries",
    "approve nobody": "checkpoints/nobody is not a folder of a run",
    "resume": "no override, pause, price test, clearance or approval of seller is in force",
    "report --product sellr": "did you mean 'seller'?",
    "report --out checkpoints": "advice.json is missing or of another version",
    "prices --as etsy": "amazon",
    "history --run_name seler": "is not a folder of a run; did you mean 'seller'?",
    "history --product x": "--product 'x' is unknown; known are seller",
    "audit replay 1": "must be one of verify, found 'replay'",
    "what-if --ckpt_path checkpoints/seller/best.ckpt --price -1": "must be a positive number up to 1e+12, found -1",
    "override 9 --price 8 --until 2025-04-30 --reason x": "--price: found two values, 9 in the first place and 8",
    "override seller 9 --run_name seller --until 2025-04-30 --reason x": "--run_name: found two values",
    "what-if 10,40": "found '10,40'",
    "what-if 10 --product seler": "did you mean 'seller'?",
    "price-test": "the first word must be plan, start or read, found 'nothing'",
    "price-test plann": "found 'plann'; did you mean 'plan'?",
    "price-test start seller": "price_test.json is missing; plan the test first: price-test plan",
    "price-test plan seller --max_days 0": "--max_days: must be 1 or more, found 0",
    "price-test plan seller --max_cost -1": "--max_cost: must be an amount of money",
    "price-test plan seller --from soon": "--from: must be a day such as 2026-01-31, found 'soon'",
    "price-test read seller": "--data.path",
    "price-test plan seller --data.guardrails.charm_endings 0.99": "charm_endings: must be a list in brackets or null",
    "retrain seller --data.path seller.csv --holdout_days 28": "holdout_days",
    "watch seller --data.path seller.csv --today soon": "--today: must be a day such as 2026-01-31",
    "watch seller --alert_file none.txt --test-alert": "--alert_file: none.txt cannot be read",
    "export --format torch": "--format: must be one of onnx, weights, found 'torch'",
    "predict --config '{horizon: 7}' --data.nope abc": "unknown option --data.nope; did you",
    "predict --config '{horizon: 7}' --horizon abc": "--horizon: must be a whole number",
}


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_order_is_answered_with_one_line_and_nothing_is_written(words: str, shop: Path) -> None:
    before = entries_of(shop)
    says(shop, words, WRONG[words], code=2)
    assert entries_of(shop) == before


def test_the_only_run_is_found_and_one_of_several_must_be_named_with_an_advice(shop: Path) -> None:
    shown = says(shop, "history --run_name seller")
    assert says(shop, "history") == says(shop, f"history --ckpt_path {BEST}") == shown != ""
    says(shop, f"override 10.50 {UNTIL} --product seller", "seller: 10.50 until 2025-04-30, active ")
    (shop / "checkpoints" / "new").mkdir()
    says(shop, f"pause --run_name new {UNTIL}", "has no advice yet; run fit or predict first", code=3)
    (other := shop / "checkpoints" / "other").mkdir()
    shutil.copy(shop / LOG, other)
    says(shop, f"pause {UNTIL}", "checkpoints holds 2 runs, other, seller; name one with --run_name", code=2)
    says(other, "history", "holds no run with shop.db yet; start with: pricerl advise FILE", code=2)


def test_an_approval_is_recorded_once_and_only_for_a_change(shop: Path) -> None:
    assert _override(shop, "12.50", "2025-04-05").code == 0
    _predict(shop)
    says(shop, "approve --by carla --reason agreed", "12.50 on 2025-04-01 approved (entry 3) (entry 4 of ", code=0)
    says(shop, "approve", "entry 3 was approved before, by carla", code=2)
    says(shop, "resume", "seller: the order of entry 2 has ended (entry 5 of")
    says(shop, "resume", "seller: the approval of entry 4 has ended (entry 6 of")
    says(shop, "approve", code=0)


def test_history_tells_what_was_decided_by_whom_and_why_on_one_line_each(shop: Path) -> None:
    assert _override(shop, "12.50", "2025-04-05", reason=NASTY).code == 0
    says(shop, f"pause {UNTIL} --by ben")
    out = says(shop, "history", code=0)
    lines = out.splitlines()
    assert len(lines) == 6 and out.isprintable() is False and "\u202e" not in out and "\u200f" not in out
    assert "override  by anna     seller: 12.50 until 2025-04-05, replaced" in lines[2]
    assert lines[3].strip().startswith("clearance of two lines, =cmd()") and len(lines[3]) < 200
    assert "pause     by ben      seller: 10.00 kept until 2025-04-30, active" in lines[4]
    assert entries_of(shop)[1]["reason"] == NASTY.replace("\udce9", "\\udce9")
    says(shop, "audit verify", code=0)


def test_prices_are_printed_and_written_in_the_form_of_a_platform_with_their_undo(shop: Path) -> None:
    assert _override(shop, "12.50", "2025-04-05").code == 0
    (advice, _) = entries_of(shop)
    before = listing(shop)
    assert says(shop, "prices", code=0).splitlines()[1].split()[:3] == ["seller", "2025-04-01", "12.50"]
    assert listing(shop) == before
    parts = ("woocommerce.undo.csv: the prices until now", "new/folder/woocommerce.csv: 1 price of today; upload: ")
    says(shop, "prices --as woocommerce --out new/folder", *parts, code=0)
    assert (shop / "new/folder/woocommerce.csv").read_bytes() == b"SKU,Regular price\r\nseller,12.50\r\n"
    undo = (shop / "new/folder/woocommerce.undo.csv").read_text(encoding="utf-8")
    assert undo.split() == ["SKU,Regular", "price", f"seller,{advice['current_price']:.2f}"]


DAMAGES = {
    "UPDATE entry SET line = replace(line, '\"price\":12.5,', '\"price\":11.5,')": "entry 2: was changed after it was",
    "DELETE FROM entry WHERE id = 2": "was cut or rewritten: it has 1 entries",
    "DELETE FROM entry": "was cut or rewritten: it has 0 entries",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_changed_or_cut_log_is_noticed_by_every_command_that_reads_it(damage: str, shop: Path) -> None:
    assert _override(shop, "12.50", "2025-04-05").code == 0
    says(shop, "audit verify", f"unbroken, 2 entries, last hash {entries_of(shop)[1]['hash']}", code=0)
    edit(shop / LOG, damage)
    writers = (f"override 10.50 {UNTIL}", f"predict --ckpt_path {BEST} --data.path seller.csv {QUIET}")
    for words in ("audit verify", f"audit verify {LOG}", "approve", "history", *writers):
        says(shop, words, DAMAGES[damage], code=3)


def test_verify_says_whether_the_head_that_a_report_printed_is_an_entry(shop: Path) -> None:
    _predict(shop)
    head = _document(shop)["decision_log"]
    page = (shop / "checkpoints/seller/report.html").read_text(encoding="utf-8")
    printed = re.search(r"decision log: (\d+) entr(?:y|ies), head (\w+…)", page)
    assert printed is not None and (int(printed[1]), printed[2]) == (head["entries"], f"{head['hash'][:12]}…")
    assert _override(shop, "12.50", "2025-04-05").code == 0
    first, second = (entry["hash"] for entry in entries_of(shop))
    assert (head["entries"], head["hash"]) == (1, first), "the entry that the advice knew"
    for anchor, number in ((first, 1), (second[:12], 2), (f"{first[:12].upper()}…", 1), (printed[2], 1)):
        says(shop, f"audit verify --anchor {anchor}", f"is entry {number} of 2", code=0)
    says(shop, "audit verify --anchor 000000000000", "is the head of an empty log", code=0)
    rewritten = "no entry has the hash ffffffffffff: the log was rewritten"
    says(shop, "audit verify --anchor ffffffffffff", rewritten, code=3)
    for wrong in (first[:11], "xyz", f"{first}0", ""):
        says(shop, f"audit verify --anchor={wrong}", "--anchor: must be at least 12 digits of a hash", code=2)


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
    given = ["--data.path", "later.csv", *QUIET.split()]
    loaded = load_words("predict", ["--ckpt_path", BEST, *given])
    own = loaded.pricing.market.preprocessor.products[0].own_price
    assert own is not None and own.nonzero()[0].tolist() == list(range(90, 98))
    _predict(shop, data="later.csv")
    with run_lightning("fit", *long_words([*given, "--run_name", "seller", *FAST])) as fresh:
        assert fresh.checkpoint is not None
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


def _repriced(line: str, price: float, units: int | None = None) -> str:
    """The same day at another price, with the units that the seller's known demand brings there, or others."""
    date, _, _, _, *rest = line.split(",")
    units = round(20 * (price / 10) ** -2) if units is None else units
    return ",".join([date, f"{price:.2f}", f"{price * units:.2f}", f"{0.85 * price * units - 4 * units:.2f}", *rest])


def test_three_bad_days_at_the_advised_price_stop_the_model_and_name_the_last_good_price(shop: Path) -> None:
    lines = seller_lines(93)
    before = float(lines[90].split(",")[1])
    advised = [day["price"] for day in entries_of(shop)[0]["days"][:3]]
    for day, price in enumerate(advised, start=91):
        lines[day] = _repriced(lines[day], price, units=1)
    write_lines(shop / "bad.csv", lines)
    assert _predict(shop, "--decision.kill_days 4", data="bad.csv").product["alarm"] is None
    result, product, rows = _predict(shop, "--decision.kill_days 3", data="bad.csv")
    assert product["alarm"]["days"] == 3 and product["alarm"]["last_good_price"] == before
    assert (rows[0]["Source"], rows[-1]["Recommended Price"]) == ("hold", f"{before:.2f}")
    assert "ales at the advised price were below the 5 % limit of their prediction on 3 days" in product["reason"]
    assert "The last good price was" in product["reason"] and product["model"] is not None
    assert "decided by policy, then hold: " in result.out
    (shop / LOG).unlink()
    assert _predict(shop, data="bad.csv").product["alarm"] is None, "nobody advised these prices"


def test_what_if_answers_beside_keeping_the_price(shop: Path) -> None:
    what_if = f"what-if --ckpt_path {BEST} --data.path seller.csv {QUIET} --price"
    measures = ("units", "sales", "profit", "would earn more in")
    said = says(shop, f"{what_if} 10.40", "at 10.40", "within all limits", *(f"  {name}" for name in measures), code=0)
    assert "override" not in said and len(entries_of(shop)) == 1
    says(shop, f"{what_if} 15", "outside a limit: at most 5 % above the current price")
    says(shop, f"{what_if} 15 --data.guardrails.ceiling 12", "outside a limit: at most 12")


@pytest.mark.slow
def test_several_products_must_be_named(shop: Path) -> None:
    lines = seller_lines(60, product="Mug") + seller_lines(60, product="Bowl", seed=3)[1:]
    write_lines(shop / "two.csv", lines)
    (shop / LOG).unlink()
    says(shop, f"fit --data.path two.csv --run_name seller {QUICK}")
    assert [entry["product"] for entry in entries_of(shop)] == ["Mug", "Bowl"]
    order = f"override 12.50 {UNTIL} --force"
    says(shop, order, "--product is needed, this run has 2: Mug, Bowl", code=2)
    says(shop, "what-if 9 --data.path two.csv", "--product is needed, the file has 2: Mug, Bowl", code=2)
    says(shop, f"{order} --product Mug")
    says(shop, f"predict --data.path two.csv {QUIET}")
    assert [(entry["product"], entry.get("order")) for entry in entries_of(shop)[3:]] == [("Mug", 3)]
    assert "Mug" not in says(shop, "history --product Bowl")


def test_a_rollback_brings_the_weights_of_another_generation_back_unless_they_are_damaged(shop: Path) -> None:
    folder = shop / "checkpoints" / "seller"
    before = (folder / "best.ckpt").read_bytes()
    says(shop, f"fit --data.path seller.csv --run_name seller {QUICK} --seed_everything 1")
    assert (folder / "best.ckpt").read_bytes() != before
    said = says(shop, "rollback --reason better --by anna", "gen-0001 instead of gen-0002 (entry 3", code=0)
    assert "its advice is from gen-0002, which a rollback replaced; run predict" in " ".join(said.split())
    assert (folder / "best.ckpt").read_bytes() == before
    says(shop, "history", "gen-0001 instead of gen-0002")
    says(shop, "rollback --to gen-0002", "gen-0002 instead of gen-0001", code=0)
    says(shop, "rollback --to gen-0009", "complete are gen-0001, gen-0002", code=2)
    says(shop, "audit verify", code=0)
    (folder / "gen-0001" / "best.ckpt").write_bytes(b"x")
    says(shop, "rollback", "gen-0001/best.ckpt is missing or damaged", code=5)
    assert (folder / "current").read_text() == "gen-0002\ngen-0001\n"


def test_an_override_says_what_is_expected_and_which_prices_the_limits_allow(shop: Path) -> None:
    change = "lies between 9.50 (largest change) and 10.50 (largest change). A change is at most 5 % up"
    expected = ("Expected per day, against keeping 10.00:", "  profit  ", "  units   ")
    said = says(shop, f"override 10.80 {UNTIL}", change, *expected)
    curves = _document(shop)["products"][0]["details"]["curves"]
    at = min(range(len(curves["price"])), key=lambda place: abs(curves["price"][place] - 10.8))
    units = float(said.split("  units   ")[1].split(" ")[0].replace("\N{MINUS SIGN}", "-"))
    assert units == pytest.approx(curves["gain"]["units"][at][0], abs=0.35)
    assert 10.8 in curves["price"] and 10.81 not in curves["price"] and "interpolated" not in said
    exact = "interpolated from the last advice; for exact figures: pricerl what-if 10.81 --run_name seller"
    says(shop, f"override 10.81 {UNTIL}", exact)
    says(shop, f"override 12.50 --force {UNTIL}", "Nothing is forecast at 12.50.")


def test_the_run_may_stand_before_a_number(shop: Path) -> None:
    assert says(shop, "what-if seller 10.40") == says(shop, "what-if 10.40 --run_name seller")
    says(shop, f"override seller 10.40 {UNTIL}", "entry 2 of")
    says(shop, "approve seller 1", "entry 1", code=2)


def test_approve_names_an_order_that_is_in_force_and_takes_precedence(shop: Path) -> None:
    says(shop, f"override 10.50 {UNTIL}")
    _predict(shop)
    says(shop, f"pause {UNTIL}")
    why = "the pause keeps the price until 2025-04-30 (entry 4) is in force and takes precedence"
    says(shop, "approve", why, "end it with resume", code=2)
    says(shop, "resume")
    says(shop, "approve", code=0)


def test_if_approval_is_required_only_orders_and_approvals_reach_the_price_file(shop: Path) -> None:
    product = _predict(shop, "--decision.approval manual --data.guardrails.floor 10.3").product
    assert _document(shop)["approval"] == "manual" and _prices(shop) == []
    assert product["recommended_price"] > product["current_price"]
    price = f"{product['recommended_price']:.2f}"
    says(shop, "approve", f"prices.csv: {price} from 2025-04-01")
    approved = _prices(shop)
    says(shop, f"override 10.60 {UNTIL}")
    assert _prices(shop) == ["seller,2025-04-01,10.60"]
    says(shop, "resume")
    assert _prices(shop) == approved == [f"seller,2025-04-01,{price}"]
    _predict(shop)
    assert _prices(shop) == approved
    _predict(shop, "--decision.approval auto")
    assert _document(shop)["approval"] == "auto"


def test_report_makes_the_page_again_from_the_document_alone(shop: Path) -> None:
    page = shop / "checkpoints/seller/report.html"
    before = page.read_bytes()
    page.unlink()
    assert says(shop, "report", code=0).strip().endswith("report.html") and page.read_bytes() == before
