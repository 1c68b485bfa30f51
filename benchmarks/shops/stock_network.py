"""One network for price and stock of all sellers, trained by SAC through simulated shelves of other sellers.

The network corrects the tuned rule: its two actions move the rule's log price and its order. It observes the state
of the shelf, the rule's proposal, and what describes demand, cost, season and limits of the product.

The gradient passes through the shelf, not through what the network observes on the way: with it, a correction that
reacts to the stock it has itself ordered multiplies gradients to 1e12 within half a year, and nothing is learned.
Where later actions are best already, their reactions have no first-order effect, so the optimum is the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from bare_module import BareModule
from torch import Tensor

from pricerl.data.stock import MOST_WEEKS
from pricerl.sac.agent import SACAgent
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.sac.replay import ReplayBuffer, Transition
from shops.stock_rules import CoverRule, ShelfPolicy, blind_price
from shops.weekly_shelf import WeeklyShelf, WeeklyState, observe

PRICE_REACH = 0.25
"""Largest correction of the log price."""
ORDER_REACH = 4.0
"""Largest correction of the order, weeks of usual demand."""
RATIOS = torch.tensor([0.8, 0.9, 1.0, 1.1, 1.25])
"""Prices over the blind one at which demand is observed."""
LARGEST_CAP = 1e4
"""In place of infinity, whose gradient is undefined."""
AHEAD = 8
"""Weeks of the season that are observed one by one."""


class Corrector:
    """Corrections of the tuned rule: what a network observes, and what its actions mean."""

    def __init__(self, shelf: WeeklyShelf, state: WeeklyState, settings: Tensor) -> None:
        rows = state.rows
        stock = rows.stock
        self.price = blind_price(shelf, state)
        cushion, reaction, cap = settings.clamp(max=LARGEST_CAP)
        self.rule = CoverRule(shelf, self.price, cushion, reaction, cap)
        self.usual = rows.usual.clamp(min=1e-6)
        ratios = RATIOS[:, None] * self.price
        units = shelf.market.average_day_at(ratios, shelf.market.grid_position(ratios, rows.believed), rows.believed)
        curve = (units.expected_units / units.expected_units[2]).log()
        self.constant = torch.stack(
            [
                *(curve[row] for row in (0, 1, 3, 4)),
                self.usual.log(),
                (self.price / rows.price).log(),
                cushion,
                reaction,
                cap.clamp(max=4.0),
                stock.spoilage,
                stock.late_share,
                stock.lot / self.usual,
                1 / shelf.size[state.product],
                rows.factor.sum(0) / rows.factor.amax(0),
            ],
            1,
        )

    def observe(self, state: WeeklyState, price: Tensor, order: Tensor) -> Tensor:
        """Return observations ``(B, O)``, the rule's proposal included."""
        rows = state.rows
        padded = torch.cat([rows.factor[state.week :], torch.zeros(AHEAD, len(price))]) / rows.factor.mean(0)
        columns = [(price / self.price).log(), order / self.usual, state.held / self.usual, padded[:-AHEAD].sum(0)]
        columns.append((price / state.price).log())
        return torch.cat([observe(state), torch.stack([*columns, *padded[:AHEAD]], 1), self.constant], 1)

    def correct(self, price: Tensor, order: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Return price and order after actions ``(B, 2)``."""
        change, more = action.unbind(1)
        return price * (PRICE_REACH * change).exp(), order + ORDER_REACH * more * self.usual


class ShelfView(NamedTuple):
    """A state with the rule's proposal and what the network observes."""

    shelf: WeeklyState
    corrector: Corrector
    price: Tensor
    order: Tensor
    observation: Tensor


def view(state: WeeklyState, corrector: Corrector) -> ShelfView:
    """Return what the network needs of a state."""
    price, order = corrector.rule(state)
    return ShelfView(state, corrector, price, order, corrector.observe(state, price, order))


def hold_constant(now: ShelfView) -> ShelfView:
    """Return a view whose observation and proposal carry no gradient; the state does."""
    return now._replace(price=now.price.detach(), order=now.order.detach(), observation=now.observation.detach())


class SimulatedShelves:
    """``B`` shelves of random sellers in random posterior draws, as a `DifferentiableEnv`.

    Roll-outs go on where the last one ended; after half a year new sellers begin, with other stock than recorded.
    Every step is kept for the critics.
    """

    def __init__(
        self, shelf: WeeklyShelf, settings: Tensor, rows: int, horizon: int, buffer: Callable[[int], ReplayBuffer]
    ) -> None:
        self._shelf = shelf
        self._settings = settings
        self._horizon = horizon
        self._rows = rows
        self._now = self._open()
        self.buffer = buffer(self._now.observation.shape[1])

    def start(self) -> ShelfView:
        """Return the rows where the last roll-out left them, or new ones."""
        now = self._now
        if now.shelf.week == MOST_WEEKS:
            return self._open()
        parts = {name: part.detach() for name, part in now.shelf._asdict().items() if isinstance(part, Tensor)}
        return view(now.shelf._replace(**parts), now.corrector)

    def step(self, state: ShelfView, action: Tensor) -> tuple[ShelfView, Tensor, Tensor]:
        """Play a week; return states, rewards and discounts, 0 after the last week."""
        if state.shelf.week == MOST_WEEKS:
            nothing = torch.zeros(self._rows)
            return state, nothing, nothing
        price, order = self._shelf.allow(state.shelf, *state.corrector.correct(state.price, state.order, action))
        after, week = self._shelf.charge(state.shelf, price, order, torch.randn(3, self._rows))
        rows = state.shelf.rows
        reward = week.profit / (rows.usual.clamp(min=1e-6) * rows.price)
        self._now = view(after, state.corrector) if after.week < MOST_WEEKS else state._replace(shelf=after)
        if after.week % max(self._horizon, 1) or after.week == MOST_WEEKS:
            self._now = hold_constant(self._now)
        discount = torch.full((self._rows,), float(after.week < MOST_WEEKS))
        self.buffer.add(Transition(state.observation, action, reward, discount, self._now.observation))
        return self._now, reward, discount

    def keep(self, state: ShelfView) -> None:
        """Leave the rows as they are: each step has kept them."""

    def _open(self) -> ShelfView:
        market = self._shelf.market
        product = torch.randint(market.num_products, (self._rows,))
        state = self._shelf.start(product, torch.randint(market.num_draws, (self._rows,)))
        more = (0.4 * torch.randn(7, self._rows)).exp()
        state = state._replace(on_hand=state.on_hand * more[0], inbound=state.inbound * more[1:])
        return view(state, Corrector(self._shelf, state, self._settings[:, product]))


def train_network(
    shelf: WeeklyShelf, settings: Tensor, horizon: int, seconds: float, rows: int = 256, seed: int = 0
) -> SACAgent:
    """Return an agent trained for some CPU seconds; ``horizon`` weeks of gradient, 0 for plain SAC.

    It corrects rules of ``settings (3, P)``, one for each product of the shelf.
    """
    torch.manual_seed(seed)
    config = SACConfig(
        actor_horizon=horizon, gamma=0.99, alpha=0.001, target_entropy=-6.0, actor_lr=3e-3, tau=0.02, max_grad_norm=1.0
    )
    env = SimulatedShelves(shelf, settings, rows, horizon, lambda width: ReplayBuffer(200_000, width, 2, seed=seed))
    agent = SACAgent(
        env.start().observation.shape[1], 2, config, NetworkConfig((128, 128), value_bounds=False, log_std_max=-1.0)
    )
    agent.train()
    with torch.no_grad():
        for _ in range(2 * MOST_WEEKS):
            state = env.start()
            agent.observe(state.observation)
            env.step(state, agent.act(state.observation))
    agent.env = env if horizon else None
    module = BareModule(agent)
    critic_optimizer, actor_optimizer, _ = module.bare_optimizers
    began = time.process_time()
    count = 0
    while (spent := (time.process_time() - began) / seconds) < 1:
        actor_optimizer.param_groups[0]["lr"].fill_(config.actor_lr * (1 - 0.98 * spent))
        critic_optimizer.param_groups[0]["lr"].fill_(config.critic_lr * (1 - 0.98 * spent))
        if not horizon and count % 4 == 0:
            with torch.no_grad():
                state = env.start()
                env.step(state, agent.act(state.observation))
        metrics = module.update(env.buffer.sample(config.batch_size))
        count += 1
        if count % 500 == 0:
            print(f"{count} updates: {', '.join(f'{name} {float(x):.3f}' for name, x in metrics.items())}")
    print(f"{count} updates", flush=True)
    return agent.eval()


def network_policy(agent: SACAgent, shelf: WeeklyShelf, start: WeeklyState, rule: CoverRule) -> ShelfPolicy:
    """Return the policy of the mean actions on shelves that begin in ``start``, as corrections of the rule."""
    corrector = Corrector(shelf, start, torch.stack([rule.cushion, rule.reaction, rule.cap]))

    def decide(state: WeeklyState) -> tuple[Tensor, Tensor]:
        now = view(state, corrector)
        return corrector.correct(now.price, now.order, agent.act(now.observation, deterministic=True))

    return decide
