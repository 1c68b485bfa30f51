"""Zero-sales days too frequent to be chance: likely stock-outs or closures that no column reports."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pricerl.arrays import BoolArray, DateArray, FloatArray, IntArray
from pricerl.data.cleaning.calendar import find_runs
from pricerl.data.days import STEP_WORDS, WEEK, weekday_of
from pricerl.data.history import ProductHistory

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
    expected: FloatArray
    """Units expected under usual demand."""


class UnlikelyZeros(NamedTuple):
    """Excess of zero-sales days over the number that usual demand explains."""

    days: int
    """Zero-sales days on weekdays on which the seller is open."""
    expected: float
    """Number expected under usual demand."""
    known: int
    """Days with known sales on those weekdays."""
    period: str = "day"
    """Word for a row: day or week."""

    @property
    def share(self) -> float:
        """Unexplained share of the known days."""
        return (self.days - self.expected) / self.known

    def __str__(self) -> str:
        explained = f"{self.expected:.0f}" if self.expected >= 0.5 else "none"
        return f"nothing sold on {self.days} of {self.known} {self.period}s, usual demand explains {explained}"


def unlikely_zeros(history: ProductHistory) -> UnlikelyZeros | None:
    """Test whether zero-sales days are too frequent and too scattered to be chance; None if they are not.

    A zero-truncated negative binomial is fitted to the days with sales: its mean to the 28 days on each side, its
    overdispersion to all of them. Tested are days whose stock the file does not report, on weekdays with sales. Their
    number must be improbable, twice the expected one, and spread over at least ``FEWEST_SPELLS`` runs.
    """
    known = history.stock_unknown
    zero = history.units == 0
    known = known & _open_days(weekday_of(history.dates.astype(np.int64)), known, zero)
    sold = known & ~zero
    empty = known & zero
    if sold.sum() < FEWEST_SALE_DAYS or len(find_runs(empty)) < FEWEST_SPELLS:
        return None
    from scipy.special import pdtrc  # imported late, as few products get here

    expected = float(chance_of_zero(*_usual_demand(history.units, sold))[known].sum())
    days = int(empty.sum())
    if pdtrc(days - 1, expected) >= LARGEST_PROBABILITY or days < 2 * expected:
        return None
    return UnlikelyZeros(days, expected, int(known.sum()), STEP_WORDS[history.step_days])


def find_stock_outs(
    dates: DateArray, price: FloatArray, units: FloatArray, tested: BoolArray, out: BoolArray
) -> StockOuts:
    """Find zero-sales days ``(D,)`` that usual demand cannot explain, on weekdays on which the seller is open.

    Usual demand is the negative binomial of ``unlikely_zeros``, without the days before zero sales, less on slow
    weekdays, and not more than sold on average at the same price and above: demand falls with the price. Tested are
    days with known sales that are not reported as in stock; ``out`` are those reported as out of stock.
    """
    zero = tested & (units == 0)
    expected = np.zeros(len(units))
    empty = np.zeros(len(units), dtype=bool)
    weekday = weekday_of(dates.astype(np.int64))
    tested = tested & _open_days(weekday, tested, zero)
    zero &= tested
    sold = tested & ~zero & ~np.append(zero[1:], False)
    share = zero.sum() / max(tested.sum(), 1)
    if sold.sum() >= FEWEST_SALE_DAYS and 0 < share <= LARGEST_EMPTY_SHARE:
        mean, overdispersion = _usual_demand(units, sold)
        order = np.argsort(-price[sold])
        sums = np.cumsum(np.append(0.0, units[sold][order]))
        paying = np.searchsorted(-price[sold][order], -price, side="right")
        at_price = sums[paying] / np.maximum(paying, 1)
        expected = np.minimum(mean, at_price) * _slow_weekdays(weekday, units, sold)
        chance = chance_of_zero(expected, overdispersion)
        zeros, count = (np.bincount(weekday[days], minlength=WEEK) for days in (zero, tested))
        of_weekday = np.where(zeros >= FEWEST_SHORT_DAYS, zeros / np.maximum(count, 1), share)
        empty = zero & (chance <= CHANCE_SHARE * of_weekday[weekday])
        empty &= (expected >= FEWEST_EXPECTED) & (paying >= FEWEST_PAYING_DAYS)
        rest = tested & ~empty & ~_short_days(weekday, units, empty | out)
        unexplained = float((zero[rest] - chance[rest]).sum())
        if unexplained > LARGEST_REST * zero.sum():
            empty[:] = False
        elif unexplained > LARGEST_REST * zero[rest].sum():
            empty |= zero & rest
    return StockOuts(empty, _short_days(weekday, units, empty | out), expected)


def _slow_weekdays(weekday: IntArray, units: FloatArray, sold: BoolArray) -> FloatArray:
    """Return the upper quartile, robust to stock-outs, of each day's weekday over that of all ``(D,)``, at most 1."""
    factor = np.ones(WEEK)
    usual = np.quantile(units[sold], 0.75)
    for day in np.unique(weekday[sold]):
        factor[day] = np.quantile(units[sold & (weekday == day)], 0.75) / usual
    return np.asarray(np.minimum(factor, 1.0)[weekday])


def _short_days(weekday: IntArray, units: FloatArray, out: BoolArray) -> BoolArray:
    """Return the days ``(D,)`` on which stock ran out, or on weekdays that often sell out, except ``out (D,)``."""
    short = np.append((out & (units == 0))[1:], False)
    affected = out | short
    for first, after in find_runs(affected):
        affected[first:after] &= after - first <= WEEK  # longer runs do not end with the next delivery
    count = np.bincount(weekday, minlength=WEEK)
    cut = np.bincount(weekday[affected], minlength=WEEK)
    if (cut < FULL_SHARE * count).sum() >= FEWEST_FULL_WEEKDAYS:
        short |= ((cut > SHORT_SHARE * count) & (cut >= FEWEST_SHORT_DAYS))[weekday]
    short[0] = False  # history starts with a sale
    return np.asarray(short & ~out)


def _open_days(weekday: IntArray, known: BoolArray, zero: BoolArray) -> BoolArray:
    """Return the days ``(D,)`` on weekdays that have sales on more than one known day in ten."""
    count = np.maximum(np.bincount(weekday[known], minlength=WEEK), 1)
    closed = np.bincount(weekday[known & zero], minlength=WEEK) >= 0.9 * count
    return np.asarray(~closed[weekday])


def chance_of_zero(mean: FloatArray, overdispersion: FloatArray) -> FloatArray:
    """Return the probability of zero of negative binomials, of the same shape."""
    return np.asarray((1 + overdispersion * mean) ** (-1 / overdispersion))


def _usual_demand(units: FloatArray, sold: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return mean ``(D,)`` and overdispersion, before truncation to days with sales, of the units of each day."""
    sums, counts = (np.cumsum(np.append(0.0, values)) for values in (units * sold, sold))
    day = np.arange(len(units))
    first = np.maximum(day - NEAR_DAYS, 0)
    after = np.minimum(day + NEAR_DAYS + 1, len(units))
    near = counts[after] - counts[first]
    mean = np.where(near >= FEWEST_SALE_DAYS, sums[after] - sums[first], sums[-1])
    mean = mean / np.where(near >= FEWEST_SALE_DAYS, near, counts[-1])
    return fit_truncated(mean, units**2, sold)


def fit_truncated(
    mean: FloatArray, square: FloatArray, together: BoolArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Return mean ``m (D,)`` and overdispersion ``v`` of negative binomials, variance ``m + v m^2``, before truncation.

    ``mean`` and mean ``square (D,)`` are those of units where there are sales; ``v`` is one of all days ``together
    (D,)``, or without them one each.
    """
    mean = np.maximum(mean, 1.01)  # each has at least one unit
    whole = mean
    overdispersion = np.asarray(1e-3)
    for _ in range(50):
        zero = chance_of_zero(whole, overdispersion)
        before = (whole, overdispersion)
        whole = mean * (1 - zero)
        moment = whole**2
        excess = square * (1 - zero) - whole - moment
        ratio = excess / moment if together is None else excess[together].sum() / moment[together].sum()
        overdispersion = np.clip(ratio, 1e-3, 10.0)  # from nearly Poisson
        if np.array_equal(overdispersion, before[1]) and np.array_equal(whole, before[0]):
            break  # converged to the last bit
    return whole, overdispersion


def improbable_runs(units: FloatArray, known: BoolArray) -> list[tuple[int, int]]:
    """Find runs of zero-sales days that are improbable under usual demand: first day, and the day after the last.

    A history of ``D`` days is expected to contain ``D (1 - z) z^n`` runs of ``n`` or more zero-sales days, with ``z``
    the probability of such a day: the larger of the estimates from the days around the run and from all days outside.
    Days that are not ``known (D,)``, with unknown sales or reported stock, end a run.
    """
    runs = find_runs(known & (units == 0))
    place = np.flatnonzero(known)
    sold = units[place]
    if not len(runs) or (sold > 0).sum() < FEWEST_SALE_DAYS:
        return []
    length = runs[:, 1] - runs[:, 0]
    step = np.arange(-NEAR_DAYS, NEAR_DAYS)
    near = np.searchsorted(place, runs[:, :1]) + step + np.where(step < 0, 0, length[:, None])
    inside = (near >= 0) & (near < len(place))
    around = np.where(inside, sold[np.clip(near, 0, len(place) - 1)], 0.0)
    zero = np.maximum(
        _zero_share((sold == 0).sum() - length, len(sold) - length, sold.sum(), (sold**2).sum()),
        _zero_share((inside & (around == 0)).sum(1), inside.sum(1), around.sum(1), (around**2).sum(1)),
    )
    improbable = len(units) * (1 - zero) * zero**length < LARGEST_PROBABILITY
    return [(first, after) for first, after in runs[improbable].tolist()]


def _zero_share(zeros: IntArray, days: IntArray, total: FloatArray, square: FloatArray) -> FloatArray:
    """Return the share of zero-sales days plus one standard error, or that of a negative binomial if larger.

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
