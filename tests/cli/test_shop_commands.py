"""The commands about a whole shop: add, shop, backup, retrain and review; and a log of pricerl 1.0 that becomes one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from advice_outputs import lowering_policy
from command_line import run, seller_lines, write_lines
from saying import says

from pricerl.data.reading.reader import read_rows
from pricerl.operations.log.decision_log import read_log
from pricerl.operations.log.drafts import draft_limits, draft_publishing
from pricerl.operations.shop import Shop
from pricerl.runs.checkpoint import Checkpoint
from pricerl.runs.folder import BEST, RunFolder
from pricerl.shop.database import reading

DB = Path("checkpoints", "seller", "shop.db")


def test_days_are_added_in_any_order_and_twice_the_same_is_nothing(shop: Path) -> None:
    header, *rows = seller_lines(110)
    more = shop / "more.csv"
    for part, told in ((rows[100:], "10 new or changed days"), (rows[80:104], "10 new"), (rows, "0 new")):
        write_lines(more, [header, *part])
        says(shop, "add more.csv", told, "1 product, up to 2025-04-20", code=0)
    shown = says(shop, "shop", "1 entries in the decision log", code=0)
    assert "seller 110 2025-01-01 2025-04-20 10.00 kept" in " ".join(shown.split())
    write_lines(more, [header, rows[5].replace(",10.50,", ",10.60,").replace(",10.00,", ",10.10,")])
    assert "take it all the same with --accept changed" in run(shop, "add", "more.csv").err
    says(shop, "add more.csv --accept=changed", "1 new or changed day;", code=0)
    says(shop, "predict --data.path more.csv --today 2025-04-21", " seller · 110 days, last day 20 Apr 2025")


def test_two_parts_of_a_day_are_joined_by_the_numbers_of_their_orders(tmp_path: Path) -> None:
    header = "amazon-order-id,purchase-date,order-status,sku,asin,quantity,item-price,currency"
    lines = [f"{at},2025-03-0{max(at - 4, 1)},Shipped,mug,B0,1,{10 + at},EUR" for at in range(1, 10)]
    for part, told in (
        (lines[:6], "2 new"),
        (lines[3:], "3 new"),
        (lines[:6], "0 new"),
    ):
        write_lines(tmp_path / "more.csv", [header, *part])
        says(tmp_path, "add more.csv", f"{told} or changed days")
    days = Shop.read(RunFolder(tmp_path / DB.parents[1] / "more")).days()
    assert days is not None and days.frame["Units"].tolist() == [5, 1, 1, 1, 1]


def test_a_product_under_a_new_name_is_asked_about_until_it_is_joined(shop: Path) -> None:
    write_lines(shop / "more.csv", seller_lines(110, product="Mug"))
    advise = ("predict", "--data.path", "more.csv", "--today", "2025-04-21")
    for words in (advise, ("watch", *advise[1:]), ("add", "more.csv")):
        asked = run(shop, *words)
        assert (
            asked.code == 3 and "Mug is new and looks like seller (same price and sales on 28 of 28 days)" in asked.err
        )
    assert run(shop, *advise, "--accept", "old").code == 2
    advised = run(shop, *advise, "--accept", "renamed")
    assert advised.code in (0, 4) and " seller · 110 days" in advised.out, advised.err
    assert "note: Mug is joined to seller, the name that the shop keeps" in advised.err
    week = [seller_lines(1, product="Mug")[0], *seller_lines(117, product="Mug")[111:]]
    write_lines(shop / "more.csv", week)
    says(shop, "add more.csv", "7 new or changed days; 1 product, up to 2025-04-27")


def test_variants_of_a_product_are_proposed_once_and_a_group_from_then_on(shop: Path) -> None:
    one, two = (seller_lines(seed=seed, product=f"Tea {size} g") for seed, size in ((2, 250), (3, 500)))
    write_lines(shop / "teas.csv", [*one, *two[1:]])
    proposed = "Tea ('Tea 250 g', 'Tea 500 g'): variants of one product? price them together with"
    assert f"{proposed} advise FILE --accept groups" in " ".join(says(shop, "check teas.csv").split())

    def categories() -> set[str]:
        with reading(shop / DB) as database:
            return {category for name, category in database.run("SELECT name, category FROM product") if "Tea" in name}

    assert f"note: {proposed} --accept groups" in run(shop, "add", "teas.csv").err and categories() == {""}
    assert not run(shop, "add", "teas.csv").err and categories() == {""}
    assert not run(shop, "add", "teas.csv", "--accept", "groups").err and categories() == {"Tea"}
    days = Shop.read(RunFolder(shop / DB.parent)).days()
    assert days is not None
    joined = days.join(read_rows(shop / "teas.csv"), False).clean().products
    assert [product.group for product in joined] == ["", "Tea", "Tea"]


def test_all_changes_of_a_group_are_approved_as_a_whole_or_not_at_all(shop: Path) -> None:
    one, two = (seller_lines(60, seed=seed, product=f"Tea {size}") for seed, size in ((2, "S"), (3, "L")))
    write_lines(shop / "teas.csv", [f"{one[0]},Group", *(f"{line},Tea" for line in (*one[1:], *two[1:]))])
    manual = ("--decision.min_chance", "0", "--decision.approval", "manual")
    with lowering_policy():
        done = run(shop, "predict", "--data.path", "teas.csv", *manual)
    assert done.code == 0, done.err
    day = "--today 2025-03-02"
    says(shop, f"approve --group Cups {day}", "group 'Cups' is unknown; known are 'Tea'", code=2)
    says(shop, f"approve --group Tea --product seller {day}", "leave out product", code=2)
    says(shop, f"approve 1 --group Tea {day}", "no change of entry 1 waits for an approval", code=2)
    says(shop, "approve --group Tea --today 2025-05-01", "run predict with a fresh file first", code=2)
    assert not [entry for entry in read_log(shop / DB).entries if entry["kind"] == "approval"]
    said = says(shop, f"approve --group Tea --reason agreed {day}", "Tea S: 9.50", "Tea L: ", code=0)
    assert said.count("approved") == 2
    says(shop, f"approve --group Tea {day}", "no change waits for an approval", code=2)


def test_a_product_of_which_no_day_can_be_read_hinders_no_other(shop: Path) -> None:
    lines = [*seller_lines(product="seller"), *(f"Bad,2025-01-{day:02},ten,1,1,12,9" for day in range(1, 31))]
    write_lines(shop / "more.csv", lines)
    for _ in range(2):
        says(shop, "add more.csv", "0 new or changed days; 1 product", code=0)


def test_days_may_be_added_before_the_first_advice(tmp_path: Path) -> None:
    write_lines(tmp_path / "more.csv", seller_lines(product="Mug"))
    says(tmp_path, "add more.csv", "checkpoints/more/shop.db: 90 new or changed days", code=0)
    assert "Mug 90 2025-01-01 2025-03-31" in " ".join(says(tmp_path, "shop").split())
    write_lines(tmp_path / "more.csv", ["Report Date,Product Price", "yesterday,1"])
    assert run(tmp_path, "add", "more.csv").code == 3


def test_a_backup_is_a_whole_shop(shop: Path) -> None:
    says(shop, "pause --until 2025-04-30 --reason x")
    assert says(shop, "backup copy.db", code=0).startswith("copy.db: 2 entries, last hash ")
    says(shop, "backup copy.db", "copy.db exists; name a new file", code=2)
    says(shop, "resume")
    says(shop, "audit verify copy.db", "copy.db: unbroken, 2 entries", code=0)
    says(shop, "history", "ended")
    shutil.copy(shop / "copy.db", shop / DB)
    assert "ended" not in says(shop, "history")
    says(shop, "predict")


def test_a_log_of_an_older_version_is_taken_over_by_the_first_command(tmp_path: Path) -> None:
    folder = tmp_path / DB.parent
    folder.mkdir(parents=True)
    for name in ("decisions.jsonl", "decisions.head"):
        shutil.copy(Path(__file__).parents[1] / "operations" / name, folder)
    first, second = run(tmp_path, "history"), run(tmp_path, "history")
    assert first.code == second.code == 0 and first.out == second.out != ""
    assert f"entries of {folder.relative_to(tmp_path)}/decisions.jsonl were taken over into {DB}" in first.err
    assert second.err == "" and run(tmp_path, "audit", "verify").code == 0


@pytest.mark.slow
def test_a_retraining_is_a_fit_with_the_kept_settings_and_the_new_days(shop: Path) -> None:
    folder = RunFolder(shop / "checkpoints" / "seller")
    state = Shop.open(folder)
    state.record(
        lambda _: [draft_publishing(state, "manual", "anna", ""), draft_limits(state, {"floor": 1.25}, "anna", "")]
    )
    write_lines(shop / "fresh.csv", seller_lines(150))
    says(shop, "retrain seller --data.path fresh.csv --trainer.enable_progress_bar false")
    assert folder.current is not None and folder.current.name == "gen-0002"
    assert (folder.path / BEST).samefile(folder.path / "gen-0002" / BEST)
    (advice,) = Shop.open(folder).newest.values()
    assert advice["history_end"] == seller_lines(150)[-1].split(",")[0]
    assert (advice["terms"]["approval"], advice["terms"]["guardrails"]) == ("manual", {"floor": 1.25})
    made, before = (Checkpoint.read(folder.path / name / BEST) for name in ("gen-0002", "gen-0001"))
    assert made.about["limits"] == before.about["limits"]
    says(shop, "rollback seller", code=0)
    assert folder.current.name == "gen-0001"


def test_a_review_compares_past_advice_with_what_happened(shop: Path) -> None:
    write_lines(shop / "fresh.csv", seller_lines(150))
    says(shop, "review seller --data.path fresh.csv", "2025-04", code=0)
    assert (shop / "checkpoints/seller/review.html").exists()
    write_lines(shop / "fresh.csv", seller_lines())
    says(shop, "review seller --data.path fresh.csv", "no day of the file had been advised on before", code=3)
