"""Comparison of a freshly fitted challenger with the champion of its run."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from pricerl.arrays import FloatArray
from pricerl.data.days import WEEK, steps_in
from pricerl.data.history import History
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.env.dynamics import Dynamics
from pricerl.errors import DataError
from pricerl.evaluation.dynamic_planner import plan_dynamically
from pricerl.evaluation.forecast import score_units
from pricerl.evaluation.plan_benchmark import PlanBenchmark
from pricerl.market.fitting import fit_market
from pricerl.operations.log.decision_log import Entry
from pricerl.operations.model_gate import Comparison, GateConfig, Verdict, compare_scores, lower_bound
from pricerl.operations.watching.monitoring import preprocessor_state, trained_history
from pricerl.progress import stage

if TYPE_CHECKING:
    from pricerl.runs.checkpoint import Checkpoint
    from pricerl.training.run import Run

LEARNED_DAYS = 7
"""Fewest new days before the held-out ones, which the challenger's market has learned from and the champion's not."""


def check_days(run: Run, champion: Checkpoint, config: GateConfig) -> None:
    """Refuse a file with too few days after those of the champion; errors of `trained_history` come first."""
    last = max(product.dates[-1] for product in trained_history(run, champion, ()).products)
    fresh = run.pricing.preprocessor
    new = max(int((product.dates > last).sum()) for product in fresh.products)
    needed = steps_in(config.holdout_days, fresh.step_days) + steps_in(LEARNED_DAYS, fresh.step_days)
    if new < needed:
        found = f"has {new} rows after {last}, the champion's last day; the comparison needs {needed}: wait for them"
        raise DataError(str(run.pricing.path), [found])


def judge(run: Run, champion: Checkpoint, entries: Sequence[Entry], config: GateConfig) -> Verdict:
    """Compare the challenger that a run has trained on a fresh history with the champion."""
    with stage("comparing with the model in use"):
        block = steps_in(WEEK, run.pricing.preprocessor.step_days)
        forecast = compare_scores(score_differences(run, champion, entries, config), block, config.confidence)
        profit = compare_policies(run, champion, config)
    return Verdict(forecast, profit, config.holdout_days, config.confidence)


def score_differences(run: Run, champion: Checkpoint, entries: Sequence[Entry], config: GateConfig) -> FloatArray:
    """Return the difference of log predictive densities on every held-out day, a mean over the products, ``(N,)``.

    The challenger's market is fitted to all days before the held-out ones, the champion's to its own days. Days on
    which no product was observed are NaN.
    """
    data = run.pricing
    fresh = data.preprocessor
    old = trained_history(run, champion, entries)
    days = steps_in(config.holdout_days, fresh.step_days)
    settings = data.market_config, data.cost, data.seed
    found = []
    for index, product in enumerate(fresh.products):
        if product.product not in old.names:
            continue
        known = len(product.dates) - days
        day = np.arange(known, len(product.dates))
        before = old.select([old.names.index(product.product)])
        markets = (
            fit_market(prepared, *settings, conversions=False) for prepared in (fresh.first_days(index, known), before)
        )
        challenger, champion_scores = (score_units(market, 0, product, day) for market in markets)
        unseen = product.observed[day] & (product.dates[day] > before.products[0].dates[-1])
        found.append(np.where(unseen, challenger - champion_scores, np.nan))
    values = np.ma.masked_invalid(np.array(found).reshape(-1, days))
    return np.asarray(values.mean(axis=0).filled(np.nan))


def compare_policies(run: Run, champion: Checkpoint, config: GateConfig) -> Comparison:
    """Compare the profit of both policies in the challenger's posterior draws, with the same noise."""
    data = run.pricing
    state = preprocessor_state(run, champion)
    fresh = data.sample.preprocessor
    rows = [index for index, name in enumerate(fresh.names) if name in state["names"]]
    common = fresh.select(rows)
    history = History(fresh.source, common.products, common.reports)
    market = data.sample.select(rows)
    settings = data.reward, data.guardrails, data.env_config
    own = Dynamics(market, *settings)
    other = Dynamics(replace(market, preprocessor=DataPreprocessor.refit(history, state)), *settings)
    module = copy.deepcopy(run.module)
    champion.restore_weights(module)
    discount = run.module.step_discount
    plan = plan_dynamically(own, discount)
    challenger = PlanBenchmark(plan, discount).measure_draws(run.policy)
    known = PlanBenchmark(replace(plan, dynamics=other), discount).measure_draws(module.cpu().policy)
    gain = torch.where(known.isnan() & challenger.isfinite(), 0.0, challenger - known).mean(0)
    per_draw = gain.double().numpy() * own.reward.profit_share
    return lower_bound(per_draw, config.confidence, -config.profit_tolerance)
