"""Zero-sales days too frequent to be chance: likely stock-outs or closures that no column reports."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from pricerl.arrays import BoolArray, DateArray, FloatArray, IntArray
from pricerl.data.cleaning.calendar import find_runs
from pricerl.data.cleaning.product_rows import Segments
from pricerl.data.days import WEEK, weekday_of
from pricerl.data.history import ProductHistory
from pricerl.reasons import Reason

LARGEST_PROBABILITY = 0.001
"""A run is reported if at most one history in a thousand would contain one that long by chance."""

NEAR_DAYS = 28
"""Days on each side of a run that estimate its usual demand, in addition to all days: slow seasons have more zeros."""

FEWEST_SPELLS = 4
"""Fewest runs of unlikely zero-sales days; fewer are single events such as a holiday."""

FEWEST_SALE_DAYS = 10
"""Minimum number of days with sales for estimating the expected number of zero-sales days."""

CHANCE_SHARE = 0.05
"""Largest share of chance among the zero-sales days of a weekday that are taken for stock-outs. With one such day in
ten, eight or more units must be expected, with one in a hundred about fifteen."""

FEWEST_EXPECTED = 6.0
"""Fewest expected units of a stock-out: with fewer, too many others may be chance."""

FEWEST_PAYING_DAYS = 3
"""Minimum number of days with sales at the price of a stock-out or above it: nobody may pay higher prices."""

LARGEST_EMPTY_SHARE = 1 / 3
"""Maximum share of zero-sales days at which they are stock-outs; a product that rarely sells has large, rare orders."""

LARGEST_REST = 0.2
"""Maximum share of zero-sales days that neither stock-outs nor chance explain. With more, the stock-outs that are
certain enough are those at low prices, and without these alone demand looks less elastic."""

SHORT_SHARE = 0.15
FULL_SHARE = 0.05
"""Share of a weekday's days on which stock ran out or was out: above the first, its other days count as days of low
demand; below the second, deliveries suffice. On shops whose weekly delivery sells out, estimated elasticities were 0.5
too weak without the days of zero sales, 0.2 without those before them either, and 0.0 without such weekdays."""

FEWEST_SHORT_DAYS = 3
FEWEST_FULL_WEEKDAYS = 3
"""Minimum number of such days on a weekday that is left out, and of weekdays on which deliveries suffice: with fewer,
stock-outs do not follow weekdays."""


class StockOuts(NamedTuple):
    """Stock-outs, or closed days, that no column reports; ``(D,)`` each."""

    empty: BoolArray
    """Nothing sold, although usual demand nearly rules that out."""
    short: BoolArray
    """Other days, with sales below demand or on weekdays that have stock only in weeks of low demand."""


class UnlikelyZeros(NamedTuple):
    """Excess of zero-sales days over the number that usual demand explains."""

    days: int
    """Zero-sales days on weekdays on which the seller is open."""
    expected: float
    """Number expected under usual demand."""
    known: int
    """Days with known sales on those weekdays."""

    @property
    def share(self) -> float:
        """Unexplained share of the known days."""
        return (self.days - self.expected) / self.known

    @property
    def reason(self) -> Reason:
        """Reason that they give to hold a price."""
        return Reason("unlikely_zeros", {"days": self.days, "known": self.known, "expected": round(self.expected)})


def unlikely_zeros(history: ProductHistory) -> UnlikelyZeros | None:
    """Test the days of one history as `find_unlikely_zeros` does."""
    return find_unlikely_zeros(history.dates, history.units, history.stock_unknown, Segments([len(history.dates)]))[0]


def find_unlikely_zeros(
    dates: DateArray, units: FloatArray, known: BoolArray, days: Segments
) -> list[UnlikelyZeros | None]:
    """Test whether zero-sales days of each product are too frequent and too scattered to be chance.

    A zero-truncated negative binomial is fitted to the days with sales: its mean to the 28 days on each side, its
    overdispersion to all of them. Tested are the ``known (D,)`` days, whose stock the file does not report, on weekdays
    with sales. Their number must be improbable, twice the expected one, and spread over at least ``FEWEST_SPELLS``
    runs.
    """
    zero = units == 0
    known = known & _open_days(_weekdays(dates, days), known, zero)
    sold = known & ~zero
    empty = known & zero
    spells = days.count(~empty & _day_before(empty, days))  # history starts with a sale
    chosen = (days.count(sold) >= FEWEST_SALE_DAYS) & (spells >= FEWEST_SPELLS)
    if not chosen.any():
        return [None] * len(days)
    from scipy.special import pdtrc  # imported late, as few products get here

    rows = days.spread(chosen)
    part = Segments(days.sizes[chosen])
    number = days.count(empty)
    expected = np.full(len(days), np.inf)
    expected[chosen] = part.sum(chance_of_zero(*_usual_demand(units[rows], sold[rows], part)) * known[rows])
    unlikely = (pdtrc(number - 1, expected) < LARGEST_PROBABILITY) & (number >= 2 * expected)
    values = zip(number.tolist(), expected.tolist(), days.count(known).tolist(), strict=True)
    return [UnlikelyZeros(*own) if odd else None for own, odd in zip(values, unlikely, strict=True)]


def find_stock_outs(
    dates: DateArray, price: FloatArray, units: FloatArray, tested: BoolArray, out: BoolArray, days: Segments
) -> StockOuts:
    """Find zero-sales days ``(D,)`` that usual demand cannot explain, on weekdays on which the seller is open.

    Usual demand is the negative binomial of ``find_unlikely_zeros``, without the days before zero sales, less on slow
    weekdays, and not more than sold on average at the same price and above: demand falls with the price. Tested are
    days with known sales that are not reported as in stock; ``out`` are those reported as out of stock.
    """
    zero = tested & (units == 0)
    weekday = _weekdays(dates, days)
    tested = tested & _open_days(weekday, tested, zero)
    zero &= tested
    sold = tested & ~zero & ~_day_before(zero, days)
    share = days.count(zero) / np.maximum(days.count(tested), 1)
    chosen = (days.count(sold) >= FEWEST_SALE_DAYS) & (share > 0) & (share <= LARGEST_EMPTY_SHARE)
    empty = np.zeros(len(units), dtype=bool)
    if chosen.any():
        rows = days.spread(chosen)
        empty[rows] = _find_empty(
            dates[rows],
            price[rows],
            units[rows],
            tested[rows],
            zero[rows],
            sold[rows],
            out[rows],
            Segments(days.sizes[chosen]),
        )
    return StockOuts(empty, _short_days(weekday, units, empty | out, days))


def _find_empty(
    dates: DateArray,
    price: FloatArray,
    units: FloatArray,
    tested: BoolArray,
    zero: BoolArray,
    sold: BoolArray,
    out: BoolArray,
    days: Segments,
) -> BoolArray:
    """Return which of the ``zero``-sales days ``(D,)`` are stock-outs."""
    weekday = _weekdays(dates, days)
    mean, overdispersion = _usual_demand(units, sold, days)
    paying, paid = _sum_from_price(price, np.array([sold, units * sold]), days)
    expected = np.minimum(mean, paid / np.maximum(paying, 1)) * _slow_weekdays(weekday, units, sold, days)
    chance = chance_of_zero(expected, overdispersion)
    zeros, count = (np.bincount(weekday[flags], minlength=WEEK * len(days)) for flags in (zero, tested))
    share = np.repeat(days.count(zero) / days.count(tested), WEEK)
    of_weekday = np.where(zeros >= FEWEST_SHORT_DAYS, zeros / np.maximum(count, 1), share)
    enough = (expected >= FEWEST_EXPECTED) & (paying >= FEWEST_PAYING_DAYS)
    empty = zero & enough & (chance <= CHANCE_SHARE * of_weekday[weekday])
    rest = tested & ~empty & ~_short_days(weekday, units, empty | out, days)
    unexplained = days.sum((zero - chance) * rest)
    uncertain, more = (days.spread(unexplained > LARGEST_REST * days.count(part)) for part in (zero, zero & rest))
    return np.asarray((empty | zero & rest & more) & ~uncertain)


def _sum_from_price(price: FloatArray, values: FloatArray, days: Segments) -> FloatArray:
    """Return the sums of values ``(..., D)`` over the product's days at the price of each day or above it."""
    groups = pd.DataFrame(values.T).groupby([days.owners, -price])
    sums = groups.sum().groupby(level=0).cumsum()
    return np.asarray(sums.to_numpy()[groups.ngroup()].T)


def _slow_weekdays(weekday: IntArray, units: FloatArray, sold: BoolArray, days: Segments) -> FloatArray:
    """Return the upper quartile of each day's weekday ``(D,)`` as a share of all days', at most 1."""
    known = pd.Series(units).where(sold)
    usual, own = (known.groupby(group).transform("quantile", 0.75).to_numpy() for group in (days.owners, weekday))
    return np.asarray(np.fmin(own / usual, 1.0))


def _short_days(weekday: IntArray, units: FloatArray, out: BoolArray, days: Segments) -> BoolArray:
    """Return the days ``(D,)`` on which stock ran out, or on weekdays which often sell out, except ``out (D,)``."""
    short = _day_before(out & (units == 0), days)
    affected = out | short
    first, after = find_runs(affected, days).T
    affected[affected] = np.repeat(after - first <= WEEK, after - first)  # longer ones end with no delivery
    count, cut = (np.bincount(cells, minlength=WEEK * len(days)) for cells in (weekday, weekday[affected]))
    suffices = (cut < FULL_SHARE * count).reshape(-1, WEEK).sum(axis=1) >= FEWEST_FULL_WEEKDAYS
    often = (cut > SHORT_SHARE * count) & (cut >= FEWEST_SHORT_DAYS) & np.repeat(suffices, WEEK)
    short |= often[weekday]
    short[days.starts] = False  # history starts with a sale
    return np.asarray(short & ~out)


def _weekdays(dates: DateArray, days: Segments) -> IntArray:
    """Return a number of each day's product and weekday ``(D,)``, below seven times the number of products."""
    return np.asarray(WEEK * days.owners + weekday_of(dates.astype(np.int64)))


def _day_before(flags: BoolArray, days: Segments) -> BoolArray:
    """Return the days ``(D,)`` before the flagged ones of the same product."""
    before = np.append(flags, False)[1:]
    before[days.edges[1:] - 1] = False
    return before


def _open_days(weekday: IntArray, known: BoolArray, zero: BoolArray) -> BoolArray:
    """Return the days ``(D,)`` on weekdays that have sales on more than one known day in ten."""
    empty, count = (np.bincount(weekday, flags) for flags in (known & zero, known))
    return np.asarray((empty < 0.9 * np.maximum(count, 1))[weekday])


def chance_of_zero(mean: FloatArray, overdispersion: FloatArray) -> FloatArray:
    """Return the probability of zero of negative binomials, of the same shape."""
    return np.asarray((1 + overdispersion * mean) ** (-1 / overdispersion))


def _usual_demand(units: FloatArray, sold: BoolArray, days: Segments) -> tuple[FloatArray, FloatArray]:
    """Return mean and overdispersion ``(D,)``, before truncation to days with sales, of the units of each day."""
    sums, counts = (np.cumsum(np.append(0.0, values)) for values in (units * sold, sold))
    whole = days.spread([days.starts, days.edges[1:]])
    near = np.clip(np.add.outer([-NEAR_DAYS, NEAR_DAYS + 1], np.arange(len(units))), *whole)
    first, after = np.where(np.diff(counts[near], axis=0) >= FEWEST_SALE_DAYS, near, whole)
    mean = (sums[after] - sums[first]) / (counts[after] - counts[first])
    return fit_truncated(mean, units**2, days, sold)


def fit_truncated(
    mean: FloatArray, square: FloatArray, days: Segments, sold: BoolArray | bool = True
) -> tuple[FloatArray, FloatArray]:
    """Return mean ``m`` and overdispersion ``v (D,)`` of negative binomials, variance ``m + v m^2``, before truncation.

    ``mean`` and mean ``square (D,)`` describe units where there are sales; all days of a product that are
    ``sold (D,)`` share one ``v``.
    """
    mean = np.maximum(mean, 1.01)  # each has at least one unit
    whole = mean
    shared = np.full(len(days), 1e-3)  # from nearly Poisson
    for _ in range(50):
        spread = days.spread(shared)
        zero = chance_of_zero(whole, spread)
        # Newton's method for whole = mean (1 - zero), and overdispersion times the sum of whole^2 equal to the excess
        wide = 1 + spread * whole
        slope = 1 - mean * zero / wide
        step = (mean * (1 - zero) - whole) / slope
        drift = -mean * zero * (np.log(wide) / spread - whole / wide) / spread / slope
        weight = (square / mean - 1 - 2 * (1 + spread) * whole) * sold
        moment = days.sum(whole**2 * sold)
        excess = days.sum((square / mean - 1 - whole) * whole * sold) - shared * moment
        change = (excess + days.sum(weight * step)) / np.maximum(moment - days.sum(weight * drift), 0.1 * moment)
        before, shared = shared, np.clip(shared + change, 1e-3, 10.0)
        step += drift * days.spread(shared - before)
        whole = np.clip(whole + step, 0.1 * whole, mean)
        if (np.abs(step) <= 1e-12 * whole).all() and np.allclose(shared, before, 1e-12, 0.0):
            break
    return whole, days.spread(shared)


def improbable_runs(units: FloatArray, known: BoolArray, days: Segments) -> IntArray:
    """Find runs ``(R, 2)`` of zero-sales days that are improbable under usual demand: first day, day after the last.

    A history of ``D`` days is expected to contain ``D (1 - z) z^n`` runs of ``n`` or more zero-sales days, with ``z``
    the probability of such a day: the larger of the estimates from the days around the run and from all days outside.
    Days that are not ``known (D,)``, with unknown sales or reported stock, end a run.
    """
    usual = days.spread(days.count(known & (units > 0)) >= FEWEST_SALE_DAYS)
    runs = find_runs(usual & known & (units == 0), days)
    if not len(runs):
        return runs
    owner = days.owners[runs[:, 0]]
    length = np.diff(runs)[:, 0]
    place = np.flatnonzero(known)
    sold = units[place]
    edges = np.searchsorted(place, days.edges)
    step = np.arange(-NEAR_DAYS, NEAR_DAYS)
    near = np.searchsorted(place, runs[:, :1]) + step + np.where(step < 0, 0, length[:, None])
    inside = (near >= edges[owner, None]) & (near < edges[owner + 1, None])
    around = np.where(inside, sold[np.clip(near, 0, len(place) - 1)], 0.0)
    zeros, number = (days.count(flags)[owner] - length for flags in (known & (units == 0), known))
    total, square = (days.sum(known * values)[owner] for values in (units, units**2))
    zero = np.maximum(
        _zero_share(zeros, number, total, square),
        _zero_share((inside & (around == 0)).sum(1), inside.sum(1), around.sum(1), (around**2).sum(1)),
    )
    return np.asarray(runs[days.sizes[owner] * (1 - zero) * zero**length < LARGEST_PROBABILITY])


def _zero_share(zeros: IntArray, days: IntArray, total: FloatArray, square: FloatArray) -> FloatArray:
    """Return the share of zero-sales days plus one standard error, or the share under a negative binomial if larger.

    ``total`` and ``square`` are the sums of units and of their squares over the ``days``.
    """
    share = (zeros + 1) / (days + 2)
    share += np.sqrt(share * (1 - share) / days)
    mean = total / days
    variance = square / days - mean**2
    wide = variance > mean
    shape = mean**2 / np.where(wide, variance - mean, 1.0)
    chance = np.where(wide, (mean / np.where(wide, variance, 1.0)) ** shape, np.exp(-mean))
    return np.asarray(np.maximum(share, chance))
