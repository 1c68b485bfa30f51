"""Clearing a stock by a day: the planned prices against ladders of equal cuts, on sixty sellers of known demand.

    python benchmarks/clearance.py --futures 1
    python benchmarks/clearance.py --count 25 --stock 0.5 1.0    sellers whose stock sells by then anyway

Every seller has half a year of history and 1.3 to 3 times the units that would sell at the present price until a day 8
to 20 weeks ahead; nothing more is ordered, and what is left is worth nothing. A ladder cuts the price by 5, 10 or 15 %
every one, two or four weeks, the first time today. ``planned`` follows the planned half-year, ``advice, followed`` what
the advice says for a product that is being cleared; both are fitted again every week to what was sold. All have the
same luck and keep to the same limits. Money is what the units bring after fees; their cost is sunk.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from price_and_stock import FittedShelf, plan, play
from runner import Option, read_options
from shops.sellers import join
from shops.stock_sellers import FAMILIES, Futures, StockSeller, StockSellerConfig
from shops.weekly_shelf import ShelfPolicy, open_shelves
from torch import Tensor

from pricerl.advice.describe import advise
from pricerl.arrays import FloatArray
from pricerl.data.config import DataConfig
from pricerl.data.costs import CostConfig
from pricerl.data.days import WEEK
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.stock import MOST_WEEKS, Stock
from pricerl.decide.decision import DecisionConfig
from pricerl.decide.standing import Standing
from pricerl.env.dynamics import Dynamics
from pricerl.env.stock.category import CategoryState
from pricerl.env.stock.market_shelves import Shelves
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.market import Market
from pricerl.simulation.seller import simulate, simulated_history

PLANNED, ADVISED, KEPT = "planned", "advice, followed", "keep the price"
SEED = 30_000
LIMITS = GuardrailConfig(max_change=0.15, max_week_change=0.15, support_margin=0.5)
"""At most 15 % a week, down to half of the prices tried; as always not below the cost of a unit."""


@dataclass(frozen=True)
class Ladder:
    """The first price, cut by a share every so many weeks."""

    cut: float
    every: int = 1

    def __call__(self, state: CategoryState) -> tuple[Tensor, Tensor]:
        """Return price and order of every row, ``(B, 1)`` each."""
        price = state.rows.price * (1 - self.cut) ** (state.week // self.every + 1)
        return price, torch.zeros_like(price)


def open_clearances(count: int, seed: int, ratio: Sequence[float]) -> tuple[list[StockSeller], Market]:
    """Return sellers with ``ratio`` times what they would sell, and the market fitted to their histories."""
    sellers, costs, histories = [], [], {}
    for number in range(count):
        generator = np.random.default_rng([seed, number])
        units = float(np.round(np.exp(generator.uniform(np.log(2), np.log(60))), 1))
        family = FAMILIES[int(generator.integers(len(FAMILIES)))]
        config = StockSellerConfig(market=family, days=180, units=units, seed=seed + number)  # type: ignore[arg-type]
        weeks = int(generator.integers(8, 21))
        on_hand = float(np.round(units * WEEK * weeks * generator.uniform(*ratio)))
        stock = Stock(on_hand, leftover_value=0.0, season_end=weeks, largest_order=0.0)
        truth = simulate(config)[1]
        sellers.append(StockSeller(family, stock, truth, np.ones(MOST_WEEKS)))
        name = f"{family} {number}"
        histories[name] = simulated_history(config, DataConfig())
        costs.append({"product": name, **{key: truth[key] for key in ("unit_cost", "share_kept", "fixed_cost")}})
    data = DataPreprocessor.fit(join(histories), DataConfig())
    market = fit_market(data, DemandConfig(num_draws=32), CostConfig(products=costs), conversions=False)
    products = (replace(item, stock=one.stock) for item, one in zip(market.products, sellers, strict=True))
    return sellers, replace(market, products=tuple(products))


def follow(dynamics: Dynamics) -> tuple[float, float]:
    """Return the advised price of a product that is being cleared, and no order."""
    standings = dict.fromkeys(dynamics.market.preprocessor.names, Standing(clears_by="2030-01-01"))
    (item,) = advise(torch.zeros_like, dynamics, DecisionConfig(), WEEK, {}, standings=standings)
    return item.days[0].recommended_price, 0.0


def report(sellers: list[StockSeller], money: dict[str, FloatArray], left: dict[str, FloatArray]) -> None:
    """Print the gain of plan and advice over what each other way brings, ``(B,)`` in money, in percent.

    Worse are sellers for whom they bring more than 1 % less.
    """
    ladders = [name for name in money if name.startswith("cut")]
    print("best ladder on average:", max(ladders, key=lambda name: float((money[name] / money[KEPT]).mean())))
    every = np.stack([money[name] for name in ladders])
    bases = money | {"mean of ladders": every.mean(0), "each seller's best ladder": every.max(0)}
    lines = {}
    for name, base in bases.items():
        lines[name] = {"over keeping": (base / money[KEPT] - 1).mean(), "left": left.get(name, np.nan * base).mean()}
        for way in [way for way in (PLANNED, ADVISED) if way in money]:
            gain = money[way] / base - 1
            lines[name] |= {
                f"{way}: gain": gain.mean(),
                f"{way}: se": gain.std(ddof=1) / np.sqrt(len(gain)),
                f"{way}: worse": (gain < -0.01).mean(),
            }
    print((100 * pd.DataFrame(lines).T).round(1).to_string())


def main() -> None:
    options = read_options(
        __doc__,
        count=Option(60, "sellers"),
        futures=Option(1, "futures per seller"),
        seed=Option(SEED, "first seed of the sellers"),
        stock=Option([1.3, 3.0], "least and most stock, as a multiple of what would sell at the present price"),
        advice=Option(True, "whether to follow the advice, too"),
        wide=Option(True, "whether all keep to limits wider than the default ones"),
    )
    sellers, market = open_clearances(options.count, options.seed, options.stock)
    limits = LIMITS if options.wide else GuardrailConfig()
    shelves = Shelves(Dynamics(market, guardrails=limits))
    product = torch.arange(len(sellers)).repeat_interleave(options.futures)
    futures = Futures(sellers, options.futures, options.seed)
    known = sellers, market, futures, options.futures, limits
    played: dict[str, ShelfPolicy] = {
        f"cut {100 * cut:g} % every {every} weeks": Ladder(cut, every)
        for cut, every in itertools.product((0.05, 0.1, 0.15), (1, 2, 4))
    }
    played |= {KEPT: Ladder(0.0), PLANNED: FittedShelf(plan, *known)}
    played |= {ADVISED: FittedShelf(follow, *known)} if options.advice else {}
    money, left = {}, {}
    units, costs = np.array([(seller.stock.on_hand, seller.truth["unit_cost"]) for seller in sellers]).T
    for name, policy in played.items():
        profit, _, lost, wanted = play(open_shelves(shelves, product), policy, futures)
        money[name] = profit.reshape(-1, options.futures).mean(1) + costs * units
        left[name] = 1 - (wanted - lost).reshape(-1, options.futures).mean(1) / units
    report(sellers, money, left)


if __name__ == "__main__":
    main()
