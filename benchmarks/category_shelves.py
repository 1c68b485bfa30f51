"""Prices of substitutes that share buyers and shelves: a learned policy against planning, on shops it never trained on.

    python benchmarks/category_shelves.py --shops 63
    python benchmarks/category_shelves.py --orders --paths 8
    python benchmarks/category_shelves.py --kinds logit --plain out/category.safetensors

``random`` shops are drawn as in training. The others are another maker's (``categories.py``): buyers choose by a logit,
a nested logit or an attraction model with pairs in one direction, day by day; levels return to their mean and may jump;
common shocks fade. Every policy sees the logit with the same shares, elasticities and, on average, diversion, and
learns levels from sales alone. Categories have 2, 6 and 12 products; the season lasts 20 weeks, and the same luck
meets all policies. Stock is 0.6 to 1.4 of what present prices would sell, with ``--orders`` it can be reordered.

Gains are over planning product by product, in percent of the profit of the same weeks at present prices; ``joint`` is
the paired difference to joint planning. Harmed shops lose over 1 %. ``--plain`` adds a policy of other weights, such
as those of SAC without the gradient: ``fit --config category --model.algorithm.actor_horizon 0
--model.algorithm.batch_size 256 --model.algorithm.actor_lr 0.001 --trainer.max_steps 5000``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from categories import Category
from runner import Option, compute_alone, read_options
from scipy.stats import nbinom
from shops.category_planner import (
    FIRST_STEPS,
    CategoryPlanner,
    alone,
    first_plan,
    improve_plan,
    mean_path,
)
from torch import Tensor

from pricerl.arrays import FloatArray
from pricerl.data.days import WEEK
from pricerl.data.stock import MOST_LEAD_WEEKS, MOST_WEEKS
from pricerl.env.noise import tabulate_units
from pricerl.env.stock.category import COMMON_KEPT as FADING
from pricerl.env.stock.category import (
    FEATURES,
    SIZE,
    CategoryRows,
    CategoryState,
    allow,
    believe,
    decide,
    observe,
    settle,
    start,
    step,
)
from pricerl.env.stock.category_env import draw_categories, limit_prices
from pricerl.env.stock.shelf import LEVEL_DRIFT
from pricerl.market.stock_tensors import StockRows
from pricerl.training.saved_policy import category_policy

KINDS = ("random", "logit", "nested", "attraction")
SIZES = (2, 6, 12)
WEEKS = 20
SEED = 40_000
NOISE_SIZE = 20.0
KEPT, LEVEL_SHOCK, JUMP, JUMPS = 0.9, 0.06, 0.3, 0.2
"""Share of a level's distance from its mean kept per week, sd of its shocks, log size of a jump, and their share."""
COMMON_KEPT, COMMON_SD = 0.5, 0.15
FIRST_SD = 0.35
"""Sd of the log levels at the start."""
AWAY = {"logit": 10.0, "nested": 10.0, "attraction": 3.0}
"""Factor of the price at which a sold-out product sends its buyers next door."""

SEPARATE, JOINT, POLICY = "MPC, product by product", "MPC, joint", "policy that ships"

Policy = Callable[[CategoryState], tuple[Tensor, Tensor]]


class Foreseen:
    """True log demand of all weeks, which no policy sees but the clairvoyant one."""

    log_demand: Tensor
    """``(20, B, K)``"""

    def foresee(self, state: CategoryState, weeks: int) -> Tensor:
        """Return the true path of the remaining weeks, ``(1, T, B, K)``."""
        return self.log_demand[None, state.week : state.week + weeks]


class TrainingShops(Foreseen):
    """Shops as in training: the model is true but for its levels."""

    def __init__(self, count: int, products: int, orders: bool, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        rows = draw_categories(8 * count, products, generator)
        chosen = torch.nonzero((rows.stock.largest_order[:, 0] > 0) == orders)[:count, 0]
        end = torch.full((count, products), float(WEEKS))
        stock = StockRows(*(value[..., chosen, :] for value in rows.stock))._replace(season_end=end)
        picked = {name: value[chosen] for name, value in rows._asdict().items() if isinstance(value, Tensor)}
        self.rows = scaled(rows._replace(**picked, limits=limit_prices(picked["price"]), stock=stock))
        self._first = self.rows.level_sd * torch.randn(count, products, generator=generator)
        self._noise = torch.randn(MOST_WEEKS, 4, count, products, generator=generator)
        common = torch.zeros(count, 1)
        shocks = []
        for noise in self._noise[:WEEKS, 3, :, :1]:
            common = FADING * common + self.rows.common_sd[:, None] * noise
            shocks.append(common)
        level = self._first + LEVEL_DRIFT * self._noise[:WEEKS, 0].cumsum(0)
        self.log_demand = level + torch.stack(shocks)
        self._table = tabulate_units(torch.tensor([SIZE]))

    def open(self) -> CategoryState:
        """Return the state before the first week."""
        return start(self.rows, self._first)

    def live(self, state: CategoryState, price: Tensor, order: Tensor) -> tuple[CategoryState, Tensor]:
        """Return the state after a week and its profit ``(B,)``."""
        after, week = step(state, price, order, self._noise[state.week], self._table)
        return after, week.profit.sum(1)


class OtherShops(Foreseen):
    """Shops of another maker, of which every policy sees a logit that resembles them around their present prices."""

    def __init__(self, kind: str, count: int, products: int, orders: bool, seed: int) -> None:
        self._rng = rng = np.random.default_rng([seed, products, KINDS.index(kind)])
        shops = [Category.draw(kind, products, float(np.exp(rng.uniform(0.5, 3.0))), rng) for _ in range(count)]
        self._shops = shops
        self._away = AWAY[kind]
        self.rows = self._see(orders)
        shape = (WEEKS, count, products)
        level = FIRST_SD * rng.normal(size=shape[1:])
        jump = np.where(rng.random(shape[1:]) < JUMPS, JUMP * rng.choice([-1, 1], shape[1:]), 0.0)
        jump_week = rng.integers(2, WEEKS, shape[1:])
        common = np.zeros((count, 1))
        levels = np.zeros(shape)
        for week in range(WEEKS):
            level = KEPT * level + (1 - KEPT) * jump * (week >= jump_week) + LEVEL_SHOCK * rng.normal(size=shape[1:])
            common = COMMON_KEPT * common + COMMON_SD * rng.normal(size=(count, 1))
            levels[week] = level + common
        self.log_demand = torch.tensor(levels, dtype=torch.float32)
        self._luck = rng.random((WEEKS, WEEK, count, products))
        self._late = rng.random((WEEKS, count, products)) < 0.1

    def _see(self, orders: bool) -> CategoryRows:
        """Return the logit of the same units, elasticities and mean diversion at present prices, and drawn stock."""
        rng = self._rng
        units = np.stack([shop.units(shop.price) for shop in self._shops])
        share, slope = (np.stack(part) for part in zip(*map(resemble, self._shops, units), strict=True))
        price, cost = (np.stack([getattr(shop, name) for shop in self._shops]) for name in ("price", "cost"))
        shape = price.shape
        weekly = WEEK * units
        if orders:
            lead = np.broadcast_to(rng.integers(1, 5, (shape[0], 1)), shape)
            on_hand = weekly * rng.uniform(1, 5, shape)
            due = np.arange(1, MOST_LEAD_WEEKS + 1)[:, None, None] < lead
            inbound = due * weekly * rng.uniform(0.3, 1.3, (MOST_LEAD_WEEKS, *shape))
        else:
            lead = np.full(shape, 2)
            on_hand = weekly * WEEKS * rng.uniform(0.6, 1.4, (shape[0], 1)) * np.exp(0.25 * rng.normal(size=shape))
            inbound = np.zeros((MOST_LEAD_WEEKS, *shape))
        price_rows = torch.tensor(price, dtype=torch.float32)
        values = {
            "on_hand": on_hand.round(),
            "inbound": inbound.round(),
            "lead_weeks": lead,
            "late_share": np.full(shape, 0.1),
            "storage_fee": 0.004 * cost,
            "spoilage": np.zeros(shape),
            "leftover_value": 0.3 * cost,
            "season_end": np.full(shape, WEEKS),
            "season": np.ones((MOST_WEEKS, *shape)),
            "largest_order": np.full(shape, np.inf if orders else 0.0),
            "smallest_order": np.ones(shape),
            "pack_size": np.ones(shape),
            "budget": np.full(shape, np.inf),
        }
        stock = StockRows(**{name: torch.tensor(value, dtype=torch.float32) for name, value in values.items()})
        inside = share.sum(1, keepdims=True)
        seen = [price, np.log(share / (1 - inside)), slope, weekly.sum(1) / inside[:, 0], cost]
        first, appeal, slopes, buyers, costs = (torch.tensor(value, dtype=torch.float32) for value in seen)
        ones = torch.ones(shape)
        return scaled(
            CategoryRows(
                price=first,
                appeal=appeal,
                slope=slopes,
                outside=ones[:, 0],
                buyers=buyers,
                common_sd=COMMON_SD * ones[:, 0],
                level_sd=FIRST_SD * ones,
                share_paid=ones,
                counted_cost=costs,
                limits=limit_prices(price_rows),
                stock=stock,
                scale=ones[:, 0],
            )
        )

    def open(self) -> CategoryState:
        """Return the state before the first week."""
        return start(self.rows, torch.zeros_like(self.rows.price))

    def live(self, state: CategoryState, price: Tensor, order: Tensor) -> tuple[CategoryState, Tensor]:
        """Sell day by day, buyers of empty shelves going next door; return the state after a week and its profit."""
        charged = price.double().numpy()
        left = state.on_hand.double().numpy()
        demand = np.zeros_like(left)
        for luck in self._luck[state.week]:
            shown = np.where(left > 0, charged, self._away * state.rows.price.double().numpy())
            mean = np.stack([shop.units(at) for shop, at in zip(self._shops, shown, strict=True)])
            mean = np.where(left > 0, mean * np.exp(self.log_demand[state.week].double().numpy()), 0.0)
            asked = nbinom.ppf(luck, NOISE_SIZE, NOISE_SIZE / (NOISE_SIZE + mean))
            demand += asked
            left = np.maximum(left - asked, 0)
        late = torch.tensor(self._late[state.week])
        after, week = settle(state, price, order, torch.tensor(demand, dtype=torch.float32), late)
        return after, week.profit.sum(1)


def resemble(shop: Category, units: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the shares and slopes ``(K,)`` of the logit that resembles a shop at its present prices."""
    size = len(units)
    dearer = np.where(np.eye(size, dtype=bool), 1.01 * shop.price, shop.price)
    own = np.diag(np.log(shop.units(dearer) / units)) / np.log(1.01)
    diverted = float(np.mean([shop.diversion(row) for row in range(size)]))
    weight = units / units.sum()
    insides = np.linspace(0.02, 0.95, 200)
    share = insides[:, None] * weight
    stays = ((insides[:, None] - share) / (1 - share)).mean(1)
    best = share[np.abs(stays - diverted).argmin()]
    return best, -own / (1 - best)


def scaled(rows: CategoryRows) -> CategoryRows:
    """Return rows whose reward of 1 is the profit of a week at present prices, at least a tenth of revenue."""
    state = start(rows, torch.zeros_like(rows.price))
    supply = torch.where(rows.stock.largest_order > 0, torch.inf, rows.stock.on_hand / WEEKS)
    margin = torch.maximum(rows.price - rows.counted_cost, 0.1 * rows.price)
    return rows._replace(scale=(margin * torch.minimum(believe(state), supply)).sum(1))


def draw_paths(state: CategoryState, weeks: int, count: int, generator: torch.Generator) -> Tensor:
    """Draw paths of log demand from the belief, ``(S, T, B, K)``: each with its mirror image."""
    shape = (count // 2, weeks, *state.mean.shape)

    def normal(*size: int) -> Tensor:
        half = torch.randn(size, generator=generator, device=state.mean.device)
        return torch.cat([half, -half])

    level = state.variance.sqrt() * normal(shape[0], 1, *shape[2:]) + LEVEL_DRIFT * normal(*shape).cumsum(1)
    spread = 1 / SIZE + 1 / (believe(state) + 0.5)
    units = spread.sqrt() * normal(*shape) - spread / 2
    common = state.common[1].sqrt() * normal(shape[0], 1, shape[2], 1)
    shocks = []
    for shock in normal(*shape[:3], 1).unbind(1):
        shocks.append(common)
        common = FADING * common + state.rows.common_sd[:, None] * shock[:, None]
    return mean_path(state, weeks) + level + units + torch.cat(shocks, 1)


class ConstantPrices:
    """Best constant prices by the model at the start, walked to as the guardrails allow; orders by a base stock."""

    def __init__(self, separate: bool) -> None:
        self._separate = separate
        self._price: Tensor | None = None

    def __call__(self, state: CategoryState) -> tuple[Tensor, Tensor]:
        """Return prices and orders."""
        if self._price is None:
            seen = alone(state) if self._separate else state
            plan = improve_plan(seen, first_plan(seen, 1), mean_path(seen, WEEKS), FIRST_STEPS)
            self._price = (seen.rows.price * plan[0, 0].exp()).view_as(state.price)
        return allow(state, self._price, decide(state, torch.zeros_like(state.price))[1])


def follow_rule(state: CategoryState) -> tuple[Tensor, Tensor]:
    """Return the best price per buyer or, where nothing can be reordered, the clearing price if that is higher."""
    squashed = 2 * observe(state) - 1
    places = [FEATURES.index(name) for name in ("best", "best_clearance", "clearing")]
    best, clearance, clearing = (squashed / (1 - squashed.abs()) / 2)[..., places].unbind(-1)
    goal = torch.where(state.rows.stock.largest_order > 0, best, torch.maximum(clearance, clearing))
    return allow(state, state.rows.price * goal.exp(), decide(state, torch.zeros_like(state.price))[1])


def learned(weights: Path | None) -> Policy:
    """Return the policy of a file of weights, or the one that ships."""
    act = category_policy() if weights is None else category_policy(weights)
    return lambda state: decide(state, act(state.observation).view(*state.price.shape, 2))


Shops = TrainingShops | OtherShops


def policies(plain: Path | None, paths: int) -> dict[str, Callable[[Shops], Policy]]:
    """Return makers of the policies by name."""
    made: dict[str, Callable[[Shops], Policy]] = {
        "present prices": lambda shops: lambda state: decide(state, torch.zeros_like(state.price)),
        "best constant prices, product by product": lambda shops: ConstantPrices(separate=True),
        "best constant prices, joint": lambda shops: ConstantPrices(separate=False),
        "rule: best or clearing price": lambda shops: follow_rule,
        SEPARATE: lambda shops: CategoryPlanner(separate=True),
        JOINT: lambda shops: CategoryPlanner(),
        "MPC, joint, knows levels and shocks": lambda shops: CategoryPlanner(foresee=shops.foresee),
        POLICY: lambda shops: learned(None),
    }
    if paths:
        generator = torch.Generator().manual_seed(0)
        foresee = partial(draw_paths, count=paths, generator=generator)
        made["MPC, joint, paths from the belief"] = lambda shops: CategoryPlanner(foresee=foresee)
    if plain is not None:
        made["SAC without the gradient"] = lambda shops: learned(plain)
    return made


@torch.no_grad()
def play(shops: Shops, policy: Policy) -> tuple[FloatArray, float]:
    """Return the profit of the season ``(B,)`` over the usual one, and milliseconds per decision."""
    state = shops.open()
    total = torch.zeros(len(state.price))
    spent = 0.0
    for _ in range(WEEKS):
        began = time.process_time()
        price, order = policy(state)
        spent += time.process_time() - began
        state, profit = shops.live(state, price, order)
        total += profit
    return (total / (WEEKS * state.rows.scale)).double().numpy(), 1000 * spent / WEEKS / len(total)


def main() -> None:
    options = read_options(
        __doc__,
        shops=Option(63, "shops per kind, as many of each size"),
        kinds=Option([*KINDS], choices=KINDS),
        sizes=Option([*SIZES], "products"),
        orders=Option(False, "whether stock can be reordered"),
        plain=Option(Path, "weights of a further policy"),
        paths=Option(0, "demand paths of a further planner, an even number"),
        seed=Option(SEED, "of the shops"),
    )
    compute_alone()
    made = policies(options.plain, options.paths)
    print("| shops | policy | gain, % (se) | joint, % (se) | harmed, % | ms |\n|---|---|---|---|---|---|")
    for kind in options.kinds:
        found: dict[str, list[FloatArray]] = {name: [] for name in made}
        times: dict[str, list[float]] = {name: [] for name in made}
        for size in options.sizes:
            count = options.shops // len(options.sizes)
            for name, make in made.items():
                given = (count, size, options.orders, options.seed)
                shops = TrainingShops(*given) if kind == "random" else OtherShops(kind, *given)
                profit, spent = play(shops, make(shops))
                found[name].append(profit)
                times[name].append(spent)
        table = pd.DataFrame({name: 100 * np.concatenate(parts) for name, parts in found.items()})
        for name in made:
            gain = table[name] - table[SEPARATE]
            over = table[name] - table[JOINT]
            error = len(gain) ** 0.5
            print(
                f"| {kind} | {name} | {gain.mean():+.2f} ({gain.std() / error:.2f}) | "
                f"{over.mean():+.2f} ({over.std() / error:.2f}) | {100 * (gain < -1).mean():.1f} | "
                f"{np.mean(times[name]):.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
