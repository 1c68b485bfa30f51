"""Checkpoint and fresh history in; price, interval, reason and grade out."""

from pricerl.advice.advise import advise, check_horizon
from pricerl.advice.decision import Decision, DecisionConfig, decide
from pricerl.advice.fingerprint import fingerprint_model, fingerprint_settings
from pricerl.advice.publish import About, AdviceFiles, ReportConfig, publish
from pricerl.advice.result import DayAdvice, Gain, ProductAdvice
from pricerl.advice.tables import check_folder

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
    "fingerprint_model",
    "fingerprint_settings",
    "publish",
]
