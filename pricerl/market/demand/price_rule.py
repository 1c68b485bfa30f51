"""Rule by which a price follows demand: a second equation next to the demand regression, with the same shock.

``log price_t = m + g[weekday_t] + k shock_t + v_t + noise_t`` and ``log lambda_t = covariates_t + e log price_t +
shock_t`` with units negative binomial. Shock and ``v`` are AR(1) processes; ``v`` may jump on the days of a schedule.
What else moves the price shows the elasticity ``e``. The rule is tied if the price follows weekdays as it
follows the shock: then ``g`` is ``k`` times their effect on demand. Given ``k`` and the processes, the posterior is a
Gaussian around its mode (Laplace), and these are integrated around theirs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dpbtrf, dpbtrs
from scipy.optimize import minimize
from scipy.special import expit, logit, softmax

from pricerl.arrays import BoolArray, FloatArray, IntArray
from pricerl.data.days import WEEK
from pricerl.data.price_setting import COIN
from pricerl.market.demand.covariates import BIAS, REFERENCE, WEEKDAY, RegressionData
from pricerl.market.demand.curves import log_probability
from pricerl.market.demand.regression import (
    LARGEST_STEP,
    LAST_RISE,
    LAST_STEP,
    LOG_MEAN_RANGE,
    NEWTON_STEPS,
    SIZE_RANGE,
    differentiate_units,
    times_band,
)

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
    levels: FloatArray
    """``(R, 2)`` shock and ``v`` of each day."""
    coefficients: FloatArray
    covariance: FloatArray
    evidence: float


class _Processes(NamedTuple):
    """Shock, ``v`` and noise of the price, given the unknowns."""

    band: FloatArray
    """``(3, 2 R)`` precision of shock and ``v`` of each day in turn, as a lower band."""
    known: FloatArray
    """``(R,)`` precision of each log price, given them."""
    loads: FloatArray
    """``(2,)`` rise of the log price per shock, and per ``v``."""
    density: float
    """Log density of processes, noise and their values that does not depend on the days."""


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
    tied, best = max(((item, item.search(item.begin())) for item in lagged), key=lambda pair: pair[1].evidence)
    scheduled = tied._replace(schedule=_find_schedule(tied.rest_of(best)))
    jumped = scheduled.search(best)
    if jumped.evidence > best.evidence:
        tied = scheduled
        best = jumped
    free = tied._replace(tied=False)
    if not free.weekdays_agree(best):
        return None
    weekdays_alone = tied._replace(follows=False).search(best)
    if best.evidence - weekdays_alone.evidence < PROOF:
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
        kept = [column for column, name in enumerate(data.names) if name not in (REFERENCE, BIAS)]
        weekdays = [column for column, name in enumerate(data.names) if name == WEEKDAY]
        centre = float(np.median(history.log_price))
        own = np.zeros((len(data.units), 1 + WEEK))
        covariates = data.covariates[:, kept]
        later = np.minimum(np.arange(len(history.own)) + lag, len(history.own) - 1)
        ruled = ~history.own[later]
        ruled[: max(LAGS) - lag] = False  # equally many prices, whatever the lag
        ruled[len(ruled) - lag :] = False
        return _Problem(
            units=data.units,
            demand=np.column_stack([np.ones(len(own)), data.log_price - centre, covariates, own]),
            row=data.row,
            price=history.log_price[later] - centre,
            weekday=history.covariates[:, weekdays],
            ruled=ruled,
            mean=np.concatenate([[0.0, PRICE_MEAN], data.prior.mean[kept], np.zeros(1 + WEEK)]),
            precision=np.concatenate([[LEVEL_SD, PRICE_SD], data.prior.sd[kept], [LEVEL_SD], np.full(WEEK, WEEKDAY_SD)])
            ** -2.0,
            size=size,
            schedule=np.zeros(len(ruled), dtype=bool),
        )

    def first(self, days: int) -> _Problem:
        """Return the problem of the first days."""
        early = self.row < days
        rows = {name: getattr(self, name)[:days] for name in ("price", "weekday", "ruled", "schedule")}
        return self._replace(units=self.units[early], demand=self.demand[early], row=self.row[early], **rows)

    def begin(self) -> _Mode:
        """Return where a first search begins."""
        level = np.zeros(len(self.mean))
        level[0] = np.log(max(float(self.units.mean()), 1e-3))
        levels = np.zeros((len(self.price), 2))
        return _Mode(np.zeros(len(MOVES)), levels, self.mean + level, np.eye(len(level)), -np.inf)

    def search(self, near: _Mode) -> _Mode:
        """Search the mode of rule and processes from one nearby, by a quasi-Newton method."""
        first = self.solve(near.at, near)
        best = first

        def fall(at: FloatArray) -> tuple[float, FloatArray]:
            nonlocal best
            here = self.solve(at, best)
            best = max(best, here, key=lambda mode: mode.evidence)
            slope = np.zeros(len(MOVES))
            for place in range(self._first, len(MOVES)):
                moved = at + STEP * (np.arange(len(MOVES)) == place)
                slope[place] = (self.solve(moved, here).evidence - here.evidence) / STEP
            return first.evidence - here.evidence, -slope

        limits = [(-FARTHEST, FARTHEST)] * len(MOVES)
        minimize(
            fall,
            near.at,
            jac=True,
            method="L-BFGS-B",
            bounds=limits,
            options={"maxiter": MOST_STEPS, "ftol": LAST_GAIN},
        )
        return best

    def average(self, best: _Mode) -> PriceRule:
        """Return the rule, integrated around its mode."""
        count = len(MOVES)
        steps = STEP * np.eye(count)
        moved = [[self.solve(best.at + sign * step, best) for sign in (-1, 1)] for step in steps]
        curved = np.zeros((count, count))
        for one in range(count):
            curved[one, one] = moved[one][0].evidence + moved[one][1].evidence - 2 * best.evidence
            for two in range(one):
                both = self.solve(best.at + steps[one] + steps[two], best).evidence
                curved[one, two] = curved[two, one] = (
                    both - moved[one][1].evidence - moved[two][1].evidence + best.evidence
                )
        values, vectors = np.linalg.eigh(-curved / STEP**2)
        covariance = (vectors / np.maximum(values, 1.0)) @ vectors.T  # never wider than the prior
        slope = np.array([high.coefficients[1] - low.coefficients[1] for low, high in moved]) / 2 / STEP
        variance = float(best.covariance[1, 1] + slope @ covariance @ slope)
        strength = _strength_of(best.at)
        return PriceRule(strength, float(best.coefficients[1]), float(np.hypot(np.sqrt(variance), OWN_ERROR)))

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
        if self.tied:
            follow[:, 2 : 2 + WEEK] = _strength_of(at) * self.weekday
        else:
            follow[:, -WEEK:] = self.weekday
        return follow

    def rest_of(self, mode: _Mode) -> FloatArray:
        """Return the log price apart from the rule ``(R,)``."""
        shock = mode.levels[:, 0] if self.follows else 0.0
        return self.price - self._follow(mode.at) @ mode.coefficients - _strength_of(mode.at) * shock

    def _processes(self, at: FloatArray) -> _Processes:
        """Return the processes given the unknowns."""
        _, shock_sd, _, _, sd, noise = np.exp(MEANS + SPREADS * at)
        memories = expit(MEANS + SPREADS * at)[2:4]
        calm = np.full(len(self.price), shock_sd**2)
        variances = np.stack([calm, sd**2 + JUMP_SD**2 * self.schedule], axis=1)
        density = 0.5 * float(np.log1p(-np.square(memories)).sum() - np.log(variances).sum())
        density -= float(self.ruled.sum() * np.log(noise) + 0.5 * at[self._first :] @ at[self._first :])
        loads = np.array([_strength_of(at) if self.follows else 0.0, 1.0])
        return _Processes(_precision_of(variances, memories), self.ruled / noise**2, loads, density)

    def solve(self, at: FloatArray, near: _Mode) -> _Mode:
        """Find the mode given rule and processes by Newton's method; the log posterior is concave."""
        band, known, loads, density = self._processes(at)
        days = len(self.price)
        columns = self._columns
        demand = self.demand[:, :columns]
        mean = self.mean[:columns]
        precision = self.precision[:columns]
        follow = self._follow(at)
        follow_known = (known[:, None] * follow).T
        follow_squared = follow_known @ follow + np.diag(precision)
        levels = near.levels[:days]
        coefficients = np.append(near.coefficients, np.zeros(WEEK))[:columns]
        right = np.empty((columns + 1, days, 2))
        for _ in range(NEWTON_STEPS):
            expected = np.exp(np.clip(demand @ coefficients + levels[self.row, 0], *LOG_MEAN_RANGE))
            gradient, weight = differentiate_units(self.units, expected, self.size)
            weighted = weight[:, None] * demand
            rest = known * (self.price - follow @ coefficients - levels @ loads)
            right[:columns] = follow_known[..., None] * loads
            right[:columns, self.row, 0] += weighted.T
            right[columns] = rest[:, None] * loads - times_band(band, levels.ravel()).reshape(days, 2)
            right[columns, self.row, 0] += gradient
            curved = band.copy()
            curved[0] += (known[:, None] * loads**2).ravel()
            curved[0, 2 * self.row] += weight
            curved[1, 0::2] = loads[0] * known
            factor, _ = dpbtrf(curved, lower=1)
            flat = right.reshape(columns + 1, -1)
            solved, _ = dpbtrs(factor, flat.T, lower=1)
            information = weighted.T @ demand + follow_squared - flat[:columns] @ solved[:, :columns]
            uphill = gradient @ demand + rest @ follow - precision * (coefficients - mean)
            step = np.linalg.solve(information, uphill - flat[:columns] @ solved[:, columns])
            moved = solved[:, columns] - solved[:, :columns] @ step
            share = min(1.0, LARGEST_STEP / max(float(np.abs(step).max()), float(np.abs(moved).max()), LAST_STEP))
            coefficients = coefficients + share * step
            levels = levels + share * moved.reshape(days, 2)
            if uphill @ step + flat[columns] @ moved < LAST_RISE:
                break
        expected = np.exp(np.clip(demand @ coefficients + levels[self.row, 0], *LOG_MEAN_RANGE))
        away = precision @ np.square(coefficients - mean) + float(levels.ravel() @ times_band(band, levels.ravel()))
        away += known @ np.square(self.price - follow @ coefficients - levels @ loads)
        away += np.linalg.slogdet(information)[1] - np.log(precision).sum()
        fit = log_probability(self.units, expected, self.size, self.size).sum()
        evidence = density + float(fit - 0.5 * away - np.log(factor[0]).sum())
        return _Mode(at, levels, coefficients, np.linalg.inv(information), evidence)

    def weekdays_agree(self, tied: _Mode) -> bool:
        """Return whether the price's own weekday effects prove a rule by themselves, and agree with the tied one."""
        mode = self.solve(tied.at, tied)
        strength = _strength_of(tied.at)
        contrasts = np.linalg.svd(np.eye(WEEK) - 1 / WEEK)[2][: WEEK - 1]
        weekday = slice(2, 2 + WEEK)
        demand = contrasts @ mode.coefficients[weekday]
        price = contrasts @ mode.coefficients[-WEEK:]
        spread = contrasts @ mode.covariance[weekday, weekday] @ contrasts.T
        own = contrasts @ mode.covariance[-WEEK:, -WEEK:] @ contrasts.T
        joint = contrasts @ mode.covariance[-WEEK:, weekday] @ contrasts.T
        grid = np.linspace(-0.5, 1.5, 101)
        distances = []
        log_densities = []
        for slope in [*grid.tolist(), strength]:
            covariance = own + slope**2 * spread - slope * (joint + joint.T)
            apart = price - slope * demand
            distances.append(float(apart @ np.linalg.solve(covariance, apart)))
            log_densities.append(-0.5 * (distances[-1] + np.linalg.slogdet(covariance)[1]))
        weight = softmax(log_densities[:-1])
        mean = float(weight @ grid)
        return mean > PROOF * np.sqrt(weight @ np.square(grid - mean)) and distances[-1] < LARGEST_DISAGREEMENT


def _strength_of(at: FloatArray) -> float:
    return float(np.exp(MEANS[0] + SPREADS[0] * at[0]))


def _precision_of(variances: FloatArray, memories: FloatArray) -> FloatArray:
    """Return the precision of two AR(1) processes, of each day in turn, as a lower band ``(3, 2 R)``.

    Their innovations have the ``variances (R, 2)``; on the first day, they are divided by 1 minus the squared memory.
    """
    inverse = 1 / variances
    inverse[0] *= 1 - np.square(memories)
    diagonal = inverse.copy()
    diagonal[:-1] += np.square(memories) * inverse[1:]
    band = np.zeros((3, inverse.size))
    band[0] = diagonal.ravel()
    band[2, :-2] = (-memories * inverse[1:]).ravel()
    return band
