"""Case of one product, which deciders are given, and course of its prices, which they return."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cached_property, partial
from typing import Literal, NamedTuple

from torch import Tensor

from pricerl.arrays import Share
from pricerl.data.cleaning.zero_sales import UnlikelyZeros, unlikely_zeros
from pricerl.decide.account import Quarter, days_left
from pricerl.decide.decision import Decision, DecisionConfig, ProposedBy
from pricerl.decide.price_path import DayEdit, GatedPath, PricePath
from pricerl.decide.standing import FIRST, Account, AccountPlan, Alarm, Order, Standing
from pricerl.env.product import Product
from pricerl.evaluation.card.evidence_card import CardLine, draw_card
from pricerl.evaluation.card.prior_share import find_prior_share
from pricerl.evaluation.stock.product import StockedProduct
from pricerl.evaluation.valuation import PathValue, value_once, value_paths
from pricerl.guardrails.price_grid import same_price
from pricerl.market.working_fit import WorkingFit, find_entangled, fit_demand


class PolicyOverPlan(NamedTuple):
    """Utility per day of the learned policy minus the planner's, with the day's noise in all posterior draws."""

    advantage: float | None
    """In the unit below, or None if the policy returned an action that is not finite."""
    error: float | None
    """Standard error of the advantage."""
    unit: Literal["share", "reward"] = "share"
    """Share of the measure at the current price; in older advice also rewards per day."""


class Proposed(NamedTuple):
    """Path of one product with its proposer."""

    by: ProposedBy
    path: PricePath
    failed: bool = False
    """Whether the policy returned NaN or infinity, and there is no plan to take its place."""
    over_plan: PolicyOverPlan | None = None
    """Comparison that decided who proposes, or None if only one may."""
    by_draw: Callable[[], PricePath] | None = None
    """The path with its limits over the posterior draws, where ``path`` lacks them."""


Propose = Callable[[Product, int], Proposed]
"""Function from a product and a number of rows to the path of planner or policy."""


@dataclass(frozen=True)
class Case:
    """One product to be priced, with all that its price may depend on."""

    product: Product
    propose: Propose
    config: DecisionConfig
    horizon: int
    """Rows to price."""
    standing: Standing = FIRST
    seed: int = 0
    """Seed of the random parts of prices, and of the daily noise of forecasts."""
    stocked: StockedProduct | None = None
    """Shelf and planned half-year, with which paths are valued, where stock is known."""
    valued: dict[tuple[float, ...], PathValue] = field(default_factory=dict)
    """Values by path: deciders and record need the kept price's and the plan's again and again."""

    @property
    def passed(self) -> date:
        """Last day that has passed: the one before today, at least the last of the history."""
        first = self.product.first_day
        return max(self.standing.today or first, first) - timedelta(days=self.product.history.step_days)

    @property
    def days(self) -> list[date]:
        """Days to price."""
        step = timedelta(days=self.product.history.step_days)
        return [self.product.first_day + row * step for row in range(self.horizon)]

    @cached_property
    def kept(self) -> Tensor:
        """The current price on every day, ``(H,)`` money."""
        return self.product.money([self.product.current_price]).expand(self.horizon)

    @cached_property
    def keep(self) -> PathValue:
        """Value of keeping the price."""
        return self.value(self.kept)

    @cached_property
    def quarter(self) -> Quarter:
        """The open account, or one that begins now, by which paths are judged; with known stock always the latter."""
        account = None if self.stocked is not None else self.standing.account
        account = account or Account(self.passed.isoformat(), self.product.current_price)
        left = days_left(account, self.passed)
        return Quarter(self.product, account, left, self.config.loss_weight, self.value_all, self.stocked is None)

    @cached_property
    def zeros(self) -> UnlikelyZeros | None:
        """Zero-sales days too frequent to be chance."""
        return unlikely_zeros(self.product.history)

    @cached_property
    def entangled_with(self) -> str:
        """Cause whose effect cannot be separated from the price's; empty if there is none."""
        return find_entangled(self.fit)

    @cached_property
    def fit(self) -> WorkingFit:
        """Demand regression of the history."""
        return fit_demand(self.product.history, self.product.fitted.fit)

    @cached_property
    def prior_share(self) -> Share | None:
        """Share of the precision of the elasticity that is the prior's, if one is stated."""
        return find_prior_share(self.fit, self.product.history, self.product.fitted)

    @cached_property
    def card(self) -> tuple[CardLine, ...]:
        """Card of evidence: what a sceptic would ask of the history."""
        product = self.product
        return draw_card(
            self.fit, self.prior_share, product.history, product.fitted, tested=self.standing.measured is not None
        )

    def settle(self, prices: Sequence[float]) -> tuple[float, ...]:
        """Return prices, in money, with the current one in place of those that differ from it by rounding alone."""
        now = self.product.current_price
        return tuple(now if same_price(price, now) else price for price in prices)

    def value(self, price: Tensor) -> PathValue:
        """Return the value of a path ``(H,)``, in money."""
        (value,) = self.value_all(price[None])
        return value

    @cached_property
    def value_all(self) -> Callable[[Tensor], list[PathValue]]:
        """Function that values paths ``(N, H)``, in money, in the same posterior draws; it must not hold this case."""
        once = partial(value_once, self.valued, partial(value_paths, self.product))
        return once if self.stocked is None else self.stocked.value


@dataclass(frozen=True)
class Course:
    """Prices of the next days as far as they are decided."""

    decision: Decision
    proposed: Proposed
    """The path of planner or policy, or of a price test in its place."""
    aim: PricePath
    """The proposed path, or the one that the quarter or the decision took in its place."""
    aimed_by: ProposedBy
    """Source of the aim: the proposer, or the planner for the quarter."""
    path: PricePath
    """The part of the aim that the decision follows."""
    gated: GatedPath
    """Its prices in double precision, and the edits of the gate."""
    account: AccountPlan | None = None
    """Account of the quarter and its plan, or None if this is the first advice."""
    alarm: Alarm | None = None
    order: Order | None = None
    """Order that is followed."""
    known: bool = True
    """Whether the path can be forecast; nothing is known of prices that were never tried."""
    model: Course | None = None
    """The model's own course, if it was overruled."""

    @property
    def prices(self) -> tuple[float, ...]:
        """Prices to charge, in money, one per day."""
        return self.gated.prices

    def recommends(self, now: float) -> float:
        """Return the first price that differs from the current one, else that, in money."""
        return next((price for price in self.prices if price != now), now)

    @property
    def own(self) -> Course:
        """The model's own course."""
        return self.model or self

    def overruled(
        self, prices: Sequence[float], decision: Decision, asked: float | None = None, edits: Sequence[DayEdit] = ()
    ) -> Course:
        """Return another course with prices, in money, that take the place of the model's."""
        price = self.path.price.new_tensor(prices)
        path = self.path._replace(price=price, low=price, high=price, asked=price)
        gated = GatedPath(tuple(prices), asked, tuple(edits))
        return replace(self, decision=decision, path=path, gated=gated, model=self.own)
