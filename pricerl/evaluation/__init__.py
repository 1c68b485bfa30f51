"""Scores any policy ``observation -> action``; knows nothing of how it was trained."""

from pricerl.evaluation.backtest import Backtest, HorizonScore, backtest, predict_units
from pricerl.evaluation.baselines import BaselineRow, compare_baselines
from pricerl.evaluation.dynamic_planner import DynamicPlan, plan_dynamically
from pricerl.evaluation.episodes import EpisodeScores, Policy, planner_gaps, score_episodes
from pricerl.evaluation.off_policy import OffPolicyValue, estimate_off_policy
from pricerl.evaluation.planner import Plan, Plans, best_constant_price, cautious_price, plan_all
from pricerl.evaluation.policy_value import PathGain, PathScores, PolicyValue, score_paths, value_path
from pricerl.evaluation.pricing_rules import Shop
from pricerl.evaluation.raising import Raising, would_raising_pay
from pricerl.evaluation.returns import MAX_STEPS, ReturnScores, score_returns
from pricerl.evaluation.rollout import Rollout, roll_out
from pricerl.evaluation.sensitivity import Causes, Sensitivity, find_sensitivity, observe_causes

__all__ = [
    "MAX_STEPS",
    "Backtest",
    "BaselineRow",
    "Causes",
    "DynamicPlan",
    "EpisodeScores",
    "HorizonScore",
    "OffPolicyValue",
    "PathGain",
    "PathScores",
    "Plan",
    "Plans",
    "Policy",
    "PolicyValue",
    "Raising",
    "ReturnScores",
    "Rollout",
    "Sensitivity",
    "Shop",
    "backtest",
    "best_constant_price",
    "cautious_price",
    "compare_baselines",
    "estimate_off_policy",
    "find_sensitivity",
    "observe_causes",
    "plan_all",
    "plan_dynamically",
    "planner_gaps",
    "predict_units",
    "roll_out",
    "score_episodes",
    "score_paths",
    "score_returns",
    "value_path",
    "would_raising_pay",
]
