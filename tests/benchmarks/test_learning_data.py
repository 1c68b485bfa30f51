"""Training data of the policy of accounts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from command_line import run
from learning.account_view import OBSERVATION_DIM
from learning.learning_data import LearningDataModule
from learning.sellers_env import PRIVILEGED_DIM
from torch import Tensor

from pricerl.errors import UsageError
from pricerl.training.algorithm import Algorithm

CONFIG = Path(__file__).parents[2] / "benchmarks" / "learning" / "learning.yaml"


class Fixed(Algorithm):
    """Learner with a policy that is given."""

    def __init__(self, policy: object) -> None:
        self._policy = policy

    def act(self, observation: Tensor, deterministic: bool = False) -> Tensor:
        """Return the policy's actions."""
        assert callable(self._policy)
        actions: Tensor = self._policy(observation)
        return actions

    def observe(self, observation: Tensor) -> None:
        """Learn nothing."""

    def update(self, batch: object, number: int) -> dict[str, Tensor]:
        """Learn nothing."""
        return {}


def test_keeping_the_price_is_worse_than_the_plan() -> None:
    data = LearningDataModule(eval_episodes=3, seed=5)
    plan, keeps = (
        data.score(Fixed(policy), 0, 1)["utility_over_plan"]
        for policy in (
            lambda seen: seen.new_zeros(len(seen), 1),
            lambda seen: seen.new_ones(len(seen), 1),
        )
    )
    assert plan.tolist() == [0.0, 0.0, 0.0]
    assert (keeps < -1.0).all()


def test_ranks_share_the_evaluation() -> None:
    data = LearningDataModule(num_envs=8, eval_episodes=3)
    keeps = Fixed(lambda seen: seen.new_ones(len(seen), 1))
    whole = data.score(keeps, 0, 1)["episode_return"]
    parts = [data.score(keeps, rank, 2)["episode_return"] for rank in range(2)]
    assert torch.equal(whole[[0, 2, 1]], torch.cat(parts))


@pytest.mark.parametrize("privileged", [True, False])
def test_only_critics_may_see_the_truth(privileged: bool) -> None:
    data = LearningDataModule(num_envs=4, privileged=privileged)
    task, (observation, _) = data.task, data.build_env().reset(seed=0)
    assert task.observation_dim - task.privileged_dim == OBSERVATION_DIM
    assert observation.shape == (4, task.observation_dim)
    assert task.privileged_dim == PRIVILEGED_DIM * privileged


@pytest.mark.parametrize("wrong", [{"weeks": 0}, {"eval_episodes": 0}, {"prior_informed": 1.0}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=f"data.{next(iter(wrong))}|data.weeks and"):
        LearningDataModule(**wrong)  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_settings_train_a_policy_that_can_be_scored_and_resumed(tmp_path: Path) -> None:
    fast = ["--config", str(CONFIG), "--allow", "learning", "--model.compile", "off"]
    fast += ["--data.num_envs", "8", "--data.eval_episodes", "2", "--data.eval_every", "10"]
    fast += ["--model.algorithm.warmup_steps", "16", "--model.algorithm.batch_size", "32"]
    quiet = ["--trainer.enable_progress_bar", "false"]
    result = run(tmp_path, "fit", *fast, *quiet, "--trainer.max_steps", "20")
    assert result.code == 0 and result.out.startswith("learning\n"), result.err
    more = run(tmp_path, "fit", *fast, *quiet, "--ckpt_path", "last", "--trainer.max_steps", "40")
    assert more.code == 0 and "after 40 updates" in more.out, more.err
    best = str(tmp_path / "checkpoints" / "learning" / "best.ckpt")
    scored = run(tmp_path, "test", "--ckpt_path", best, "--allow", "learning", *quiet)
    assert scored.code == 0 and "eval/utility_over_plan" in scored.out, scored.err
