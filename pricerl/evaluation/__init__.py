"""Scores any policy ``observation -> action``; knows nothing of how it was trained."""

from pricerl.evaluation.backtest import Backtest, HorizonScore, backtest
from pricerl.evaluation.baselines import BaselineRow, compare_baselines
from pricerl.evaluation.dynamic_planner import DynamicPlan, plan_dynamically
from pricerl.evaluation.episodes import EpisodeScores, Policy, planner_gaps, score_episodes
from pricerl.evaluation.planner import Plan, Plans, best_constant_price, cautious_price, plan_all
from pricerl.evaluation.returns import MAX_STEPS, ReturnScores, score_returns
from pricerl.evaluation.rollout import Rollout, roll_out

__all__ = [
    "MAX_STEPS",
    "Backtest",
    "BaselineRow",
    "DynamicPlan",
    "EpisodeScores",
    "HorizonScore",
    "Plan",
    "Plans",
    "Policy",
    "ReturnScores",
    "Rollout",
    "backtest",
    "best_constant_price",
    "cautious_price",
    "compare_baselines",
    "plan_all",
    "plan_dynamically",
    "planner_gaps",
    "roll_out",
    "score_episodes",
    "score_returns",
]
