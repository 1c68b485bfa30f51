"""Faults of a shop that its simulation found."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from breaks import System, simulated
from seller import Seller, draft_advice, planned_test, stored
from seller_files import SellersFile, rows_of
from shop_rules import Entry

from pricerl.advice.files import About
from pricerl.data.cleaning.rows import Rows
from pricerl.errors import DataError, UsageError
from pricerl.formatting import Formatter
from pricerl.operations import exports
from pricerl.operations.exports import Publication
from pricerl.operations.log import drafts
from pricerl.operations.shop import Shop
from pricerl.runs.folder import Generation, RunFolder
from pricerl.shop.database import backup, reading
from pricerl.shop.files import FilesRead, hash_files, were_read


@pytest.fixture
def system() -> Iterator[System]:
    """A simulated system, in which nothing breaks unless it is planned."""
    made = System()
    with simulated(made):
        yield made


def advise(
    folder: Path, names: list[str], generation: str = "gen-0001", batch: str = "b1", seller: Seller | None = None
) -> Shop:
    """Advise on products with a generation, which is in force from here on, as ``fit`` does."""
    shop = Shop.open(RunFolder(folder))
    uses = Generation(folder / generation)
    uses.path.mkdir(parents=True, exist_ok=True)
    uses.model.touch()
    made = draft_advice(
        shop, seller or Seller(System().today), random.Random(1), names, "fit", generation, batch, plain=True
    )
    about = Publication(About("sales.csv", "profit", config=batch), Formatter())
    return shop.record(lambda _: made, about, [stored(name, batch) for name in names], None, uses)[1]


def rollback(folder: Path, name: str) -> None:
    draft: Entry = {**drafts.typed_stamp("rollback", "anna", ""), "generation": name, "instead_of": None}
    Shop.open(RunFolder(folder)).record(lambda _: [draft], uses=Generation(folder / name))


def test_a_typed_limit_of_a_product_outlives_a_file_without_it(system: System, tmp_path: Path) -> None:
    shop = advise(tmp_path, ["mug", "cap"])
    shop.record(lambda now: [drafts.draft_limits(now, {"floor": 9.5}, "anna", "", "mug")])
    assert advise(tmp_path, ["cap"], batch="b2").guardrails["products"] == {"mug": {"floor": 9.5}}


def test_a_command_that_writes_files_late_writes_those_of_the_generation_in_force(
    system: System, tmp_path: Path
) -> None:
    advise(tmp_path, ["mug"])
    shop = advise(tmp_path, ["mug"], "gen-0002", "b2")
    rollback(tmp_path, "gen-0001")
    shop.export()
    assert (tmp_path / "current").read_text().split()[0] == "gen-0001"
    before = (tmp_path / "prices.csv").read_bytes()
    Shop.open(RunFolder(tmp_path))
    assert (tmp_path / "prices.csv").read_bytes() == before


def test_pages_say_that_a_rollback_has_replaced_their_advice_until_the_next_one(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    usual = exports.render_files
    monkeypatch.setattr(exports, "render_files", lambda *given: notes.append(given[-2]) or usual(*given))
    advise(tmp_path, ["mug"])
    advise(tmp_path, ["mug"], "gen-0002", "b2")
    rollback(tmp_path, "gen-0001")
    Shop.open(RunFolder(tmp_path))
    advise(tmp_path, ["mug"], "gen-0001", "b3")
    assert notes == ["", "", exports.REPLACED, ""]


def test_the_files_of_a_backup_that_is_put_in_place_are_written_again(system: System, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    shop = advise(folder, ["mug"])
    backup(shop.log_path, tmp_path / "copy.db")
    advise(folder, ["mug"], batch="b2")
    assert (folder / "advice.json").read_text(encoding="utf-8").startswith("b2")
    shutil.copy(tmp_path / "copy.db", shop.log_path)
    Shop.open(RunFolder(folder))
    assert (folder / "advice.json").read_text(encoding="utf-8").startswith("b1")


def test_a_copy_of_the_folder_loses_the_page_of_a_product_that_vanished_but_no_file_of_the_user(
    system: System, tmp_path: Path
) -> None:
    advise(tmp_path / "shop", ["mug", "cap", "=bowl"])
    for own in ("notes.html", "2026.html", "01-mug.html", "001-mug.txt"):
        (tmp_path / "shop" / "report" / own).touch()
    shutil.copytree(tmp_path / "shop", tmp_path / "copy")
    advise(tmp_path / "copy", ["mug"], batch="b2")
    found = sorted(path.name for path in (tmp_path / "copy" / "report").iterdir())
    assert found == ["001-mug.html", "001-mug.txt", "01-mug.html", "2026.html", "notes.html"]


def test_a_price_test_returns_to_a_regular_price_between_two_steps(system: System, tmp_path: Path) -> None:
    shop = advise(tmp_path, ["mug"])
    plan = planned_test("mug", system.today, (10.0, 10.2), 1, 1, seed=1)
    shop = shop.record(lambda now: [drafts.draft_price_test(now, plan, "anna", "")])[1]
    shop = shop.record(lambda now: [drafts.draft_limits(now, {"price_step": 0.03}, "anna", "")])[1]
    system.today += timedelta(days=len(plan["schedule"]))
    assert [(row.product, row.price) for row in Shop.open(shop.folder).outbox.rows] == [("mug", 10.0)]


def test_a_price_test_whose_price_is_between_two_steps_is_refused(system: System, tmp_path: Path) -> None:
    shop = advise(tmp_path, ["mug"])
    plan = planned_test("mug", system.today, (10.0, 10.2), 1, 1, seed=0)
    after = shop.record(lambda now: [drafts.draft_price_test(now, plan, "anna", "")])[1]
    after = after.record(lambda now: [drafts.draft_limits(now, {"price_step": 0.05}, "anna", "")])[1]
    assert [order.status for order in after.orders_on("mug")] == ["active"]
    after = after.record(lambda now: [drafts.draft_limits(now, {"price_step": 0.07}, "anna", "")])[1]
    assert [order.status for order in after.orders_on("mug")] == ["refused"]
    after = after.record(lambda now: [drafts.draft_resumption(now, "mug", "anna", "")])[1]
    with pytest.raises(UsageError, match="not a multiple of the price step"):
        drafts.draft_price_test(after, plan, "anna", "")


def test_no_price_test_starts_while_an_override_waits_for_a_limit(system: System, tmp_path: Path) -> None:
    shop, until = advise(tmp_path, ["mug"]), str(system.today + timedelta(days=20))
    shop = shop.record(lambda now: [drafts.draft_override(now, "mug", until, "anna", "sale", 9.6)])[1]
    shop = shop.record(lambda now: [drafts.draft_limits(now, {"floor": 9.8}, "anna", "")])[1]
    plan = planned_test("mug", system.today, (10.0, 10.2), 1, 1, seed=0)
    with pytest.raises(UsageError, match=r"the override of mug until .* waits, as the override of 9.6 is below the fl"):
        drafts.draft_price_test(shop, plan, "anna", "")
    shop = shop.record(lambda now: [drafts.draft_resumption(now, "mug", "anna", "")])[1]
    shop = shop.record(lambda now: [drafts.draft_price_test(now, plan, "anna", "")])[1]
    assert [order.status for order in shop.orders_on("mug")] == ["ended", "active"]


def test_the_end_of_a_price_test_on_its_last_day_keeps_the_price_once_a_file_shows_this_day(
    system: System, tmp_path: Path
) -> None:
    plan = planned_test("mug", system.today, (10.0, 10.2), 1, 1, seed=1)
    advise(tmp_path, ["mug"]).record(lambda now: [drafts.draft_price_test(now, plan, "anna", "")])
    system.today += timedelta(days=1)
    seller = Seller(system.today + timedelta(days=1))
    seller.charged["mug"][system.today] = 10.2
    shop = advise(tmp_path, ["mug"], "gen-0002", "b2", seller)
    assert [order.status for order in shop.orders_on("mug")] == ["returning"]
    shop = shop.record(lambda now: [drafts.draft_resumption(now, "mug", "anna", "")])[1]
    assert shop.order_on("mug") is None


def orders(day: str, *numbers: int) -> Rows:
    """Rows of a file with orders of one unit of the mug at 10 on one day."""
    lines = {("mug", day, f"{number}"): (1.0, 10.0) for number in numbers}
    cells = {("mug", day): (10.0, 10.0 * len(lines), float(len(lines)))}
    return rows_of(SellersFile("orders", cells, lines=lines, numbers=frozenset(map(str, numbers))))


def days_of(shop: Shop) -> list[tuple[str, float]]:
    found = Shop.open(shop.folder).days()
    return [] if found is None else [*zip(found.frame["Product"], found.frame["Total Sales"], strict=True)]


def test_parts_of_a_day_from_two_commands_that_read_them_at_once_are_both_counted(
    system: System, tmp_path: Path
) -> None:
    shop, parts = Shop.open(RunFolder(tmp_path)), [orders("2025-12-30", 1, 2), orders("2025-12-30", 2, 3, 4)]
    both = [FilesRead(rows, unread=shop.named(rows)) for rows in parts]
    assert [shop.add(read) for read in both] == [1, 1]
    assert days_of(shop) == [("mug", 40.0)]


def test_a_change_that_was_accepted_stays_when_a_command_ends_that_read_the_days_before(
    system: System, tmp_path: Path
) -> None:
    shop = Shop.open(RunFolder(tmp_path))
    days = [("mug", f"2025-12-{day}") for day in range(24, 28)]
    files = [SellersFile("days", dict.fromkeys(days, (10.0, sold, None))) for sold in (50.0, 60.0)]
    early = FilesRead(rows_of(files[0]), unread=shop.named(rows_of(files[0])))
    shop.add(FilesRead(rows_of(files[1])))
    with pytest.raises(DataError, match=r"3 days read before changed: 2025-12-24: Total Sales 60 → 50"):
        shop.add(early)
    assert days_of(shop) == [("mug", 60.0)] * 4


def test_a_file_that_was_written_again_while_it_was_read_is_read_again(system: System, tmp_path: Path) -> None:
    path = tmp_path / "days.csv"
    path.write_text("first")
    hashes = hash_files([f"{path}"])
    path.write_text("second")
    shop = Shop.open(RunFolder(tmp_path / "shop"))
    shop.add(FilesRead(orders("2025-12-30", 1), hashes=hashes))
    with reading(shop.log_path) as database:
        assert not were_read(database, [f"{path}"])


def test_days_of_a_product_without_a_readable_row_are_no_days_of_the_shop(system: System, tmp_path: Path) -> None:
    shop = Shop.open(RunFolder(tmp_path))
    lost = frozenset([("cap", "2025-12-30"), ("mug", "2025-12-31")])
    rows = rows_of(SellersFile("days", {("mug", "2025-12-30"): (10.0, 50.0, None)}, lost))
    assert shop.add(FilesRead(rows)) == 2
    assert Shop.open(shop.folder).products == ["mug"]


def test_unreadable_days_of_a_product_under_both_its_names_are_all_known(system: System, tmp_path: Path) -> None:
    lost = frozenset([("mug", "2025-12-30"), ("cup", "2025-12-31")])
    cells = {(name, "2025-12-29"): (10.0, 50.0, None) for name in ("mug", "cup")}
    rows = rows_of(SellersFile("days", cells, lost)).renamed({"cup": "mug"})
    assert [f"{day}" for day in rows.lost["mug"]] == ["2025-12-30", "2025-12-31"]
