"""The commands about a shop's database: add, shop and backup; and a log of pricerl 1.0 that becomes one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command_line import Result, fresh_shop, run, seller_lines, write_lines

DB = Path("checkpoints", "seller", "shop.db")


@pytest.fixture
def shop(trained_once: Path, tmp_path: Path) -> Path:
    """A folder with a run of its own, one advice in its log, and 90 days."""
    return fresh_shop(trained_once, tmp_path)


def add(shop: Path, lines: list[str], *words: str) -> Result:
    write_lines(shop / "more.csv", lines)
    return run(shop, "add", "more.csv", *words)


def test_days_are_added_in_any_order_and_twice_the_same_is_nothing(shop: Path) -> None:
    header, *rows = seller_lines(110)
    for part, told in ((rows[100:], "10 new or changed days"), (rows[80:104], "10 new"), (rows, "0 new")):
        added = add(shop, [header, *part])
        assert added.code == 0 and told in added.out and "1 product, up to 2025-04-20" in added.out, added
    shown = run(shop, "shop")
    assert shown.code == 0 and "1 entries in the decision log" in shown.out
    assert "seller 110 2025-01-01 2025-04-20 10.00 kept" in " ".join(shown.out.split())
    changed = add(shop, [header, rows[5].replace(",10.50,", ",10.60,").replace(",10.00,", ",10.10,")])
    assert changed.code == 3 and "take it all the same with --accept changed" in changed.err
    assert "1 new or changed day;" in add(shop, (shop / "more.csv").read_text().splitlines(), "--accept=changed").out
    advised = run(shop, "predict", "--data.path", "more.csv", "--today", "2025-04-21")
    assert advised.code in (0, 4) and " seller · 110 days, last day 20 Apr 2025" in advised.out, advised.err


def test_a_product_of_which_no_day_can_be_read_hinders_no_other(shop: Path) -> None:
    lines = [*seller_lines(product="seller"), *(f"Bad,2025-01-{day:02},ten,1,1,12,9" for day in range(1, 31))]
    for _ in range(2):
        added = add(shop, lines)
        assert added.code == 0 and "0 new or changed days; 1 product" in added.out, added


def test_days_may_be_added_before_the_first_advice(tmp_path: Path) -> None:
    added = add(tmp_path, seller_lines(product="Mug"))
    assert added.code == 0 and "checkpoints/more/shop.db: 90 new or changed days" in added.out
    assert "Mug 90 2025-01-01 2025-03-31" in " ".join(run(tmp_path, "shop").out.split())
    assert add(tmp_path, ["Report Date,Product Price", "yesterday,1"]).code == 3


def test_a_backup_is_a_whole_shop(shop: Path, tmp_path: Path) -> None:
    assert run(shop, "pause", "--until", "2025-04-30", "--reason", "x").code == 0
    made = run(shop, "backup", "copy.db")
    assert made.code == 0 and made.out.startswith("copy.db: 2 entries, last hash ")
    assert "copy.db exists; name a new file" in run(shop, "backup", "copy.db").err
    assert run(shop, "resume").code == 0
    assert "copy.db: unbroken, 2 entries" in run(shop, "audit", "verify", "copy.db").out
    before = run(shop, "history").out
    shutil.copy(shop / "copy.db", shop / DB)
    assert "ended" in before and "ended" not in run(shop, "history").out
    assert run(shop, "predict").code in (0, 4)


def test_a_log_of_an_older_version_is_taken_over_by_the_first_command(tmp_path: Path) -> None:
    folder = tmp_path / DB.parent
    folder.mkdir(parents=True)
    for name in ("decisions.jsonl", "decisions.head"):
        shutil.copy(Path(__file__).parents[1] / "operations" / name, folder)
    first, second = run(tmp_path, "history"), run(tmp_path, "history")
    assert first.code == second.code == 0 and first.out == second.out != ""
    assert f"entries of {folder.relative_to(tmp_path)}/decisions.jsonl were taken over into {DB}" in first.err
    assert second.err == "" and run(tmp_path, "audit", "verify").code == 0
