"""A repricer's rule is read from the history where it is proven, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from pricerl.market.demand.averaging import BIASES, fit_parts
from pricerl.market.demand.config import DemandSettings

DAYS, ELASTICITY, STRENGTH = 210, -3.0, 0.5
WEEKDAY = np.array([-0.2, -0.15, -0.1, 0.0, 0.1, 0.25, 0.1])


def shop(make_product, kind, seed=3):
    """Demand has weekdays and shocks that last; the price follows both, a rival, or the weekdays alone."""
    rng = np.random.default_rng(seed)
    shock, rival = 0.2 * wander(rng), 0.12 * wander(rng)
    weekday = np.resize(WEEKDAY, DAYS)
    rest = rng.normal(0, 0.06, DAYS)
    moved = {
        "follows": STRENGTH * (shock + weekday) + rest,
        "follows a day later": STRENGTH * np.roll(shock + weekday, 1) + rest,
        "rival": rival + rest / 3,
        "weekdays": STRENGTH * weekday + rest,
        "shocks": STRENGTH * shock + rest,
    }
    x = moved[kind]
    units = rng.poisson(15 * np.exp(ELASTICITY * x + shock + weekday + 0.5 * rival * (kind == "rival")))
    return make_product(np.round(20 * np.exp(x), 2), units.astype(float))


def wander(rng, memory=0.75):
    found = rng.normal(size=DAYS)
    for day in range(1, DAYS):
        found[day] = memory * found[day - 1] + np.sqrt(1 - memory**2) * found[day]
    return found


@pytest.mark.parametrize("kind", ["follows", "follows a day later"])
def test_a_proven_rule_gives_the_elasticity_that_the_regression_misses(make_product, kind):
    setting, parts, _ = fit_parts(shop(make_product, kind), DemandSettings())
    (part,) = parts
    assert setting.kind == "repricer" and setting.follows == pytest.approx(STRENGTH, abs=0.1)
    assert part.posterior.mode[1] == pytest.approx(ELASTICITY, abs=0.6)
    bias, sd = part.data.bias
    assert bias > 0.7, "the plain slope is too flat"
    assert 0.2 < sd < 1.0


@pytest.mark.parametrize("kind", ["rival", "weekdays", "shocks"])
def test_without_proof_the_wide_bias_stays(make_product, kind):
    setting, parts, _ = fit_parts(shop(make_product, kind), DemandSettings())
    assert setting.kind == "repricer" and not setting.follows
    assert {part.data.bias for part in parts} == {BIASES["repricer"]}
