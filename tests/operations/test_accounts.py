"""Accounts open with the first advice, last a quarter, and plan within their budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from advising import moving
from shops.known_market import known_market

from pricerl.advice.describe import advise
from pricerl.advice.sentences.next_steps import account_words
from pricerl.arrays import to_plain
from pricerl.data.costs import CostConfig
from pricerl.data.history import ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.decide.account import Quarter, days_left, gain_so_far, plan_quarter
from pricerl.decide.decision import DecisionConfig
from pricerl.decide.standing import Account, Standing
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.valuation import value_paths
from pricerl.formatting import Formatter
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.reward import RewardConfig
from pricerl.operations.standings import find_account
from pricerl.planner.constant_price import candidate_prices, value_average_day

DEMAND = DemandConfig(num_draws=32)


def _entry(history: ProductHistory, days_ago: int, price: float = 10.0, **changes: Any) -> dict[str, Any]:
    end = str(history.dates[-1 - days_ago])
    return {"kind": "advice", "product": "product", "history_end": end, "current_price": price, **changes}


@pytest.fixture(scope="module")
def history(make_product: Callable[..., ProductHistory]) -> ProductHistory:
    """150 days between 9 and 11 with elasticity -2, the last at 10."""
    rng = np.random.default_rng(4)
    price = np.concatenate([np.repeat(rng.choice([9.0, 9.5, 10.0, 10.5, 11.0], 20), 7), [10.0] * 10])
    return make_product(price, rng.poisson(20 * (price / 10) ** -2.0))


def _fitted(prepared: DataPreprocessor, unit_cost: float) -> Product:
    market = fit_market(prepared, DEMAND, CostConfig(unit_cost=unit_cost, share_kept=1.0), 0)
    return Product(Dynamics(market, RewardConfig()), 0)


@pytest.fixture(scope="module")
def best(prepare: Callable[..., DataPreprocessor], history: ProductHistory) -> Product:
    """A product that costs 5.00, so that its current price of 10.00 is about the best."""
    return _fitted(prepare(history), 5.0)


@pytest.fixture(scope="module")
def cheap(prepare: Callable[..., DataPreprocessor], history: ProductHistory) -> Product:
    """A product that costs 7.50, so that its best price is 15.00."""
    return _fitted(prepare(history), 7.5)


def _quarter(product: Product, days_ago: int = 7, price: float = 10.0, loss_weight: float = 1.0) -> Quarter:
    """The quarter of an account that was opened some days ago at a price."""
    account = Account(str(product.history.dates[-1 - days_ago]), price)
    left = days_left(account, product.history.last_day)
    return Quarter(product, account, left, loss_weight, lambda prices: value_paths(product, prices))


@pytest.mark.parametrize(
    ("advised", "opened"),
    [
        ([(30, 9.5), (7, 10.5)], (30, 9.5)),
        ([], None),
        ([(0, 10.0)], None),
        ([(91, 10.0)], None),
        ([(120, 9.0), (100, 9.5), (20, 10.5)], (20, 10.5)),
    ],
    ids=["first advice", "no advice", "on its own day", "after a quarter", "next quarter"],
)
def test_the_first_advice_opens_an_account_for_a_quarter(
    advised: list[tuple[int, float]], opened: tuple[int, float] | None, history: ProductHistory
) -> None:
    entries = [*(_entry(history, *item) for item in advised), _entry(history, 60, 11.0, product="other")]
    expected = None if opened is None else Account(str(history.dates[-1 - opened[0]]), opened[1])
    assert find_account(entries, history) == expected


def test_a_price_that_was_doubted_and_not_in_force_opens_no_account(history: ProductHistory) -> None:
    now = float(history.price[-31])
    assert find_account([_entry(history, 30, now)], history) == Account(str(history.dates[-31]), now)
    dearer = replace(history, in_force=history.price + 1.0)
    assert find_account([_entry(history, 30, now)], dearer) is None


def _known(prepared: DataPreprocessor, preset: Literal["balanced", "profit"] = "balanced") -> Product:
    """A product that costs 6.00, whose elasticity is known to be -2."""
    market = known_market(prepared, lambda at: 2000.0 * (at / 10) ** -2.0, CostConfig(unit_cost=6.0))
    return Product(Dynamics(market, RewardConfig(preset)), 0)


@pytest.fixture(scope="module")
def doubled(make_product: Callable[..., ProductHistory]) -> ProductHistory:
    """120 days around 10, then 60 at 12, on the last 30 of which demand is doubled; elasticity -2, no noise."""
    price = np.concatenate([np.tile(np.repeat([9.0, 10.0, 11.0], 10), 4), [12.0] * 60])
    level = np.repeat([1.0, 2.0], [150, 30])
    return make_product(price, 2000.0 * level * (price / 10) ** -2.0)


def test_each_past_day_counts_at_its_own_level_of_demand(
    prepare: Callable[..., DataPreprocessor], doubled: ProductHistory
) -> None:
    product, before = (_known(prepare(doubled.first_days(days)), "profit") for days in (180, 150))
    opened = Account(str(doubled.dates[119]), 10.0)
    one_day = 2000.0 * ((12 - 6.0) / 1.44 - (10 - 6.0))
    np.testing.assert_allclose(gain_so_far(opened, product), (30 + 2 * 30) * one_day, rtol=0.01)
    np.testing.assert_allclose(gain_so_far(opened, before), 30 * one_day, rtol=0.01)
    nothing = gain_so_far(Account(str(doubled.dates[-1]), 10.0), product)
    assert nothing.shape == (product.market.num_draws,) and not nothing.any(), "there are no own days yet"


def test_a_plan_moves_toward_the_better_price_and_keeps_it_where_losses_weigh_too_much(
    cheap: Product, best: Product
) -> None:
    quarter, now = _quarter(cheap, loss_weight=6.0), torch.full((14,), 10.0)
    target = plan_quarter(quarter, now, 0.0)
    assert target is not None and target > 10.0 and quarter.days_left == 84
    assert quarter.prefers(torch.full((14,), 10.2))
    assert plan_quarter(_quarter(best, loss_weight=1e6), now, 0.0) is None


def test_a_proposal_is_followed_unless_it_is_worth_less_than_the_best_price_by_over_the_margin(cheap: Product) -> None:
    quarter, own = _quarter(cheap), torch.full((14,), 10.4)
    target = plan_quarter(quarter, own, 0.0)
    assert target is not None
    short, worth = map(quarter.weigh, quarter.gains(own[None], torch.full((1, 91), target)))
    assert plan_quarter(quarter, own, 1.01 * (worth - short)) is None


def test_reward_and_account_agree_on_the_best_price_and_what_it_is_worth(best: Product, cheap: Product) -> None:
    for product in (best, cheap):
        reward = product.dynamics.reward
        quarter = _quarter(product, loss_weight=reward.loss_weight)
        prices = candidate_prices(product)[::10]
        utility = np.array([quarter.weigh(gain) for gain in quarter.gains(prices[:, None].expand(-1, 91))])
        rewards = value_average_day(product, prices)[0].mean(0).numpy() * reward.profit_share
        assert utility.max() - utility[rewards.argmax()] < 0.003
        near = abs(utility) < 0.2
        np.testing.assert_allclose(rewards[near], utility[near], atol=0.01)


def test_the_account_judges_by_the_objective_in_force(
    prepare: Callable[..., DataPreprocessor], make_product: Callable[..., ProductHistory]
) -> None:
    """With elasticity -2 and a cost of 6 a price of 12 earns most, and sells less than ``balanced`` tolerates."""
    price = np.tile(np.repeat([9.0, 11.0, 10.0, 10.0], 10), 4)
    prepared = prepare(make_product(price, 2000.0 * (price / 10) ** -2.0))
    for product, likes_more in ((_known(prepared, "profit"), True), (_known(prepared), False)):
        quarter = _quarter(product, days_ago=0)
        small, large, kept = value_paths(product, torch.tensor([[10.5], [12.0], [10.0]]), 14)
        less, more = map(quarter.weigh, quarter.gains(torch.tensor([[10.5], [12.0]]).expand(-1, 14)))
        assert (more > less) == likes_more
        assert (large.beats(kept), small.beats(kept)) == (float(likes_more), 1.0)
        assert large.earned.mean() > small.earned.mean() > kept.earned.mean(), "money stays a fact"


@pytest.mark.parametrize("weight", [1.0, 2.0, 3.0, 10.0])
def test_a_loss_counts_as_often_as_the_dial_says_on_any_day_of_the_quarter(best: Product, weight: float) -> None:
    worth = []
    for days_ago in (1, 80):
        quarter = _quarter(best, days_ago, loss_weight=weight)
        (gain,) = quarter.gains(torch.full((1, 14), 10.5))
        won, lost = gain[gain > 0].sum(), -gain[gain < 0].sum()
        assert won > 0 < lost
        worth.append(quarter.weigh(gain))
        assert worth[-1] == pytest.approx((won - weight * lost) / DEMAND.num_draws / quarter.scale)
    assert worth[0] == pytest.approx(worth[1]), "late in the quarter a change is worth what it was worth early"


def test_the_account_states_the_loss_that_it_stays_within(
    prepare: Callable[..., DataPreprocessor], doubled: ProductHistory
) -> None:
    lost = _quarter(_known(prepare(doubled)), 84, 12.0).describe(torch.full((14,), 12.0))
    assert lost.budget == pytest.approx(-lost.at_end.mean) and lost.budget > 0
    words = " ".join(account_words(to_plain(lost), Formatter()))
    assert "Worst case (90 %): " in words and "1 lost counts as much as 1 gained." in words


def test_a_kept_price_is_valued_as_by_hand(prepare: Callable[..., DataPreprocessor], doubled: ProductHistory) -> None:
    quarter, kept = _quarter(_known(prepare(doubled)), 30), torch.full((14,), 12.0)
    assert plan_quarter(quarter, kept, 0.0) is None and quarter.days_left == 61
    plan = quarter.describe(kept)
    np.testing.assert_allclose(quarter.scale, 91 * 2000.0 * (12 - 6.0) / 1.44, rtol=0.02)
    daily = 2000.0 * (10 - 6.0)
    gain = (12 - 6.0) / 1.44 / 4.0 - 1
    np.testing.assert_allclose(plan.so_far, 2 * 30 * daily * gain, rtol=0.02)
    np.testing.assert_allclose(plan.at_end, (2 * 30 + 63) * daily * gain, rtol=0.02)  # nine whole weeks


def test_later_advice_says_what_the_account_holds(cheap: Product) -> None:
    account = Account(str(cheap.history.dates[-8]), 10.0)
    known = {"product": Standing(account=account)}
    first, later, off = (
        advise(moving(0.0), cheap.dynamics, DecisionConfig(**gate), 14, {}, standings=standings)[0]
        for standings, gate in (({}, {}), (known, {}), (known, {"min_chance": 0}))
    )
    assert first.account is None and first.recommended_price > 10.0
    assert later.account is not None and later.account.account == account
    assert later.recommended_price > 10.0 and later.decision.source == "planner"
    assert later.proposal.prices[-1] == 10.0 and later.proposal.over_keep.units.mean == 0.0
    assert off.account is None
