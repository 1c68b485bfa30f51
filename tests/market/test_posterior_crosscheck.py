"""The Gaussian posterior of the demand regression against Markov chain Monte Carlo (NUTS) in NumPyro.

NumPyro samples all coefficients under the same priors and, unlike the regression, the negative-binomial size too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from shops.sellers import ShopConfig

from pricerl.data.config import DataConfig
from pricerl.data.history import ProductHistory
from pricerl.data.reading.reader import read_history
from pricerl.market.demand.averaging import price_prior, regress
from pricerl.market.demand.config import DemandSettings
from pricerl.market.demand.covariates import RegressionData, Terms, gather_covariates
from pricerl.market.demand.regression import SIZE_RANGE, RegressionPosterior
from pricerl.simulation.seller import simulated_history

SETTINGS = DemandSettings()
PROMOTIONS = Terms(window=15)
WARMUP, DRAWS = 400, 4000
"""The Monte Carlo errors of a mean and of a 90 % interval's width are then 2 % of the sd and of the width."""
NORMAL_WIDTH = 2 * 1.6449
"""Width of a Gaussian's 90 % interval in sds."""


def simulated(market: str, days: int, units: float) -> ProductHistory:
    seller = ShopConfig(market=market, days=days, units=units, seed=3)
    return simulated_history(seller, DataConfig()).products[0]


def real(name: str) -> ProductHistory:
    folders = (folder / "shared" / "data" / f"{name}.csv" for folder in Path(__file__).parents)
    path = next((path for path in folders if path.is_file()), None)
    if path is None:
        pytest.skip(f"real data file {name}.csv is not on this machine")
    return read_history(path, DataConfig()).products[0]


def sample_elasticity(data: RegressionData, start: RegressionPosterior) -> np.ndarray:
    """Draw the elasticity at the median price by NUTS, ``(DRAWS,)``, in coordinates in which it is nearly spherical."""
    numpyro = pytest.importorskip("numpyro", reason="the extra crosscheck is not installed")
    import jax
    import numpyro.distributions as dist
    from numpyro.infer import MCMC, NUTS, init_to_value

    prior, design = price_prior(data, SETTINGS), data.design
    proper, root = np.isfinite(prior.sd), np.linalg.cholesky(start.covariance)

    def model() -> None:
        flat = dist.ImproperUniform(dist.constraints.real_vector, (), (len(start.mode),))
        coefficients = start.mode + root @ numpyro.sample("standardized", flat)
        numpyro.deterministic("elasticity", coefficients[1])
        own = dist.Normal(prior.mean[proper], prior.sd[proper]).log_prob(coefficients[proper])
        numpyro.factor("prior", own.sum())
        log_size = numpyro.sample("log_size", dist.Uniform(*np.log(SIZE_RANGE)))
        mean, size = jax.numpy.exp(design @ coefficients), jax.numpy.exp(log_size)
        numpyro.sample("units", dist.NegativeBinomial2(mean, size), obs=data.units)

    first = {"standardized": np.zeros(len(start.mode)), "log_size": np.log(np.clip(start.size, 0.5, 1000.0))}
    with jax.enable_x64(True):
        kernel = NUTS(model, init_strategy=init_to_value(values=first))
        chain = MCMC(kernel, num_warmup=WARMUP, num_samples=DRAWS, progress_bar=False)
        chain.run(jax.random.PRNGKey(0))
        return np.asarray(chain.get_samples()["elasticity"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("find", "terms"),
    [
        (lambda: simulated("constant", 365, 20.0), Terms()),
        (lambda: simulated("constant", 130, 5.5), Terms()),
        (lambda: simulated("promotions", 365, 20.0), PROMOTIONS),
        (lambda: simulated("constant", 130, 0.5), Terms()),
        (lambda: simulated("constant", 365, 0.2), Terms()),
        (lambda: real("soapnuts"), Terms()),
        (lambda: real("woolballs"), Terms()),
        (lambda: real("onlineretail_22423"), PROMOTIONS),
    ],
    ids=["plain", "short", "promotions", "half a unit", "a fifth of a unit", "soapnuts", "woolballs", "onlineretail"],
)
def test_mean_and_interval_of_the_elasticity_are_those_of_numpyro(find, terms):
    product = find()
    data = gather_covariates(product, terms).keep(product.observed)
    ours = regress(data, SETTINGS)
    drawn, sd = sample_elasticity(data, ours), np.sqrt(ours.covariance[1, 1])
    assert drawn.mean() == pytest.approx(ours.mode[1], abs=0.1 * sd)
    low, high = np.quantile(drawn, [0.05, 0.95])
    assert high - low == pytest.approx(NORMAL_WIDTH * sd, rel=0.1)
