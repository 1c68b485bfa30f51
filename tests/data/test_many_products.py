"""Checks of rows run over all products of a file at once: more products cost no more calls."""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from pricerl.arrays import FloatArray
from pricerl.data.cleaning.product_rows import Segments
from pricerl.data.cleaning.zero_sales import improbable_runs
from pricerl.data.config import DataConfig
from pricerl.data.reading import columns
from pricerl.data.reading.tables import Parsed
from pricerl.data.reading.value_checks import check_plausibility

DAYS = 40


def catalogue(products: int) -> pd.DataFrame:
    """Return rows of products with changing prices, whole units, a unit cost and a missing day each."""
    generator = np.random.default_rng(0)
    days = np.delete(np.arange(DAYS), 9) + np.datetime64("2025-01-01")
    price = np.round(10 + generator.random((products, len(days))), 2)
    frame = pd.DataFrame({columns.REPORT_DATE: np.tile(days, products).astype("datetime64[s]")})
    frame[columns.PRODUCT] = pd.Categorical(np.repeat([f"p{place}" for place in range(products)], len(days)))
    frame[columns.PRODUCT_PRICE] = price.ravel()
    frame[columns.TOTAL_SALES] = np.round(price * generator.integers(2, 9, price.shape), 2).ravel()
    frame[columns.ORGANIC_CONVERSION] = 4.0
    frame[columns.UNIT_COST] = 4.0
    return frame


def check(frame: pd.DataFrame) -> None:
    """Check the values of a file without problems."""
    parsed = Parsed(frame, range(2, len(frame) + 2), (), cells={columns.PRODUCT_PRICE: ["1"]})
    assert check_plausibility(parsed, DataConfig()) == []


def judge_runs(units: FloatArray) -> None:
    improbable_runs(units, np.ones(len(units), dtype=bool), Segments([len(units)]))


def count_calls(work: Callable[[Any], object], on: Any) -> int:
    """Return how many calls of functions the second round of the work makes."""
    work(on)
    with cProfile.Profile() as profile:
        work(on)
    return pstats.Stats(profile).total_calls


def test_more_products_are_checked_in_as_many_calls() -> None:
    few, many = (count_calls(check, catalogue(products)) for products in (80, 800))
    assert many - few < 10 * (800 - 80)


def test_zero_sales_runs_are_judged_in_as_many_calls_however_many_there_are() -> None:
    few, many = (count_calls(judge_runs, np.tile([3.0, 2.0, 4.0, 0.0], runs)) for runs in (20, 200))
    assert few == many
