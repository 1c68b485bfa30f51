"""Price and stock together: the plan and the advice against rules, on sellers that the env did not make.

    python benchmarks/price_and_stock.py --count 12 --futures 8

Every policy plays 26 weeks of every seller of ``shops/stock_sellers.py``, in several futures with the same luck. It
sees a year of history, the guardrails of ``fit``, the shelf, and nothing of the truth. The ``tuned rule`` is the best
of 96 settings per seller in the market fitted to that year. For the last two the market is fitted again every week:
``planned`` follows the planned half-year of the product with orders to suit, and ``advice, followed`` what the advice
says.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from runner import Option, read_options
from shops.stock_sellers import KINDS, Futures, StockSeller, open_sellers
from shops.weekly_shelf import CoverRule, ShelfPolicy, blind_price, open_shelves, tune_rules
from torch import Tensor

from pricerl.advice.describe import advise
from pricerl.arrays import FloatArray
from pricerl.data.config import DataConfig
from pricerl.data.costs import CostConfig
from pricerl.data.days import WEEK
from pricerl.data.history import History, ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.stock import MOST_WEEKS
from pricerl.decide.decision import DecisionConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.stock.category import CategoryState, allow, settle
from pricerl.env.stock.market_shelves import Shelves
from pricerl.evaluation.stock.plan import plan_half_years
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.market import Market
from pricerl.training.saved_policy import act_on_shelves

TUNED, PLANNED, ADVISED = "tuned rule", "planned", "advice, followed"
SEED = 20_000

LEGEND = """Percent. gain: of profit over the tuned rule's, mean over sellers, with standard error and worst seller
harmed: sellers who lose more than 1 % of a quarter's profit; out: weeks with a stock-out; lost: units of those wanted
"""


@torch.no_grad()
def play(state: CategoryState, policy: ShelfPolicy, futures: Futures) -> tuple[FloatArray, ...]:
    """Play a policy in the true futures; return profit, stock-outs, units lost and wanted, ``(B,)`` each."""
    totals = np.zeros((4, len(state.price)))
    rows = state.rows
    stock = rows.stock
    for week in range(MOST_WEEKS):
        price, order = allow(state, *policy(state))
        is_open = stock.season_end > week
        demand = _column(futures.wanted(week, price[:, 0].double().numpy())) * is_open
        before = state.on_hand
        state, outcome = settle(state, price, order, demand)
        left = before - outcome.sold
        perished = _column(futures.perished(week, left[:, 0].numpy(), stock.spoilage[:, 0].numpy()))
        more = perished - stock.spoilage * left
        arrived = state.on_hand - (1 - stock.spoilage) * left
        inbound = torch.cat([arrived[None], state.inbound[:-1]])
        delayed = torch.as_tensor(futures.delay(week, inbound[..., 0].numpy()), dtype=torch.float32)[..., None]
        cost = rows.counted_cost - (stock.season_end == week + 1) * stock.write_off(rows.counted_cost)
        profit = outcome.profit - more * cost * is_open
        state = state._replace(
            on_hand=left - perished + delayed[0], inbound=torch.cat([delayed[1:], torch.zeros_like(delayed[:1])])
        )
        totals += torch.cat([profit, outcome.lost > 0, outcome.lost, demand], 1).T.numpy()
    return tuple(totals)


def _column(values: FloatArray) -> Tensor:
    """Return numbers ``(B,)`` as those of categories of one, ``(B, 1)``."""
    return torch.as_tensor(values, dtype=torch.float32)[:, None]


def plan(dynamics: Dynamics) -> tuple[float, float]:
    """Return this week's planned price of a product and its order, units."""
    stocked = plan_half_years(dynamics, act_on_shelves)[0]
    return float(stocked.weeks[0]), stocked.look_ahead(stocked.path(MOST_WEEKS * WEEK)).order.mean


def follow(dynamics: Dynamics) -> tuple[float, float]:
    """Return the advised price of a product and its order, units."""
    (item,) = advise(torch.zeros_like, dynamics, DecisionConfig(), WEEK, {})
    assert item.stock is not None
    return item.days[0].recommended_price, item.stock.order.mean


class FittedShelf:
    """Price and order in a market that is fitted every week; days after the shelf has emptied are no observations."""

    def __init__(
        self,
        choose: Callable[[Dynamics], tuple[float, float]],
        sellers: list[StockSeller],
        market: Market,
        futures: Futures,
        count: int,
        guardrails: GuardrailConfig | None = None,
    ) -> None:
        self._choose = choose
        self._guardrails = guardrails
        self._sellers = [seller for seller in sellers for _ in range(count)]
        self._market = market
        self._histories = [item for item in market.preprocessor.products for _ in range(count)]
        self._futures = futures
        self._before: CategoryState | None = None

    def __call__(self, state: CategoryState) -> tuple[Tensor, Tensor]:
        """Return the price and the order (units) of every row."""
        if self._before is not None:
            wanted = self._futures.daily(state.week - 1, state.price[:, 0].double().numpy())
            for row, history in enumerate(self._histories):
                on_hand = float(self._before.on_hand[row])
                self._histories[row] = _extend(history, float(state.price[row]), wanted[:, row], on_hand)
        self._before = state
        found = [self._decide(row, state) for row in range(len(self._histories))]
        price, order = torch.tensor(found)[..., None].unbind(1)
        return price, order

    def _decide(self, row: int, state: CategoryState) -> tuple[float, float]:
        seller = self._sellers[row]
        week = state.week
        known = seller.stock
        if week >= known.season_end:
            return float(state.price[row]), 0.0
        season = np.array(known.season or (1.0,) * MOST_WEEKS)
        ahead = np.append(season[week:], np.repeat(season[-1], week))
        history = _without_season(self._histories[row], season[:week])
        stock = replace(
            known,
            on_hand=max(float(state.on_hand[row]), 0.0),
            inbound=tuple(state.inbound[:, row, 0].tolist()),
            season=tuple(ahead.tolist()),
            season_end=MOST_WEEKS if known.leftover_value is None else known.season_end - week,
        )
        report = replace(self._market.preprocessor.reports[0], product=history.product)
        data = DataPreprocessor.fit(History("seller", (history,), (report,)), DataConfig())
        costs = CostConfig(**{name: seller.truth[name] for name in ("unit_cost", "share_kept", "fixed_cost")})
        market = fit_market(data, DemandConfig(num_draws=64), costs, conversions=False)
        stocked = replace(market, products=(replace(market.products[0], stock=stock),))
        return self._choose(Dynamics(stocked, guardrails=self._guardrails))


def _without_season(history: ProductHistory, season: FloatArray) -> ProductHistory:
    """Return a history with the units of its last weeks as they would be in the first; ``season (W,)`` is expected.

    Otherwise the level of demand, which the fit averages over past weeks, would lag behind a season that is known.
    """
    factor = np.append(np.ones(len(history.units) - WEEK * len(season)), season.repeat(WEEK))
    return replace(history, units=history.units / factor, sales=history.sales / factor)


def _extend(history: ProductHistory, price: float, wanted: FloatArray, on_hand: float) -> ProductHistory:
    """Return a history with a week more, in which ``wanted (7,)`` units were asked for and ``on_hand`` were there."""
    before = np.append(0.0, wanted.cumsum()[:-1])
    units = np.clip(on_hand - before, 0, wanted)
    last = history.dates[-1] + np.arange(1, WEEK + 1)
    unknown = np.full(WEEK, np.nan)
    week = {
        "dates": last,
        "price": np.full(WEEK, price),
        "units": units,
        "sales": price * units,
        "profit": np.zeros(WEEK),
        "organic": unknown,
        "ad": unknown,
        "predicted": unknown,
        "observed": wanted <= on_hand - before,
        "profit_known": np.zeros(WEEK, dtype=bool),
    }
    if history.in_force is not None:
        week["in_force"] = week["price"]
    return replace(history, **{name: np.append(getattr(history, name), value) for name, value in week.items()})


def report(sellers: list[StockSeller], futures: int, found: dict[str, tuple[FloatArray, ...]]) -> None:
    """Print a line per policy, and the advice's per kind of seller."""
    kinds = np.array([seller.kind for seller in sellers])
    base = found[TUNED][0].reshape(-1, futures).mean(1)
    lines = {}
    groups = {name: np.ones(len(kinds), dtype=bool) for name in found} | {kind: kinds == kind for kind in KINDS}
    for name, rows in groups.items():
        profit, out, lost, wanted = (part.reshape(-1, futures)[rows] for part in found.get(name, found[ADVISED]))
        gain = profit.mean(1) / base[rows] - 1
        lines[name if name in found else f"{ADVISED}, {name}"] = {
            "gain": gain.mean(),
            "se": gain.std(ddof=1) / np.sqrt(len(gain)),
            "worst": gain.min(),
            "harmed": (profit.mean(1) < base[rows] - 0.01 * np.abs(base[rows]) / 2).mean(),
            "out": out.mean() / MOST_WEEKS,
            "lost": lost.sum() / wanted.sum(),
        }
    print(LEGEND)
    print((100 * pd.DataFrame(lines).T).round(2).to_string())


def main() -> None:
    options = read_options(
        __doc__,
        count=Option(12, "sellers of each kind"),
        futures=Option(8, "futures per seller"),
        seed=Option(SEED, "first seed of the sellers"),
    )
    sellers, market = open_sellers(options.count, options.seed)
    products = (replace(item, stock=one.stock) for item, one in zip(market.products, sellers, strict=True))
    shelves = Shelves(Dynamics(replace(market, products=tuple(products))))
    product = torch.arange(len(sellers)).repeat_interleave(options.futures)
    futures = Futures(sellers, options.futures, options.seed)
    blind = blind_price(shelves, product)
    best = tune_rules(shelves, torch.Generator().manual_seed(1))[:, product, None]
    known = sellers, market, futures, options.futures
    played: dict[str, ShelfPolicy] = {
        "blind price, base stock": CoverRule(blind),
        TUNED: CoverRule(blind, *best),
        PLANNED: FittedShelf(plan, *known),
        ADVISED: FittedShelf(follow, *known),
    }
    found = {}
    for name, policy in played.items():
        began = time.process_time()
        found[name] = play(open_shelves(shelves, product), policy, futures)
        print(f"{name}: {time.process_time() - began:.1f} s", flush=True)
    report(sellers, options.futures, found)


if __name__ == "__main__":
    main()
