"""Products of a catalogue, which are cleaned together, are cleaned as each one alone."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

from pricerl.data.cleaning import product_rows
from pricerl.data.cleaning.product_rows import Segments
from pricerl.data.config import DataConfig
from pricerl.data.history import History, ProductHistory
from pricerl.data.reading.reader import history_from_text

CONFIG = DataConfig(missing_days="unknown", suspicious="keep", country="DE")
SHARED_DAYS = {"short": 5, "unsold": 30, "one row": 1}
KINDS = (
    "plain",
    "rows left out",
    "refunds",
    "zero sales",
    "zero run",
    "blank run",
    "blank end",
    "zero end",
    "blank prices",
    "late start",
    "averages",
    "slow",
    *SHARED_DAYS,
)


def product(kind: str, number: int) -> pd.DataFrame:
    """Return 90 days of a product with one peculiarity, fewer where its kind says so."""
    generator = np.random.default_rng(number)
    days = SHARED_DAYS.get(kind, 90)
    day = np.arange(days)
    price = np.repeat(np.round(generator.uniform(8, 12, 7), 2), 14)[:days]
    units = generator.poisson(0.5 if kind == "slow" else 12, days).astype(float)
    if kind == "averages":
        price = np.round(price * generator.uniform(0.97, 1.03, days), 4)
    units[(kind == "zero sales") & (day % 9 == 5) | (kind == "zero run") & (day > 40) & (day < 60)] = 0
    units[(kind == "zero end") & (day > 80) | (kind == "unsold")] = 0
    sales = np.round(price * units, 2)
    sales[(kind == "refunds") & (day % 30 == 9)] = -5.0
    idle = (kind == "blank run") & (day > 40) & (day < 60) | (kind == "blank end") & (day > 80)
    idle |= (kind == "late start") & (day < 4)
    price[idle | (kind == "blank prices") & (day % 10 == 3)] = np.nan
    sales[idle] = np.nan
    frame = pd.DataFrame(
        {
            "Report Date": np.datetime64("2024-03-01") + (number % 3 + day),
            "Product Price": price,
            "Total Sales": sales,
            "Organic Conversion Percentage": np.where(generator.random(days) < 0.2, np.nan, 3 + 150 * (day == 7)),
            "Predicted Sales": np.where(generator.random(days) < 0.1, np.nan, 120.0),
            "Unit Cost": np.where(day % 5 == 0, 4.0, np.nan),
            "Competitor Price": np.where((day > 2) & (number % 2 == 0), 9.0, np.nan),
            "In Stock": np.where((number % 4 == 0) & (day % 20 == 3), 0.0, 1.0),
            "Product": f"{number}: {kind}",
            "Group": np.where((day % 6 < number % 6) & (day < 50), "old", "") if number % 2 else "",
        }
    )
    return frame[(kind != "rows left out") | (day % 7 != 3)]


def read(frame: pd.DataFrame) -> History:
    return history_from_text(frame.to_csv(index=False), "catalogue.csv", CONFIG)


@pytest.fixture(scope="module")
def frames() -> list[pd.DataFrame]:
    return [product(kind, number) for number, kind in enumerate(KINDS)]


@pytest.mark.parametrize("part_rows", [1, 200, 2**16])
def test_a_catalogue_is_cleaned_as_each_product_alone(
    frames: list[pd.DataFrame], part_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product_rows, "PART_ROWS", part_rows)
    together = read(pd.concat(frames[::-1]).sample(frac=1, random_state=0))
    found = {history.product: history for history in together.products}
    reports = {report.product: report for report in together.reports}
    assert len(together.problems) == len(SHARED_DAYS) and len(found) == len(KINDS) - len(SHARED_DAYS)
    names = {field.name for field in fields(ProductHistory)} - {"holidays"}  # which depend on the days of the file
    for frame in frames[: len(found)]:
        alone = read(frame)
        (history,), (report,) = alone.products, alone.reports
        for name in names:
            np.testing.assert_equal(getattr(found[history.product], name), getattr(history, name))
        same = {name: value for name, value in vars(report).items() if name != "notes"}
        assert same == {name: getattr(reports[report.product], name) for name in same}
        assert set(reports[report.product].notes) >= set(report.notes)


def test_segments_count_and_search_each_product() -> None:
    products = Segments([3, 0, 2, 1])
    flags = np.array([False, True, True, False, False, True])
    assert products.count(flags).tolist() == [2, 0, 0, 1]
    assert products.first(flags).tolist() == [1, 3, 5, 5]
    assert products.last(flags).tolist() == [2, 2, 2, 5]
    assert products.spread([1, 2, 3, 4]).tolist() == [1, 1, 1, 3, 3, 4]
    assert list(products) == [slice(0, 3), slice(3, 3), slice(3, 5), slice(5, 6)]
