"""Command ``export``: the policy as a program, or its weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pricerl.cli.loading import load_words
from pricerl.cli.usage import Options, file_parser
from pricerl.errors import EXIT_OK, UsageError, import_extra
from pricerl.evaluation.pricing_data import PricingData
from pricerl.operations.log.provenance import current_versions
from pricerl.runs.checkpoint import Checkpoint
from pricerl.runs.export import write_policy
from pricerl.runs.folder import BEST, RunFolder
from pricerl.runs.names import find_run
from pricerl.tasks.configs import without_training
from pricerl.tasks.load import stored_settings
from pricerl.tasks.settings import advice_parser, build_data, merge_settings
from pricerl.terminal import write_lines
from pricerl.training.saved_policy import SavedPolicy

OPTIONS: Options = {
    "--format": {"choices": ["onnx", "weights"], "default": "onnx", "help": "program, or for --model.init"},
    "--out": {"help": "folder for the program and policy.json, or for weights; the run's if absent"},
}


def export(words: Sequence[str]) -> int:
    """Write the policy of a RUN with scaler and price rule as one program; all options of predict apply."""
    options, rest = file_parser("export", export.__doc__, OPTIONS).parse_known_args(words)
    folder = find_run(options.run_name, BEST)
    if options.format == "weights":
        return _export_weights(folder, options.out)
    import_extra("onnxscript", '--format onnx needs an extra: pip install -e ".[export]"')
    options.run_name = folder.path.name
    run = load_words("export", rest, options)
    assert run.checkpoint is not None
    if not isinstance(run.module, SavedPolicy):
        raise UsageError(f"export writes policies of SACModule, found {type(run.module).__name__}; write your own")
    about = {"format": 1, "run": folder.path.name, "checkpoint": run.checkpoint.name, "versions": current_versions()}
    dynamics = run.pricing.build_dynamics(run.pricing.market)
    path = write_policy(run.module.agent.actor, dynamics, Path(options.out or folder.path), about)
    write_lines([f"{path}", f"{path.with_suffix('.json')}"])
    return EXIT_OK


def _export_weights(folder: RunFolder, out: str | None) -> int:
    """Write the weights of a run's best save, from which other trainings may start."""
    checkpoint = Checkpoint.read("best", folder.path)
    saved = SavedPolicy(checkpoint)
    path = saved.write_weights(Path(out or folder.path), saved.layout or _seller_layout(checkpoint))
    write_lines([f"{path}"])
    return EXIT_OK


def _seller_layout(checkpoint: Checkpoint) -> str:
    """Return the layout of the observations of a seller's data with the settings of a checkpoint."""
    parser = advice_parser(PricingData)
    built = parser.instantiate(merge_settings(parser, [("", without_training(stored_settings(checkpoint)))]))
    return build_data(PricingData, built).layout
