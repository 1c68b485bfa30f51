"""Sensitivity of a price change to an unobserved confounder (Cinelli and Hazlett 2020).

A confounder that moves price and demand together biases the elasticity, however long the history. If it explains the
share ``R2_d`` of the log price and ``R2_u`` of the log units that all other causes leave unexplained, the bias is
``sqrt(R2_u R2_d / (1 - R2_d)) sd(units) / sd(price)``, both sds those of the unexplained parts ("Making sense of
sensitivity", section 4). The robustness value is the share of both at which the bias overturns the change. The observed
causes show which shares are usual: a confounder is as strong as one of them if it explains the same shares.

Units enter in logs, with the working response and weights of the demand regression.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pricerl.arrays import BoolArray, FloatArray
from pricerl.data import ProductHistory
from pricerl.evaluation.pricing_rules import Shop
from pricerl.evaluation.valuation import log_units_at
from pricerl.market.demand.config import DemandSettings
from pricerl.market.demand.covariates import REFERENCE, gather_covariates
from pricerl.market.demand.models import fit_demand_regression

MADE_OF_PRICES = (REFERENCE,)
"""Causes derived from the seller's own prices count as part of the price: they do not measure how strongly others move
it."""

RANK_TOLERANCE = 1e-8
"""Singular values below this share of the largest belong to columns that others already span."""

MAX_SHARE = 0.99
"""No cause explains a price entirely."""

ENTANGLED = 0.97
"""A cause that explains a larger share of the price leaves too little to separate their effects. Where the price
changes twice per month the season explains a half to three quarters, with a change every two months 0.9."""


class ObservedCause(NamedTuple):
    """An observed cause, and the bias from a confounder of the same strength."""

    name: str
    price_share: float
    """Share of the price's variance, unexplained by the other causes, that it explains (partial R2)."""
    units_share: float
    """The same of the units', price included among the others."""
    bias: float
    """Bias of the elasticity from a confounder with these shares."""


class Causes(NamedTuple):
    """Observed causes of price and demand, as a benchmark for unobserved ones."""

    observed: tuple[ObservedCause, ...]
    scale: float
    """Sd of the units over that of the price, both in logs and as far as the observed causes leave them unexplained."""

    @property
    def entangled(self) -> str:
        """Name of the cause that explains nearly all of the price's variance left by the other causes, if one does."""
        found = max(self.observed, key=lambda cause: cause.price_share, default=None)
        return "" if found is None or found.price_share < ENTANGLED else found.name


class Sensitivity(NamedTuple):
    """Strength that an unobserved confounder needs to overturn a price change."""

    robustness: float
    """Share of what is unexplained in both price and units that a hidden cause must explain to bring the chance of a
    gain below the gate, 0 to 1."""
    undoing: float
    """The same to bring it down to a half."""
    strength: float | None
    """The latter cause's strength over that of the strongest observed one; None where none of these moves both price
    and units."""
    strongest: str
    """The name of that one: like it, a hidden cause would bend the elasticity most; empty where there is none."""
    observed: tuple[ObservedCause, ...]

    def overturned_by(self, strength: float) -> str:
        """Return the strongest observed cause, if a confounder ``strength`` times as strong overturns the change."""
        return "" if self.strength is None or self.strength >= strength else self.strongest


def observe_causes(history: ProductHistory) -> Causes:
    """Measure how strongly each observed cause moves the price and the units of a product.

    The demand regression at its mode is a weighted least-squares fit of its working response, the fitted log mean plus
    the relative residual; a day weighs as much as the information it bears on its log mean.
    """
    days, posterior, _ = fit_demand_regression(gather_covariates(history), DemandSettings())
    mean = np.exp(posterior.log_mean)
    weight, log_units = mean / (1 + mean / posterior.size), posterior.log_mean + (days.units - mean) / mean
    kept = [column for column, name in enumerate(days.names) if name not in MADE_OF_PRICES]
    causes = np.column_stack([days.covariates[:, kept], np.ones(len(mean))])
    with_price = np.column_stack([causes, days.log_price])
    price, units = _unexplained(days.log_price, causes, weight), _unexplained(log_units, with_price, weight)
    scale = float(np.sqrt(units / price)) if price > 0 else 0.0
    names = [days.names[column] for column in kept]
    observed = []
    for name in dict.fromkeys(names):
        group = np.array([item == name for item in [*names, "constant", "price"]])
        price_share = partial_share(days.log_price, causes, group[:-1], weight)
        units_share = partial_share(log_units, with_price, group, weight)
        observed.append(ObservedCause(name, price_share, units_share, scale * bias(price_share, units_share)))
    return Causes(tuple(observed), scale)


def find_sensitivity(shop: Shop, price: float, causes: Causes) -> Sensitivity | None:
    """Ask how strong a hidden cause would have to be to undo the gain of a change of price.

    Args:
        shop: the history with its market.
        price: the recommended one, money.
        causes: what the history shows.

    Returns:
        None where there is nothing to undo: no change, unknown costs, or a price that never varied.
    """
    tried = shop.history.price[shop.history.observed]
    if not shop.market.cost.known or np.ptp(tried) == 0 or np.isclose(price, shop.current_price, rtol=1e-6):
        return None
    gated, undone = (spare / causes.scale for spare in elasticity_to_spare(shop, price, (1 - shop.gate, 0.5)))
    worst = max(causes.observed, key=lambda cause: cause.bias, default=ObservedCause("", 0.0, 0.0, 0.0))
    strength = _strength(undone, worst.price_share, worst.units_share)
    name = "" if strength is None else worst.name
    return Sensitivity(robustness(gated), robustness(undone), strength, name, causes.observed)


def elasticity_to_spare(shop: Shop, price: float, quantiles: tuple[float, ...]) -> list[float]:
    """By how much the elasticity between both prices may be worse before nothing is gained, at quantiles of the draws.

    ``log(q1 / q0) - log(m0 / m1)`` over ``|log(p1 / p0)|``, with ``q`` units and ``m = k p - c`` margins.

    Args:
        shop: the history with its market.
        price: the recommended one, money.
        quantiles: between 0 and 1.
    """
    ends = np.array([shop.current_price, price])
    margin = shop.market.cost.share_kept[:, None] * ends - shop.market.cost.unit_cost[:, None]
    earns = np.asarray((margin > 0).all(axis=1), dtype=np.bool_)
    log_profit = log_units_at(shop.market, ends) + np.log(np.where(earns[:, None], margin, 1.0))
    spare = np.diff(log_profit, axis=1)[:, 0] / abs(np.diff(np.log(ends)))
    spare = np.where(earns, spare, np.where(margin[:, 1] > 0, np.inf, -np.inf))
    return [float(value) for value in np.quantile(spare, quantiles, method="lower")]


def robustness(effect: float) -> float:
    """Robustness value ``(sqrt(f^4 + 4 f^2) - f^2) / 2`` of an effect ``f`` over the scale of the bias; 0 below 0.

    Cinelli and Hazlett 2020, section 4; ``bias(robustness(f), robustness(f)) = f``.
    """
    if not np.isfinite(effect):
        return float(effect > 0)
    square = max(effect, 0.0) ** 2
    return float(2 * square / (np.sqrt(square**2 + 4 * square) + square)) if square else 0.0


def bias(price_share: float, units_share: float) -> float:
    """How far a hidden cause bends the elasticity, over the scale: ``sqrt(R2_u R2_d / (1 - R2_d))``."""
    return float(np.sqrt(units_share * price_share / (1 - price_share)))


def _strength(effect: float, price_share: float, units_share: float) -> float | None:
    """The ``s`` at which a hidden cause with ``s`` times these shares has this effect: ``bias(s R2_d, s R2_u) = f``."""
    product, square = price_share * units_share, max(effect, 0.0) ** 2
    if product == 0 or not np.isfinite(square):
        return None
    drag = square * price_share
    return 2 * square / (drag + float(np.sqrt(drag**2 + 4 * product * square))) if square else 0.0


def partial_share(values: FloatArray, design: FloatArray, group: BoolArray, weight: FloatArray) -> float:
    """Partial R2 of the columns ``group (C,)`` of ``design (D, C)``, adjusted for their number; at least 0.

    ``1 - variance left by all columns / variance left by the others``, each over its degrees of freedom.
    """
    without = _unexplained(values, design[:, ~group], weight)
    share = 1 - _unexplained(values, design, weight) / without if without > 0 else 0.0
    return float(np.clip(share, 0.0, MAX_SHARE))


def _unexplained(values: FloatArray, design: FloatArray, weight: FloatArray) -> float:
    """Weighted residual variance of ``values (D,)`` over the degrees of freedom that ``design (D, C)`` leaves."""
    root = np.sqrt(weight)
    basis, singular, _ = np.linalg.svd(root[:, None] * design, full_matrices=False)
    basis = basis[:, singular > RANK_TOLERANCE * singular[0]]
    rest = root * values
    rest = rest - basis @ (basis.T @ rest)
    return float(np.square(rest).sum() / max(len(values) - basis.shape[1], 1))
