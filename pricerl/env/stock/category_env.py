"""The category as a Gymnasium environment, as rows for a learner, and as rows for gradients; and random categories."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor

from pricerl.data.stock import MOST_LEAD_WEEKS, MOST_WEEKS
from pricerl.env.noise import tabulate_units
from pricerl.env.stock.category import FEATURES, SIZE, CategoryRows, CategoryState, Week, decide, start, step
from pricerl.guardrails.limits import PriceLimits
from pricerl.market.stock_tensors import StockRows

Array = NDArray[np.float32]
LARGEST_CHANGE = 0.15
"""Largest weekly change of a price in random categories."""
PRICE_RANGE = (0.6, 1.5)
"""Lowest and highest price in random categories, over the first."""
SIZES = (2, 3, 4, 6, 8, 12)
"""Products of the categories through which gradients pass."""
LEAST_MARGIN = 0.2
"""Least share of the price that counts as margin in the unit of reward, so that thin margins do not make it tiny."""
LEAST_WEEKS = 8
"""Weeks of the shortest season in random categories."""


class CategoryVectorEnv:
    """``num_envs`` categories of one number of products as one batch of tensors, which end and restart together.

    Observations are ``(B, K * F)``, actions ``(B, K * 2)`` in [-1, 1], a product's price and order side by side. Rules
    and reward are as in `CategoryEnv`. An episode that ends restarts in the same call; ``info["final_obs"]`` has its
    last observation.
    """

    def __init__(self, num_envs: int = 64, products: int = 6) -> None:
        self.num_envs = num_envs
        self.products = products
        self.single_observation_space: spaces.Space[Any] = spaces.Box(0.0, 1.0, (products * len(FEATURES),), np.float32)
        self.single_action_space: spaces.Space[Any] = spaces.Box(-1.0, 1.0, (products * 2,), np.float32)
        self._table = tabulate_units(torch.tensor([SIZE]))
        self._generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
        self.state: CategoryState

    def reset(self, *, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Draw new categories; return observation ``(B, K * F)`` and an empty info."""
        if seed is not None:
            self._generator.manual_seed(seed)
        self.state = open_season(self.num_envs, self.products, self._generator)
        return self.state.observation, {}

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Charge and order for a week; return observation ``(B, K * F)``, reward and flags ``(B,)``, and info."""
        outcome = self.advance(actions.view(self.num_envs, self.products, -1))
        reward = outcome.profit.sum(1) / self.state.rows.scale
        ended = torch.full_like(reward, self.is_over, dtype=torch.bool)
        info: dict[str, Any] = {"price": self.state.price}
        observation = self.state.observation
        if self.is_over:
            info["final_obs"] = observation
            observation, _ = self.reset()
        return observation, reward, ended, torch.zeros_like(ended), info

    def advance(self, action: Tensor) -> Week:
        """Charge and order for a week by an action ``(B, K, 2)``, or ``(B, K)`` for prices alone."""
        noise = torch.randn(4, self.num_envs, self.products, generator=self._generator)
        self.state, outcome = step(self.state, *decide(self.state, action), noise, self._table)
        return outcome

    @property
    def is_over(self) -> bool:
        """Whether the season has ended."""
        return bool(self.state.week >= self.state.rows.stock.season_end[0, 0])


def open_season(count: int, products: int, generator: torch.Generator | None) -> CategoryState:
    """Return the state of random categories, all with the season of the first one."""
    rows = draw_categories(count, products, generator)
    end = rows.stock.season_end[:1, :1].expand_as(rows.stock.season_end)
    rows = rows._replace(stock=rows.stock._replace(season_end=end))
    return start(rows, rows.level_sd * torch.randn(rows.price.shape, generator=generator))


class CategoryEnv(gymnasium.Env[Array, Array]):
    """Price, and perhaps reorder, the products of a category whose shelves may empty, once a week.

    ## Action space
    ``Box(-1, 1, (K,))``: for each product a price, -1 the lowest and 1 the highest that the fixed guardrails allow, 0
    the first one, projected onto what one week may change. Orders then follow a base stock. With ``orders`` it is
    ``Box(-1, 1, (K, 2))``; the second number fills the shelf: -1 orders nothing, 0 up to what buyers want during the
    lead time and four weeks more, 1 to twice that.

    ## Observation space
    ``Box(0, 1, (K, F))``: a row per product with the columns `FEATURES` of ``pricerl.env.stock.category``: price,
    margin, units on hand and on the way, shares, belief over the level, weeks left and terms of supply.

    ## Transition
    Buyers choose by a multinomial logit with an outside option; those who find a product sold out choose once more
    among what is left. Levels drift, a weekly shock is common to all, units are negative binomial. Both are known only
    through sales: a week that sold out shows only that demand was at least as large. Deliveries may be a week late,
    units may spoil.

    ## Reward
    Contribution of the week's sales less storage and spoiled units and, at the end, what leftovers lose, in weeks of
    the category's usual profit. ``info["profit"]`` has the money.

    ## Starting state
    A new random category per episode, as in the training of the network that ships; the season lasts 8 to 26 weeks.

    ## Episode end
    Terminates at the end of the season; never truncated.

    ## Info
    ``price`` and ``profit`` in money, units ``sold`` and ``lost``, ``(K,)`` each.

    Args:
        products: ``K``.
        orders: whether the action orders, too.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium declares it as an instance variable

    def __init__(self, products: int = 6, orders: bool = False) -> None:
        self._rows = CategoryVectorEnv(1, products)
        self.observation_space = spaces.Box(0.0, 1.0, (products, len(FEATURES)), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (products, 2) if orders else (products,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Draw a new category; there are no options."""
        super().reset(seed=seed)
        observation, _ = self._rows.reset(seed=seed)
        return self._observed(observation), {"price": self._rows.state.price[0].numpy().copy()}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Charge and order for a week."""
        outcome = self._rows.advance(torch.as_tensor(np.asarray(action, np.float32)).clamp(-1, 1)[None])
        state = self._rows.state
        found = {"price": state.price, **outcome._asdict()}
        info = {name: value[0].numpy().copy() for name, value in found.items()}
        reward = float(outcome.profit.sum() / state.rows.scale[0])
        return self._observed(state.observation), reward, self._rows.is_over, False, info

    def _observed(self, observation: Tensor) -> Array:
        return observation.view(self.observation_space.shape).numpy().copy()  # type: ignore[arg-type]  # a Box has one


class DifferentiableCategories:
    """Rows that carry gradients over whole seasons, in new categories each time; random numbers are torch's global."""

    def __init__(self, num_rows: int, step_discount: float) -> None:
        self.num_rows = num_rows
        self._discount = step_discount
        self._table = tabulate_units(torch.tensor([SIZE]))

    def start(self) -> CategoryState:
        """Return the rows before the first week, in categories of one random size of `SIZES`."""
        products = SIZES[int(torch.randint(len(SIZES), ()))]
        return open_season(max(self.num_rows // products, 1), products, None)

    def step(self, state: CategoryState, action: Tensor) -> tuple[CategoryState, Tensor, Tensor]:
        """Charge and order by actions ``(B, K * 2)``; return states, rewards and discounts ``(B,)``, 0 at the end."""
        rows = state.rows
        if state.week >= rows.stock.season_end[0, 0]:
            return state, torch.zeros_like(rows.scale), torch.zeros_like(rows.scale)
        noise = torch.randn(4, *rows.price.shape)
        after, outcome = step(state, *decide(state, action.view(*rows.price.shape, 2)), noise, self._table)
        goes_on = rows.stock.season_end[:, 0] > after.week
        return after, outcome.profit.sum(1) / rows.scale, self._discount * goes_on

    def keep(self, state: CategoryState) -> None:
        """Keep nothing: a roll-out is a whole season."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return nothing, as nothing is kept."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> bool:
        """Restore nothing."""
        return True


@torch.no_grad()
def draw_categories(count: int, products: int, generator: torch.Generator | None) -> CategoryRows:
    """Draw random categories; half of them can reorder, the others sell what they have until the season ends."""
    shape = (count, products)
    uniform = partial(_uniform, generator)
    price = (100 * (3 + _normal(generator, 0.25, shape)).exp()).round() / 100
    parts = torch._standard_gamma(torch.full(shape, 4.0), generator=generator)
    share = parts / parts.sum(1, keepdim=True) * uniform(0.2, 0.85, count, 1)
    elasticity = uniform(1.8, 4.4, count, 1) * _normal(generator, 0.1, shape).exp()
    cost = torch.minimum(price * (1 - 1 / elasticity) * _normal(generator, 0.12, shape).exp(), 0.95 * price)
    # An average product sells 4 to 150 units per week.
    weekly = uniform(1.5, 5.0, count, 1).exp() * products * share / share.sum(1, keepdim=True)
    stock, total = _draw_stock(weekly, cost, generator)
    supply = torch.where(stock.largest_order > 0, torch.inf, stock.on_hand)
    margin = torch.maximum(price - cost, LEAST_MARGIN * price)
    return CategoryRows(
        price=price,
        appeal=(share / (1 - share.sum(1, keepdim=True))).log(),
        slope=elasticity / (1 - share),
        outside=torch.ones(count),
        buyers=weekly.sum(1) / share.sum(1),
        common_sd=uniform(0.05, 0.25, count),
        level_sd=uniform(0.15, 0.5, count, 1).expand(shape),
        share_paid=torch.ones(shape),
        counted_cost=cost,
        limits=limit_prices(price),
        stock=stock,
        scale=(margin * torch.minimum(weekly * total, supply) / stock.season_end).sum(1),
    )


def limit_prices(price: Tensor) -> PriceLimits:
    """Return the limits of random categories around their first prices, in money ``(B, K)``."""
    low, high = (share * price for share in PRICE_RANGE)
    return PriceLimits(
        floor=low,
        ceiling=high,
        support_low=low,
        support_high=high,
        drop=LARGEST_CHANGE,
        rise=LARGEST_CHANGE,
        max_week_change=LARGEST_CHANGE,
        max_above_median=None,
        min_change=0.0,
        menu=None,
        price_step=0.01,
        reachable=torch.ones_like(price, dtype=torch.bool),
    )


def _draw_stock(weekly: Tensor, cost: Tensor, generator: torch.Generator | None) -> tuple[StockRows, Tensor]:
    """Draw stock of products that sell ``weekly (B, K)`` units; return the season's weeks of demand, too."""
    count, products = shape = weekly.shape
    uniform = partial(_uniform, generator)
    weeks = uniform(LEAST_WEEKS, MOST_WEEKS + 1, count, 1).floor().expand(shape)
    bump = (torch.arange(MOST_WEEKS) - uniform(0, 26, count, 1)) / uniform(2, 6, count, 1)
    wave = uniform(-0.5, 1.0, count, 1).clamp(min=0) * (-(bump**2) / 2).exp()
    season = (wave - wave[:, :1]).exp().T[..., None].expand(-1, -1, products)
    total = (season * (torch.arange(MOST_WEEKS)[:, None, None] < weeks)).sum(0)
    orders = uniform(0, 1, count, 1) < 0.5
    lead = uniform(1, 6, count, 1).floor().expand(shape)
    first = torch.where(orders, uniform(0.5, 6, *shape), total * uniform(0.5, 1.5, count, 1))
    due = torch.arange(1, MOST_LEAD_WEEKS + 1)[:, None, None] < lead
    stock = StockRows(
        on_hand=(weekly * first * _normal(generator, 0.3, shape).exp()).round(),
        inbound=(due * orders * weekly * uniform(0, 1.3, MOST_LEAD_WEEKS, *shape)).round(),
        lead_weeks=lead,
        late_share=torch.full(shape, 0.1),
        storage_fee=cost * uniform(0, 0.01, count, 1),
        spoilage=uniform(-0.3, 0.1, count, 1).clamp(min=0).expand(shape),
        leftover_value=cost * uniform(0, 0.8, count, 1),
        season_end=weeks,
        season=season,
        largest_order=torch.where(orders, torch.inf, 0.0).expand(shape),
        smallest_order=torch.ones(shape),
        pack_size=uniform(1, 12, count, 1).floor().expand(shape),
        budget=torch.full(shape, torch.inf),
    )
    return stock, total


def _uniform(generator: torch.Generator | None, low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(*shape, generator=generator)


def _normal(generator: torch.Generator | None, sd: float, shape: tuple[int, ...]) -> Tensor:
    return sd * torch.randn(shape, generator=generator)
