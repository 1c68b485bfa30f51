"""Random limits, price logs and proposals, good and bad, for the guardrails and the gate."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pricerl.errors import UsageError
from pricerl.guardrails.config import GuardrailConfig
from pricerl.guardrails.fees import UnitCosts
from pricerl.guardrails.today import PriceLog

DAYS = 40
FIRST_DAY = np.datetime64("2025-01-01")
RUBBISH = [float("nan"), float("inf"), -float("inf"), 0.0, -1.0, None, "9.99", True, 10**400, [9.99], 1j]


class Case(NamedTuple):
    """One price to be decided on."""

    proposed: Any
    now: float
    log: PriceLog
    costs: UnitCosts
    config: GuardrailConfig


def draw_config(rng: np.random.Generator, around: float) -> GuardrailConfig:
    """Limits around a price, each of them present or not."""
    while True:
        try:
            return GuardrailConfig(**_settings(rng, around))
        except UsageError:  # limits that exclude each other are refused before any price
            continue


def _settings(rng: np.random.Generator, around: float) -> dict[str, Any]:
    step = float(rng.choice([0.01, 0.01, 0.05, 0.5, 0.99]))
    settings: dict[str, Any] = {
        "price_step": step,
        "max_change": float(rng.choice([0.02, 0.05, 0.2])),
        "max_week_change": float(rng.choice([0.05, 0.1, 0.3])),
        "min_change": float(rng.choice([0.0, 0.01])),
        "min_hold_days": int(rng.choice([1, 1, 3])),
        "pause": bool(rng.random() < 0.02),
    }
    sometimes: dict[str, Any] = {
        "max_rise": float(rng.choice([0.0, 0.01, 0.03, 0.1])),
        "max_drop": float(rng.choice([0.0, 0.01, 0.03, 0.1])),
        "floor": round(around * rng.uniform(0.5, 1.05), 2),
        "ceiling": round(around * rng.uniform(0.95, 1.5), 2),
        "min_advertised_price": round(around * rng.uniform(0.5, 1.02), 2),
        "max_above_median": float(rng.choice([0.0, 0.05, 0.2])),
    }
    settings |= {name: value for name, value in sometimes.items() if rng.random() < 0.3}
    kind = rng.random()
    if kind < 0.25:
        rungs = np.round(around * rng.uniform(0.8, 1.2, 6) / step).clip(min=1)
        settings["price_ladder"] = tuple(np.unique(np.round(rungs * step, 6)).tolist())
    elif kind < 0.5 and step in (0.01, 0.05):
        settings["charm_endings"] = tuple(rng.choice([0.0, 0.5, 0.9, 0.95], 2, replace=False).tolist())
    return settings


def draw_case(rng: np.random.Generator, config: GuardrailConfig, around: float) -> Case:
    """A price log whose last change lies anywhere, costs, and a proposal near or far or none at all."""
    now = round(around * rng.uniform(0.9, 1.1), 2)
    prices = np.full(DAYS, now)
    prices[: rng.integers(DAYS)] = round(now * rng.uniform(0.8, 1.25), 2)
    low, high = sorted((now * rng.uniform(0.7, 1.3, 2)).tolist())
    log = PriceLog(FIRST_DAY + np.arange(DAYS), prices, (low, high))
    costs = UnitCosts(0.85, now * rng.uniform(0.2, 0.9), bool(rng.random() < 0.5))
    kind = rng.random()
    if kind < 0.1:
        proposed: Any = RUBBISH[rng.integers(len(RUBBISH))]
    else:
        proposed = float(now * np.exp(rng.normal(0, 0.1 if kind < 0.9 else 20)))
    return Case(proposed, now, log, costs, config)


def faults(price: object, case: Case) -> list[str]:
    """Which limits a decided price breaks, reckoned anew and without the code under test."""
    now, config = case.now, case.config
    if not (isinstance(price, float) and np.isfinite(price) and price > 0):
        return ["no price"]
    if price == now:
        return ["stays beyond a hard limit"] if _must_move(case) else []
    prices, slack = case.log.prices, 1e-6 * price + 2e-4 * config.price_step
    rise, drop = largest_changes(config)
    week, median, (low, high) = prices[-7], np.median(prices[-28:]), case.log.support
    lowest, highest = hard_limits(case)
    step = walking_step(case)
    near = 1e-3 * config.price_step + 1e-6 * price
    broken = {
        "pause": config.pause,
        "min_hold_days": (prices[-config.min_hold_days :] != now).any(),
        "hard": step is None and not lowest - slack <= price <= highest + slack,
        "step": step is not None and not step[0] - slack <= price <= step[1] + slack,
        "rise": price > now * (1 + rise) + slack,
        "drop": price < now * (1 - drop) - slack,
        "week": abs(price - week) > max(config.max_week_change * week, abs(now - week)) + slack,
        "support": not min(low, now, highest) - slack <= price <= max(high, now, lowest) + slack,
        "median": config.max_above_median is not None
        and price > max(median * (1 + config.max_above_median), now) + slack,
        "menu": len(_prices_between(price - near, price + near, config)) == 0,
        "min_change": lowest * 1.0001 < now < highest * 0.9999 and abs(price - now) < config.min_change * now - slack,
    }
    return [name for name, is_broken in broken.items() if is_broken]


def largest_changes(config: GuardrailConfig) -> tuple[float, float]:
    """Largest rise and drop at one decision, shares."""
    rise = config.max_change if config.max_rise is None else config.max_rise
    return rise, config.max_change if config.max_drop is None else config.max_drop


def hard_limits(case: Case) -> tuple[float, float]:
    """Lowest and highest price of the hard limits; the lowest is infinite if no price earns the margin."""
    config, costs = case.config, case.costs
    lowest = max(config.floor or 0, config.min_advertised_price or 0, config.price_step)
    if costs.known:
        kept = costs.share_kept - config.min_margin
        lowest = max(lowest, costs.unit_cost / kept if kept > 0 else np.inf)
    return lowest, np.inf if config.ceiling is None else config.ceiling


def walking_step(case: Case) -> tuple[float, float] | None:
    """Smallest and largest price that may be the step towards hard limits out of reach, if there is such a step.

    Both differ only where a limit lies on the edge of a rounding.
    """
    (lowest, highest), now = hard_limits(case), case.now
    if lowest * (1 - 1e-6) <= now <= highest * (1 + 1e-6) or not _any_price(case, lowest, highest):
        return None
    steps = []
    for share in (-1, 1):  # the limits a little narrower, then a little wider
        low, high = _reach(case, share * 1e-6)
        allowed = _prices_between(low, high, case.config)
        if ((allowed >= lowest * (1 + share * 1e-6)) & (allowed <= highest * (1 - share * 1e-6))).any():
            return None
        ahead = allowed[allowed > now * (1 + 1e-6)] if now < lowest else -allowed[allowed < now * (1 - 1e-6)]
        steps.append(abs(ahead.max()) if len(ahead) else now)
    return min(steps), max(steps)


def _must_move(case: Case) -> bool:
    """Whether a current price beyond a hard limit could move inside or towards it, limits being a little narrower."""
    (lowest, highest), now, config = hard_limits(case), case.now, case.config
    free = (case.log.prices[-config.min_hold_days :] == now).all() and not config.pause
    proposed = isinstance(case.proposed, float) and np.isfinite(case.proposed) and case.proposed > 0
    if lowest * 0.9999 <= now <= highest * 1.0001 or not (free and proposed and _any_price(case, lowest, highest)):
        return False
    allowed = _prices_between(*_reach(case, -1e-6), config)
    towards = allowed > now * 1.0001 if now < lowest else allowed < now * 0.9999
    return bool(towards.any())


def _reach(case: Case, wider: float) -> tuple[float, float]:
    """Lowest and highest price that the limits on changes and the prices tried allow, each a share wider."""
    prices, now, config, (low, high) = case.log.prices, case.now, case.config, case.log.support
    (rise, drop), (lowest, highest) = largest_changes(config), hard_limits(case)
    week, cap = prices[-7], np.inf
    if config.max_above_median is not None:
        cap = np.median(prices[-28:]) * (1 + config.max_above_median)
    lows = (now * (1 - drop), min(now, week * (1 - config.max_week_change)), min(now, low, highest))
    highs = (now * (1 + rise), max(now, week * (1 + config.max_week_change)), max(now, high, lowest), max(now, cap))
    return max(lows) * (1 - wider), min(highs) * (1 + wider)


def _any_price(case: Case, lowest: float, highest: float) -> bool:
    """Whether grid or menu have a price inside the hard limits."""
    if lowest > highest * (1 + 1e-6) or not np.isfinite(lowest):
        return False
    end = min(highest, lowest + max(200.0, 2 * case.config.price_step))  # more than a period of all endings
    if case.config.price_ladder is not None:
        end = min(highest, max(case.config.price_ladder))
    return len(_prices_between(lowest * (1 - 1e-6), end * (1 + 1e-6), case.config)) > 0


def _prices_between(low: float, high: float, config: GuardrailConfig) -> np.ndarray:
    """Prices of grid or menu between two prices, ascending."""
    if config.price_ladder is not None:
        prices = np.array(config.price_ladder)
    else:
        prices = np.arange(np.floor(low / config.price_step), np.ceil(high / config.price_step) + 1) * config.price_step
    if config.charm_endings is not None:
        apart = [np.abs((prices - ending + 0.5) % 1 - 0.5) for ending in config.charm_endings]
        prices = prices[np.min(apart, axis=0) < 1e-6 * prices.clip(1)]
    return prices[(prices >= low) & (prices <= high)]
