"""Between a command and the run's log: what a decision was made from, its record, and its replay."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pricerl.advice.files import About, AdviceFiles, publish
from pricerl.advice.report.interactive import plotly_script
from pricerl.advice.report.pdf import find_browser
from pricerl.advice.result import ProductAdvice
from pricerl.errors import DataError, UsageError
from pricerl.formatting import Formatter, price_digits
from pricerl.operations.decision_log import LOG_FILE, Entry, append, read_log
from pricerl.operations.fingerprint import fingerprint_model, fingerprint_settings
from pricerl.operations.provenance import HASHED, Origin, collect_hashes, differing, draft_advice, recommended
from pricerl.operations.supervision import Supervisor
from pricerl.training.checkpointing import LAST, LASTING_SETTINGS, read_checkpoint, stored_config

if TYPE_CHECKING:
    from pricerl.cli.lightning import PricingCLI
    from pricerl.env import Dynamics


def log_path(command: PricingCLI) -> Path:
    """The log of the command's run."""
    return command.run_dir / LOG_FILE


def supervise(
    command: PricingCLI, dynamics: Dynamics, advice: list[ProductAdvice], entries: Sequence[Entry]
) -> list[ProductAdvice]:
    """Put kill switch, orders and track record above the model's advice.

    Args:
        command: with data and settings.
        dynamics: the market of the advice.
        advice: the model's.
        entries: of the log, before this advice.
    """
    data = command.datamodule
    settings = (data.market_config, data.cost, data.seed)
    return Supervisor(dynamics, entries, command.settings("decision"), settings).look_over(advice)


def record(command: PricingCLI, advice: Sequence[ProductAdvice], seen: int) -> str:
    """Append one entry a product to the run's log and say where.

    Args:
        command: that advised.
        advice: of every product.
        seen: entries of the log that the advice knew.
    """
    dynamics, origin = command.datamodule.build_dynamics("cpu"), origin_of(command)
    drafts = [{**draft_advice(item, origin, dynamics, index), "seen": seen} for index, item in enumerate(advice)]
    written = append(log_path(command), drafts)[-len(drafts) :]
    first, last = written[0]["id"], written[-1]["id"]
    which = f"entry {first}" if first == last else f"entries {first} to {last}"
    return f"recorded: {which} of {log_path(command)}"


def origin_of(command: PricingCLI) -> Origin:
    """What the decisions of a command are made from.

    Args:
        command: that has run, with the weights it advises with.
    """
    options, data = command.options, command.datamodule
    settings = lasting_settings(command)
    checkpoint = _checkpoint_of(command)
    stored = {} if checkpoint is None else stored_config(read_checkpoint(checkpoint))
    config = {**settings, "horizon": options.horizon}
    weights = command.model.state_dict()
    return Origin(
        command=command.config.subcommand,
        path=data.path,
        checkpoint=None if checkpoint is None else checkpoint.name,
        seed=data.seed,
        horizon=options.horizon,
        threads=options.threads,
        matmul_precision=options.matmul_precision,
        settings=differing(settings, stored),
        hashes=collect_hashes(data.preprocessor.products, data.path, config, weights),
    )


def lasting_settings(command: PricingCLI) -> dict[str, Any]:
    """The settings in force that make the advice: seed, data without its file, model and decision."""
    everything = yaml.safe_load(command.parser.dump(command.config, skip_none=False))[command.config.subcommand]
    settings = {name: everything[name] for name in LASTING_SETTINGS}
    settings["data"] = {name: value for name, value in settings["data"].items() if name != "path"}
    return settings


def replay_words(entry: Entry, folder: Path, path: str | None, config: Path) -> list[str]:
    """The command that makes an entry's decision again.

    Args:
        entry: an advice.
        folder: of its run.
        path: the data file, where it is not where the entry says.
        config: a file for the settings that differ from the checkpoint's; written here.

    Raises:
        UsageError: the run left no checkpoint.
        DataError: the data file is gone.
    """
    if entry["checkpoint"] is None:
        raise UsageError(f"entry {entry['id']} names no checkpoint: its run wrote none, so it cannot be replayed")
    file = entry["path"] if path is None else path
    if file is not None and not Path(file).is_file():
        raise DataError(file, [f"the data of entry {entry['id']} is not here; name it with --data.path"])
    config.write_text(yaml.safe_dump(entry["settings"]), encoding="utf-8")
    words = ["predict", "--config", str(config), "--ckpt_path", str(folder / entry["checkpoint"])]
    words += ["--horizon", str(entry["horizon"]), "--threads", str(entry["threads"])]
    words += ["--matmul_precision", entry["matmul_precision"], "--trainer.accelerator", "cpu"]
    words += ["--trainer.enable_progress_bar", "false"]
    return words if file is None else [*words, "--data.path", file]


def refuse_changed(entry: Entry, now: Origin, log: Path) -> None:
    """Refuse to replay what is no longer the same.

    Raises:
        DataError: names every hash that differs.
    """
    then = entry["hashes"]
    number = entry["id"]
    changed = [
        f"entry {number}: {words} changed, {name} hash {_short(then[name])} then and {_short(now.hashes[name])} now"
        for name, words in HASHED.items()
        if then[name] != now.hashes[name]
    ]
    if changed:
        raise DataError(str(log), changed)


def compare(entry: Entry, advice: Sequence[ProductAdvice], log: Path) -> str:
    """Hold a replayed decision against its entry.

    Raises:
        DataError: the prices differ.
    """
    item = next(item for item in advice if item.product == entry["product"])
    again = [day.recommended_price for day in item.days]
    if again != recommended(entry):
        at = next(at for at, pair in enumerate(zip(recommended(entry), again, strict=True)) if pair[0] != pair[1])
        found = f"{again[at]!r} now, {recommended(entry)[at]!r} then, on {entry['days'][at]['date']}"
        raise DataError(
            str(log), [f"entry {entry['id']} is not reproduced: {found}; versions then {entry['versions']}"]
        )
    return f"entry {entry['id']} is reproduced: {len(again)} prices, the same to the last bit"


def entries_of(command: PricingCLI) -> list[Entry]:
    """Entries of the run's log, its chain checked."""
    return read_log(log_path(command)).entries


def check_report(command: PricingCLI) -> None:
    """Refuse a report that cannot be made before anything is trained."""
    report = command.options.report
    if report.interactive:
        plotly_script()
    if report.pdf:
        find_browser()


def formatter_of(command: PricingCLI) -> Formatter:
    """Return the formatter of the command's locale, currency and price grid.

    Raises:
        UsageError: the locale or the currency is unknown.
    """
    data = command.options.data
    return Formatter(command.options.locale, data.currency, price_digits(data.guardrails.price_step, data.currency))


def write_files(command: PricingCLI, advice: list[ProductAdvice], out: Path) -> AdviceFiles:
    """Write table, document and report into a folder."""
    data = command.datamodule
    settings = (data.market_config, data.cost, data.guardrails, data.reward, command.settings("decision"), data.seed)
    model, config = fingerprint_model(command.model), fingerprint_settings(settings)
    about = About(data.preprocessor.source, data.reward.preset, model, config)
    return publish(advice, out, about, formatter_of(command), command.settings("report"))


def _short(found: str | None) -> str:
    """Enough of a hash to tell it from another."""
    return "none" if found is None else found[:12]


def _checkpoint_of(command: PricingCLI) -> Path | None:
    """The file that holds the weights which the command advises with."""
    if command.config.subcommand != "fit":
        return Path(command.options.ckpt_path)
    saver: Any = command.trainer.checkpoint_callback
    path = Path(getattr(saver, "best_model_path", "") or command.run_dir / LAST)
    return path if saver is not None and path.is_file() else None
