"""Random parts of prices: small, legal, known before their day, and only where they help."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from pricerl.advice.describe import advise
from pricerl.advice.sentences.next_steps import what_would_change
from pricerl.data.history import ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.decide.decision import DecisionConfig
from pricerl.decide.exploration import explore
from pricerl.decide.price_path import GatedPath
from pricerl.decide.standing import Standing
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.errors import UsageError
from pricerl.formatting import PLAIN
from pricerl.guardrails.config import GuardrailConfig
from pricerl.guardrails.gate import pass_gate
from pricerl.market.cost import CostConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig

DEMAND = DemandConfig(num_draws=32)
FLAT = GatedPath((10.0,) * 14, None, ())


def keeping(observation: Tensor) -> Tensor:
    """Policy that keeps the price."""
    return observation.new_zeros(len(observation), 1)


@pytest.fixture
def shop(make_product: Callable[..., ProductHistory], prepare: Callable[..., DataPreprocessor]) -> Dynamics:
    """A price that is about the best one, between 9 and 11 before."""
    rng = np.random.default_rng(4)
    price = np.concatenate([np.repeat(rng.choice([9.0, 9.5, 10.0, 10.5, 11.0], 20), 7), [10.0] * 10])
    history = make_product(price, rng.poisson(20 * (price / 10) ** -2.0))
    market = fit_market(prepare(history), DEMAND, CostConfig(unit_cost=5.0, share_kept=1.0), 0)
    return Dynamics(market, RewardConfig(), GuardrailConfig())


def test_prices_move_by_the_share_and_stay_for_the_minimum_hold(shop: Dynamics) -> None:
    gated, drawn = explore(FLAT, Product(shop, 0), 0.02, 3)
    changes = [day for day in range(1, 14) if gated.prices[day] != gated.prices[day - 1]]
    assert changes and all(b - a >= shop.days_per_step for a, b in itertools.pairwise(changes))
    assert {round(price, 2) for price in gated.prices} <= {9.8, 10.0, 10.2}
    for part in drawn:
        assert part.prices == pytest.approx((9.8, 10.2), abs=0.011)


def test_every_price_passes_the_gate(shop: Dynamics) -> None:
    today = Product(shop, 0).today
    log = today.log
    for price in explore(FLAT, Product(shop, 0), 0.03, 1)[0].prices:
        assert pass_gate(price, log.prices[-1], log, today.costs, today.config).price == pytest.approx(price)
        log = log.charge(price)


def test_no_random_part_reaches_a_round_price(shop: Dynamics) -> None:
    below = GatedPath((9.85,), None, ())
    for part in explore(below, Product(shop, 0), 0.03, 3)[1]:
        assert part.prices == pytest.approx((9.71, 9.99), abs=0.011)
    assert explore(GatedPath((9.99,), None, ()), Product(shop, 0), 0.03, 3)[1] == ()


def test_draws_repeat_and_are_fair(shop: Dynamics) -> None:
    first, again = (explore(FLAT, Product(shop, 0), 0.02, 3) for _ in range(2))
    assert first == again
    short = GatedPath((10.0,), None, ())
    highs = [explore(short, Product(shop, 0), 0.02, seed)[0].prices[0] > 10 for seed in range(200)]
    assert np.mean(highs) == pytest.approx(0.5, abs=0.1)


def test_a_hold_varies_only_with_consent(shop: Dynamics) -> None:
    (without,) = advise(keeping, shop, DecisionConfig(min_chance=0.999), 14, {})
    assert without.decision.follow == "hold" and without.random_prices == ()


def raising(observation: Tensor) -> Tensor:
    """Policy that raises the price as far as it may."""
    return torch.ones(len(observation), 1)


@pytest.fixture(scope="module")
def repriced(make_product: Callable[..., ProductHistory], prepare: Callable[..., DataPreprocessor]) -> Market:
    """A history whose prices a repricer set with demand in view."""
    rng = np.random.default_rng(1)
    demand = 20 * np.exp(0.1 * np.cumsum(rng.normal(size=150)) / 4)
    price = np.round(10 * (demand / demand.mean()) ** 0.3 * np.exp(0.01 * rng.normal(size=150)), 2)
    history = make_product(price, rng.poisson(demand * (price / 10) ** -2.0))
    market = fit_market(prepare(history), DEMAND, CostConfig(unit_cost=5.3, share_kept=1.0), 0)
    assert market.products[0].price_setting == "repricer"
    return market


def test_a_history_set_by_a_repricer_is_varied_with_consent(repriced: Market) -> None:
    shop = Dynamics(repriced, RewardConfig(), GuardrailConfig())
    plain, varied = (advise(raising, shop, DecisionConfig(explore_share=share), 14, {})[0] for share in (0.0, 0.02))
    assert plain.decision.follow == "hold" and plain.random_prices == ()
    assert varied.random_prices and "at random by 2 %" in varied.decision.why
    now = varied.current_price
    assert all(abs(day.recommended_price / now - 1) < 0.025 for day in varied.days)
    assert (plain.offered_explore_share, varied.offered_explore_share) == (0.02, None)
    assert what_would_change(plain.to_dict(), PLAIN)[-1] == (
        "Or let the price vary at random, 2 % up or down, which shows how buyers respond: "
        "pricerl predict --decision.explore_share 0.02."
    )


@pytest.mark.parametrize("reason", ["a pause", "a smallest change", "buyers who mind changes"])
def test_random_prices_are_offered_only_where_they_would_be_made(
    repriced: Market, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = {"a pause": GuardrailConfig(pause=True), "a smallest change": GuardrailConfig(min_change=0.04)}
    dynamics = Dynamics(repriced, RewardConfig(), limits.get(reason, GuardrailConfig()))
    if reason == "buyers who mind changes":
        monkeypatch.setattr("pricerl.decide.exploration.mind_changes", lambda memory: True)
    for share in (0.0, 0.02):
        (found,) = advise(raising, dynamics, DecisionConfig(explore_share=share), 14, {})
        assert found.random_prices == () and found.offered_explore_share is None


def test_draws_of_later_advice_do_not_add_up(repriced: Market) -> None:
    shop = Dynamics(repriced, RewardConfig(), GuardrailConfig())
    now = repriced.preprocessor.products[0].current_price
    past = {"product": Standing(varied=(now, 1.04 * now))}
    (found,) = advise(raising, shop, DecisionConfig(explore_share=0.02), 14, {}, standings=past)
    assert found.random_prices[0].prices == pytest.approx((1.02 * 0.98 * now, 1.02 * 1.02 * now), abs=0.011)


def test_a_price_varies_around_the_mean_of_its_draw_and_others_around_themselves() -> None:
    past = Standing(varied=(9.8, 10.2))
    assert past.centre(9.8) == past.centre(10.2) == pytest.approx(10.0)
    assert past.centre(9.9) == 9.9 and Standing().centre(9.8) == 9.8


@pytest.mark.parametrize("share", [-0.01, 0.5, float("nan")])
def test_a_share_that_is_no_small_part_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match=r"explore_share must lie between 0 and 0\.03"):
        DecisionConfig(explore_share=share)
