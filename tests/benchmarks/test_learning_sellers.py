"""The env of sellers who learn: its rules, its reward, and its registration."""

from __future__ import annotations

import pytest
import torch
from learning.account_view import OBSERVATION_DIM
from learning.belief import NUM_PRICES, REACH, LearningConfig
from learning.sellers_env import PRIVILEGED_DIM, LearningVectorEnv, expect_truth, scale_of, view_of
from learning.utility import floor_of

import pricerl.env  # noqa: F401 - registers the envs
from pricerl.errors import UsageError


def test_an_episode_returns_the_utility_of_its_gain() -> None:
    env = LearningVectorEnv(40)
    env.reset(seed=3)
    unit, weight, total = scale_of(env.sellers), env.loss_weight, torch.zeros(40)
    for _ in range(env.config.weeks - 1):
        _, reward, ended, _, _ = env.step(torch.ones(40, 1))
        total += reward
        assert not ended.any()
    gain = env.sellers.gain / unit
    torch.testing.assert_close(total, torch.where(gain < 0, gain * weight, gain), rtol=1e-4, atol=1e-4)


def test_rows_start_anew_after_the_last_week_and_return_their_last_observation() -> None:
    env = LearningVectorEnv(5)
    first, _ = env.reset(seed=1)
    for _ in range(env.config.weeks):
        observation, _, ended, truncated, info = env.step(torch.zeros(5, 1))
    assert ended.all() and not truncated.any() and env.sellers.week == 0
    assert info["final_obs"].shape == observation.shape == first.shape


def test_an_action_changes_the_weight_of_losses_and_the_highest_keep_the_price() -> None:
    env = LearningVectorEnv(200)
    env.reset(seed=0)
    view = view_of(env.sellers)
    valued = view.value()

    def target(action: float) -> torch.Tensor:
        return view.choose(*valued, env.loss_weight, torch.full((200,), action)).target

    plans = valued[1]
    planned = plans.utility(env.loss_weight[:, None]).argmax(-1)
    assert torch.equal(target(0.0), planned)
    assert torch.equal(target(-0.5), plans.utility((env.loss_weight * 8**-0.5).clamp_min(1)[:, None]).argmax(-1))
    far = [(target(action) - REACH).abs().sum() for action in (-0.8, 0.0, 0.8)]
    assert far[0] > far[1] > far[2] > 0
    assert (target(0.9) == REACH).all()
    env.step(torch.full((200, 1), -0.8))
    moved = env.sellers.position - REACH
    assert torch.equal(moved, (target(-0.8) - REACH).clamp(-2, 2))


def test_a_budget_limits_every_plan_and_a_kept_price_outside_it_is_left_for_the_safest() -> None:
    env = LearningVectorEnv(200)
    env.reset(seed=0)
    env.step(torch.full((200, 1), -0.9))
    view, action = view_of(env.sellers), torch.linspace(-1, 1, 200)
    total, plans = view.value()
    unit, budget = view.percent / 0.01, 0.002
    chosen = view.choose(total, plans, env.loss_weight, action, budget)
    floor = floor_of(total, view.weight)
    ends = floor.gather(1, chosen.target[:, None])[:, 0]
    assert torch.equal(chosen.inside, ends >= -budget * unit)
    assert (ends[~chosen.inside] == floor[~chosen.inside].max(-1).values).all()
    assert chosen.inside.any() and not chosen.inside.all()
    free = view.choose(total, plans, env.loss_weight, action)
    allowed = floor.gather(1, free.target[:, None])[:, 0] >= -budget * unit
    assert torch.equal(free.target[allowed], chosen.target[allowed]) and free.inside.all()
    torch.testing.assert_close(free.loss_weight, (env.loss_weight * 8**action).clamp_min(1))


def test_observations_hold_nothing_that_a_seller_does_not_know() -> None:
    env = LearningVectorEnv(6)
    seen, _ = env.reset(seed=2)
    env.sellers.log_units.add_(1.0)
    env.sellers.level.add_(0.5)
    assert torch.equal(env._observe(), seen)


def test_a_privileged_tail_holds_the_truth_and_nothing_else_changes() -> None:
    plain, privileged = LearningVectorEnv(6), LearningVectorEnv(6, privileged=True)
    seen, _ = plain.reset(seed=2)
    both, _ = privileged.reset(seed=2)
    columns = OBSERVATION_DIM + PRIVILEGED_DIM
    assert both.shape == privileged.observation_space.shape == (6, columns)
    for _ in range(3):
        assert torch.equal(both[:, :OBSERVATION_DIM], seen)
        seen = plain.step(torch.full((6, 1), 0.6))[0]
        both = privileged.step(torch.full((6, 1), 0.6))[0]
    sellers = privileged.sellers
    margin = sellers.curves.price[REACH + 4] - sellers.cost
    gain = (sellers.log_units[:, REACH + 4].exp() * margin / (1 - sellers.cost) - 1) * 5
    torch.testing.assert_close(both[:, OBSERVATION_DIM + 4], gain.clamp(-10, 10))
    torch.testing.assert_close(both[:, -2], (sellers.gain / scale_of(sellers)).clamp(-10, 10))
    sellers.level.add_(0.5)
    changed = (privileged._observe() != both).any(0)
    assert changed.nonzero()[:, 0].tolist() == [columns - 3, columns - 1]


def test_the_expected_truth_of_a_plan_is_what_following_it_earns() -> None:
    env = LearningVectorEnv(5, LearningConfig(level_sd=1e-9, dispersion=0.0))
    env.reset(seed=6)
    planned = torch.tensor([0, REACH - 1, REACH, REACH + 3, NUM_PRICES - 1])
    sellers, generator = env.sellers, torch.Generator()
    expected = expect_truth(sellers, planned)
    while sellers.weeks_left:
        sellers = sellers.advance(planned, generator)
        torch.testing.assert_close(expect_truth(sellers, planned), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(sellers.gain, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wrong", [{"units": (5.0, 1.0)}, {"loss_weights": (0.5, 3.0)}])
def test_a_range_that_makes_no_sense_is_refused(wrong: dict[str, tuple[float, float]]) -> None:
    with pytest.raises(UsageError, match="must be a range"):
        LearningVectorEnv(2, **wrong)
