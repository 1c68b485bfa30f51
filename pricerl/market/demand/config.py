"""Settings of the demand model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pricerl.data.price_setting import Kind
from pricerl.errors import check_settings
from pricerl.market.demand.priors import (
    INFORMED,
    NO_ROUND_PRICES,
    USUAL_ELASTICITY,
    USUAL_ELASTICITY_SD,
    CrossPrior,
    OwnPrice,
    RoundPrices,
    Tabulated,
    usual_elasticity,
)
from pricerl.market.visitor_tests import VisitorTest

GRID_SIZE = 97
"""Number of prices at which a curve is stored; between them it is interpolated in logs."""
GRID_MARGIN = 1.35
"""The grid extends by this factor beyond the lowest and highest tried price, further than guardrails allow."""
MOST_DRAWS = 100_000
"""40 MB per product."""
POSITIVE = ("outlier_sds", "prior_elasticity_sd")
"""Settings that must be positive."""


@dataclass(frozen=True)
class CommonSettings:
    """Settings that every demand model reads."""

    num_draws: int = 256
    """Number of posterior draws of the market; SAC trains on all of them. A probability has a standard error of about
    two points, five with 64."""
    outlier_sds: float = 4.0
    """Days further than this many robust sds (MAD) from their expected demand are excluded."""
    prior_elasticity_sd: float = USUAL_ELASTICITY_SD
    """Prior sd of the elasticity at the current price; 1.5 is a log-normal with half of all products between -1.2 and
    -2.7 around a median of -1.8, between -1.6 and -3.1 around one of -2.2."""


@dataclass(frozen=True)
class DemandSettings(CommonSettings):
    """Settings of one product: the seller's, and those that the data determine."""

    prior_elasticity: float = USUAL_ELASTICITY
    """Prior median of the elasticity at the current price."""
    prior_curvature: float = -2.0
    """Prior mean coefficient of squared log price: demand becomes more elastic as the price rises."""
    prior_curvature_sd: float = 4.0
    """Its prior sd: wide enough for linear, exponential and logit demand."""
    pooled: Tabulated | None = None
    """Prior from the other products, from which the prior elasticity and its sd follow, or None if there is none."""
    own_price: OwnPrice | None = None
    """Evidence of the price that the seller chose, or None if there is none."""
    rounds: RoundPrices = NO_ROUND_PRICES
    """Round prices at which demand may fall at once."""
    cross: CrossPrior | None = None
    """Prior of the cross effect, or None where the category shows none."""
    tests: Sequence[VisitorTest] = ()
    """Tests of the product's price that the seller made elsewhere."""


@dataclass(frozen=True)
class DemandConfig(CommonSettings):
    """Settings of the demand model.

    Raises:
        UsageError: numbers out of range.
    """

    model: ClassVar[Callable[..., Any] | None] = None
    """A demand model of your own, a ``DemandModel`` of `pricerl.market.demand.models`, that a subclass passes."""

    prior_elasticity: float | None = None
    """Prior median of the elasticity at the current price; if absent, -1.8 for weekly rows, promotions and averages, as
    in groceries, and -2.2 otherwise (``pricerl.market.demand.priors``)."""
    pool: bool = True
    """Whether the prior of each product's elasticity follows from the other products, its ``Group`` first, if
    at least 8 have evidence."""
    prior_informed: float = INFORMED
    """Prior probability that the seller chose the price well for these buyers and costs. At 0 the price is no evidence
    on the elasticity."""

    def __post_init__(self) -> None:
        rules = {
            **{name: (getattr(self, name) > 0, "be positive") for name in POSITIVE},
            "num_draws": (0 < self.num_draws <= MOST_DRAWS, f"be 1 to {MOST_DRAWS:,}"),
            "prior_informed": (0 <= self.prior_informed < 1, "be at least 0 and below 1"),
            "prior_elasticity": (self.prior_elasticity is None or self.prior_elasticity < 0, "be below 0"),
        }
        check_settings("data.market.", self, rules)

    def resolved(self, step_days: int = 1, kind: Kind = "plain") -> DemandSettings:
        """Return the settings of a product by the days of its rows and the way its prices were set."""
        elasticity = self.prior_elasticity or usual_elasticity(step_days, kind)
        return DemandSettings(self.num_draws, self.outlier_sds, self.prior_elasticity_sd, elasticity)

    def for_conversions(self) -> DemandSettings:
        """Return the settings for conversion rates, with their own prior of price elasticity and curvature."""
        return DemandSettings(
            self.num_draws,
            self.outlier_sds,
            prior_elasticity=-1.0,
            prior_elasticity_sd=0.75,
            prior_curvature=0.0,
            prior_curvature_sd=1.0,
        )
