"""Learning curves of pricerl's SAC on Gymnasium environments, compared with published returns.

    pip install -e ".[gym]"
    python benchmarks/gym_returns.py run --envs HalfCheetah-v4 Hopper-v4 Walker2d-v4 --presets sac fast
    python benchmarks/gym_returns.py run --presets normalized stable-baselines3 sbx --seeds 0 1 2 3 4 --cores 0
    python benchmarks/gym_returns.py run --envs Pendulum-v1 --presets pendulum --seeds 0 1 2 3 4 --env_steps 20000
    python benchmarks/gym_returns.py table

``run`` trains all missing combinations of environment, preset and seed with ``python main.py fit``, each in a
separate process on one CPU thread, in ``checkpoints/returns-…``. Interrupted runs, and runs to be extended, resume
from their ``last.ckpt``; runs of other libraries (``pip install stable-baselines3 sbx-rl``) start again. On one core
the presets take turns, so that all meet the same machine. ``table`` collects all evaluations of these runs in
``docs/returns.csv`` and prints, for every requested number of env steps, the mean, the interquartile mean
(arXiv:2108.13264) and the 95 % bootstrap interval of the mean over seeds, and the CPU minutes of a run until then,
its start and evaluations included. An evaluation is ten deterministic episodes (100 in Pendulum) with the same starts
in every run.
"""

from __future__ import annotations

import importlib
import itertools
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pandas as pd
import yaml
from runner import ROOT, RUNS, Option, own_cores, read_options
from scipy import stats

CURVES = ROOT / "docs" / "returns.csv"
PREFIX = "returns"
PRESETS = {
    "pendulum": ("pendulum",),
    "sac": ("sac",),
    "fast": ("sac", "fast"),
    "layernorm": ("sac", "layernorm"),
    "normalized": ("sac", "normalized"),
}
"""Files in ``configs/gym``; later ones override earlier ones."""
PEERS = ("stable-baselines3", "sbx")
"""Presets that are plain SAC of other libraries, with their defaults."""
MINUTES = "cpu_minutes.csv"
"""File of a run: CPU minutes of its process, and the env steps that it had reached at its end."""
EPISODES = {"Pendulum-v1": 100}
DEFAULT_EPISODES = 10

PUBLISHED = {
    ("HalfCheetah-v4", 100_000): 5534,
    ("Hopper-v4", 100_000): 906,
    ("Walker2d-v4", 100_000): 626,
    ("HalfCheetah-v4", 300_000): 8509,
    ("Hopper-v4", 300_000): 2401,
    ("Walker2d-v4", 300_000): 2371,
    ("Pendulum-v1", 20_000): -157,
}
"""Plain SAC, mean of ten seeds, by environment and env steps."""
RESAMPLES = 10_000


@dataclass(frozen=True)
class Run:
    """Training run of one environment, preset and seed."""

    env: str
    preset: str
    seed: int
    env_steps: int
    precision: str
    evaluate_every: int
    """Env steps between two evaluations."""

    @property
    def name(self) -> str:
        """Folder of the run in ``checkpoints/``."""
        return f"{PREFIX}-{self.env}-{self.preset}-{self.precision}-{self.seed}"

    @property
    def is_done(self) -> bool:
        """Whether the run has been evaluated at its last env step."""
        return self.reached >= self.env_steps

    @property
    def reached(self) -> int:
        """Env steps at the run's latest evaluation."""
        evaluations = read_evaluations(RUNS / self.name)
        return 0 if evaluations.empty else int(evaluations["env_steps"].max())

    def words(self) -> list[str]:
        """Return the command that starts or resumes the run."""
        if self.preset in PEERS:
            return [sys.executable, __file__, "peer", *map(str, vars(self).values())]
        files = [ROOT / "configs" / "gym" / f"{name}.yaml" for name in PRESETS[self.preset]]
        algorithm: dict[str, Any] = {"warmup_steps": 5000, "utd_ratio": 1}
        for file in files:
            algorithm |= yaml.safe_load(file.read_text(encoding="utf-8"))["model"].get("algorithm", {})
        utd = algorithm["utd_ratio"]
        options = {
            "data.env_id": self.env,
            "data.eval_every": self.evaluate_every * utd,
            "data.eval_episodes": EPISODES.get(self.env, DEFAULT_EPISODES),
            "seed_everything": self.seed,
            "run_name": self.name,
            "matmul_precision": self.precision,
            "trainer.max_steps": (self.env_steps - algorithm["warmup_steps"]) * utd,
            "trainer.enable_progress_bar": "false",
        }
        if (RUNS / self.name / "last.ckpt").exists():
            options["ckpt_path"] = "last"
        configs = [word for file in files for word in ("--config", str(file))]
        return [sys.executable, str(ROOT / "main.py"), "fit", *configs, *(f"--{k}={v}" for k, v in options.items())]


def train(run: Run, cores: SimpleQueue[int]) -> None:
    """Train one run on a free core, with its output in ``checkpoints/NAME.log``."""
    if run.is_done:
        print(f"{run.name}: already done", flush=True)
        return
    core = cores.get()
    RUNS.mkdir(exist_ok=True)
    log = RUNS / f"{run.name}.log"
    print(f"{run.name}: training from {run.reached:,} to {run.env_steps:,} env steps", flush=True)
    pin = ["taskset", "-c", str(core)] if sys.platform == "linux" else []
    with log.open("ab") as file:
        process = subprocess.Popen([*pin, *run.words()], cwd=ROOT, stdout=file, stderr=file)
        _, status, used = os.wait4(process.pid, 0)
    code = process.returncode = os.waitstatus_to_exitcode(status)
    cores.put(core)
    minutes = (used.ru_utime + used.ru_stime) / 60
    spent = RUNS / run.name / MINUTES
    if code == 0 and not spent.exists():  # an interrupted run's are unknown
        spent.write_text(f"cpu_minutes,env_steps\n{minutes:.2f},{run.reached}\n", encoding="utf-8")
    ended = "done" if code == 0 else f"failed with exit code {code}, see {log},"
    print(f"{run.name}: {ended} after {minutes:.1f} CPU-minutes", flush=True)


def train_peer(run: Run) -> None:
    """Train plain SAC of another library, with its defaults and evaluations as pricerl's, and write ``metrics.csv``."""
    import gymnasium
    import torch
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.evaluation import evaluate_policy

    torch.set_num_threads(1)
    library = importlib.import_module(run.preset.replace("-", "_"))
    model = library.SAC("MlpPolicy", run.env, learning_starts=5000, batch_size=256, seed=run.seed)
    held_out = gymnasium.make(run.env)
    rows = ["env_steps,eval/episode_return"]

    class Evaluating(BaseCallback):
        def _on_step(self) -> bool:
            if self.num_timesteps % run.evaluate_every == 0 and self.num_timesteps > 5000:
                held_out.reset(seed=run.seed)
                episodes = EPISODES.get(run.env, DEFAULT_EPISODES)
                mean, _ = evaluate_policy(self.model, held_out, episodes, deterministic=True, warn=False)
                rows.append(f"{self.num_timesteps},{mean:.2f}")
            return True

    model.learn(run.env_steps, callback=Evaluating())
    folder = RUNS / run.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def read_evaluations(folder: Path) -> pd.DataFrame:
    """Return env steps and mean return of every evaluation of a run."""
    columns, file = ["env_steps", "eval/episode_return"], folder / "metrics.csv"
    rows = pd.read_csv(file) if file.exists() else pd.DataFrame()
    return rows.reindex(columns=columns).dropna(subset=columns[1:])


def collect_evaluations() -> pd.DataFrame:
    """Return all evaluations of all runs, and those stored in ``docs/returns.csv`` whose runs are missing here."""
    found = []
    for folder in sorted(RUNS.glob(f"{PREFIX}-*/")):
        _, env, rest = folder.name.replace("-v", "~v").split("-", 2)
        preset, precision, seed = rest.rsplit("-", 2)
        curve = read_evaluations(folder).rename(columns={"eval/episode_return": "return"})
        if (folder / MINUTES).exists():
            ((total, reached),) = pd.read_csv(folder / MINUTES).to_numpy()
            curve["minutes"] = total * curve["env_steps"] / reached
        key = {"env": env.replace("~v", "-v"), "preset": preset, "precision": precision, "seed": int(seed)}
        found.append(curve.assign(**key))
    before = [pd.read_csv(CURVES)] if CURVES.exists() else []
    columns = ["env", "preset", "precision", "seed", "env_steps", "return", "minutes"]
    rows = pd.concat([*before, *found]).reindex(columns=columns)
    rows["env_steps"] = rows["env_steps"].astype(int)
    return rows.drop_duplicates(columns[:5], keep="last").sort_values(columns[:5])


def summarize(rows: pd.DataFrame, marks: list[int]) -> pd.DataFrame:
    """Return one row per environment, preset, precision and number of env steps."""
    by = ["env", "preset", "precision", "env_steps"]
    groups = rows[rows["env_steps"].isin(marks)].groupby(by)
    returns = groups["return"]
    limits = pd.DataFrame(returns.apply(bootstrap).to_list(), columns=["low", "high"], index=returns.mean().index)
    found = {
        "seeds": returns.size(),
        "mean": returns.mean(),
        "IQM": returns.apply(stats.trim_mean, 0.25),
        **limits,
        "each": returns.apply(lambda values: ", ".join(f"{value:.0f}" for value in values)),
        "minutes": groups["minutes"].mean(),
    }
    table = pd.DataFrame(found).reset_index()
    marked = zip(table["env"], table["env_steps"], strict=True)
    return table.assign(published=[PUBLISHED.get(mark, "") for mark in marked])


def bootstrap(returns: pd.Series) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean; like every bootstrap, it is too narrow with few seeds."""
    if len(returns) < 2:
        return np.nan, np.nan
    found = stats.bootstrap(
        (returns,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(0)
    )
    return found.confidence_interval.low, found.confidence_interval.high


def main() -> None:
    options = read_options(
        __doc__,
        commands=("run", "table", "peer"),
        words="run",
        envs=["HalfCheetah-v4", "Hopper-v4", "Walker2d-v4"],
        presets=Option(["sac"], choices=(*PRESETS, *PEERS)),
        seeds=[0, 1, 2],
        env_steps=100_000,
        evaluate_every=Option(5_000, "env steps between two evaluations"),
        precision=Option("highest", choices=("highest", "high", "medium")),
        cores=Option(own_cores(), "cores to use, one run at a time on each"),
        at=Option([20_000, 50_000, 100_000, 200_000, 300_000], "env steps in the table"),
    )
    if options.command == "peer":
        env, preset, seed, steps, precision, every = options.run
        train_peer(Run(env, preset, int(seed), int(steps), precision, int(every)))
    elif options.command == "table":
        rows = collect_evaluations()
        rows.to_csv(CURVES, index=False, float_format="%.2f")
        print(summarize(rows, options.at).to_string(index=False, na_rep="-", float_format=lambda value: f"{value:.1f}"))
    else:
        cores: SimpleQueue[int] = SimpleQueue()
        for core in options.cores:
            cores.put(core)
        rest = options.env_steps, options.precision, options.evaluate_every
        named = itertools.product(options.seeds, options.envs, options.presets)
        runs = [Run(env, preset, seed, *rest) for seed, env, preset in named]
        with ThreadPoolExecutor(len(options.cores)) as pool:
            list(pool.map(lambda run: train(run, cores), runs))


if __name__ == "__main__":
    main()
