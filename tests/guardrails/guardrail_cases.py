"""Random limits, price logs and proposals, good and bad, for the guardrails and the gate."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pricerl.errors import UsageError
from pricerl.guardrails.config import GuardrailConfig
from pricerl.guardrails.limits import UnitCosts
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
    """Limits around a price, money, each of them present or not."""
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
        return []
    prices, slack = case.log.prices, 1e-6 * price + 2e-4 * config.price_step
    rise = config.max_change if config.max_rise is None else config.max_rise
    drop = config.max_change if config.max_drop is None else config.max_drop
    week, median, (low, high) = prices[-7], np.median(prices[-28:]), case.log.support
    broken = {
        "pause": config.pause,
        "min_hold_days": (prices[-config.min_hold_days :] != now).any(),
        "floor": config.floor is not None and price < config.floor - slack,
        "ceiling": config.ceiling is not None and price > config.ceiling + slack,
        "map": config.min_advertised_price is not None and price < config.min_advertised_price - slack,
        "margin": case.costs.known
        and case.costs.share_kept * price - case.costs.unit_cost < (config.min_margin * price) - slack,
        "rise": price > now * (1 + rise) + slack,
        "drop": price < now * (1 - drop) - slack,
        "week": abs(price - week) > max(config.max_week_change * week, abs(now - week)) + slack,
        "support": not min(low, now) - slack <= price <= max(high, now) + slack,
        "median": config.max_above_median is not None
        and price > max(median * (1 + config.max_above_median), now) + slack,
        "menu": not _on_menu(price, config),
        "min_change": _allowed_now(case) and abs(price - now) < config.min_change * now - slack,
    }
    return [name for name, is_broken in broken.items() if is_broken]


def _on_menu(price: float, config: GuardrailConfig) -> bool:
    steps = price / config.price_step
    if abs(steps - round(steps)) > 1e-3 + 1e-6 * steps:
        return False
    if config.price_ladder is not None:
        return min(abs(price - rung) for rung in config.price_ladder) < 1e-4 * price
    if config.charm_endings is not None:
        return min(abs((price - ending + 0.5) % 1 - 0.5) for ending in config.charm_endings) < 1e-3
    return True


def _allowed_now(case: Case) -> bool:
    """Whether floor, ceiling, advertised price and margin let the current price stay, with room to spare."""
    config, costs = case.config, case.costs
    lowest = max(config.floor or 0, config.min_advertised_price or 0, config.price_step)
    if costs.known:
        lowest = max(lowest, costs.unit_cost / (costs.share_kept - config.min_margin))
    return lowest * 1.0001 < case.now < (config.ceiling or np.inf) * 0.9999
