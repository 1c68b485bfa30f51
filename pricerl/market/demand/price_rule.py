"""Rule by which a price follows demand: a second equation next to the demand regression, with the same shock.

``log price_t = m + g[weekday_t] + k shock_t + v_t + noise_t`` and ``log lambda_t = covariates_t + e log price_t +
shock_t`` with units negative binomial. Shock and ``v`` are AR(1) processes; ``v`` may jump on the days of a schedule.
What else moves the price shows the elasticity ``e``. The rule is tied if the price follows weekdays as it
follows the shock: then ``g`` is ``k`` times their effect on demand. Given ``k`` and the processes, the posterior is a
Gaussian around its mode (Laplace), and these are integrated around theirs.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit, softmax

from pricerl.arrays import BoolArray, FloatArray, IntArray
from pricerl.data.days import WEEK
from pricerl.data.price_setting import COIN
from pricerl.market.demand.covariates import BIAS, REFERENCE, WEEKDAY, RegressionData
from pricerl.market.demand.regression import SIZE_RANGE, Counts, Quadratic

MOVES = ("strength", "shock_sd", "shock_memory", "memory", "sd", "noise")
"""Unknowns of rule and processes: ``k``, sd of the shock's innovations and its memory, memory of ``v``, sd of its
innovations, and sd of the noise. Memories are log odds, the others logs."""
MEANS = np.array([np.log(0.4), np.log(0.08), logit(0.75), logit(0.8), np.log(0.03), np.log(0.01)])
SPREADS = np.array([0.8, 0.5, 1.0, 1.5, 1.2, 1.2])
"""Means and sds of their priors. Shocks have a sd of 0.05 to 0.3 and an autocorrelation of 0.5 to 0.9 in shops."""
FARTHEST = 3.0
"""Largest distance from these means, in sds."""
STEP = 0.1
"""Step of a finite difference, in sds."""
MOST_STEPS = 12
"""Most steps of a search for the mode."""
LAST_GAIN = 0.003
"""Gain of the log evidence that ends it, as a share of the whole gain or of 1."""
JUMP_SD = 0.1
"""Sd of a jump, in logs."""
LAGS = (0, 1)
"""Days by which a price may lag the demand that it follows."""
PERIODS = range(2, 15)
"""Days after which a schedule may set the price anew."""

PRICE_MEAN = -2.0
PRICE_SD = 2.0
"""Prior mean and sd of the elasticity, which decides where many rules are about as likely."""
LEVEL_SD = 100.0
WEEKDAY_SD = 0.2
"""Prior sd of the price's own weekday effects, in logs."""

PROOF = 2.0
"""Smallest log evidence for a price that follows the shock, and number of sds by which the rule of the weekdays is
above 0. Simulated sellers who follow a rival, or raise prices at weekends, have at most one of the two."""
LARGEST_DISAGREEMENT = 14.0
"""Largest squared distance of the price's weekday effects from the tied rule, in sds: the 97 % point of six degrees."""
HELD_OUT = 1 / 3
"""Share of the weeks, the last ones, that the rule must predict better than a price which follows nothing."""
OWN_ERROR = 0.2
"""Sd of the error of the elasticity beyond its posterior, for rules that are not quite these."""


class PriceRule(NamedTuple):
    """Proven rule of a price that follows demand, and what it shows of buyers."""

    strength: float
    """Log rise of the price per log demand."""
    elasticity: float
    """Mean and sd of the elasticity."""
    sd: float


class _Mode(NamedTuple):
    """Mode of the posterior, given rule and processes."""

    at: FloatArray
    """``(M,)`` their values: `MOVES` in sds from their means."""
    coefficients: FloatArray
    levels: FloatArray
    """``(2 R,)`` shock and ``v`` of each day in turn."""
    covariance: FloatArray
    evidence: float


def find_price_rule(history: RegressionData, data: RegressionData, size: float) -> PriceRule | None:
    """Return the rule by which the price followed demand; None unless the history proves one.

    Args:
        history: all days of the calendar; those whose price pricerl set follow no rule.
        data: the days with usual units.
        size: negative-binomial size of the units.
    """
    if WEEKDAY not in data.names:
        return None
    size = float(np.clip(size, *SIZE_RANGE))
    lagged = [_Problem.gather(history, data, size, lag) for lag in LAGS]
    tied, best = max(((item, item.search(item.begin())) for item in lagged), key=lambda searched: searched[1].evidence)
    scheduled = tied._replace(schedule=_find_schedule(tied.rest_of(best)))
    better = scheduled.search(best)
    tied, best = (scheduled, better) if better.evidence > best.evidence else (tied, best)
    free = tied._replace(tied=False)
    if not free.weekdays_agree(best) or best.evidence - tied._replace(follows=False).search(best).evidence < PROOF:
        return None
    unrelated = free._replace(follows=False)
    plain = unrelated.search(best)
    days = round((1 - HELD_OUT) * len(history.units) / WEEK) * WEEK
    gain_before = tied.first(days).search(best).evidence - unrelated.first(days).search(plain).evidence
    return tied.average(best) if best.evidence - plain.evidence > gain_before else None


def _find_schedule(rest: FloatArray) -> BoolArray:
    """Return the days ``(R,)`` of the schedule that explains best when the rest of the price moves much."""
    moved = np.square(np.diff(rest, prepend=rest[0])) + COIN**2
    day = np.arange(len(moved))
    schedules = np.array([day % period == phase for period in PERIODS for phase in range(period)])
    others = ~schedules
    inside = schedules @ moved / schedules.sum(1)
    outside = others @ moved / others.sum(1)
    fit = schedules.sum(1) * np.log(inside) + others.sum(1) * np.log(outside)
    return np.asarray(schedules[int(np.where(inside > outside, fit, np.inf).argmin())])


class _Problem(NamedTuple):
    """Both equations of ``R`` days of the calendar, ``D`` of them with units; ``C`` coefficients in all."""

    units: FloatArray
    demand: FloatArray
    """``(D, C)`` design of the log mean: 1, log price, weekdays, other covariates, and zeros for the price's own."""
    row: IntArray
    price: FloatArray
    """``(R,)`` log price over its median, as many days later as the price lags demand."""
    weekday: FloatArray
    """``(R, 7)``."""
    ruled: BoolArray
    """``(R,)`` whether this price is one that pricerl did not set."""
    mean: FloatArray
    precision: FloatArray
    """``(C,)`` each: prior of the coefficients."""
    size: float
    schedule: BoolArray
    """``(R,)`` days on which a schedule may set the price anew."""
    tied: bool = True
    follows: bool = True
    """Whether the price may follow the shock."""

    @staticmethod
    def gather(history: RegressionData, data: RegressionData, size: float, lag: int) -> _Problem:
        """Return the problem of a price that lags demand by some days."""
        kept = [column for column, name in enumerate(data.names) if name not in (REFERENCE, BIAS)]
        centre = float(np.median(history.log_price))
        level = np.ones((len(data.units), 1))
        own = np.zeros((len(data.units), 1 + WEEK))
        day = np.arange(len(history.own))
        later = np.minimum(day + lag, len(day) - 1)
        sds = [LEVEL_SD, PRICE_SD, *data.prior.sd[kept].tolist(), LEVEL_SD, *[WEEKDAY_SD] * WEEK]
        return _Problem(
            units=data.units,
            demand=np.hstack([level, data.log_price[:, None] - centre, data.covariates[:, kept], own]),
            row=data.row,
            price=history.log_price[later] - centre,
            weekday=history.covariates[:, [column for column, name in enumerate(data.names) if name == WEEKDAY]],
            # equally many prices, whatever the lag
            ruled=~history.own[later] & (day >= max(LAGS) - lag) & (day < len(day) - lag),
            mean=np.concatenate([[0.0, PRICE_MEAN], data.prior.mean[kept], np.zeros(1 + WEEK)]),
            precision=np.array(sds) ** -2.0,
            size=size,
            schedule=np.zeros(len(day), dtype=bool),
        )

    def first(self, days: int) -> _Problem:
        """Return the problem of the first days."""
        early = self.row < days
        rows = {name: getattr(self, name)[:days] for name in ("price", "weekday", "ruled", "schedule")}
        return self._replace(units=self.units[early], demand=self.demand[early], row=self.row[early], **rows)

    def begin(self) -> _Mode:
        """Return where a first search begins."""
        coefficients = self.mean.copy()
        coefficients[0] += np.log(max(float(self.units.mean()), 1e-3))
        return _Mode(np.zeros(len(MOVES)), coefficients, np.zeros(2 * len(self.price)), np.eye(0), -np.inf)

    def search(self, near: _Mode) -> _Mode:
        """Search the mode of rule and processes from one nearby, by a quasi-Newton method."""
        best = first = self.solve(near.at, near)
        steps = STEP * np.eye(len(MOVES))[self._first :]

        def fall(at: FloatArray) -> tuple[float, FloatArray]:
            nonlocal best
            here = self.solve(at, best)
            best = max(best, here, key=lambda mode: mode.evidence)
            slope = [(self.solve(at + step, here).evidence - here.evidence) / STEP for step in steps]
            return first.evidence - here.evidence, -np.array([0.0] * self._first + slope)

        limits = [(-FARTHEST, FARTHEST)] * len(MOVES)
        ends = {"maxiter": MOST_STEPS, "ftol": LAST_GAIN}
        minimize(fall, near.at, jac=True, method="L-BFGS-B", bounds=limits, options=ends)  # type: ignore[call-overload]
        return best

    def average(self, best: _Mode) -> PriceRule:
        """Return the rule, integrated around its mode."""
        steps = STEP * np.eye(len(MOVES))
        low, high = ([self.solve(best.at + sign * step, best) for step in steps] for sign in (-1, 1))
        fell, rose = (np.array([mode.evidence - best.evidence for mode in modes]) for modes in (low, high))
        curved = np.diag(rose + fell)
        for one, two in itertools.combinations(range(len(MOVES)), 2):
            both = self.solve(best.at + steps[one] + steps[two], best).evidence - best.evidence
            curved[one, two] = curved[two, one] = both - rose[one] - rose[two]
        values, vectors = np.linalg.eigh(-curved / STEP**2)
        covariance = (vectors / np.maximum(values, 1.0)) @ vectors.T  # never wider than the prior
        slope = np.array([up.coefficients[1] - down.coefficients[1] for down, up in zip(low, high, strict=True)])
        variance = best.covariance[1, 1] + slope @ covariance @ slope / (2 * STEP) ** 2
        sd = float(np.hypot(np.sqrt(variance), OWN_ERROR))
        return PriceRule(_strength_of(best.at), float(best.coefficients[1]), sd)

    @property
    def _columns(self) -> int:
        """Number of coefficients that matter: a tied price has no weekdays of its own."""
        return len(self.mean) - WEEK * self.tied

    @property
    def _first(self) -> int:
        """First of `MOVES` that matters: a price without a rule has no strength."""
        return 0 if self.follows or self.tied else 1

    def _follow(self, at: FloatArray) -> FloatArray:
        """Return the design of the log price, shock apart; a row per day."""
        follow = np.zeros((len(self.price), self._columns))
        follow[:, len(self.mean) - 1 - WEEK] = 1
        weekdays = slice(2, 2 + WEEK) if self.tied else slice(-WEEK, None)
        follow[:, weekdays] = (_strength_of(at) if self.tied else 1.0) * self.weekday
        return follow

    def rest_of(self, mode: _Mode) -> FloatArray:
        """Return the log price apart from the rule ``(R,)``."""
        shock = mode.levels[::2] if self.follows else 0.0
        return self.price - self._follow(mode.at) @ mode.coefficients - _strength_of(mode.at) * shock

    def solve(self, at: FloatArray, near: _Mode) -> _Mode:
        """Find the mode given rule and processes, from one nearby."""
        _, shock_sd, _, _, sd, noise = np.exp(MEANS + SPREADS * at)
        memories = expit(MEANS + SPREADS * at)[2:4]
        variances = np.stack([np.full(len(self.price), shock_sd**2), sd**2 + JUMP_SD**2 * self.schedule], axis=1)
        curved = _precision_of(variances, memories)
        loads = np.array([_strength_of(at) if self.follows else 0.0, 1.0])
        known = self.ruled / noise**2
        curved[0] += (known[:, None] * loads**2).ravel()
        curved[1, 0::2] = loads[0] * known
        columns = self._columns
        mean = self.mean[:columns]
        precision = self.precision[:columns]
        follow = self._follow(at)
        follow_known = (known[:, None] * follow).T
        density = np.log1p(-np.square(memories)).sum() + np.log(precision).sum() - np.log(variances).sum()
        density -= 2 * self.ruled.sum() * np.log(noise) + at[self._first :] @ at[self._first :]
        prior = Quadratic(
            precision=np.diag(precision) + follow_known @ follow,
            joint=(follow_known[..., None] * loads).reshape(columns, -1),
            bands=[curved],
            pull=precision * mean + follow_known @ self.price,
            level_pull=((known * self.price)[:, None] * loads).ravel(),
            value=0.5 * np.array([density - precision @ np.square(mean) - known @ np.square(self.price)]),
        )
        counts = Counts.on_calendar(self.units, self.demand[:, :columns], self.row, len(known), [0])
        start = np.append(near.coefficients, np.zeros(WEEK))[:columns]
        (found,) = counts.find_modes(
            np.array([[self.size]]), prior, start[None], near.levels[None, : 2 * len(self.price)]
        )
        return _Mode(at, found.coefficients, found.levels, found.covariance, found.evidence)

    def weekdays_agree(self, tied: _Mode) -> bool:
        """Return whether the price's own weekday effects prove a rule by themselves, and agree with the tied one."""
        mode = self.solve(tied.at, tied)
        columns = np.r_[2 : 2 + WEEK, -WEEK:0]
        contrasts = np.linalg.svd(np.eye(WEEK) - 1 / WEEK)[2][: WEEK - 1]
        grid = np.linspace(-0.5, 1.5, 101)
        slope = np.append(grid, _strength_of(tied.at))[:, None, None]
        apart = np.concatenate([-slope * contrasts, np.ones_like(slope) * contrasts], axis=2)
        covariance = apart @ mode.covariance[np.ix_(columns, columns)] @ np.swapaxes(apart, 1, 2)
        missed = apart @ mode.coefficients[columns]
        distance = (missed * np.linalg.solve(covariance, missed[..., None])[..., 0]).sum(1)
        weight = softmax(-0.5 * (distance + np.linalg.slogdet(covariance)[1])[:-1])
        mean = float(weight @ grid)
        proven = mean > PROOF * np.sqrt(weight @ np.square(grid - mean))
        return bool(proven and distance[-1] < LARGEST_DISAGREEMENT)


def _strength_of(at: FloatArray) -> float:
    return float(np.exp(MEANS[0] + SPREADS[0] * at[0]))


def _precision_of(variances: FloatArray, memories: FloatArray) -> FloatArray:
    """Return the precision of two AR(1) processes, of each day in turn, as a lower band ``(3, 2 R)``.

    Their innovations have the ``variances (R, 2)``; on the first day, they are divided by 1 minus the squared memory.
    """
    inverse = 1 / variances
    inverse[0] *= 1 - np.square(memories)
    band = np.zeros((3, inverse.size))
    band[0] = inverse.ravel()
    band[0, :-2] += (np.square(memories) * inverse[1:]).ravel()
    band[2, :-2] = (-memories * inverse[1:]).ravel()
    return band
