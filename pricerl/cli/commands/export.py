"""Command ``export``: the policy as a program, or its weights."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from pricerl.cli.loading import load_words
from pricerl.cli.usage import Options, takes_file
from pricerl.errors import import_extra, refuse
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


@takes_file("export", OPTIONS)
def export(options: Namespace, rest: list[str]) -> None:
    """Write the policy of a RUN with scaler and price rule as one program; all options of predict apply."""
    folder = find_run(options.run_name, BEST)
    options.run_name = folder.path.name
    out = Path(options.out or folder.path)
    written = _write_weights(folder, out) if options.format == "weights" else _write_program(out, options, rest)
    write_lines(map(str, written))


def _write_program(out: Path, options: Namespace, rest: list[str]) -> list[Path]:
    """Write the policy as a program, with the file that describes it."""
    import_extra("onnxscript", '--format onnx needs an extra: pip install -e ".[export]"')
    run = load_words("export", rest, options)
    assert run.checkpoint is not None
    wrong = f"export writes policies of SACModule, found {type(run.module).__name__}; write your own"
    refuse({wrong: not isinstance(run.module, SavedPolicy)})
    about = {"format": 1, "run": options.run_name, "checkpoint": run.checkpoint.name, "versions": current_versions()}
    path = write_policy(run.module.agent.actor, run.pricing.build_dynamics(run.pricing.market), out, about)
    return [path, path.with_suffix(".json")]


def _write_weights(folder: RunFolder, out: Path) -> list[Path]:
    """Write the weights of a run's best save, from which other trainings may start."""
    checkpoint = Checkpoint.read("best", folder.path)
    saved = SavedPolicy(checkpoint)
    return [saved.write_weights(out, saved.layout or _seller_layout(checkpoint))]


def _seller_layout(checkpoint: Checkpoint) -> str:
    """Return the layout of the observations of a seller's data with the settings of a checkpoint."""
    parser = advice_parser(PricingData)
    built = parser.instantiate(merge_settings(parser, [("", without_training(stored_settings(checkpoint)))]))
    return build_data(PricingData, built).layout
