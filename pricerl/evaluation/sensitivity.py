"""Sensitivity of a price change to an unobserved confounder (Cinelli and Hazlett 2020).

A confounder of price and demand biases the elasticity, however long the history. If it explains the shares ``R2_d`` of
the log price and ``R2_u`` of the log units that all other causes leave unexplained, the bias is
``sqrt(R2_u R2_d / (1 - R2_d)) sd(units) / sd(price)``, with the sds of the residuals ("Making sense of sensitivity",
section 4). The robustness value is the share of both at which the bias overturns the change. Observed causes serve as
benchmarks: a confounder is as strong as one of them if it explains the same shares.

Log units are the working response of the demand regression, with its weights.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pricerl.arrays import BoolArray, FloatArray
from pricerl.data.history import ProductHistory
from pricerl.evaluation.pricing_rules import Candidates
from pricerl.evaluation.valuation import log_units_at, margins_at
from pricerl.guardrails.price_grid import same_price
from pricerl.market.demand.averaging import fit_demand_regression, price_prior
from pricerl.market.demand.config import DemandSettings
from pricerl.market.demand.covariates import REFERENCE, RegressionData, gather_covariates
from pricerl.market.demand.regression import LOOSE_SD

ENTANGLED = 0.97
"""Largest share of the price that a cause may explain for their effects to be separable. The season explains 0.5 to
0.75 of a price that changes twice per month, and 0.9 of one that changes every two months."""


class ObservedCause(NamedTuple):
    """An observed cause, and the bias from a confounder of the same strength."""

    name: str
    """Name of the cause."""
    price_share: float
    """Partial R2 of the log price, given the other causes."""
    units_share: float
    """Partial R2 of the log units, given the price and the other causes."""
    bias: float
    """Bias of the elasticity from a confounder with these shares."""


class Causes(NamedTuple):
    """Observed causes of price and demand, as a benchmark for unobserved ones."""

    observed: tuple[ObservedCause, ...]
    scale: float
    """Residual sd of the log units over that of the log price, given the observed causes."""

    @property
    def entangled(self) -> str:
        """Name of the cause that explains nearly all residual variance of the price; empty if there is none."""
        found = max(self.observed, key=lambda cause: cause.price_share, default=None)
        return "" if found is None or found.price_share < ENTANGLED else found.name


class Sensitivity(NamedTuple):
    """Strength that an unobserved confounder needs to overturn a price change."""

    robustness: float
    """Robustness value, 0 to 1. A confounder that explains this share of the residual variance of both price and units
    brings the probability of a gain down to the gate."""
    undoing: float
    """Robustness value for a probability of one half instead of the gate."""
    strength: float | None
    """Strength of the latter relative to the strongest observed cause; None if none moves both price and units."""
    strongest: str
    """Name of the strongest observed cause, by the bias of a confounder like it; empty if there is none."""
    observed: tuple[ObservedCause, ...]
    """Observed causes, by strength."""


class WorkingFit(NamedTuple):
    """Demand regression at its mode, as a weighted least-squares fit of its working response."""

    days: RegressionData
    """``D`` days without outliers."""
    log_units: FloatArray
    """``(D,)`` working response: the fitted log mean plus the relative residual."""
    weight: FloatArray
    """``(D,)`` Fisher information of a day on its log mean."""
    mean: FloatArray
    """``(D,)`` fitted units."""
    size: float
    """Negative-binomial size of the units."""
    elasticity: float
    """Elasticity without a prior of its own."""
    error: float
    """Its standard error; infinite if the price never varied."""

    @property
    def causes(self) -> tuple[list[str], FloatArray]:
        """Names of the observed causes, and their columns with a constant as the last, ``(D, C + 1)``.

        Reference prices are made of the seller's own prices, so they are no cause of the price.
        """
        kept = [column for column, name in enumerate(self.days.names) if name != REFERENCE]
        columns = np.column_stack([self.days.covariates[:, kept], np.ones(len(self.mean))])
        return [self.days.names[column] for column in kept], columns


def fit_demand(history: ProductHistory) -> WorkingFit:
    """Fit the demand regression to the observed days of a history."""
    settings = DemandSettings()
    days, posterior, _ = fit_demand_regression(gather_covariates(history).keep(history.observed), settings)
    mean = np.exp(posterior.log_mean)
    log_units = posterior.log_mean + (days.units - mean) / mean
    alone = posterior.without_prior([1], price_prior(days, settings))
    information = max(1 / alone.covariance[1, 1] - 1 / LOOSE_SD**2, 1e-12)
    weight = mean / (1 + mean / posterior.size)
    return WorkingFit(days, log_units, weight, mean, posterior.size, float(alone.mode[1]), float(information**-0.5))


def observe_causes(fit: WorkingFit) -> Causes:
    """Measure how strongly each observed cause moves the price and the units of a product."""
    names, causes = fit.causes
    columns = np.column_stack([causes, fit.days.log_price, fit.log_units])
    # its triangular factor leaves the same residuals in as many rows as columns
    rows = np.linalg.qr(np.sqrt(fit.weight)[:, None] * columns)[1]
    causes = rows[:, :-2]
    with_price = rows[:, :-1]
    log_price, log_units = rows[:, -2:].T
    days = len(columns)
    price = _unexplained(log_price, causes, days)
    units = _unexplained(log_units, with_price, days)
    scale = float(np.sqrt(units / price)) if price > 0 else 0.0
    observed = []
    for name in dict.fromkeys(names):
        group = np.array([item == name for item in [*names, "constant", "price"]])
        price_share = partial_share(log_price, causes, group[:-1], days, price)
        units_share = partial_share(log_units, with_price, group, days, units)
        observed.append(ObservedCause(name, price_share, units_share, scale * bias(price_share, units_share)))
    return Causes(tuple(observed), scale)


def find_sensitivity(candidates: Candidates, price: float, causes: Causes) -> Sensitivity | None:
    """Return the strength of an unobserved confounder that would overturn the change to ``price``.

    None if there is no change, costs are unknown or the price never varied.
    """
    low, high = candidates.product.history.tried_prices
    if not candidates.market.cost.known or low == high or same_price(price, candidates.current_price):
        return None
    quantiles = (1 - candidates.gate, 0.5)
    gated, undone = (spare / causes.scale for spare in elasticity_to_spare(candidates, price, quantiles))
    worst = max(causes.observed, key=lambda cause: cause.bias, default=ObservedCause("", 0.0, 0.0, 0.0))
    strength = _strength(undone, worst.price_share, worst.units_share)
    name = "" if strength is None else worst.name
    return Sensitivity(robustness(gated), robustness(undone), strength, name, causes.observed)


def elasticity_to_spare(candidates: Candidates, price: float, quantiles: tuple[float, ...]) -> list[float]:
    """Return how far the elasticity may worsen before a price change gains nothing, at posterior quantiles.

    ``log(q1 / q0) - log(m0 / m1)`` over ``|log(p1 / p0)|``, with ``q`` units and ``m = k p - c`` margins.
    """
    ends = np.array([candidates.current_price, price])
    margin = margins_at(candidates.market, ends)
    earns = np.asarray((margin > 0).all(axis=1), dtype=np.bool_)
    log_profit = log_units_at(candidates.market, ends) + np.log(np.where(earns[:, None], margin, 1.0))
    spare = np.diff(log_profit, axis=1)[:, 0] / abs(np.diff(np.log(ends)))
    spare = np.where(earns, spare, np.where(margin[:, 1] > 0, np.inf, -np.inf))
    return [float(value) for value in np.quantile(spare, quantiles, method="lower")]


def robustness(effect: float) -> float:
    """Return the robustness value ``(sqrt(f^4 + 4 f^2) - f^2) / 2`` of an effect ``f`` over the scale, at least 0.

    Cinelli and Hazlett 2020, section 4: ``bias(robustness(f), robustness(f)) = f``.
    """
    if not np.isfinite(effect):
        return float(effect > 0)
    square = max(effect, 0.0) ** 2
    return float(2 * square / (np.sqrt(square**2 + 4 * square) + square)) if square else 0.0


def bias(price_share: float, units_share: float) -> float:
    """Return the bias of the elasticity from a confounder, over the scale: ``sqrt(R2_u R2_d / (1 - R2_d))``."""
    return float(np.sqrt(units_share * price_share / (1 - price_share)))


def _strength(effect: float, price_share: float, units_share: float) -> float | None:
    """Return the ``s`` with ``bias(s R2_d, s R2_u) = f``: the strength of a confounder relative to these shares."""
    product = price_share * units_share
    square = max(effect, 0.0) ** 2
    if product == 0 or not np.isfinite(square):
        return None
    drag = square * price_share
    return 2 * square / (drag + float(np.sqrt(drag**2 + 4 * product * square))) if square else 0.0


def partial_share(
    values: FloatArray, design: FloatArray, group: BoolArray, days: int, left: float | None = None
) -> float:
    """Return the partial R2 of columns ``group (C,)`` of weighted ``design (D, C)``, adjusted for their number, from 0.

    ``1 - residual variance given all columns / given the others``, each over its degrees of freedom; at most 0.99. The
    former is ``left``, if known.
    """
    without = _unexplained(values, design[:, ~group], days)
    left = _unexplained(values, design, days) if left is None else left
    share = 1 - left / without if without > 0 else 0.0
    return float(np.clip(share, 0.0, 0.99))


def _unexplained(values: FloatArray, design: FloatArray, days: int) -> float:
    """Return the residual variance of weighted ``values (D,)`` given ``design (D, C)``, over the degrees of freedom."""
    basis = span(design)
    return float(np.square(left_over(values, basis)).sum() / max(days - basis.shape[1], 1))


def span(design: FloatArray) -> FloatArray:
    """Return orthonormal columns ``(D, R)`` that span those of a design ``(D, C)``, without collinear ones."""
    basis, singular, _ = np.linalg.svd(design, full_matrices=False)
    return np.asarray(basis[:, singular > 1e-8 * singular[0]])


def left_over(values: FloatArray, basis: FloatArray) -> FloatArray:
    """Return what an orthonormal basis ``(D, R)`` leaves of ``values (D,)`` or ``(D, N)``."""
    return np.asarray(values - basis @ (basis.T @ values))
