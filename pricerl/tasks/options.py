"""Options of a task outside the groups of settings."""

from __future__ import annotations

from typing import Any

RUN_OPTIONS: dict[str, tuple[str, str | bool | int | None]] = {
    "run_name": ("Name of the run's folder; derived from file and preset if absent.", None),
    "ckpt_path": ("Checkpoint: a file, or last or best in the run's folder.", None),
    "resume": ("Go on with the newest usable save of the run: auto.", None),
    "accept_changes": (
        "Data and settings in which a resumed run may differ: history, data.reward and so on, separated by commas.",
        None,
    ),
    "accept": (
        "Answers about a file, separated by commas: changed takes new values of days that were read before; renamed "
        "joins products under new names to those that they look like, new keeps both; groups puts together "
        "what seem to be sizes, colours or packs of one product.",
        None,
    ),
    "keep": ("Generations of the run to keep whole; of older ones the weights behind decisions stay.", 5),
    "wandb": ("Log the training to Weights & Biases; offline without a key.", False),
    "threads": (
        "CPU threads of torch. Two are up to 1.5 times as fast on two idle cores, but many times slower if "
        "other processes run on them.",
        1,
    ),
    "engine": ("Workers of a catalogue: local, dask, ray, spark or a cluster such as dask://HOST:PORT.", "local"),
    "matmul_precision": (
        "Precision of matrix products, in torch's terms. With medium they are made in bfloat16 and summed in single "
        "precision where the processor has units for that (GPUs, CPUs with matrix tiles or bfloat16 in AVX-512), which "
        "trains up to twice as fast.",
        "highest",
    ),
    "today": ("Day to take as today, such as 2026-01-31; the clock's if absent, and a simulated seller's own.", None),
    "waits": ("Why the advice needs an approval in any case; serve sets it for an editor.", None),
    "out": ("Folder for a copy of the advice, next to that in the run's folder.", None),
    "horizon": ("Forecast horizon in days.", 14),
    "verbose": ("Print the evidence on every product, too.", False),
    "format": ("Format of the advice on standard output: text, or json for programs.", "text"),
    "locale": ("Locale of dates, numbers and money.", "en_US"),
}
"""Options of a run with help and default; the default has its type."""

TRAINING_OPTIONS = ("ckpt_path", "resume", "accept_changes", "keep", "wandb")
"""Options of a run that a training alone reads."""

TRAINER_DEFAULTS: dict[str, Any] = {
    "max_steps": 20,
    "devices": 1,
    "num_sanity_val_steps": 0,
    "enable_model_summary": False,
}
"""Defaults of the trainer for a seller's data, whose network that ships has learned on many markets and only adapts.

``max_steps`` counts gradient updates; an epoch lasts until the next evaluation.
"""

SCRATCH_STEPS = 2000
"""``max_steps`` for other data."""
