"""Next prices of the ``upward`` preset from given prices, and their cost in profit.

Run from the repository root::

    python benchmarks/upward_loop.py --path soapnuts.csv --prices 14 15 15.7 16.2 16.6 16.5

One policy is trained with the preset's reward on the file's history. Then the last two weeks of the history are set to
each of the prices in turn, and the policy chooses the next price. ``cost`` is the expected daily profit at the most
profitable constant price minus that at the next price, in the posterior-mean market.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from price_training import train_policy
from torch import Tensor

from pricerl.data.history import History, ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.pricing_rules import GATE, Candidates, best_for_profit
from pricerl.evaluation.valuation import value_average_day
from pricerl.market.reward import RewardConfig
from pricerl.runtime import claim_compute
from pricerl.training.pricing_data import PricingDataModule

UPDATES = 2000
LAST_DAYS = 14
"""Days at the given price: the window of the features."""


def with_price(product: ProductHistory, price: float) -> ProductHistory:
    """Return the history with ``price`` on its last days and unchanged units."""
    changed = product.price.copy()
    changed[-LAST_DAYS:] = price
    return replace(
        product, price=changed, sales=np.where(product.price > 0, product.sales / product.price, 0) * changed
    )


def profit_at(dynamics: Dynamics, price: Tensor) -> float:
    """Return the mean profit of an average day at a constant price ``(1,)``."""
    return float(value_average_day(Product(dynamics, 0), price)[1].profit.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", type=Path, required=True, help="the seller's file")
    parser.add_argument("--prices", type=float, nargs="+", required=True, help="current prices to start from")
    parser.add_argument("--preset", default="upward", help="of the reward")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    claim_compute(1)
    data = PricingDataModule(path=str(options.path), reward=RewardConfig(options.preset))
    module = train_policy(data, UPDATES)
    prepared, product = data.preprocessor, data.preprocessor.products[0]
    product_of_file = Product(data.dynamics, 0)
    best = best_for_profit(Candidates(product_of_file, GATE))
    most = profit_at(data.dynamics, torch.tensor([best]))
    print(f"best constant price for profit alone {best:.2f}, {most:.2f} per day")
    print("current price  next price  daily profit  daily cost")
    for price in options.prices:
        history = History(prepared.source, (with_price(product, price),), prepared.reports)
        market = replace(data.market, preprocessor=DataPreprocessor.refit(history, prepared.trained_state()))
        dynamics = Dynamics(market, data.reward, data.guardrails, data.env_config)
        where, index = dynamics.history.latest()
        state = dynamics.start(where, index, torch.full_like(where, market.mean_draw))
        chosen = dynamics.decide(state, module.policy(state.observation)[:, 0])
        profit = profit_at(data.dynamics, chosen)
        cost = most - profit
        print(f"{price:13.2f}  {float(chosen[0]):10.2f}  {profit:12.2f}  {cost:10.2f}", flush=True)


if __name__ == "__main__":
    main()
