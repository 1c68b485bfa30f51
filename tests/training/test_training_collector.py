"""A collector whose state was saved continues bit by bit, in a new process as in the old one.

After a restore torch's global generators repeat their numbers.
"""

from types import SimpleNamespace

import pytest
import torch
from gymnasium import spaces
from lightning.pytorch import LightningModule
from saved_states import as_saved

from pricerl.errors import NonFiniteError
from pricerl.sac.config import ReplayConfig
from pricerl.training.collector import Collector
from pricerl.training.datamodule import random_state, restore_random_state
from pricerl.training.off_policy import OffPolicyModule

CONFIG = ReplayConfig(buffer_capacity=50, warmup_steps=12, batch_size=8)


class Walk:
    """Three rows walk at random, one step each; a row ends when it is more than 2 away. Observations are transposed."""

    num_envs = 3
    single_observation_space = spaces.Box(-9, 9, (2,))
    single_action_space = spaces.Box(-1, 1, (1,))

    def __init__(self, num_envs=3):
        self.num_envs = num_envs
        self.generator = torch.Generator()

    def reset(self, *, seed=None):
        if seed is not None:
            self.generator.manual_seed(seed)
        self.place = torch.randn(2, self.num_envs, generator=self.generator)
        return self.place.T, {}

    def step(self, actions):
        self.place = self.place + actions[:, 0] + torch.randn(2, self.num_envs, generator=self.generator)
        ended, reward = (self.place.abs() > 2).any(0), self.place.sum(0)
        info = {"price": self.place[0]}
        if ended.any():
            info["final_obs"] = self.place.T
            self.place = torch.where(ended, torch.randn(2, self.num_envs, generator=self.generator), self.place)
        return self.place.T, reward, ended, torch.zeros_like(ended), info


class SavedWalk(Walk):
    def state_dict(self):
        return {"place": self.place.clone(), "generator": self.generator.get_state()}

    def load_state_dict(self, state):
        if state["place"].shape != self.place.shape:
            return False
        self.place = state["place"]
        self.generator.set_state(state["generator"])
        return True


class Learner:
    """Its actions depend on the observations, and draw from torch's global generator."""

    step_discount = 0.9
    algorithm = CONFIG

    def __init__(self):
        self.seen = []
        self.returns = []

    def act(self, observation):
        return (observation.sum(1, keepdim=True) * 0.1 + torch.randn(len(observation), 1)).clamp(-1, 1)

    def observe(self, observation):
        self.seen.append((observation.stride(), observation.clone()))

    def observe_returns(self, returns):
        self.returns.append(returns.clone())


def restored(env, collector, seed=99):
    """A new collector with the state of another, and whether it is exact."""
    new = Collector(env, CONFIG, seed)
    return new, new.load_state_dict(as_saved(collector.state_dict()))


def follow(collector, steps):
    """What a run sees of its collector in ``steps`` turns of two vector steps."""
    learner, found = Learner(), []
    for _ in range(steps):
        collector.collect(learner, 2)
        found += [collector.counts(), repr(collector.last_return), repr(collector.mean_price)]
        found += [field.tolist() for field in collector.buffer.sample(8)]
    return [*found, collector.buffer.rows().tolist(), [(stride, seen.tolist()) for stride, seen in learner.seen]]


def test_learners_see_the_discounted_return_of_every_row_since_its_episode_began():
    collector, learner = Collector(Walk(), CONFIG, 1), Learner()
    collector.warm_up(learner)
    collector.collect(learner, 4)
    rows = collector.buffer.rows()
    reward, discount = rows[:, 3].view(-1, 3), rows[:, 4].view(-1, 3)
    assert (discount == 0).any(), "an episode ends among these steps"
    expected = [reward[0]]
    for step in range(1, len(reward)):
        expected.append(discount[step - 1] * expected[-1] + reward[step])
    torch.testing.assert_close(torch.cat(learner.returns), torch.cat(expected))


@pytest.mark.parametrize("steps", [0, 3, 15])
def test_a_restored_collector_sees_and_stores_the_same(steps):
    torch.manual_seed(0)
    collector = Collector(SavedWalk(), CONFIG, 1)
    collector.warm_up(Learner())
    collector.collect(Learner(), 2 * steps + 1)
    torch.manual_seed(7)
    new, exact = restored(SavedWalk(), collector)
    assert new._observation.stride() == collector._observation.stride() == (1, 3), "products round by the layout"
    torch.manual_seed(7)
    expected = follow(collector, 10)
    torch.manual_seed(7)
    assert exact and follow(new, 10) == expected
    assert collector.episodes > 3 and collector.env_steps == 12 + 3 * (2 * steps + 21)


@pytest.mark.parametrize("taken", [1, 3, 10])
def test_a_collector_saved_within_a_turn_continues_with_the_batches_left(taken):
    collector, learner = Collector(SavedWalk(), CONFIG, 1), Learner()
    collector.warm_up(learner)
    for _ in range(taken):
        collector.next_batch(learner)
    torch.manual_seed(7)
    new, exact = restored(SavedWalk(), collector)
    found = []
    for each in (collector, new):
        torch.manual_seed(7)
        found.append([[field.tolist() for field in each.next_batch(learner)] for _ in range(25)])
    assert exact and found[0] == found[1] and collector.env_steps == new.env_steps


def test_a_turn_has_as_many_env_steps_as_its_updates_require():
    collector = Collector(Walk(), ReplayConfig(updates_per_iteration=6, utd_ratio=2, warmup_steps=0), 1)
    seen = []
    for _ in range(7):
        collector.next_batch(Learner())
        seen.append(collector.env_steps)
    assert seen == [9, 9, 9, 9, 9, 9, 18], "three vector steps of three rows, then six updates"


def test_a_policy_whose_actions_are_not_finite_gives_no_batch():
    collector, learner = Collector(Walk(), CONFIG, 1), Learner()
    learner.act = lambda observation: torch.full((len(observation), 1), torch.nan)
    with pytest.raises(NonFiniteError, match="in the replay buffer after 30 env steps"):
        collector.next_batch(learner)


def test_a_restored_collector_that_warms_up_again_draws_the_next_random_actions():
    collector = Collector(SavedWalk(), CONFIG, 1)
    collector.warm_up(Learner())
    new, _ = restored(SavedWalk(), collector)
    assert torch.equal(new._random_action(), collector._random_action())


def test_a_state_does_not_change_as_collection_goes_on():
    collector = Collector(SavedWalk(), CONFIG, 1)
    collector.collect(Learner(), 9)
    state = collector.state_dict()
    before = {name: as_saved(value) for name, value in state.items()}
    collector.collect(Learner(), 9)
    for name in ("returns", "last_return", "mean_price", "observation", "random"):
        assert torch.equal(state[name], before[name]), name
    assert state["counts"] == before["counts"] and torch.equal(state["env"]["place"], before["env"]["place"])


@pytest.mark.parametrize(
    ("saved", "env"),
    [(Walk(), SavedWalk()), (SavedWalk(), Walk()), (SavedWalk(), SavedWalk(2)), (Walk(), Walk())],
    ids=["not saved", "not loaded", "other rows", "neither"],
)
def test_without_the_env_counters_continue_and_episodes_start_anew(saved, env):
    collector = Collector(saved, CONFIG, 1)
    collector.warm_up(Learner())
    collector.collect(Learner(), 9)
    new, exact = restored(env, collector, seed=1)
    assert not exact and (new.counts(), new.buffer.added) == (collector.counts(), collector.buffer.added)
    assert torch.equal(new.last_return, collector.last_return)
    assert new._returns.tolist() == [0.0] * env.num_envs


def test_a_generator_of_another_device_is_kept_and_stated():
    collector = Collector(SavedWalk(), CONFIG, 1)
    state = as_saved(collector.state_dict()) | {"random": torch.zeros(16, dtype=torch.uint8)}
    assert not Collector(SavedWalk(), CONFIG, 1).load_state_dict(state)


def test_counters_alone_can_be_taken_over():
    collector = Collector(Walk(), CONFIG, 1)
    collector.load_counts({"env_steps": 40, "episodes": 4})
    assert collector.counts() == {"env_steps": 40, "episodes": 4} and len(collector.buffer) == 0


def draw():
    drawn = torch.randn(3).tolist()
    return drawn + torch.randn(3, device="cuda").tolist() if torch.cuda.is_available() else drawn


def test_restored_generators_repeat_their_numbers():
    state = as_saved(random_state())
    expected = draw()
    assert draw() != expected
    restore_random_state(state)
    assert draw() == expected


def test_states_of_absent_gpus_are_skipped(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    state = random_state() | {"cuda": [torch.zeros(16, dtype=torch.uint8)]}
    expected = draw()
    restore_random_state(state)
    assert draw() == expected


class Evaluated(OffPolicyModule):
    def __init__(self):
        LightningModule.__init__(self)
        self.evaluation = None

    trainer = SimpleNamespace(strategy=None, state=SimpleNamespace(fn="fit"))

    def log_dict(self, metrics, **options):
        self.logged = {name: float(value) for name, value in metrics.compute().items()}


Evaluated.__abstractmethods__ = frozenset()


def test_an_evaluation_does_not_move_the_training_stream():
    module, state = Evaluated(), random_state()
    expected = draw()
    restore_random_state(state)
    module.validation_step(lambda learner: {"drawn": torch.tensor(draw()[:3])}, 0)
    assert module.logged == {"eval/drawn": pytest.approx(sum(expected[:3]) / 3)}
    assert draw() == expected
