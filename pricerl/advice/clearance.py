"""Clearance of a stock by a day: the planned prices, against keeping the price and against ladders of equal cuts."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import torch

from pricerl.arrays import FloatArray, interval_of
from pricerl.data.days import WEEK, lowest_before
from pricerl.data.naming import COSTS_FILE
from pricerl.data.stock import MOST_WEEKS, clear_by
from pricerl.env.product import Product
from pricerl.env.stock.shelf import check_stocked
from pricerl.errors import UsageError
from pricerl.evaluation.stock.plan import plan_half_years, walk_weeks
from pricerl.formatting import Formatter, plural
from pricerl.terminal import shown, table
from pricerl.training.saved_policy import act_on_shelves

if TYPE_CHECKING:
    from pricerl.evaluation.pricing_data import PricingData

CUTS = (0.05, 0.10, 0.15)
"""Weekly cuts of the ladders, as a share of the price."""
MOST_FUTURES = 0.1
"""Share of futures in which the present price may leave units although nothing need be cleared."""
MOST_LEFT = 0.05
"""Share of the units that the path may leave without a reason."""


class Clearance(NamedTuple):
    """Ways to sell a stock by a day: the plan, the present price, and the ladders of `CUTS`, as far as limits allow."""

    product: Product
    units: float
    """Units on hand and on the way."""
    until: str
    """Last day, ISO format."""
    prices: FloatArray
    """``(W, 5)`` money, by week and way."""
    sold: FloatArray
    """``(W, 5)`` expected units."""
    left: FloatArray
    """``(M, 5)`` units left at the end, by posterior draw and luck."""
    money: FloatArray
    """``(M, 5)`` sales after fees and storage, and what leftovers are worth; the units are paid for already."""

    @property
    def is_needed(self) -> bool:
        """Whether the present price leaves units in more than a few futures."""
        return bool((self.left[:, 1] >= 1).mean() > MOST_FUTURES)

    def lines(self, f: Formatter) -> list[str]:
        """Return the path week by week, what each way earns and leaves, and what may be written next to a cut."""
        first, now = self.product.first_day, self.product.current_price
        head = f"{shown(self.product.name)}: {plural(round(self.units), 'unit')} until {f.date(self.until)}"
        if not self.is_needed:
            return [f"{head} sell at {f.price(now)} anyway: no path is needed, and nothing is recorded"]
        weeks = [
            (f.weekday_date(str(first + timedelta(days=WEEK * week))), f.price(price), f.number(sold, 1))
            for week, (price, sold) in enumerate(zip(self.prices[:, 0].tolist(), self.sold[:, 0].tolist(), strict=True))
        ]
        ways = ("these prices", f"keep {f.price(now)}", *(f"cut {100 * cut:g} % a week" for cut in CUTS))
        ends = [
            (name, f.estimate(interval_of(earned)), f"{f.number(mean, 0)}{f.limits(low, high, 0)}")
            for name, earned, (mean, low, high) in zip(ways, self.money.T, map(interval_of, self.left.T), strict=True)
        ]
        return [
            head,
            *table([("week from", "price", "units sold"), *weeks]),
            *table([("until then", "money after fees", "units left"), *ends]),
            *([f"  units are left: {self._obstacle(f)}"] if self.left[:, 0].mean() > MOST_LEFT * self.units else []),
            "  next to a cut the EU lets you write the lowest price of 30 days: now "
            f"{f.price(lowest_before(str(first), self.product.history.lowest_prices, now))}, later as in prices.csv",
        ]

    def _obstacle(self, f: Formatter) -> str:
        """Return why units are left: a limit on the price, the limit on its changes for most weeks, or the demand."""
        prices = [self.product.current_price, *self.prices[:, 0].tolist()]
        today = self.product.today.charge(*[min(prices)] * (4 * WEEK // self.product.history.step_days))
        steep = [after < before * (1 - 0.99 * today.config.drop) for before, after in pairwise(prices)]
        if limit := next(today.objections(today.on_grid(min(prices) * (1 - 2 * today.config.min_change))), None):
            return f"no price is below {f.price(limit.after)} (guardrails.{limit.rule}, {limit.why})"
        if 2 * sum(steep) > len(steep):
            return (
                f"a change is at most {f.percent(today.config.drop)} (guardrails.{today.config.in_force('max_drop')})"
            )
        return "lower prices would sell more of them, but bring less"


@torch.inference_mode()
def find_clearance(data: PricingData, name: str, until: str) -> Clearance:
    """Return the clearance of a product's stock by a day, ISO format, in the market of its history.

    Unknown stock or costs, and an objective other than profit, are a ``UsageError``.
    """
    data.stocks = clear_by(data.stocks, {name: until})
    chosen = data.preprocessor.select([data.preprocessor.names.index(name)])
    product = Product(data.build_dynamics(data.fit(chosen)), 0)
    check_stocked(product.dynamics.reward, data.guardrails.min_hold_days)
    if (stocked := plan_half_years(product.dynamics, act_on_shelves).get(0)) is None:
        raise UsageError(f"{shown(name)}: its stock or its unit cost is unknown; add --stock and --costs {COSTS_FILE}")
    ways = product.current_price * (1 - torch.tensor([0.0, *CUTS])) ** torch.arange(1, MOST_WEEKS + 1)[:, None]
    half_year = stocked.half_year
    state = half_year.shelves.open(half_year.index, half_year.inside[-1])
    prices = torch.cat([stocked.weeks[:, None], walk_weeks(state, stocked.among(ways))[..., 0, 0]], 1)
    played = half_year.play(stocked.among(prices))
    sold, left, profit = (part[:, :-1, :, 0, 0].double().numpy() for part in (played.sold, played.held, played.profit))
    units = stocked.stock.on_hand + sum(stocked.stock.inbound)
    earned = profit.sum(0) + float(half_year.believed.unit_cost) * units
    return Clearance(product, units, until, prices[: len(sold)].numpy(), sold.mean(1), left[-1], earned)
