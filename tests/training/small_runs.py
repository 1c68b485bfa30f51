"""Small runs in Pendulum, and the tables that runs write."""

from __future__ import annotations

import csv
from pathlib import Path

METRICS = Path("checkpoints", "run", "metrics.csv")
PENDULUM = ["--data.env_id", "Pendulum-v1", "--data.env_settings", "{max_episode_steps: 40}"]
SMALL = [
    *("--model.network.hidden", "[16,16]", "--model.algorithm.batch_size", "16", "--data.eval_episodes", "2"),
    *("--model.algorithm.warmup_steps", "40", "--trainer.max_steps", "20", "--data.eval_every", "20"),
    *("--trainer.enable_progress_bar", "false", "--run_name", "run"),
]


def rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
