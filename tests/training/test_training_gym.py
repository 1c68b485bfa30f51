"""SAC in Gymnasium environments through the real command line."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
import yaml
from command_line import CONFIGS, listing, run
from small_runs import METRICS, PENDULUM, SMALL, rows

from pricerl.runs.checkpoint import Checkpoint, read_saved

VARIANTS = sorted({path.name for path in (CONFIGS / "gym").glob("*.yaml")} - {"learning.yaml"})
"""Configurations of any environment."""


class Spoiled(gymnasium.Env):
    """Its rewards become NaN at its seventieth step."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-2.0, 2.0, (1,), np.float32)

    def __init__(self, bad: float = np.nan) -> None:
        self.steps, self.bad = 0, bad

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps += 1
        reward = self.bad if self.steps >= 70 else 1.0
        return np.zeros(2, np.float32), reward, False, self.steps % 10 == 0, {}


gymnasium.register("pricerl-tests/Spoiled-v0", Spoiled)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_shipped_variant_trains_and_can_be_scored(variant, tmp_path):
    configs = ["--config", str(CONFIGS / "gym" / "sac.yaml"), "--config", str(CONFIGS / "gym" / variant)]
    result = run(tmp_path, "fit", *configs, *SMALL)
    assert result.code == 0, result.err
    assert "Pendulum-v1" in result.out and "mean return of 2 deterministic episodes after 20 updates" in result.out
    folder = tmp_path / "checkpoints" / "run"
    assert {path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")} == {
        *("current", "best.ckpt", "last.ckpt", "config.yaml", "metrics.csv")
    }
    scored = run(tmp_path, "test", "--ckpt_path", str(folder / "best.ckpt"), "--trainer.enable_progress_bar", "false")
    assert scored.code == 0, scored.err
    (line,) = [line for line in scored.out.splitlines() if line.startswith("eval/episode_return")]
    assert float(line.split()[1]) == pytest.approx(float(rows(tmp_path / METRICS)[-1]["eval/episode_return"]), abs=1e-3)


def test_a_run_goes_on_with_other_evaluations(tmp_path):
    assert run(tmp_path, "fit", *PENDULUM, *SMALL).code == 0
    more = ["--ckpt_path", "last", "--trainer.max_steps", "40"]
    assert run(tmp_path, "fit", *PENDULUM, *SMALL, *more, "--data.eval_every", "10").code == 0
    refused = run(tmp_path, "fit", *PENDULUM, *SMALL, *more, "--data.eval_episodes", "3")
    assert refused.code == 2 and "data.eval_episodes differs from the run of" in refused.err


CLASS = "class_path: pricerl.training.gym_data.GymDataModule"
ARGUMENTS = "{env_id: Pendulum-v1, env_settings: {max_episode_steps: 40}, eval_episodes: 2}"
NAMED = {
    "class": f"data:\n  {CLASS}\n  init_args: {ARGUMENTS}\n",
    "plain": f"data: {ARGUMENTS}\n",
}


def test_an_environment_is_one_line_of_its_class_or_of_its_id_with_the_same_defaults(tmp_path):
    at = SMALL.index("--data.eval_every")
    small = SMALL[:at] + SMALL[at + 2 :]
    saved = {}
    for name, text in {**NAMED, "words": ""}.items():
        (tmp_path / "run.yaml").write_text(text or "{}")
        assert run(tmp_path, "fit", "--config", "run.yaml", *([] if text else PENDULUM), *small).code == 0
        saved[name] = yaml.safe_load((tmp_path / "checkpoints" / "run" / "config.yaml").read_text())
    settings = saved["class"]["data"]["init_args"]
    assert (settings["num_envs"], settings["eval_every"]) == (1, 5000), "not those of the pricing data"
    assert saved["class"] == saved["plain"] == saved["words"]


def test_a_resumed_run_takes_up_counters_metrics_and_replay_buffer(tmp_path):
    words = [*PENDULUM, *SMALL, "--data.num_envs", "2"]
    assert run(tmp_path, "fit", *words).code == 0
    result = run(tmp_path, "fit", *words, "--trainer.max_steps", "30", "--ckpt_path", "last")
    assert result.code == 0, result.err
    assert "statistical, not exact" in result.err and "episodes start anew" in result.err
    counts = [(float(row["updates"]), float(row["env_steps"])) for row in rows(tmp_path / METRICS)]
    assert counts[-1] == (30.0, 40 + 2 * 30) and (20.0, 40 + 2 * 20) in counts, "earlier rows are kept"
    saved = read_saved(tmp_path / "checkpoints" / "run" / "last.ckpt")
    assert saved["global_step"] == 30
    assert len(saved["GymDataModule"]["process"]["collector"]["buffer"]["rows"]) == 40 + 2 * 30


def test_the_input_statistics_of_a_run_lie_in_its_checkpoint(tmp_path):
    assert run(tmp_path, "fit", *PENDULUM, *SMALL, "--model.network.input_normalization", "true").code == 0
    state = Checkpoint.read(tmp_path / "checkpoints" / "run" / "last.ckpt").content["state_dict"]
    assert state["agent.normalization.count"] == 60.0
    assert (state["agent.normalization.var"] > 0.01).all()


def test_updates_per_env_step_follow_utd_ratio(tmp_path):
    words = ["--model.algorithm.utd_ratio", "4"]
    assert run(tmp_path, "fit", *PENDULUM, *SMALL, *words).code == 0
    assert float(rows(tmp_path / METRICS)[-1]["env_steps"]) == pytest.approx(40 + 20 / 4, abs=2)
    optimizers = Checkpoint.read(tmp_path / "checkpoints" / "run" / "last.ckpt").content["optimizer_states"]
    critic, actor, _ = (float(next(iter(state["state"].values()))["step"]) for state in optimizers)
    assert (critic, actor) == (20.0, 20.0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data.env_id", "CartPole-v1"], "Discrete"),
        (["--data.env_id", "nowhere:Some-v0"], "nowhere"),
        ([*PENDULUM, "--data.path", "sales.csv"], "unknown option --data.path"),
        ([*PENDULUM, "--data.eval_episodes", "0"], "data.eval_episodes must be positive, found 0"),
        ([*PENDULUM, "--trainer.accelerator", "gpu"], "gpu" if not torch.cuda.is_available() else ""),
        ([*PENDULUM, "--model.algorithm.actor_horizon", "8"], "actor_horizon must be 0 for Pendulum-v1, whose steps"),
        ([*PENDULUM, "--seed_everything", "true"], "--seed_everything: must be a whole number, found 'True'"),
        ([*PENDULUM, "--model.compile", "perhaps"], "must be one of auto, off, on"),
        ([*PENDULUM, "--model.network.block", "simba"], "unknown option --model.network.block"),
        ([*PENDULUM, "--model.algorithm.actor_interval", "4"], "unknown option --model.algorithm.actor_interval"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_cannot_work_is_refused_in_one_line_before_anything_is_written(words, message, tmp_path):
    result = run(tmp_path, "fit", *SMALL, *words)
    assert result.code == 2, result.err
    assert message in result.err and result.err.count("\n") == 1
    assert not listing(tmp_path)


def test_an_environment_that_returns_nan_is_named_and_nothing_good_is_lost(tmp_path):
    result = run(tmp_path, "fit", "--data.env_id", "pricerl-tests/Spoiled-v0", *SMALL, "--trainer.max_steps", "60")
    assert result.code == 1
    assert "pricerl-tests/Spoiled-v0" in result.err and "reward" in result.err and "70" in result.err


def test_a_run_that_diverges_names_update_loss_and_the_last_good_checkpoint_and_leaves_an_earlier_run(tmp_path):
    words = ["--data.env_id", "pricerl-tests/Spoiled-v0", *SMALL]
    assert run(tmp_path, "fit", *words).code == 0
    earlier = {name: (tmp_path / "checkpoints" / "run" / name).read_bytes() for name in ("best.ckpt", "last.ckpt")}
    result = run(tmp_path, "fit", *words, "--data.env_settings", '{"bad": 1e38}', "--trainer.max_steps", "60")
    last = Path("checkpoints", "run", "gen-0002", "last.ckpt")
    assert result.code == 1, result.err
    assert "training stopped at update" in result.err and "train/critic_loss is inf" in result.err
    assert f"the last good checkpoint is {last}, of update" in result.err
    saved = Checkpoint.read(tmp_path / last).content
    assert all(value.isfinite().all() for value in saved["state_dict"].values())
    assert all((tmp_path / "checkpoints" / "run" / name).read_bytes() == kept for name, kept in earlier.items())


def test_predict_has_nothing_to_say_about_an_environment(tmp_path):
    assert run(tmp_path, "fit", *PENDULUM, *SMALL).code == 0
    result = run(tmp_path, "predict", "--ckpt_path", "checkpoints/run/best.ckpt")
    assert result.code == 2
    assert "score other policies with test" in result.err


@pytest.mark.slow
def test_sac_swings_the_pendulum_up_and_keeps_it_there(tmp_path):
    words = ["--config", str(CONFIGS / "gym" / "pendulum.yaml"), "--run_name", "run"]
    words += ["--trainer.enable_progress_bar", "false", "--data.eval_every", "19000", "--data.eval_episodes", "100"]
    result = run(tmp_path, "fit", *words)
    assert result.code == 0, result.err
    last = rows(tmp_path / METRICS)[-1]
    assert float(last["env_steps"]) == 20_000
    assert float(last["eval/episode_return"]) > -175, "about -150 upright, below -1000 where nothing was learned"
