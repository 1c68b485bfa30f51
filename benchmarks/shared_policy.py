"""One policy for many products against each product's own plan.

Run from the repository root::

    python benchmarks/shared_policy.py --products 100

Sellers of every plain demand family of PriceBench and of several volumes are simulated and joined to one history. One
policy is trained on all products, with gradients through the market and by plain SAC. Every ``--every`` updates, policy
and plans are rolled out for 84 days from every product's last day, in 16 posterior draws with the day's noise in the
observed units, the same for both and other than that of evaluations. A product is at parity if the policy earns at most
1 % of its profit less than its plan: once by the objective (the reward, converted to a share of profit) and once by
profit itself, which ``balanced`` does not reward alone.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from dataclasses import replace
from typing import Any

import torch
from price_training import PLAIN, TimedComparison, train_policy
from shops.pricebench import PLAIN_TRUTHS
from torch import Tensor

from pricerl.data.config import DataConfig
from pricerl.data.history import History
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.evaluation.plan_benchmark import DAYS
from pricerl.evaluation.rollout import Choice, roll_out
from pricerl.market.reward import RewardConfig
from pricerl.runtime import claim_compute
from pricerl.sac.config import SACConfig
from pricerl.simulation.seller import SellerConfig, simulated_history
from pricerl.training.pricing_data import PricingDataModule

UNITS = (2.0, 8.0, 30.0, 120.0)
"""Mean daily units of the products."""
DRAWS = 16
"""Posterior draws per product in which policy and plan are compared."""
TEST_SEED = 12345
"""Seed of the noise of the comparison, which differs from that of the evaluations."""
PARITY = 0.01


def join(products: int, days: int) -> History:
    """Return one history of products that differ in family, volume and seed."""
    kinds = list(itertools.product(PLAIN_TRUTHS, UNITS))
    histories = []
    for number in range(products):
        family, units = kinds[number % len(kinds)]
        seller = SellerConfig(market=family, days=days, units=units, seed=number)  # type: ignore[arg-type]
        histories.append(simulated_history(seller, DataConfig()).renamed(f"product-{number + 1}"))
    sold = tuple(history.products[0] for history in histories)
    return replace(histories[0], products=sold, reports=tuple(history.reports[0] for history in histories))


class Parity(TimedComparison):
    """Comparison of policy and plans by product, every ``every`` updates.

    Args:
        data: the products with their plans.
        every: updates between comparisons.
        start: name of the start of training, for the printed rows.
    """

    def __init__(self, data: PricingDataModule, every: int, start: str) -> None:
        super().__init__(every)
        self.data, self.start = data, start
        self.plan = data.plan(0.97**data.dynamics.days_per_step)
        self.planned = self._earn(self.plan)

    def compare(self, module: Any, updates: int) -> None:
        """Print how many products are at parity."""
        dynamics = self.data.dynamics
        reward, profit = self._earn(lambda now: dynamics.decide(now, module.policy(now.observation)[:, 0]))
        objective = (reward - self.planned[0]) * dynamics.reward.profit_share
        money = profit / self.planned[1] - 1
        cells = [f"{self.start:>14} {updates:6} updates {self.seconds:7.1f} CPU s"]
        for name, gap in (("objective", objective), ("profit", money)):
            parity, middle = (gap >= -PARITY).float().mean(), gap.median()
            cells.append(f"{name}: {parity:4.0%} at parity, median {middle:+.2%}, worst {gap.min():+.2%}")
        print(" | ".join(cells), flush=True)

    def _earn(self, choose: Choice) -> tuple[Tensor, Tensor]:
        """Return mean daily reward, discounted as in training, and mean daily profit, ``(P,)`` each."""
        dynamics = self.data.dynamics
        product, last = dynamics.history.latest()
        draw = torch.linspace(0, dynamics.market.num_draws - 1, DRAWS).long().repeat(len(product))
        owner = torch.arange(len(product)).repeat_interleave(DRAWS)
        noise = torch.Generator().manual_seed(TEST_SEED)
        state = dynamics.start(product[owner], last[owner], draw)
        _, outcome = roll_out(choose, dynamics, state, DAYS, noise)
        hold = dynamics.days_per_step
        weight = 0.97 ** (torch.arange(outcome.reward.shape[1]) // hold * hold)
        reward = (outcome.reward * weight).sum(1) / weight.sum()
        return reward.view(-1, DRAWS).mean(1), outcome.profit.mean(1).view(-1, DRAWS).mean(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=100)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--updates", type=int, default=2000)
    parser.add_argument("--every", type=int, default=250, help="updates between comparisons")
    parser.add_argument("--preset", default="profit")
    parser.add_argument("--horizons", nargs="+", type=int, default=[8, 0])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    claim_compute(1)
    data = PricingDataModule(seller=SellerConfig(products=options.products), reward=RewardConfig(options.preset))
    data.preprocessor = DataPreprocessor.fit(join(options.products, options.days), DataConfig())
    for horizon in options.horizons:
        parity = Parity(data, options.every, f"H {horizon}")
        train_policy(data, options.updates, SACConfig(actor_horizon=horizon) if horizon else PLAIN, callbacks=[parity])


if __name__ == "__main__":
    main()
