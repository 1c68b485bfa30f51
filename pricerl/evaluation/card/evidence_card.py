"""Card of evidence: seven questions that a sceptic asks of a history, each answered PASS, REVIEW or FAIL.

A test of a price that cannot have moved the sales (placebo; Rosenbaum 2010), of sales replayed from the fit (Gelman,
Meng and Stern 1996), and of the estimate's place among 1,851 published ones (Bijmolt, van Heerde and Pieters 2005).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from pricerl.arrays import Share
from pricerl.data.cleaning.quality import Quality
from pricerl.data.history import ProductHistory
from pricerl.data.price_setting import Kind
from pricerl.evaluation.card.placebos import Placebos, find_placebos
from pricerl.evaluation.card.prior_share import shows_response
from pricerl.formatting import sentence
from pricerl.market.demand.priors import StatedPrior
from pricerl.market.market import ProductMarket
from pricerl.market.working_fit import WorkingFit

CHANCES = (0.05, 0.005)
"""Probabilities of a chance result below which a line is REVIEW and FAIL (version 1.0, benchmarks/evidence.py). Placebo
prices are REVIEW at worst: that their FAIL widened the elasticity was worth nothing (benchmarks/weight.py, 2026)."""
LARGEST_SHARES = (0.5, 0.9)
"""Shares of the prior above which that line is REVIEW and FAIL: above the latter the history adds almost nothing."""
PUBLISHED_MEAN = -2.62
"""Mean and sd of published elasticities. Elasticities to regular prices lie between -2 and -0.3 (docs/method.md)."""
PUBLISHED_SD = 2.0
PRIOR_QUESTION = "prior share"
TEST = "run a price test (pricerl price-test plan)"
COLUMN = (
    f"Add what else moves your sales as a column (Promotion, Competitor Price, Ad Conversion Percentage), or {TEST}"
)
VARY = "Charge two prices in turns (pricerl price-test plan)"
STOCK = "Add a column In Stock with no on every day that sold out"

KINDS: dict[Kind, tuple[int, str, str]] = {
    "plain": (0, "prices that stay for days, as a person sets them", ""),
    "promotions": (1, "deals that return to a regular price, which is estimated apart from them", COLUMN),
    "averages": (1, "prices are averages of what buyers paid, which their mix moves", "Report the posted price"),
    "repricer": (2, "the price changes on most days, as if software followed demand", f"Pause the repricer and {TEST}"),
}
"""Verdict, finding and remedy by the way the prices were set."""

VERDICTS: Sequence[Quality] = ("PASS", "REVIEW", "FAIL")
EXPERIMENT = 0, "prices were tested, or varied enough by advice, to show how buyers react", ""
BE_CERTAIN = f"To be certain, {TEST}"
NO_EXPERIMENT = 1, "no price was set at random or tested", BE_CERTAIN
UNTESTED = (
    1,
    "cannot be tested: sales are few or free of chance, or the price hardly varied apart from weekday and season",
    VARY,
)
UNTESTED_EITHER = 1, "cannot be tested either", "As above"


class CardLine(NamedTuple):
    """Question of the card of evidence."""

    question: str
    """Name of the question."""
    verdict: Quality
    """FAIL lowers the grade by a step; if the prior share fails, nothing can be estimated."""
    finding: str
    """Finding, as a sentence."""
    remedy: str
    """Next step, as a sentence; empty for PASS."""


Finding = tuple[int, str, str]
"""0, 1 or 2 for PASS, REVIEW or FAIL; finding; remedy."""


def draw_card(
    fit: WorkingFit, prior_share: Share | None, history: ProductHistory, fitted: ProductMarket, tested: bool
) -> tuple[CardLine, ...]:
    """Return the card of one product from its demand regression and its market; ``tested`` by a price test or not."""
    share = _judge_share(prior_share, fitted.prior)
    placebos = None if VERDICTS[share[0]] == "FAIL" else find_placebos(fit)
    level, words, remedy = EXPERIMENT if tested or shows_response(history, fitted) else NO_EXPERIMENT
    found = {
        **_judge_placebos(placebos),
        PRIOR_QUESTION: share,
        "published elasticities": _judge_place(fit, fitted),
        "who set the prices": _judge_setting(fitted),
        "experiment": (level, fitted.tests[-1].words if fitted.tests else words, remedy),
    }
    if rule := describe_rule(fitted.follows):
        found["next price"] = 1, f"{rule}, so that the price that came next explains sales before it", BE_CERTAIN
    return tuple(
        CardLine(name, VERDICTS[level], sentence(words), sentence(remedy) if level else "")
        for name, (level, words, remedy) in found.items()
    )


def describe_rule(follows: float) -> str:
    """Return in words how much the price rises with demand, as a clause; empty for a price that follows no rule."""
    return f"the price follows demand: it rises {follows:.1g} % per 1 % of demand" if follows else ""


def _judge_setting(fitted: ProductMarket) -> Finding:
    """Judge who set the prices; a rule that the history proves is a finding instead of a reason to hold."""
    if rule := describe_rule(fitted.follows):
        return 1, f"{rule}, which the estimate takes into account", BE_CERTAIN
    return KINDS[fitted.price_setting]


def _judge_placebos(found: Placebos | None) -> dict[str, Finding]:
    if found is None:
        return {"next price": UNTESTED, "shifted prices": UNTESTED_EITHER, "replayed sales": UNTESTED_EITHER}
    return {
        "next price": _judge(
            2 * ndtr(-abs(found.lead)),
            "the price that came next does not explain sales before it",
            "the price that came next explains sales before it, as if demand had moved the price",
            worst=1,
        ),
        "shifted prices": _judge(
            ndtr(-found.shifted),
            "prices shifted to other days explain nothing",
            "prices shifted to other days explain sales as well: something else lasts as long as a price",
            worst=1,
        ),
        "replayed sales": _judge(
            min(ndtr(-found.capped), ndtr(found.busy)),
            "sales that are simulated from the estimate look like yours",
            "your best days sell less than the estimate expects, as if stock had run out",
            STOCK,
        ),
    }


def _judge_place(fit: WorkingFit, fitted: ProductMarket) -> Finding:
    """Compare the history's own elasticity with the published ones; only demand that rises with the price fails.

    It is corrected for the rule that the price follows, if one is proven.
    """
    if not np.ptp(fit.days.log_price):
        return UNTESTED_EITHER
    mean, sd = fitted.bias if fitted.follows and fitted.bias is not None else (0.0, 0.0)
    slope, slope_error = fit.slope
    elasticity = slope - mean
    error = float(np.hypot(slope_error, sd))
    place = (elasticity - PUBLISHED_MEAN) / float(np.hypot(PUBLISHED_SD, error))
    words = f"your history alone gives an elasticity of {elasticity:.1f}, above {100 * ndtr(place):.0f} % of others"
    level, _, remedy = _judge(ndtr(-elasticity / error), words, words, f"Check prices and units, or {TEST}")
    return max(level, int(ndtr(place) < CHANCES[0])), words, remedy


def _judge_share(share: float | None, prior: StatedPrior | None) -> Finding:
    """Judge the prior's share; a prior from the seller's other products may outweigh a product's own history."""
    if share is None or prior is None:
        return 1, "this demand model states no prior", "Use the demand model mixture"
    level = min(sum(share > limit for limit in LARGEST_SHARES), 1 if prior.pooled else 2)
    source = "your other products" if prior.pooled else "comparable shops"
    words = f"{source} count {100 * share:.0f} %, the product's own history {100 - 100 * share:.0f} %"
    return level, words if level < 2 else f"your history does not show how buyers react: {words}", VARY


def _judge(chance: float, expected: str, unusual: str, remedy: str = COLUMN, worst: int = 2) -> Finding:
    """Judge by the probability of a chance result, at worst as given."""
    level = min(sum(chance < limit for limit in CHANCES), worst)
    return level, unusual if level else expected, remedy
