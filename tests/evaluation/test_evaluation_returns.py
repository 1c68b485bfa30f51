import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from pricerl.errors import NonFiniteError, UsageError
from pricerl.evaluation import scores
from pricerl.evaluation.scores import score_returns

STOLEN = 1e6
"""Reward of episodes that start without a seed: those that must not count."""


class Lengths(gymnasium.Env):
    """An episode lasts as many steps as its seed says, then terminates (or is truncated); earns its action a step."""

    def __init__(self, end="terminated"):
        self.action_space = spaces.Box(-1.0, 1.0, (1,))
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,))
        self.end = end

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seed, self.steps = seed, 0
        return self._observe(), {}

    def step(self, action):
        self.steps += 1
        over = self.steps == (self.seed or 1)
        reward = STOLEN if self.seed is None else float(action[0])
        return self._observe(), reward, over and self.end == "terminated", over and self.end == "truncated", {}

    def _observe(self):
        return np.array([self.seed or 0, self.steps], dtype=np.float32)


class Endless(Lengths):
    def step(self, action):
        return self._observe(), 1.0, False, False, {}


gymnasium.register("returns/Lengths-v0", Lengths)
gymnasium.register("returns/Endless-v0", Endless)


def half(observation):
    return torch.full((len(observation), 1), 0.5)


@pytest.fixture
def network():
    """Return a policy for Pendulum whose rounding depends on the number of rows it sees at once."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Linear(3, 256), torch.nn.Tanh(), torch.nn.Linear(256, 1), torch.nn.Tanh())


@pytest.mark.parametrize("end", ["terminated", "truncated"])
def test_every_row_counts_until_its_first_end(end):
    scores = score_returns(half, "returns/Lengths-v0", {"end": end}, [3, 1, 7], "cpu")
    assert scores.episode_return.tolist() == [1.5, 0.5, 3.5]
    assert scores.episode_length.tolist() == [3, 1, 7]
    assert scores.episode_return.dtype == torch.float32 and scores.episode_length.dtype == torch.int64


def test_the_policy_sees_the_observation_of_its_own_row():
    def act(observation):
        assert not torch.is_grad_enabled()
        return observation[:, :1] / 64 + observation[:, 1:] / 256

    seeds = list(range(1, 40))
    scores = score_returns(act, "returns/Lengths-v0", None, seeds, "cpu")
    expected = [seed * seed / 64 + seed * (seed - 1) / 2 / 256 for seed in seeds]
    assert scores.episode_return.tolist() == expected


def test_a_time_limit_ends_the_episode_which_is_cut_where_there_is_none(monkeypatch):
    found = score_returns(half, "returns/Lengths-v0", {"max_episode_steps": 4}, [3, 9], "cpu")
    assert found.episode_length.tolist() == [3, 4] and found.episode_return.tolist() == [1.5, 2.0]
    assert scores.MAX_STEPS == 10_000
    monkeypatch.setattr(scores, "MAX_STEPS", 25)
    cut = score_returns(half, "returns/Endless-v0", None, [0, 1], "cpu")
    assert cut.episode_length.tolist() == [25, 25] and cut.episode_return.tolist() == [25.0, 25.0]
    limited = score_returns(half, "returns/Endless-v0", {"max_episode_steps": 40}, [0], "cpu")
    assert limited.episode_length.tolist() == [40]


def test_no_seeds_give_empty_scores():
    none = score_returns(half, "returns/Lengths-v0", None, [], "cpu")
    assert [part.shape for part in none] == [(0,), (0,)]
    whole = score_returns(half, "returns/Lengths-v0", None, range(2, 4), "cpu")
    assert torch.cat([none.episode_length, whole.episode_length]).tolist() == [2, 3]


@pytest.mark.parametrize("sizes", [[1] * 18, [5, 13], [17, 1], [0, 18]])
def test_the_same_seeds_score_the_same_to_the_last_bit_whatever_the_split(network, sizes):
    seeds, settings = list(range(100, 118)), {"max_episode_steps": 50}
    whole = score_returns(network, "Pendulum-v1", settings, seeds, "cpu").episode_return
    ends = np.cumsum(sizes)
    parts = [
        score_returns(network, "Pendulum-v1", settings, seeds[end - size : end], "cpu").episode_return
        for end, size in zip(ends, sizes, strict=True)
    ]
    assert torch.equal(torch.cat(parts), whole)
    assert len(whole.unique()) == 18


def test_what_cannot_be_used_is_told_as_the_environment_tells_it():
    with pytest.raises(UsageError, match="did you mean 'returns/Lengths-v0'"):
        score_returns(half, "returns/Length-v0", None, [1], "cpu")
    with pytest.raises(NonFiniteError, match=r"action\[0\] of row 0 is nan in step 1"):
        score_returns(lambda seen: torch.full((len(seen), 1), torch.nan), "returns/Lengths-v0", None, [5], "cpu")
