"""Faults of a shop that its simulation found."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from breaks import System, simulated
from seller import Seller, draft_advice, stored
from shop_rules import Entry

from pricerl.advice.files import About
from pricerl.formatting import Formatter
from pricerl.operations.exports import Publication
from pricerl.operations.log import drafts
from pricerl.operations.shop import Shop
from pricerl.runs.folder import Generation, RunFolder
from pricerl.shop.database import backup


@pytest.fixture
def system() -> Iterator[System]:
    """A simulated system, in which nothing breaks unless it is planned."""
    made = System()
    with simulated(made):
        yield made


def advise(folder: Path, names: list[str], generation: str = "gen-0001", batch: str = "b1") -> Shop:
    """Advise on products with a generation, which is in force from here on, as ``fit`` does."""
    shop = Shop.open(RunFolder(folder))
    uses = Generation(folder / generation)
    uses.path.mkdir(parents=True, exist_ok=True)
    seller, chance = Seller(System().today), random.Random(1)
    made = draft_advice(shop, seller, chance, names, "fit", generation, batch, plain=True)
    about = Publication(About("sales.csv", "profit", config=batch), Formatter())
    return shop.record(made, about, [stored(name, batch) for name in names], None, uses)[1]


def rollback(folder: Path, name: str) -> None:
    draft: Entry = {**drafts.typed_stamp("rollback", "anna", ""), "generation": name, "instead_of": None}
    Shop.open(RunFolder(folder)).record([draft], uses=Generation(folder / name))


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
    assert (tmp_path / "current").read_text() == "gen-0001\n"
    before = (tmp_path / "prices.csv").read_bytes()
    Shop.open(RunFolder(tmp_path))
    assert (tmp_path / "prices.csv").read_bytes() == before


def test_the_files_of_a_backup_that_is_put_in_place_are_written_again(system: System, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    shop = advise(folder, ["mug"])
    backup(shop.log_path, tmp_path / "copy.db")
    advise(folder, ["mug"], batch="b2")
    assert (folder / "advice.json").read_text(encoding="utf-8").startswith("b2")
    shutil.copy(tmp_path / "copy.db", shop.log_path)
    Shop.open(RunFolder(folder))
    assert (folder / "advice.json").read_text(encoding="utf-8").startswith("b1")
