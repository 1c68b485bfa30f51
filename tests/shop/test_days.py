"""Days of a shop: files of any length join, twice the same is nothing, and what changed is asked about."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from command_line import seller_lines, write_lines
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pricerl.data.cleaning.rows import Rows
from pricerl.data.config import DataConfig
from pricerl.data.history import History
from pricerl.data.reading.reader import read_history, read_rows
from pricerl.errors import DataError
from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder
from pricerl.shop.database import reading, writing
from pricerl.shop.days import Days, keep_days, read_days

TODAY = date(2025, 4, 1)
LINES = seller_lines(40)
WEEKS = [LINES[0], *LINES[1::7]]


def rows(folder: Path, lines: list[str], name: str = "mug.csv") -> Rows:
    return read_rows(write_lines(folder / name, lines))


def add(path: Path, fresh: Rows, today: date = TODAY, accepts_changes: bool = False) -> int:
    """Keep the days of a file, as ``pricerl add`` does."""
    with writing(path) as database:
        days = read_days(database)
        joined = fresh if days is None else days.join(fresh, accepts_changes)
        return keep_days(database, joined, today)


def known(path: Path) -> Days:
    with reading(path) as database:
        days = read_days(database)
    assert days is not None
    return days


def same(left: History, right: History) -> bool:
    """Whether two histories have the same days and values."""
    pairs = zip(left.products, right.products, strict=True)
    return all(
        one.product == other.product
        and all(
            np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True)
            for name in ("dates", "price", "units", "sales", "profit", "organic", "ad", "observed")
        )
        for one, other in pairs
    )


def test_weeks_that_join_are_the_history_of_the_whole_file(shop_path: Path, tmp_path: Path) -> None:
    whole = rows(tmp_path, LINES)
    for first in (15, 1, 29, 22, 8, 36):
        add(shop_path, rows(tmp_path, [LINES[0], *LINES[first : first + 7]]))
    assert same(known(shop_path).rows(DataConfig()).clean(), whole.clean())


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=5))
def test_any_parts_of_a_file_in_any_order_are_their_union(
    parts: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    wanted = set()
    for first, last in parts:
        chosen = range(min(first, last), max(first, last) + 1)
        wanted |= {*chosen}
        add(folder / "shop.db", rows(folder, [LINES[0], *(LINES[at] for at in chosen)]))
    dates = known(folder / "shop.db").frame["Report Date"].dt.strftime("%Y-%m-%d").tolist()
    assert dates == [LINES[at].partition(",")[0] for at in sorted(wanted)]


def test_twice_the_same_is_nothing(shop_path: Path, tmp_path: Path) -> None:
    assert add(shop_path, rows(tmp_path, LINES)) == 40
    assert add(shop_path, rows(tmp_path, LINES)) == 0
    assert add(shop_path, rows(tmp_path, LINES[:9])) == 0


def changed(at: int, column: int, value: str) -> list[str]:
    """The file with another value in one cell."""
    cells = LINES[at].split(",")
    return [*LINES[:at], ",".join([*cells[:column], value, *cells[column + 1 :]]), *LINES[at + 1 :]]


def test_a_past_day_that_changed_is_shown_with_both_values_and_decided_once(shop_path: Path, tmp_path: Path) -> None:
    add(shop_path, rows(tmp_path, LINES))
    fresh = rows(tmp_path, changed(3, 2, "77.00"))
    with pytest.raises(
        DataError, match=r"1 day read before changed: 2025-01-03: Total Sales \d+ → 77; .*--accept changed"
    ):
        add(shop_path, fresh)
    assert add(shop_path, fresh, accepts_changes=True) == 1
    assert add(shop_path, fresh) == 0
    assert 77.0 in known(shop_path).frame["Total Sales"].tolist()


def test_a_changed_conversion_is_taken_and_a_blank_cell_changes_nothing(shop_path: Path, tmp_path: Path) -> None:
    add(shop_path, rows(tmp_path, LINES))
    assert add(shop_path, rows(tmp_path, changed(3, 4, "12.34"))) == 1
    assert add(shop_path, rows(tmp_path, changed(5, 3, "")[:3])) == 0
    assert add(shop_path, rows(tmp_path, [LINES[0], *changed(5, 3, "")[5:]])) == 0
    frame = known(shop_path).frame
    assert 12.34 in frame["Organic Conversion Percentage"].tolist() and frame["Total Profit"].notna().all()


def test_a_day_that_was_read_before_it_ended_takes_its_final_values(shop_path: Path, tmp_path: Path) -> None:
    add(shop_path, rows(tmp_path, LINES[:11]), today=date(2025, 1, 10))
    assert add(shop_path, rows(tmp_path, changed(10, 2, "99.00"))) == 31


def test_a_column_that_comes_later_fills_the_days_before(shop_path: Path, tmp_path: Path) -> None:
    add(shop_path, rows(tmp_path, [",".join(line.split(",")[:3]) for line in LINES]))
    assert add(shop_path, rows(tmp_path, LINES)) == 40
    assert known(shop_path).frame["Total Profit"].notna().all()


def test_products_of_other_files_stay(shop_path: Path, tmp_path: Path) -> None:
    mug, bowl = (seller_lines(20, product=name, seed=seed) for seed, name in enumerate(("mug", "bowl")))
    add(shop_path, rows(tmp_path, mug))
    add(shop_path, rows(tmp_path, bowl))
    assert Shop.read(RunFolder(shop_path.parent)).summary() == [
        ("mug", 20, "2025-01-01", "2025-01-20"),
        ("bowl", 20, "2025-01-01", "2025-01-20"),
    ]
    both = read_history(write_lines(tmp_path / "both.csv", [*mug, *bowl[1:]]))
    assert same(known(shop_path).rows(DataConfig()).clean(), both)


def test_a_day_whose_row_cannot_be_read_stays_unknown_until_a_file_has_it(shop_path: Path, tmp_path: Path) -> None:
    ragged = [*LINES[:5], f"{LINES[5]},1,2,3", *LINES[6:21]]
    add(shop_path, rows(tmp_path, ragged))
    assert [str(day) for days in known(shop_path).lost.values() for day in days] == ["2025-01-05"]
    later = rows(tmp_path, [LINES[0], LINES[21], f"{LINES[22]},1,2,3"])
    joined = known(shop_path).join(later, accepts_changes=False).lost
    assert [str(day) for days in joined.values() for day in days] == ["2025-01-05", "2025-01-22"]
    add(shop_path, rows(tmp_path, LINES))
    assert not known(shop_path).lost and len(known(shop_path).frame) == 40


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (WEEKS, "rows are weeks, but the shop has days"),
        ([LINES[0].replace("Product Price", "Product Price (USD)"), *LINES[1:]], "is in USD, but the shop in EUR"),
    ],
    ids=["weeks", "currency"],
)
def test_a_file_of_another_kind_is_refused_with_the_remedy(
    lines: list[str], words: str, shop_path: Path, tmp_path: Path
) -> None:
    add(shop_path, rows(tmp_path, [LINES[0].replace("Product Price", "Product Price (EUR)"), *LINES[1:]]))
    with pytest.raises(DataError, match=f"{words}; name its own shop with --run_name"):
        add(shop_path, rows(tmp_path, lines))


def test_the_news_of_a_file_are_its_new_and_changed_days(shop_path: Path, tmp_path: Path) -> None:
    add(shop_path, rows(tmp_path, LINES[:31]))
    days = known(shop_path)
    assert len(days.news(rows(tmp_path, LINES[:21])).frame) == 0
    assert len(days.news(rows(tmp_path, LINES)).frame) == 10
    assert len(days.news(rows(tmp_path, changed(5, 2, "99.00"))).frame) == 11
    assert len(days.news(rows(tmp_path, changed(5, 3, ""))).frame) == 10


def slashed(lines: list[str]) -> list[str]:
    """The file with dates such as 01/31/2025."""
    days = [line.split(",", 1) for line in lines[1:]]
    return [lines[0], *(f"{day[5:7]}/{day[8:]}/{day[:4]},{rest}" for day, rest in days)]


def test_a_week_that_does_not_show_the_order_of_its_dates_follows_the_files_before(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    add(path, rows(tmp_path, slashed(LINES[:30])))
    week = write_lines(tmp_path / "mug.csv", slashed([LINES[0], *LINES[32:39]]))
    with pytest.raises(DataError, match="can be 2 Jan or 1 Feb"):
        read_rows(week)
    add(path, read_rows(week, DataConfig(date_order=known(path).means["date_order"])))
    assert Shop.read(RunFolder(tmp_path)).summary() == [("mug", 36, "2025-01-01", "2025-02-07")]


def test_prices_far_from_the_known_ones_are_asked_about(shop_path: Path, tmp_path: Path) -> None:
    add(shop_path, rows(tmp_path, LINES[:31]))
    far = [LINES[0], *(f"{line[:11]}99.00,990.00,,," for line in LINES[31:])]
    with pytest.raises(DataError, match=r"prices of mug are near 99, but were near 10.*same product\?; .*--accept"):
        add(shop_path, rows(tmp_path, far))
    assert add(shop_path, rows(tmp_path, far), accepts_changes=True) == 10


def test_the_last_day_of_a_file_may_have_been_unfinished(shop_path: Path, tmp_path: Path) -> None:
    add(shop_path, rows(tmp_path, LINES[:11]))
    assert add(shop_path, rows(tmp_path, changed(10, 2, "99.00"))) == 31


def test_the_currency_stays_if_a_later_file_names_none(shop_path: Path, tmp_path: Path) -> None:
    named = [LINES[0].replace("Product Price", "Product Price (EUR)"), *LINES[1:21]]
    add(shop_path, rows(tmp_path, named))
    add(shop_path, rows(tmp_path, [LINES[0], *LINES[21:]]))
    assert known(shop_path).currency == "EUR"
