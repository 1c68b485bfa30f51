"""Contents of a run in Weights & Biases: hyperparameters, advice, report, demand curves and the generation."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pricerl import __version__
from pricerl.data.naming import list_sources
from pricerl.errors import UsageError
from pricerl.operations.log.provenance import fingerprint
from pricerl.runs.folder import METRICS_FILE, Generation, RunFolder
from pricerl.runs.run import Run
from pricerl.training import loggers

if TYPE_CHECKING:
    from pricerl.advice.files import AdviceFiles
    from pricerl.advice.sentences.verdict import Record

UNUSED_GROUPS = ("tracking", "config")
"""Groups of settings that say nothing about the run."""


def describe_tracked(run: Run, settings: Mapping[str, Any], source: Generation | None) -> loggers.TrackedRun:
    """Return the facts about a run for Weights & Biases, with the id that its generation keeps.

    ``settings`` are all parsed ones, nested, as plain values; a resumed run comes from the generation ``source``.
    """
    assert run.generation is not None
    facts = {key: value for key, value in flatten(settings) if key.partition(".")[0] not in UNUSED_GROUPS}
    if facts.get("data.path"):
        # no folders of this computer
        facts["data.path"] = ", ".join(Path(source).name for source in list_sources(facts["data.path"]))
    facts |= {"pricerl": __version__, "generation": run.generation.name, "history": fingerprint(run)}
    folder = run.generation.path
    known = loggers.keep_id(folder, None if source is None else source.path)
    return loggers.TrackedRun(run.folder.name, folder, known, f"eval/{run.data.monitor}", facts)


def resume_tracked(run: Run) -> None:
    """Go on with the checkpoint's run in Weights & Biases, or raise a ``UsageError`` if it was not tracked."""
    assert run.checkpoint is not None
    known = None if run.generation is None else loggers.stored_id(run.generation.path / loggers.WANDB_FILE)
    if run.generation is None or known is None:
        raise UsageError(
            f"--wandb: there is no run in Weights & Biases to add this advice to, since the training of "
            f"{run.checkpoint.path} was not tracked; leave --wandb out, or train with fit --wandb true"
        )
    tracked = loggers.TrackedRun(run.folder.name, run.generation.path, known, f"eval/{run.data.monitor}")
    loggers.RunLogger(tracked, run.configs["tracking"]).start()


def find_ignored(run: Run) -> list[str]:
    """Return a sentence about settings of Weights & Biases that have no effect in a command, if there are any."""
    given = run.configs["tracking"]
    usual = loggers.TrackingConfig()
    if run.options.wandb:
        return [] if run.command in ("fit", "predict") else [f"--wandb has no effect: {run.command} logs nothing"]
    names = [f"--tracking.{name}" for name, value in vars(given).items() if value != getattr(usual, name)]
    verb = "has" if len(names) == 1 else "have"
    return [f"{', '.join(names)} {verb} no effect without --wandb true"] if names else []


def track_advice(run: Run, products: Iterable[Record], files: AdviceFiles) -> None:
    """Log published advice to the run in Weights & Biases, after a training its generation, and end the run."""
    if (active := _active_run(run)) is None:
        return
    import wandb

    advice = list(products)
    with files.table.open(newline="", encoding="utf-8") as file:
        content: list[Any] = list(csv.reader(file))
    rows: list[Any] = []
    for item, found in ((item, item["details"]["curves"]) for item in advice if item["details"] is not None):
        pairs = zip(found["price"], found["units"], strict=True)
        rows += [[item["product"], *map(float, (price, *units))] for price, units in pairs]
    curves = wandb.Table(columns=["Product", "Price", "Units", "Units Low", "Units High"], data=rows)
    report = wandb.Html(files.report.read_text(encoding="utf-8"), inject=False)
    plot = wandb.plot.line(curves, "Price", "Units", stroke="Product", title="Demand curve")
    table = wandb.Table(columns=content[0], data=content[1:])
    active.log({"advice": table, "report": report, "demand_curves": curves, "demand_curve": plot})
    for item in advice:
        if item["alarm"] is not None:
            active.alert(f"kill switch: {item['product']}", item["decision"]["why"], level="WARN")
    if all(item["decision"]["lacks_evidence"] for item in advice):
        active.alert("not enough evidence", "The advice for every product is to keep the price.", level="WARN")
    if run.command == "fit":
        _log_generation(run, active)
    active.finish()


def track_generation(run: Run) -> None:
    """Log a generation that gives no advice to the run in Weights & Biases, and end the run."""
    if (active := _active_run(run)) is not None:
        _log_generation(run, active)
        active.finish()


def _log_generation(run: Run, active: Any) -> None:
    """Log a generation as an artifact: aliases are its name, ``last``, and ``best`` if none is better."""
    import wandb

    assert run.generation is not None
    artifact = wandb.Artifact(re.sub(r"[^\w.-]|[^\x00-\x7f]", "-", run.folder.name), type="generation")
    for path in sorted(run.generation.path.rglob("*")):
        name = path.relative_to(run.generation.path)
        if path.is_file() and name.parts[0] != "wandb":
            artifact.add_file(str(path), name.as_posix())
    monitor = f"eval/{run.data.monitor}"
    known = RunFolder(run.folder).generations()
    evaluated = [(item, loggers.best_evaluation(item.path / METRICS_FILE, monitor)) for item in known]
    scores = {item.name: best[monitor] for item, best in evaluated if best}
    is_best = run.generation.name in scores and scores[run.generation.name] >= max(scores.values())
    active.log_artifact(artifact, aliases=[run.generation.name, "last", *(["best"] if is_best else [])])


def _active_run(run: Run) -> Any:
    """Return the process's run in Weights & Biases; None if this one is not tracked, whoever started another."""
    tracked = run.options.wandb and run.generation is not None
    return getattr(sys.modules.get("wandb"), "run", None) if tracked else None


def flatten(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return nested settings by their name on the command line."""
    found: list[tuple[str, Any]] = []
    for key, value in settings.items():
        name = prefix if key == "init_args" else f"{prefix}.{key}" if prefix else key
        if isinstance(value, Mapping) and value:
            found += flatten(value, name)
        else:
            found.append((name, value))
    return found
