"""The intervals mean what they say, on sellers that no setting was chosen by."""

from __future__ import annotations

import pytest
import torch

from pricerl.data.config import DataConfig
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.market.fitting import fit_market
from pricerl.simulation.seller import SellerConfig, simulate, simulated_history
from pricerl.simulation.true_demand import expected_profit

FAMILIES = ("constant", "linear", "exponential", "logit")
SELLERS = range(100, 120)


def covered(family, seed, units, days, step):
    """Whether the 90 % interval of the gain of a price step holds the true gain."""
    config = SellerConfig(market=family, seed=seed, units=units, days=days)
    _, truth = simulate(config)
    market = fit_market(DataPreprocessor.fit(simulated_history(config, DataConfig()), DataConfig()))
    draw = torch.arange(market.num_draws)
    now = float(market.preprocessor.products[0].price[-1])
    profits = [
        market.average_day(torch.full((len(draw),), price), torch.zeros_like(draw), draw).profit
        for price in (now, now * step)
    ]
    low, high = torch.quantile(profits[1] - profits[0], torch.tensor([0.05, 0.95])).tolist()
    return low <= float(expected_profit(truth, now * step)) - float(expected_profit(truth, now)) <= high


@pytest.mark.slow
@pytest.mark.parametrize(("units", "days", "most"), [(5.5, 130, 1.0), (20.0, 365, 0.99), (60.0, 365, 0.995)])
def test_nine_in_ten_intervals_of_a_profit_gain_hold_the_truth(units, days, most):
    """Few sales say little, and these sellers' elasticities lie closer together than the prior's: 99 % there."""
    hits = [
        covered(family, seed, units, days, step) for family in FAMILIES for seed in SELLERS for step in (0.95, 1.05)
    ]
    assert 0.85 <= sum(hits) / len(hits) <= most
