"""Settings of the demand model."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.errors import UsageError, did_you_mean
from pricerl.market.demand.own_price import INFORMED, USUAL_ELASTICITY, OwnPrice, normal_log_density

MIN_GRID = 9
"""Minimum number of grid prices of a curve: its smoothing spans several of them."""

CONVERSION_PRIOR: dict[str, Any] = {
    "prior_elasticity": -1.0,
    "prior_elasticity_sd": 0.75,
    "prior_curvature": 0.0,
    "prior_curvature_sd": 1.0,
}
"""Prior of a conversion rate's price elasticity and curvature."""


class LogNormal(NamedTuple):
    """Log-normal prior of minus the elasticity at the current price."""

    mean: float
    """Of the log."""
    sd: float
    """Of the log."""

    def at(self, normal: FloatArray) -> FloatArray:
        """Return the log of minus the elasticity at standard normal numbers, of their shape."""
        return np.asarray(self.mean + self.sd * normal)

    def log_density(self, log_elasticity: FloatArray) -> FloatArray:
        """Return the log density of logs of minus the elasticity, of their shape."""
        return normal_log_density(log_elasticity, self.mean, self.sd)


class Tabulated(NamedTuple):
    """Prior of any shape of minus the elasticity at the current price."""

    mean: float
    """Of the log."""
    sd: float
    """Of the log."""
    normal: FloatArray
    """``(N,)`` standard normal numbers, ascending."""
    quantiles: FloatArray
    """``(N,)`` log of minus the elasticity that is as probable to be exceeded as each of them."""

    def at(self, normal: FloatArray) -> FloatArray:
        """Return the log of minus the elasticity at standard normal numbers, of their shape."""
        return np.interp(normal, self.normal, self.quantiles)

    def log_density(self, log_elasticity: FloatArray) -> FloatArray:
        """Return the log density of logs of minus the elasticity, of their shape; beyond the table, that of its end."""
        normal = np.interp(log_elasticity, self.quantiles, self.normal)
        slope = np.interp(log_elasticity, self.quantiles, np.gradient(self.normal, self.quantiles))
        return np.asarray(normal_log_density(normal, 0.0, 1.0) + np.log(slope))


ElasticityPrior = LogNormal | Tabulated


@dataclass(frozen=True)
class CommonSettings:
    """Settings of every demand model, and the only ones of ``mixture``."""

    num_draws: int = 256
    """Number of posterior draws of the market; SAC trains on all of them. A probability has a standard error of about
    two points, five with 64."""

    grid_size: int = 97
    """Number of prices at which a curve is stored; between them it is interpolated in logs."""

    outlier_sds: float = 4.0
    """Days further than this many robust sds (MAD) from their expected demand are excluded."""

    prior_elasticity: float = USUAL_ELASTICITY
    """Prior mean of the elasticity; in ``mixture``, prior median at the current price (Bijmolt et al. 2005 report a
    mean of -2.62 over 1,851 estimates)."""

    prior_elasticity_sd: float = 1.5
    """Its prior sd; in ``mixture``, 1.5 is a log-normal with half of all products between -1.6 and -3.1."""

    pool: bool = True
    """Whether the prior of each product's elasticity follows from the other products, those of its ``Group`` first, if
    at least 8 have evidence."""


@dataclass(frozen=True)
class DemandSettings(CommonSettings):
    """Resolved settings, at their defaults where the model does not use them; see ``DemandConfig``."""

    prior_curvature: float = -2.0
    prior_curvature_sd: float = 4.0
    prior_season_sd: float = 0.5
    bandwidth: float = 0.06
    half_life_days: float = 180.0
    trend_trust: float = 0.15
    prior_informed: float = INFORMED
    pooled: ElasticityPrior | None = None
    """Prior from the other products, from which the prior elasticity and its sd follow; None if there is none."""
    own_price: OwnPrice | None = None
    """Evidence of the price that the seller chose; None if there is none."""


EVIDENCE = ("pooled", "own_price")
"""Fields that the data determine."""

COMMON, ALL = (
    tuple(item.name for item in fields(kind) if item.name not in EVIDENCE) for kind in (CommonSettings, DemandSettings)
)

MODEL_SETTINGS: dict[str, tuple[str, ...]] = {
    "similar": tuple(name for name in ALL if name != "prior_informed"),
    "quadratic": (*COMMON, "prior_curvature", "prior_curvature_sd"),
    "mixture": (*COMMON, "prior_informed"),
    "hybrid": ALL,
}
"""Names of the settings that each model of ``demand.models.DEMAND_MODELS`` uses."""


FREE = ("prior_elasticity", "prior_curvature", "prior_informed", "pool")
"""Settings that need not be positive."""

OTHERS = "; --allow PACKAGE imports the package that registers another one"


@dataclass(frozen=True)
class DemandConfig(CommonSettings):
    """Demand model and its settings; those at ``None`` take the model's default.

    Raises:
        UsageError: an unknown model, numbers out of range, or settings that the chosen model does not use.
    """

    demand: str = "mixture"
    """Demand model, by its name in ``pricerl.market.DEMAND_MODELS``: ``similar``, ``quadratic``, ``mixture``,
    ``hybrid``."""

    prior_curvature: float | None = None
    """Prior mean coefficient of squared log price, by default -2: demand becomes more elastic as the price rises. Used
    by all models except ``mixture``."""

    prior_curvature_sd: float | None = None
    """Its prior sd, by default 4: wide enough for linear, exponential and logit demand."""

    prior_season_sd: float | None = None
    """Prior sd of each seasonal coefficient, in logs, by default 0.5. Used by ``similar`` and ``hybrid``, as below."""

    bandwidth: float | None = None
    """Kernel bandwidth in log price, by default 0.06: a day at a 6 % higher price has weight exp(-1/2)."""

    half_life_days: float | None = None
    """Age in days at which a day's weight is halved, by default 180."""

    trend_trust: float | None = None
    """Prior relative sd of the similar-price correction around the trend, by default 0.15."""

    prior_informed: float | None = None
    """Prior probability that the seller chose the price well for these buyers and costs, by default 0.5; 0 takes it as
    no evidence on the elasticity. Used by ``mixture`` and ``hybrid``."""

    def __post_init__(self) -> None:
        if self.demand not in MODEL_SETTINGS:
            known, close = ", ".join(MODEL_SETTINGS), did_you_mean(self.demand, MODEL_SETTINGS)
            raise UsageError(f"data.market.demand must be one of {known}, found {self.demand!r}{close or OTHERS}")
        problems = [*self._unread(), *_out_of_range(self.resolved())]
        if problems:
            raise UsageError("; ".join(problems))

    def resolved(self) -> DemandSettings:
        """Return the settings with all defaults filled in."""
        return DemandSettings(**{name: getattr(self, name) for name in ALL if getattr(self, name) is not None})

    def for_conversions(self) -> DemandSettings:
        """Return the settings for conversion rates, which are fitted by similar prices under every demand model."""
        return replace(self.resolved(), **CONVERSION_PRIOR)

    def _unread(self) -> list[str]:
        """Describe each given setting that the chosen model does not use."""
        own = MODEL_SETTINGS[self.demand]
        return [
            f"data.market.{name} is not read by the demand model {self.demand!r}, only by "
            f"{', '.join(model for model, read in MODEL_SETTINGS.items() if name in read)}; "
            f"{self.demand!r} reads {', '.join(own)}"
            for name in ALL
            if getattr(self, name) is not None and name not in own
        ]


def _out_of_range(settings: DemandSettings) -> list[str]:
    positive = [name for name in ALL if name not in FREE]
    wrong = {name: getattr(settings, name) for name in positive if not getattr(settings, name) > 0}
    problems = [f"data.market.{name} must be positive, found {value}" for name, value in wrong.items()]
    if not 0 <= settings.prior_informed < 1:
        problems.append(f"data.market.prior_informed must be at least 0 and below 1, found {settings.prior_informed}")
    if not settings.prior_elasticity < 0:
        problems.append(f"data.market.prior_elasticity must be below 0, found {settings.prior_elasticity}")
    if 0 < settings.grid_size < MIN_GRID:
        problems.append(f"data.market.grid_size must be at least {MIN_GRID}, found {settings.grid_size}")
    return problems
