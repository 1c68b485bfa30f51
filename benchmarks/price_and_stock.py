"""Price and stock together: planning ahead against rules, on sellers that the env did not make.

Run from the repository root::

    python benchmarks/price_and_stock.py sellers --count 12 --futures 8
    python benchmarks/price_and_stock.py advice --count 1 --futures 1
    python benchmarks/price_and_stock.py own --count 4 --futures 8
    python benchmarks/price_and_stock.py network --horizon 26 --seconds 150
    python benchmarks/price_and_stock.py speed --products 1000

``sellers`` plays 26 weeks of every seller of ``shops/stock_sellers.py``, in several futures with the same luck for each
policy. Every policy sees the market fitted to a year of history, the guardrails of ``fit``, the shelf, and nothing of
the truth. ``tuned`` is the best of 96 settings per seller in that fitted market. ``advice`` plays the same with the
product's own advice as one more policy, from a market that is fitted anew every week. ``own`` plays in the fitted
market itself, where a seller who foresees demand is a bound. ``network`` trains one network for all sellers by SAC in
the fitted markets of 36 other sellers of each kind, as a correction of their tuned rules, through the gradient of
``--horizon`` weeks (0: plain SAC), and plays it in the true futures. ``speed`` times the first plan of many products.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np
import torch
from shops.advised_shelf import AdvisedShelf
from shops.stock_network import network_policy, train_network
from shops.stock_rules import SETTINGS, CoverRule, ShelfPolicy, blind_price, foresee, roll_shelf, tune_rules
from shops.stock_sellers import KINDS, Futures, StockSeller, open_sellers
from shops.weekly_shelf import WeeklyPlanner, WeeklyShelf, WeeklyState
from torch import Tensor

from pricerl.arrays import FloatArray
from pricerl.data.stock import MOST_WEEKS
from pricerl.env.dynamics import Dynamics

TUNED, PLANNED, ADVISED = "tuned rule", "MPC", "advice, followed"
NETWORK, MEAN = "network", "mean of network and MPC"
SEED = 20_000
"""First seed of the sellers."""
TRAINING_SEED, TRAINING_COUNT = 60_000, 36
"""First seed, and number of each kind, of the sellers in whose markets networks are trained."""

LEGEND = """Percent. gain: of profit over the tuned rule's, mean over sellers, with standard error and worst seller
harmed: sellers who lose more than 1 % of a quarter's profit; out: weeks with a stock-out; lost: units of those wanted
"""


@torch.no_grad()
def play(shelf: WeeklyShelf, state: WeeklyState, policy: ShelfPolicy, futures: Futures) -> tuple[FloatArray, ...]:
    """Play a policy in the true futures; return profit, stock-outs, units lost and wanted, ``(B,)`` each."""
    totals = np.zeros((4, len(state.product)))
    stock = state.rows.stock
    for week in range(MOST_WEEKS):
        price, order = shelf.allow(state, *policy(state))
        is_open = (stock.season_end > week).numpy()
        wanted = futures.wanted(week, price.double().numpy()) * is_open
        before = state.on_hand
        demand = torch.as_tensor(wanted, dtype=torch.float32)
        state, outcome = shelf.settle(state, price, order, demand)
        left = before - outcome.sold
        perished = torch.as_tensor(futures.perished(week, left.numpy(), stock.spoilage.numpy()), dtype=torch.float32)
        arrived = state.on_hand - (left - outcome.spoiled)
        inbound = torch.cat([arrived[None], state.inbound[:-1]])
        delayed = torch.as_tensor(futures.delay(week, inbound.numpy()), dtype=torch.float32)
        cost = state.rows.market.unit_cost + (stock.season_end == week + 1) * -stock.write_off(
            state.rows.market.unit_cost
        )
        profit = outcome.profit - (perished - outcome.spoiled) * cost * torch.as_tensor(is_open)
        state = state._replace(
            on_hand=left - perished + delayed[0], inbound=torch.cat([delayed[1:], torch.zeros_like(delayed[:1])])
        )
        totals += np.stack([profit.numpy(), outcome.lost.numpy() > 0, outcome.lost.numpy(), wanted])
    return tuple(totals)


def policies(shelf: WeeklyShelf, state: WeeklyState) -> dict[str, ShelfPolicy]:
    """Return the policies by name; rules are tuned per product in the fitted market."""
    generator = torch.Generator().manual_seed(1)
    blind = blind_price(shelf, state)
    best = tune_rules(shelf, generator)[:, state.product]
    still = tune_rules(shelf, generator, SETTINGS[SETTINGS[:, 1] == 0])[:, state.product]
    return {
        "blind price, base stock": CoverRule(shelf, blind),
        "blind price, capped base stock, tuned": CoverRule(shelf, blind, *still),
        TUNED: CoverRule(shelf, blind, *best),
        PLANNED: WeeklyPlanner(shelf),
    }


def mean_policy(one: ShelfPolicy, other: ShelfPolicy) -> ShelfPolicy:
    """Return the policy of the geometric mean of two prices, and the mean of two orders."""

    def decide(state: WeeklyState) -> tuple[Tensor, Tensor]:
        price, order = zip(one(state), other(state), strict=True)
        return (price[0] * price[1]).sqrt(), (order[0] + order[1]) / 2

    return decide


def report(sellers: list[StockSeller], futures: int, found: dict[str, tuple[FloatArray, ...]]) -> None:
    """Print a line per policy, and the plan's per kind of seller."""
    tuned = found[TUNED][0].reshape(-1, futures).mean(1)
    kinds = np.array([seller.kind for seller in sellers])
    print(LEGEND)
    print(f"{'policy':40s} {'gain':>6s} {'se':>5s} {'worst':>6s} {'harmed':>6s} {'out':>5s} {'lost':>5s}")
    groups = [(name, np.ones(len(kinds), dtype=bool)) for name in found] + [(kind, kinds == kind) for kind in KINDS]
    for name, rows in groups:
        profit, out, lost, wanted = (values.reshape(-1, futures)[rows] for values in found.get(name, found[PLANNED]))
        base = tuned[rows]
        gain = 100 * (profit.mean(1) / base - 1)
        harmed = 100 * (profit.mean(1) < base - 0.01 * np.abs(base) / 2).mean()
        error = gain.std(ddof=1) / np.sqrt(len(gain))
        line = f"{gain.mean():6.2f} {error:5.2f} {gain.min():6.2f} {harmed:6.1f}"
        rule_out = found[TUNED][1].reshape(-1, futures)[rows].mean()
        rest = f"{100 * out.mean() / MOST_WEEKS:5.1f} {100 * lost.sum() / wanted.sum():5.1f}"
        label = name if name in found else f"{PLANNED}, {name}"
        print(f"{label:40s} {line} {rest}  (tuned rule's stock-outs {100 * rule_out / MOST_WEEKS:.1f})")


def open_shelf(options: argparse.Namespace) -> tuple[list[StockSeller], WeeklyShelf, WeeklyState]:
    """Return sellers, their shelf and the first state, with ``options.futures`` rows per seller."""
    sellers, market = open_sellers(options.count, options.seed)
    shelf = WeeklyShelf(Dynamics(market), [seller.stock for seller in sellers])
    product = torch.arange(len(sellers)).repeat_interleave(options.futures)
    return sellers, shelf, shelf.start(product, torch.full_like(product, market.mean_draw))


def run_sellers(options: argparse.Namespace) -> None:
    """Play the true futures and print the table."""
    sellers, shelf, state = open_shelf(options)
    futures = Futures(sellers, options.futures, options.seed)
    found = {}
    played = policies(shelf, state)
    if options.command == "advice":
        played[ADVISED] = AdvisedShelf(sellers, shelf.market, futures, options.futures)
    for name, policy in played.items():
        began = time.process_time()
        found[name] = play(shelf, state, policy, futures)
        print(f"{name}: {time.process_time() - began:.1f} s", flush=True)
    report(sellers, options.futures, found)


def run_own(options: argparse.Namespace) -> None:
    """Play in the fitted market itself, in random posterior draws, and print the table with the bound."""
    sellers, shelf, state = open_shelf(options)
    generator = torch.Generator().manual_seed(options.seed)
    draw = torch.randint(shelf.market.num_draws, state.product.shape, generator=generator)
    state = shelf.start(state.product, draw)
    noise = torch.randn(MOST_WEEKS, 3, len(draw), generator=generator)
    rolled = {name: roll_shelf(shelf, state, policy, noise) for name, policy in policies(shelf, state).items()}

    def numbers(profit: Tensor, lost: Tensor, sold: Tensor) -> tuple[FloatArray, ...]:
        values = (profit, (lost > 0).float().sum(0), lost.sum(0), (sold + lost).sum(0))
        return tuple(value.double().numpy() for value in values)

    found = {name: numbers(item.profit, item.week.lost, item.week.sold) for name, item in rolled.items()}
    bound = foresee(shelf, state, noise, list(rolled.values()))
    found["foreseeing demand"] = numbers(bound, torch.zeros_like(noise[:, 0]), rolled[TUNED].week.sold)
    report(sellers, options.futures, found)


def run_network(options: argparse.Namespace) -> None:
    """Train a network in the markets of other sellers, play it in the true futures and print the table."""
    others, market = open_sellers(TRAINING_COUNT, TRAINING_SEED)
    training = WeeklyShelf(Dynamics(market), [seller.stock for seller in others])
    best = tune_rules(training, torch.Generator().manual_seed(1))
    print(f"{len(others)} sellers to train on: {time.process_time():.0f} CPU seconds", flush=True)
    agent = train_network(training, best, options.horizon, options.seconds)
    sellers, shelf, state = open_shelf(options)
    futures = Futures(sellers, options.futures, options.seed)
    chosen = policies(shelf, state)
    rule, planner = chosen[TUNED], chosen[PLANNED]
    network = network_policy(agent, shelf, state, rule)
    plays = {TUNED: rule, PLANNED: planner, NETWORK: network, MEAN: mean_policy(network, WeeklyPlanner(shelf))}
    found = {name: play(shelf, state, policy, futures) for name, policy in plays.items()}
    report(sellers, options.futures, found)
    tuned, planned = (found[name][0].reshape(-1, options.futures).mean(1) for name in (TUNED, PLANNED))
    kinds = np.array([seller.kind for seller in sellers])
    for name in (NETWORK, MEAN):
        ahead = 100 * (found[name][0].reshape(-1, options.futures).mean(1) - planned) / tuned
        for kind in ("all", *KINDS):
            rows = ahead[(kinds == kind) | (kind == "all")]
            error = rows.std(ddof=1) / np.sqrt(len(rows))
            print(f"{name} over {PLANNED}, {kind}: {rows.mean():+.2f} (se {error:.2f})")


def run_speed(options: argparse.Namespace) -> None:
    """Time the first plan of many products, the sellers repeated."""
    sellers, market = open_sellers(options.count, options.seed)
    rows = [number % len(sellers) for number in range(options.products)]
    marks = [(time.process_time(), time.perf_counter())]
    shelf = WeeklyShelf(Dynamics(market.select(rows)), [sellers[row].stock for row in rows])
    product = torch.arange(options.products)
    state = shelf.start(product, torch.full_like(product, market.mean_draw))
    marks.append((time.process_time(), time.perf_counter()))
    shelf.allow(state, *WeeklyPlanner(shelf)(state))
    marks.append((time.process_time(), time.perf_counter()))
    opened, planned = np.diff(marks, axis=0)
    print(f"{options.products} products, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}")
    for name, (used, waited) in {"shelves opened": opened, "first plan": planned}.items():
        print(f"{name}: {waited:.1f} s of wall time, {used:.1f} s of CPU time")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = {
        "sellers": run_sellers,
        "advice": run_sellers,
        "own": run_own,
        "network": run_network,
        "speed": run_speed,
    }
    parser.add_argument("command", choices=list(commands))
    parser.add_argument("--count", type=int, default=12, help="sellers of each kind")
    parser.add_argument("--futures", type=int, default=8, help="futures per seller")
    parser.add_argument("--products", type=int, default=1000, help="products of the timing")
    parser.add_argument(
        "--horizon", type=int, default=MOST_WEEKS, help="weeks of gradient of the network; 0: plain SAC"
    )
    parser.add_argument("--seconds", type=float, default=150.0, help="CPU seconds of the network's training")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    commands[options.command](options)


if __name__ == "__main__":
    main()
