"""Analysis of a price test: its pairs in a fresh history, randomisation test, confidence sequence and stop rule.

**Randomisation test.** If the price had no effect, the other order of a pair would have turned the sign of its
difference and nothing else. So the test compares the mean difference with those of all ``2^n`` turned signs (Fisher
1935; Rosenbaum 2002, section 2). Inverted, its limits are order statistics of the means over subsets of the pairs
(Hartigan 1969, "Using subsample values as typical values", theorem 1).

**Confidence sequence**: limits of a constant effect that hold at every look, however often one looks. Under the effect
``t`` each difference ``D_i - t`` of a randomised pair is symmetric around 0 whatever the demand does. So
``exp(b x) / cosh(b x)`` with ``x = D_i - t`` has expectation 1, and its product over the pairs is a nonnegative
martingale for every bet b (Ramdas, Ruf, Larsson and Koolen 2020, arXiv 2009.03167, on testing symmetry: it dominates
the supermartingale of de la Peña 1999 behind the self-normalised bounds of Howard et al. 2021). By Ville's inequality
its mean over fixed bets exceeds ``1 / alpha`` at any time with probability at most alpha. For positive bets it falls in
t, so that the effects not rejected form an interval.

**Stop rule**, fixed before a test starts. At every look the confidence sequence may decide at level ``ANYTIME``; at the
planned end, once, the randomisation test at level ``FINAL``. Together they find an effect where there is none with a
probability of at most 5 %, and the effects that neither rejects form a 95 % interval at every time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from pricerl.arrays import BoolArray, FloatArray, IntArray
from pricerl.data.history import ProductHistory
from pricerl.experiments.schedule import ARMS, TEST, design_of
from pricerl.guardrails.price_grid import same_price

MOST_EXACT = 16
"""Most pairs whose ``2^n`` orders are all counted."""
MONTE_CARLO = 19_999
"""Random orders of more pairs; with the one that happened, the p-value is valid (Phipson and Smyth 2010)."""
TIE = 1e-12
"""Relative difference up to which two sums count as equal."""
BETS = np.geomspace(0.1, 3.2, 12)
"""Bets in units of one over the planned sd of a difference, fixed before the test; small ones suit small effects."""
HALVINGS = 48
"""Steps of the bisection for a limit."""
POWER = 0.80
"""Probability with which a test finds the effect that it is planned for."""
ANYTIME = 0.01
"""Level of the confidence sequence."""
FINAL = 0.04
"""Level of the randomisation test at the planned end."""
LEVEL = 0.05
"""Level of two-sided tests and intervals that decide nothing."""
FEWEST_SHARE = 0.5
"""Smallest share of a block's days that must be left for the block to count."""

Verdict = Literal["higher", "lower", "undecided", "running"]
"""Whether the test price has the higher or the lower outcome, neither at the planned end, or the test goes on."""


def pair_differences(means: FloatArray, arms: IntArray) -> FloatArray:
    """Return the mean at the test price minus that at the regular one in each pair, ``(n,)``.

    The mean outcome of each block and its arm are ``(2 n,)``.
    """
    signed = means * np.where(arms == TEST, 1.0, -1.0)
    return np.asarray(signed.reshape(-1, 2).sum(axis=1))


def list_turns(pairs: int, generator: np.random.Generator, exact: int = MOST_EXACT) -> BoolArray:
    """Return which pairs are turned, ``(M, n)``: all subsets of up to ``exact`` pairs, else random ones.

    The first turns none.
    """
    if pairs <= exact:
        return np.asarray((np.arange(2**pairs)[:, None] >> np.arange(pairs)) % 2 == 1)
    turns = np.asarray(generator.integers(0, 2, size=(MONTE_CARLO + 1, pairs)) == 1)
    turns[0] = False
    return turns


def randomisation_p(differences: FloatArray, turns: BoolArray) -> FloatArray:
    """Return two-sided p-values of no effect, ``(R,)``, of differences ``(R, n)`` and turns ``(M, n)``.

    They are twice the smaller of the two one-sided ones. Turning a subset of the pairs leaves the sum at least as large
    if and only if the subset's own sum is not positive.
    """
    sums = differences @ turns.T.astype(np.float64)
    tie = TIE * np.abs(differences).sum(axis=1, keepdims=True)
    above = (sums <= tie).mean(axis=1)
    below = (sums >= -tie).mean(axis=1)
    return np.asarray(np.minimum(1.0, 2 * np.minimum(above, below)))


def randomisation_limits(differences: FloatArray, turns: BoolArray, alpha: float) -> tuple[float, float]:
    """Return the limits of the constant effects that the two-sided test does not reject at level ``alpha``.

    They are infinite if so few pairs cannot reject anything. Differences are ``(n,)``, turns ``(M, n)``.
    """
    moved = turns[turns.any(axis=1)]
    means = np.sort(moved @ differences / moved.sum(axis=1))
    free = len(turns) - len(moved)  # the order that happened always counts
    spare = int(np.floor(alpha / 2 * len(turns) + 1e-9)) - free
    if spare < 0 or spare >= len(means):
        return -np.inf, np.inf
    return float(means[spare]), float(means[-1 - spare])


def log_wealth(differences: FloatArray, scale: float) -> FloatArray:
    """Return the log of the mean of the martingales after each pair, ``(..., n)``, betting on positive differences.

    ``exp(b x) / cosh(b x) = 2 / (1 + exp(-2 b x))``, where x is a difference ``(..., n)`` minus the effect in question
    and the bets are in units of one over ``scale``, the planned sd of a difference.
    """
    bet = differences[..., None] * (BETS / scale)
    wealth = np.cumsum(np.log(2.0) - np.logaddexp(0.0, -2 * bet), axis=-2)
    top = wealth.max(axis=-1)
    return np.asarray(top + np.log(np.exp(wealth - top[..., None]).mean(axis=-1)))


def first_crossing(differences: FloatArray, scale: float, alpha: float) -> FloatArray:
    """Return the number of pairs after which an effect above 0 is certain, ``(R,)``; infinite if after none.

    Differences of pairs are ``(R, n)``. An effect of 0 is ever rejected on either side with probability ``alpha``; each
    side has half of it.
    """
    past = log_wealth(differences, scale) >= np.log(2 / alpha)
    return np.where(past.any(axis=-1), past.argmax(axis=-1) + 1.0, np.inf)


def confidence_sequence(differences: FloatArray, scale: float, alpha: float) -> FloatArray:
    """Return the limits of the effect after each pair, ``(n, 2)``, each inside those before.

    They are infinite as long as so few pairs cannot reject anything. The probability that they ever exclude a constant
    effect is ``alpha``.
    """
    low = _lower_limits(differences, scale, alpha)
    high = -_lower_limits(-differences, scale, alpha)
    return np.stack([np.maximum.accumulate(low), np.minimum.accumulate(high)], axis=1)


def _lower_limits(differences: FloatArray, scale: float, alpha: float) -> FloatArray:
    """Return the largest effect that is rejected as too small after each pair, ``(n,)``."""
    count = np.arange(len(differences))
    spread = float(np.ptp(differences)) + 100 * scale
    low = np.full(len(differences), float(differences.min()) - spread)
    high = np.full(len(differences), float(differences.max()))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        rejected = log_wealth(differences - middle[:, None], scale)[count, count] >= np.log(2 / alpha)
        low = np.where(rejected, middle, low)
        high = np.where(rejected, high, middle)
    return np.where((count + 1) * np.log(2.0) <= np.log(2 / alpha), -np.inf, low)


class InterimAnalysis(NamedTuple):
    """State of a test after some complete pairs."""

    verdict: Verdict
    pairs: int
    estimate: float
    """Mean difference, test price minus regular one, per row; NaN without a pair."""
    low: float
    """Lower 95 % limit, valid at every look; infinite as long as so few pairs can exclude nothing."""
    high: float
    p_value: float
    """Of the randomisation test on these pairs; it decides at the planned end only."""


def analyse_pairs(
    differences: FloatArray, planned: int, scale: float, generator: np.random.Generator, ended: bool = False
) -> InterimAnalysis:
    """Apply the stop rule to the differences ``(n,)`` of the complete pairs of a test, in their order.

    The ``scale`` is the planned sd of a difference. If the test has ``ended``, pairs that were lost will not come.
    """
    count = len(differences)
    if count == 0:
        return InterimAnalysis("undecided" if ended else "running", 0, float("nan"), -np.inf, np.inf, 1.0)
    low, high = confidence_sequence(differences, scale, ANYTIME)[-1]
    turns = list_turns(count, generator)
    p_value = float(randomisation_p(differences[None], turns)[0])
    final = ended or count >= planned
    if final:
        inner = randomisation_limits(differences, turns, FINAL)
        low = max(low, inner[0])
        high = min(high, inner[1])
    verdict: Verdict = "higher" if low > 0 else "lower" if high < 0 else "undecided" if final else "running"
    return InterimAnalysis(verdict, count, float(differences.mean()), float(low), float(high), p_value)


def decide_many(differences: FloatArray, scale: float, turns: BoolArray) -> FloatArray:
    """Apply the stop rule to R whole tests ``(R, n)``: return each verdict, 1 higher, -1 lower or 0 undecided."""
    up = first_crossing(differences, scale, ANYTIME)
    down = first_crossing(-differences, scale, ANYTIME)
    early = np.where(up < down, 1.0, np.where(down < up, -1.0, 0.0))
    late = np.where(randomisation_p(differences, turns) <= FINAL, np.sign(differences.mean(axis=1)), 0.0)
    return np.where(early != 0, early, late)


def check_carry_over(first: FloatArray, later: FloatArray, generator: np.random.Generator) -> tuple[float, float]:
    """Return how much larger the effect is on the first counted row than on later ones, and a p-value of no difference.

    Both are differences of the pairs, ``(n,)``. Buyers who remember the last price, or who bought ahead of it, make the
    two differ.
    """
    gap = first - later
    p_value = randomisation_p(gap[None], list_turns(len(gap), generator))
    return float(gap.mean()), float(p_value[0])


class LostDay(NamedTuple):
    """Day that should have counted but does not."""

    date: str
    price: float | None
    """Recorded price, money; None without recorded sales."""


class Interference(NamedTuple):
    """Effect of the test price on the sales of the file's other products, money per row."""

    own: float
    """Effect on the sales of the tested product."""
    others: float
    """Effect on the sum of all others, with its 95 % limits."""
    low: float
    high: float
    opposite: tuple[str, ...]
    """Products whose sales moved the other way."""

    @property
    def bound(self) -> float:
        """Largest bias of a test of one product alone, as a share of its effect on sales; 0 if others move alike.

        What buyers take elsewhere in the same file counts as an effect of the price in such a test, up to all of it
        (Roemheld and Rao 2024, arXiv 2402.14538), and more with dearer substitutes, so that even the sign may be wrong
        (Dhaouadi, Johari, Page and Weintraub 2023, arXiv 2310.17165).
        """
        away = -self.low if self.own > 0 else self.high
        return max(0.0, away) / abs(self.own) if self.own and np.isfinite(away) else 0.0


class Reading(NamedTuple):
    """Reading of a test at some day."""

    question: InterimAnalysis
    """Outcome on which the stop rule decides."""
    units: InterimAnalysis
    profit: InterimAnalysis | None
    """None if costs are unknown."""
    lost: tuple[LostDay, ...]
    passed: int
    """Scheduled days in the file."""
    last_day: str
    """Last of them in ISO format; empty if none."""
    carry_over: tuple[float, float] | None
    """Difference of the effect on units on the first day that counts minus later ones, and its p-value."""
    interference: Interference | None
    """None without other products, or without a complete pair."""


@dataclass(frozen=True)
class _Blocks:
    """Rows of a test in one history, ``(2 n, block)``."""

    place: IntArray
    """Row of the history; -1 where it has none."""
    counts: BoolArray
    """Whether the row counts."""
    arms: IntArray
    """``(2 n,)`` arm of each block."""
    complete: BoolArray
    """``(n,)`` whether enough rows of both blocks of a pair count."""

    def differences(
        self, values: FloatArray, worth: Sequence[float] = (1.0, 1.0), first: bool | None = None
    ) -> FloatArray:
        """Return the difference of each complete pair, test price minus regular one.

        Args:
            values: one per row of the history.
            worth: what a value counts at the regular and at the test price.
            first: whether only the first row that a block keeps counts, or only the others; all of them if absent.
        """
        kept = np.array(self.counts)
        if first is not None:
            washout = int(np.argmax(kept.any(axis=0)))
            kept[:, :washout] = False
            kept[:, washout + 1 :] &= not first
            kept[:, washout] &= first
        total = np.where(kept, values[self.place], 0.0).sum(axis=1)
        number = kept.sum(axis=1)
        means = np.where(number > 0, total / np.maximum(number, 1), np.nan)
        valued = means * np.where(self.arms == TEST, worth[1], worth[0])
        return np.asarray(pair_differences(valued, self.arms)[self.complete])


def read_test(test: Mapping[str, Any], products: Sequence[ProductHistory], product: int) -> Reading:
    """Read a test, its order as the plan or the log holds it, in a fresh history of all products of the file."""
    history = products[product]
    pairs = design_of(test).pairs
    blocks, lost = _match(test, history)
    passed = int((blocks.place >= 0).sum())
    ended = passed == len(test["schedule"])

    def analysed(worth: Sequence[float], scale: float) -> InterimAnalysis:
        found = blocks.differences(history.units, worth)
        return analyse_pairs(found, pairs, scale, np.random.default_rng(test["seed"]), ended)

    in_units = test["scale"] / float(np.mean(np.abs(test["values"])))
    profits = test["profits"]
    early = blocks.differences(history.units, first=True)
    late = blocks.differences(history.units, first=False)
    both = np.isfinite(early) & np.isfinite(late)
    generator = np.random.default_rng(test["seed"])
    return Reading(
        question=analysed(test["values"], test["scale"]),
        units=analysed((1.0, 1.0), in_units),
        profit=None if profits is None else analysed(profits, in_units * float(np.mean(np.abs(profits)))),
        lost=tuple(lost),
        passed=passed,
        last_day=test["schedule"][passed - 1]["date"] if passed else "",
        carry_over=check_carry_over(early[both], late[both], generator) if both.any() else None,
        interference=_interference(blocks, products, product, test["seed"]),
    )


def _match(test: Mapping[str, Any], history: ProductHistory) -> tuple[_Blocks, list[LostDay]]:
    """Find the rows of a schedule in a history; days at another price or without recorded sales are lost."""
    design = design_of(test)
    row_of = {str(day): row for row, day in enumerate(history.dates)}
    known = history.observed if history.in_stock is None else history.observed & history.in_stock
    rows = [row_of.get(day["date"], -1) for day in test["schedule"]]
    counts = list[bool]()
    lost = list[LostDay]()
    for row, day in zip(rows, test["schedule"], strict=True):
        due = row >= 0 and not day["washout"]
        good = due and bool(known[row]) and same_price(history.price[row], day["price"])
        if due and not good:
            lost.append(LostDay(day["date"], float(history.price[row]) if known[row] else None))
        counts.append(good)
    kept = np.array(counts).reshape(-1, design.block)
    enough = kept.sum(axis=1) >= FEWEST_SHARE * design.kept
    arms = np.array([ARMS.index(day["arm"]) for day in test["schedule"][:: design.block]])
    blocks = _Blocks(np.array(rows).reshape(kept.shape), kept, arms, enough.reshape(-1, 2).all(axis=1))
    return blocks, lost


def _interference(blocks: _Blocks, products: Sequence[ProductHistory], product: int, seed: int) -> Interference | None:
    """Return the effect of the test price on the other products of the file, on the same days."""
    if len(products) < 2 or not blocks.complete.any():
        return None
    tested = products[product]
    own = float(blocks.differences(tested.sales).mean())
    total = np.zeros(len(tested.dates))
    opposite = []
    for other in products:
        if other.product != tested.product:
            row = np.minimum(np.searchsorted(other.dates, tested.dates), len(other.dates) - 1)
            sales = np.where(other.dates[row] == tested.dates, other.sales[row], 0.0)
            total += sales
            if float(blocks.differences(sales).mean()) * own < 0:
                opposite.append(other.product)
    found = blocks.differences(total)
    low, high = randomisation_limits(found, list_turns(len(found), np.random.default_rng(seed)), LEVEL)
    return Interference(own, float(found.mean()), low, high, tuple(opposite))
