"""Trainer settings that cannot have their effect here, each with the reason and the setting to use instead."""

from __future__ import annotations

from typing import Any, NamedTuple

from lightning.pytorch.plugins import CheckpointIO

from pricerl.errors import UsageError


class Limited(NamedTuple):
    """Setting of Lightning's Trainer of which only some values are accepted."""

    accepted: tuple[Any, ...]
    remedy: str
    """Reason for the others, and what to do."""


ONE_BATCH = "an evaluation is one batch; 0 leaves evaluations out"
REPLAY = "batches are sampled from a replay buffer"

LIMITED = {
    "gradient_clip_val": Limited((None,), "set --model.algorithm.max_grad_norm"),
    "gradient_clip_algorithm": Limited((None,), "set --model.algorithm.max_grad_norm"),
    "accumulate_grad_batches": Limited((1,), "set --model.algorithm.batch_size"),
    # Half precision rounds the temperature; gradient scalers do not reach the bare optimizers.
    "precision": Limited((None, 32, "32", "32-true", "bf16-mixed"), "it must be one of 32, 32-true, bf16-mixed"),
    "limit_val_batches": Limited((None, 0, 1), ONE_BATCH),
    "limit_test_batches": Limited((None, 1), "a test is one batch"),
    "limit_predict_batches": Limited((None, 1), "predict advises on every product and has no batches"),
    "use_distributed_sampler": Limited((None, True), f"{REPLAY}, which has no sampler; every rank has its own"),
    "reload_dataloaders_every_n_epochs": Limited((0,), f"{REPLAY}, in a stream that every epoch renews"),
    "sync_batchnorm": Limited((False,), "no network has batch normalization"),
    "barebones": Limited((False,), "it leaves out checkpoints, which advice needs"),
    "default_root_dir": Limited((None,), "a run is written to checkpoints/RUN; set --run_name"),
    "model_registry": Limited((None,), "checkpoints stay in the run's folder; upload them from there"),
}
"""Settings that are refused unless they have one of the accepted values."""


def check_trainer(trainer: Any) -> None:
    """Refuse settings that would be without effect, or that updates from a replay buffer do not support.

    Raises:
        UsageError: the message names the option and the reason.
    """
    for name, (accepted, remedy) in LIMITED.items():
        value = trainer[name]
        if not any(_is_same(value, item) for item in accepted):
            raise UsageError(f"--trainer.{name} {value} is not supported: {remedy}")
    if isinstance(trainer.overfit_batches, float) and trainer.overfit_batches:
        raise UsageError(f"--trainer.overfit_batches must name a number of batches; found {trainer.overfit_batches}")
    if trainer.max_steps == 0 or trainer.max_steps < -1:
        raise UsageError(f"--trainer.max_steps must be 1 or more, or -1 for no limit; found {trainer.max_steps}")
    if (trainer.log_every_n_steps or 0) < 0:
        raise UsageError(f"--trainer.log_every_n_steps must be 0 or more; found {trainer.log_every_n_steps}")


def _is_same(value: Any, accepted: Any) -> bool:
    """Return whether a value is an accepted one; a number of batches is no share of them, so 1 is not 1.0."""
    counts = isinstance(value, int) and isinstance(accepted, float)
    return value == accepted and isinstance(value, bool) == isinstance(accepted, bool) and not counts


def list_plugins(plugins: Any) -> list[Any]:
    """Return the plugins of a trainer setting: none, one or several.

    Raises:
        UsageError: one of them writes checkpoints.
    """
    listed = [] if plugins is None else list(plugins) if isinstance(plugins, (list, tuple)) else [plugins]
    for plugin in listed:
        if isinstance(plugin, CheckpointIO):
            raise UsageError(
                f"--trainer.plugins {type(plugin).__name__} is not supported: checkpoints have a format of their own, "
                "which every command reads"
            )
    return listed
