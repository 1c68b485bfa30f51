"""The product's own advice as a policy of price and stock: every week the market is fitted anew and advice is asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
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
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.market import Market
from shops.stock_sellers import Futures, StockSeller
from shops.weekly_shelf import WeeklyState


class AdvisedShelf:
    """Follow the advice on price and order every week; days after the shelf has emptied are no observations."""

    def __init__(self, sellers: list[StockSeller], market: Market, futures: Futures, count: int) -> None:
        self._sellers = [seller for seller in sellers for _ in range(count)]
        self._market = market
        self._histories = [item for item in market.preprocessor.products for _ in range(count)]
        self._futures = futures
        self._before: WeeklyState | None = None
        self.changed = 0
        """Weeks, over all rows, in which the price changed."""

    def __call__(self, state: WeeklyState) -> tuple[Tensor, Tensor]:
        """Return the advised price, money, and order, units, of every row."""
        if self._before is not None:
            wanted = self._futures.daily(state.week - 1, state.price.double().numpy())
            for row, history in enumerate(self._histories):
                on_hand = float(self._before.on_hand[row])
                self._histories[row] = _extend(history, float(state.price[row]), wanted[:, row], on_hand)
        self._before = state
        found = [self._advise(row, state) for row in range(len(self._histories))]
        price, order = torch.tensor(found, dtype=torch.float32).T
        self.changed += int(((price / state.price - 1).abs() > 1e-4).sum())
        return price, order

    def _advise(self, row: int, state: WeeklyState) -> tuple[float, float]:
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
            inbound=tuple(state.inbound[:, row].tolist()),
            season=tuple(ahead.tolist()),
            season_end=MOST_WEEKS if known.leftover_value is None else known.season_end - week,
        )
        report = replace(self._market.preprocessor.reports[0], product=history.product)
        data = DataPreprocessor.fit(History("seller", (history,), (report,)), DataConfig())
        costs = CostConfig(**{name: seller.truth[name] for name in ("unit_cost", "share_kept", "fixed_cost")})
        market = fit_market(data, DemandConfig(num_draws=64), costs, conversions=False)
        market = replace(market, products=(replace(market.products[0], stock=stock),))
        (item,) = advise(torch.zeros_like, Dynamics(market), DecisionConfig(), WEEK, {})
        assert item.stock is not None
        return item.days[0].recommended_price, item.stock.order.mean


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
