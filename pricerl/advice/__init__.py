"""Checkpoint and fresh history in; price, interval, reason and grade out."""

from pricerl.advice.decision import Decision, DecisionConfig, decide
from pricerl.advice.files import check_folder
from pricerl.advice.publish import About, AdviceFiles, ReportConfig, publish
from pricerl.advice.recommend import advise, check_horizon
from pricerl.advice.result import DayAdvice, Gain, ProductAdvice

__all__ = [
    "About",
    "AdviceFiles",
    "DayAdvice",
    "Decision",
    "DecisionConfig",
    "Gain",
    "ProductAdvice",
    "ReportConfig",
    "advise",
    "check_folder",
    "check_horizon",
    "decide",
    "publish",
]
