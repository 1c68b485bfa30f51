"""A product that comes under a new name is asked about once, and no other one is."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from command_line import SHARED, write_lines

from pricerl.data.cleaning.rows import Rows
from pricerl.data.reading.reader import read_rows
from pricerl.errors import DataError, UsageError
from pricerl.shop.database import writing
from pricerl.shop.days import keep_days as keep
from pricerl.shop.days import known_names, read_days
from pricerl.shop.names import name_rows, read_accepted

HEADER = "Report Date,Product,Product Price,Total Sales"


def days(name: str, first: int, last: int, price: float = 10.0, seed: int = 1, level: float = 9.0) -> list[str]:
    """Rows of a product, from one day of the year on until before another; a longer span has those of a shorter one."""
    units = np.random.default_rng(seed).poisson(level, 400)
    dates = [f"{date(2025, 1, 1) + timedelta(day)}" for day in range(first, last)]
    return [f"{day},{name},{price},{price * units[at]:.2f}" for at, day in enumerate(dates, first)]


def read(folder: Path, *lines: str) -> Rows:
    return read_rows(write_lines(folder / "file.csv", [HEADER, *lines]))


def take(path: Path, rows: Rows, *accepted: str) -> dict[str, int]:
    """Keep the days of a file as ``pricerl add`` does, and return the number of days by product."""
    with writing(path) as database:
        products = [name for (name,) in database.run("SELECT name FROM product ORDER BY id")]
        rows = name_rows(database, rows, products, accepted)
        before = read_days(database)
        keep(database, rows if before is None else before.join(rows, True), date(2025, 12, 1))
        counted = "SELECT name, count(*) FROM day JOIN product ON product.id = day.product GROUP BY name"
        return dict(database.run(counted))


LATER = {
    "overlapping": (days("Mug blue", 30, 90), r"same price and sales on 28 of 28 days"),
    "following": (days("Mug blue", 60, 67, 10.2, 5), r"one ends on 2025-03-01, the other begins on 2025-03-02"),
}


@pytest.mark.parametrize(("lines", "why"), LATER.values(), ids=LATER)
def test_a_new_name_is_asked_about_and_joined_for_good(
    lines: list[str], why: str, shop_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    take(shop_path, read(tmp_path, *days("mug", 0, 60), *days("bowl", 0, 60, 30.0, 2)))
    fresh = read(tmp_path, *days("bowl", 60, 67, 30.0, 2), *lines)
    asked = rf"Mug blue is new and looks like mug \([^()]*{why}\): the same .* --accept renamed, or .* --accept new"
    with pytest.raises(DataError, match=asked):
        take(shop_path, fresh)
    last = 90 if len(lines) > 7 else 67
    assert take(shop_path, fresh, "renamed") == {"mug": last, "bowl": 67}
    assert "note: Mug blue is joined to mug, the name that the shop keeps" in capsys.readouterr().err
    assert take(shop_path, read(tmp_path, *days("Mug blue", 90, 97, 44.0, 6))) == {"mug": last + 7, "bowl": 67}
    assert not capsys.readouterr().err
    with writing(shop_path) as database:
        assert known_names(database) == {"Mug blue": "mug"}


@pytest.mark.parametrize("lines", [lines for lines, _ in LATER.values()], ids=LATER)
def test_both_stand_and_are_not_asked_about_again(lines: list[str], shop_path: Path, tmp_path: Path) -> None:
    take(shop_path, read(tmp_path, *days("mug", 0, 60)))
    for accepted in (["new"], []):
        assert take(shop_path, read(tmp_path, *lines), *accepted) == {"mug": 60, "Mug blue": len(lines)}


OTHERS = [days(f"cup {at}", 0, 90, 9.0 + at, 10 + at) for at in range(5)]
KNOWN = [line for rows in OTHERS for line in rows[:60]]
UNASKED = {
    "next to all": [line for rows in OTHERS for line in rows[60:]] + days("New", 60, 90, 9.0, 3),
    "one shelf": [*OTHERS[0][60:67], *days("New", 60, 67, 10.1, 3)],
    "one shelf again": [*OTHERS[0][30:], *days("New", 30, 90, 11.0, 3)],
    "after a rest": [line for rows in OTHERS[1:] for line in rows[60:]] + days("New", 80, 90, 9.0, 3),
    "at another price": [line for rows in OTHERS[1:] for line in rows[60:]] + days("New", 60, 90, 20.0, 3),
    "of other sales": [line for rows in OTHERS[1:] for line in rows[60:]] + days("New", 60, 90, 9.0, 3, 90.0),
    "two that fit": [line for rows in OTHERS[1:] for line in rows[60:]]
    + days("New", 60, 90, 9.0, 3)
    + days("Newer", 60, 90, 9.1, 4),
    "days alike by chance": days("New", 0, 60, 9.0, 3, 0.02),
}


@pytest.mark.parametrize("lines", UNASKED.values(), ids=UNASKED)
def test_a_new_product_is_not_asked_about(lines: list[str], shop_path: Path, tmp_path: Path) -> None:
    take(shop_path, read(tmp_path, *KNOWN))
    assert "New" in take(shop_path, read(tmp_path, *lines))


def test_products_that_seldom_sell_may_be_missing_from_a_week(shop_path: Path, tmp_path: Path) -> None:
    seldom = [line for line in days("slow", 0, 60, 30.0, 2, 0.3) if not line.endswith(",0.00")]
    take(shop_path, read(tmp_path, *days("mug", 0, 60), *seldom))
    fresh = [*days("mug", 60, 67), *days("New", 60, 67, 30.0, 3)]
    assert take(shop_path, read(tmp_path, *fresh)) == {"mug": 67, "slow": len(seldom), "New": 7}


def test_several_names_are_one_question(shop_path: Path, tmp_path: Path) -> None:
    names = [f"cup {at}" for at in range(5)] + ["mug", "bowl"]
    every = [days(name, 0, 60, 10.0 + at, at) for at, name in enumerate(names)]
    take(shop_path, read(tmp_path, *(line for rows in every for line in rows)))
    fresh = read(tmp_path, *(line.replace(",", ",New ", 1) for rows in every for line in rows))
    with pytest.raises(DataError, match=r"(is new and looks like .*){5} and 2 more: the same products\?"):
        take(shop_path, fresh)
    assert take(shop_path, fresh, "renamed") == dict.fromkeys(names, 60)


def test_days_on_which_both_names_have_rows_are_summed(shop_path: Path, tmp_path: Path) -> None:
    take(shop_path, read(tmp_path, *days("mug", 0, 60)))
    take(shop_path, read(tmp_path, *days("Mug blue", 30, 60)), "renamed")
    both = read(tmp_path, "2025-04-01,Mug blue,9,90", "2025-04-01,mug,10,10", "2025-04-02,mug,10,20")
    assert take(shop_path, both) == {"mug": 62}
    with writing(shop_path) as database:
        rows = database.run("SELECT price, sales FROM day WHERE date > '2025-03-31' ORDER BY date")
    assert [*map(tuple, rows)] == [(9, 100), (10, 20)]


@pytest.mark.parametrize("name", ["onlineretail_85123A", "soapnuts", "cheese_tops"])
def test_real_products_are_found_again_under_another_name(name: str, shop_path: Path, tmp_path: Path) -> None:
    if not SHARED.is_dir():
        pytest.skip("the real data is not next to the project")
    first, *lines = (SHARED / f"{name}.csv").read_text().splitlines()
    lines = sorted(lines)
    for own, part in ((name, lines[: len(lines) * 3 // 4]), ("Renamed", lines)):
        rows = read_rows(write_lines(tmp_path / "file.csv", [f"Product,{first}", *(f"{own},{line}" for line in part)]))
        if own == name:
            take(shop_path, rows)
    with pytest.raises(DataError, match=rf"Renamed is new and looks like {name} \(same price and sales on"):
        take(shop_path, rows)


def test_answers_are_known_and_none_contradicts_another() -> None:
    assert read_accepted(None) == set() and read_accepted("changed,renamed") == {"changed", "renamed"}
    for text in ("all", "new,renamed"):
        with pytest.raises(UsageError, match="--accept: must be some of changed, groups, and renamed or new"):
            read_accepted(text)
