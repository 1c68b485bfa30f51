"""Days without a row: days without a sale, where the file lists sales only, or unknown days.

A file of orders, or a report per item, has no row for a day on which nothing was sold. Read as unknown, such days are
lost at the high prices more often than at the low ones, and demand looks less elastic than it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from pricerl.arrays import BoolArray, DateArray, FloatArray, IntArray
from pricerl.data.cleaning.calendar import find_step_days
from pricerl.data.cleaning.product_rows import Calendar, Segments, codes_of
from pricerl.data.cleaning.sales_unit import near_whole
from pricerl.data.cleaning.zero_sales import chance_of_zero, fit_truncated, improbable_runs
from pricerl.data.days import DAY, MONDAY, WEEK, weekday_of
from pricerl.data.reading import columns
from pricerl.formatting import plural
from pricerl.reasons import Reason

Meaning = Literal["zero", "unknown", "undecided"]
"""Days without a sale; days of which nothing is known; or a pattern that fits both, read as unknown."""

Setting = Literal["auto", "zero", "unknown"]
"""``auto``, or the meaning as the seller knows it."""

SETTING = "--data.reading.missing_days"

FEWEST_EXPECTED = 5.0
"""Expected rows with zero sales from which their absence is no chance: 0.7 % of Poisson numbers of that mean are 0."""

COMPLETE_SHARE = 0.4
LISTED_SHARE = 0.1
"""Rows with zero sales over their expected number: from the first on the file has a row for every day; up to the
second, such as days on which a return offset the sales, it lists sales only."""

MOST_UNITS = 1e9
"""Units of a row beyond which no pattern changes, so that the square of sales over a tiny price stays finite."""

EXPLAINED = (0.4, 2.5)
"""Days without a row over the expected number of days without a sale, between which these explain them."""

LARGEST_UNDECIDED_SHARE = 0.05
"""Share of days without a row above which an undecided pattern needs a review."""

FEWEST_ROWS = 30
"""Fewest rows with sales that show days without one to be unlikely."""

CLOSED_SHARE = 0.1
"""Share of the busiest weekday's rows below which the seller is closed on a weekday."""

UNCOVERED_CHANCE = 1e-4
"""Probability below which a day without a row of any product is not covered by the file."""


class MissingDays(NamedTuple):
    """Meaning of the days without a row in one file."""

    meaning: Meaning
    evidence: str = ""
    """Evidence for the meaning; empty if no day is missing, or if a setting gives the meaning."""
    uncovered: DateArray = np.array([], dtype="datetime64[D]")
    """Days without a row of any product that are unlikely to be days without a sale."""
    doubt: Reason | None = None
    """Reason for a review."""
    lost: Mapping[str, DateArray] = MappingProxyType({})
    """Days by product of which a row exists that cannot be read."""
    last_day: np.datetime64 | None = None
    """Last day with a sale of any product, if a day without a row is one without a sale."""


def find_missing_days(
    frame: pd.DataFrame, setting: Setting, lost: Mapping[str, DateArray] = MappingProxyType({})
) -> MissingDays:
    """Find out what a day without a row means in a file, from all of its products.

    Rows with sales show how many days without a sale to expect: at least as many as a Poisson number truncated at zero
    implies, and about as many as a truncated negative binomial does. A file that has such rows lists every day, so that
    a missing one is unknown; one that lacks them lists sales only. Days ``lost`` by product are no evidence.
    """
    code = codes_of(frame[columns.PRODUCT])
    names = frame[columns.PRODUCT].cat.categories
    days = frame[columns.REPORT_DATE].to_numpy().astype("datetime64[D]")
    sold = frame[columns.TOTAL_SALES].to_numpy() > 0
    last = days[sold].max(initial=days[0]) if len(days) else None
    if setting != "auto":
        return MissingDays(setting, lost=lost, last_day=last if setting == "zero" else None)
    absent, counted = _count_missing(code, days, sold, len(names))
    absent = np.maximum(absent - [len(lost.get(str(name), ())) for name in names], 0)
    if not absent.any():
        return MissingDays("unknown")
    tally = _tally(code[counted], _units(frame, code, len(names))[counted], absent)
    meaning, evidence = _decide(tally)
    if meaning == "zero":
        return MissingDays(
            meaning, evidence, _uncovered(code, days, _usual_zero_share(tally)), lost=lost, last_day=last
        )
    share = float(absent.sum() / tally[["missing", "sold", "zero"]].to_numpy().sum())
    is_odd = meaning == "undecided" and share > LARGEST_UNDECIDED_SHARE
    return MissingDays(
        meaning, evidence, doubt=Reason("rows_undecided", {"share": share}) if is_odd else None, lost=lost
    )


def find_days_without_sale(
    calendar: Calendar, units: FloatArray, names: Sequence[str], missing: MissingDays, longest_gap: int
) -> BoolArray:
    """Return the days ``(D,)`` without a row on which nothing was sold, none unless the file lists sales only.

    Runs of days too long for chance are left out: the product was not on sale, or the file does not cover them. If a
    setting gives the meaning, only those longer than ``longest_gap`` rows are.
    """
    days = calendar.days
    if missing.meaning != "zero":
        return np.zeros(days.rows, dtype=bool)
    no_sale = ~calendar.present & ~np.isin(calendar.dates, missing.uncovered)
    for name, part in ((name, part) for name, part in zip(names, days, strict=True) if name in missing.lost):
        no_sale[part] &= ~np.isin(calendar.dates[part], missing.lost[name])
    for first, after in improbable_runs(units, calendar.present | no_sale, days).tolist():
        no_sale[first:after] &= not missing.evidence and after - first <= longest_gap
    return no_sale


def _units(frame: pd.DataFrame, code: IntArray, products: int) -> FloatArray:
    """Return units by row ``(N,)``: the file's, else sales over price where these are whole, else sales."""
    price, sales, given = (
        frame.reindex(columns=[columns.PRODUCT_PRICE, columns.TOTAL_SALES, columns.UNITS]).to_numpy(dtype=np.float64).T
    )
    sales = np.nan_to_num(sales, nan=0.0)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        counted = np.where(price > 0, sales / price, np.nan)
        whole = near_whole(counted, price)
    sold = (sales > 0) & np.isfinite(counted)
    share = np.bincount(code, sold & whole, products) / np.maximum(np.bincount(code, sold, products), 1)
    are_units = (share < 0.5)[code] & (sales == np.round(sales))
    counted = np.where(are_units | ~np.isfinite(counted), sales, counted)
    return np.minimum(np.where((given > 0) & (sales > 0), given, counted), MOST_UNITS)


def _count_missing(code: IntArray, days: DateArray, sold: BoolArray, products: int) -> tuple[IntArray, BoolArray]:
    """Count each product's days without a row ``(P,)``, between its first and last sale, on weekdays on which it sells.

    Returns:
        The numbers, and the rows ``(N,)`` on such days.
    """
    step = find_step_days(days)
    place = days.astype(np.int64) // step
    kinds = WEEK if step == 1 else 1
    ends = pd.Series(place[sold]).groupby(code[sold]).agg(["min", "max"]).reindex(range(products))
    first, last = ends.fillna({"min": 0, "max": -1}).to_numpy(dtype=np.int64).T
    before = MONDAY - np.arange(kinds)
    length = (last[:, None] + before) // kinds - (first[:, None] - 1 + before) // kinds  # days of each weekday
    inside = (place >= first[code]) & (place <= last[code])
    cell = code * kinds + (place + MONDAY) % kinds
    rows, sales = (np.bincount(cell[flags], minlength=length.size).reshape(length.shape) for flags in (inside, sold))
    share = sales / np.maximum(length, 1)
    selling = (rows > 0) & (share >= CLOSED_SHARE * share.max(axis=1, keepdims=True, initial=0.0))
    return np.where(selling, length - rows, 0).sum(axis=1), inside & selling.ravel()[cell]


def _tally(code: IntArray, units: FloatArray, missing: IntArray) -> pd.DataFrame:
    """Tally each product's rows, ``code (N,)``, next to its ``missing`` days ``(P,)``.

    Columns: rows ``sold`` and ``zero``, with sales and without; of the units of rows with sales the ``mean`` and mean
    ``square``, and the share of rows with the ``smallest`` number.
    """
    zero, sold = (np.bincount(code[flags], minlength=len(missing)) for flags in (units == 0, units > 0))
    rows = pd.DataFrame({"mean": units, "square": units**2, "code": code})[units > 0]
    least = rows.groupby("code")["mean"].transform("min")
    means = rows.assign(smallest=rows["mean"] == least).groupby("code").mean().reindex(range(len(missing)))
    return means.fillna(0.0).assign(sold=sold, zero=zero, missing=missing).astype(np.float64)


def _decide(tally: pd.DataFrame) -> tuple[Meaning, str]:
    """Return the meaning that the rows of all products suggest, and the evidence in words."""
    least = _least_zero_share(tally)
    usual = _usual_zero_share(tally)
    surely, about = (float((tally["sold"] * share / (1 - share)).sum()) for share in (least, usual))
    found = float(tally["zero"].sum())
    missing = float(tally["missing"].sum())
    days = tally["sold"] + tally["zero"] + tally["missing"]
    fewest, explained = (float((days * share).sum()) for share in (least, usual))
    rows = plural(int(found), "row")
    if found > 0 and found >= COMPLETE_SHARE * about:
        return "unknown", f"the file has {rows} with zero sales, so it lists every day"
    for expected, enough, words in ((surely, fewest, "at least"), (about, explained, "about")):
        if expected >= FEWEST_EXPECTED and found <= LISTED_SHARE * expected and missing >= EXPLAINED[0] * enough:
            return "zero", f"the file has {rows} with zero sales where {words} {expected:.0f} are expected"
        if missing > EXPLAINED[1] * explained + FEWEST_EXPECTED and tally["sold"].sum() >= FEWEST_ROWS:
            return "unknown", f"so many days without a sale are unlikely: about {explained:.0f} are expected"
    return "undecided", f"the file has {rows} with zero sales where about {about:.0f} are expected, which fits both"


def _least_zero_share(tally: pd.DataFrame) -> FloatArray:
    """Return the smallest share of days without a sale ``(P,)`` that fits the days with sales.

    A mixture of Poisson numbers is zero more often than a Poisson number of the same mean. Orders of several units come
    less often than units: at most as often as if all had the smallest number.
    """
    from scipy.special import lambertw  # imported late, as most files list every day

    mean = np.maximum(tally["mean"], 1.01)
    share = np.clip(tally["smallest"], 1e-9, 0.99)
    rate = mean + np.real(lambertw(-mean * np.exp(-mean), 0))  # x / (1 - exp(-x)) = mean
    orders = -share - np.real(lambertw(-share * np.exp(-share), -1))  # x / (exp(x) - 1) = share of the smallest number
    return np.where(tally["sold"] > 0, np.exp(-np.minimum(rate, orders)), 0.0)


def _usual_zero_share(tally: pd.DataFrame) -> FloatArray:
    """Return the share of days without a sale ``(P,)`` of the negative binomial that fits the days with sales."""
    zero = chance_of_zero(
        *fit_truncated(tally["mean"].to_numpy(), tally["square"].to_numpy(), Segments([1] * len(tally)))
    )
    return np.where(tally["sold"] > 0, np.maximum(zero, _least_zero_share(tally)), 0.0)


def _uncovered(code: IntArray, days: DateArray, zero_share: FloatArray) -> DateArray:
    """Return the days inside the file without a row of any product that are unlikely to be days without a sale."""
    present = np.unique(days)
    absent = np.setdiff1d(np.arange(present[0], present[-1] + DAY), present)
    if not len(absent) or find_step_days(present) > 1:
        return absent[:0]
    spans = pd.Series(days).groupby(code).agg(["min", "max"])
    log_share = np.log(np.clip(zero_share, 1e-12, 1.0))[spans.index]
    chance = np.array([log_share[(spans["min"] <= day) & (spans["max"] >= day)].sum() for day in absent])
    weekday = weekday_of(absent.astype(np.int64))
    closed = np.bincount(weekday, minlength=WEEK) > (1 - CLOSED_SHARE) * len(np.unique(days)) / WEEK
    return np.asarray(absent[(chance < np.log(UNCOVERED_CHANCE)) & ~closed[weekday]])
