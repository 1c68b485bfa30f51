"""The policy of accounts: its training data, and the one that pricerl ships."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from command_line import run
from torch import Tensor

from pricerl.env.account_view import OBSERVATION_DIM
from pricerl.env.learning import PRIVILEGED_DIM
from pricerl.errors import CheckpointError, UsageError
from pricerl.training.account_policy import SHIPPED, read_account_policy, ship
from pricerl.training.algorithm import Algorithm
from pricerl.training.checkpointing import Checkpoint
from pricerl.training.learning_data import LearningDataModule

CONFIG = Path(__file__).parents[2] / "pricerl" / "configs" / "gym" / "learning.yaml"


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


def test_the_shipped_policy_beats_the_plan_and_bad_policies_do_not() -> None:
    data = LearningDataModule(eval_episodes=3, seed=5)
    plan, shipped, keeps = (
        data.score(Fixed(policy), 0, 1)["utility_over_plan"]
        for policy in (
            lambda seen: seen.new_zeros(len(seen), 1),
            read_account_policy(),
            lambda seen: seen.new_ones(len(seen), 1),
        )
    )
    assert plan.tolist() == [0.0, 0.0, 0.0]
    assert (shipped > 0.1).all() and (keeps < -1.0).all()


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


def test_the_shipped_policy_was_trained_with_the_configuration_of_the_repository() -> None:
    about, config = Checkpoint.read(SHIPPED), yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    stored = about.settings
    for group in ("data", "model"):
        given = config[group].get("init_args", config[group])
        known = stored[group].get("init_args", stored[group])
        assert {**known, **{key: value for key, value in given.items() if not isinstance(value, dict)}} == known
    for part in ("algorithm", "network"):
        assert config["model"][part].items() <= stored["model"][part].items()
    assert about.update <= config["trainer"]["max_steps"]


def test_the_configuration_trains_a_policy_that_can_be_scored_resumed_and_shipped(tmp_path: Path) -> None:
    fast = [
        "--config",
        "gym/learning",
        "--model.compile",
        "off",
        "--data.num_envs",
        "8",
        "--data.eval_episodes",
        "2",
        "--data.eval_every",
        "10",
    ]
    fast += ["--model.algorithm.warmup_steps", "16", "--model.algorithm.batch_size", "32"]
    quiet = ["--trainer.enable_progress_bar", "false"]
    result = run(tmp_path, "fit", *fast, *quiet, "--trainer.max_steps", "20")
    assert result.code == 0 and result.out.startswith("learning\n"), result.err
    best = tmp_path / "checkpoints" / "learning" / "best.ckpt"
    more = run(tmp_path, "fit", *fast, *quiet, "--ckpt_path", "last", "--trainer.max_steps", "40")
    assert more.code == 0 and "after 40 updates" in more.out, more.err
    scored = run(tmp_path, "test", "--ckpt_path", str(best), *quiet)
    assert scored.code == 0 and "eval/utility_over_plan" in scored.out
    refused = run(tmp_path, "predict", "--ckpt_path", str(best), *quiet)
    assert refused.code == 2 and "score other policies with test" in refused.err
    ship(Checkpoint.read(best), tmp_path / "policy.ckpt")
    seen = torch.randn(20, OBSERVATION_DIM)
    action = read_account_policy(tmp_path / "policy.ckpt")(seen)
    assert action.shape == (20, 1) and torch.equal(action, read_account_policy(best)(seen))


def test_a_shipped_policy_is_that_of_its_checkpoint_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    path, seen = tmp_path / "policy.ckpt", torch.randn(50, OBSERVATION_DIM)
    checkpoint = Checkpoint.read(SHIPPED)
    ship(checkpoint, path)
    assert torch.equal(read_account_policy(path)(seen), read_account_policy()(seen))
    path.write_bytes(path.read_bytes()[:-7])
    read_account_policy.cache_clear()
    with pytest.raises(CheckpointError, match="damaged"):
        read_account_policy(path)
