"""A trained policy with the shop's settings and files, ready to advise or to answer, without Lightning."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from pydoc import locate
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from pricerl import __version__
from pricerl.advice.describe import check_horizon
from pricerl.advice.exports import check_workbook
from pricerl.advice.files import check_folder
from pricerl.data.cleaning.rows import Rows
from pricerl.data.config import DataConfig
from pricerl.data.naming import Sources, list_sources
from pricerl.data.stock import clear_by, find_notes
from pricerl.errors import UsageError
from pricerl.evaluation.pricing_data import PricingData
from pricerl.operations.engine import CHUNK, Engine
from pricerl.operations.exports import read_publication
from pricerl.operations.log.approved_costs import with_approved
from pricerl.operations.log.decision_log import by_product, read_own
from pricerl.operations.log.due import find_due
from pricerl.operations.log.orders import clearances_on
from pricerl.operations.log.provenance import combine, describe_run
from pricerl.operations.shop import Shop
from pricerl.operations.standings import find_visitor_tests
from pricerl.operations.track_record import find_own_prices
from pricerl.progress import stage
from pricerl.runs.checkpoint import (
    CHECKPOINT_KEY,
    DATA_KEY,
    FORMAT,
    Checkpoint,
    as_tensors,
    lasting_settings,
    save,
    without_query,
)
from pricerl.runs.folder import BEST, CONFIG, LAST, RunFolder
from pricerl.runs.names import RUNS, USUAL_CLASSES, USUAL_PRESET, check_name, find_run, name_run
from pricerl.runs.run import Run
from pricerl.runtime import claim_compute
from pricerl.shop.database import ask
from pricerl.shop.days import CHANGED, Days, find_mates, last_groups
from pricerl.shop.files import FilesRead
from pricerl.shop.groups import GROUPED
from pricerl.shop.names import read_accepted
from pricerl.tasks.configs import Nested, as_yaml, named_classes, without_classes, without_training
from pricerl.tasks.imports import GYM_CLASS, OWN, find_class, import_allowed
from pricerl.tasks.settings import (
    GROUPS,
    advice_parser,
    build_data,
    merge_settings,
    plain_settings,
    usual_settings,
)
from pricerl.terminal import print_notes
from pricerl.training.algorithm import TaskSpec, pricing_task
from pricerl.training.run import is_first_process
from pricerl.training.saved_policy import SavedPolicy, shipped_policy
from pricerl.writing import write_file


def load_run(given: Nested, packages: Sequence[str] = OWN, whole: bool = True) -> Run:
    """Load the policy of a shop, with the settings and files of its newest advice where none are ``given``.

    Args:
        given: options and settings, such as ``{"run_name": "sales", "data": {"path": "fresh.csv"}}``.
        packages: packages that may be imported, for data and learner of a user's own.
        whole: whether the data hold all products, or only those about which something is new.

    Raises:
        UsageError: a setting is wrong, or there is no such run.
        DataError: the file cannot be used, or it is older than the newest advice's.
        CheckpointError: the checkpoint cannot be used.
    """
    checkpoint, shop = find_checkpoint(given)
    kind = find_data(checkpoint, packages)
    parser = advice_parser(kind)  # type: ignore[arg-type]  # classes are hashable
    checkpoint.check_settings(usual_settings(parser))
    merged = merge_settings(parser, [(f"{checkpoint.path}: ", _kept_settings(checkpoint, shop, given)), ("", given)])
    built = _build("predict", shop, kind, merged, lasting_settings(checkpoint.settings))
    learner = load_learner(checkpoint, packages)
    run = replace(built, checkpoint=checkpoint, module=learner, generation=checkpoint.generation)
    prepare_data(run, shop, whole)
    run.pricing.restore(checkpoint.data_state(kind))
    print_notes(find_notes(run.pricing.stocks, run.pricing.preprocessor.products, run.pricing.catalogue))
    return run


@contextmanager
def begin_run(given: Nested) -> Iterator[Run | None]:
    """Begin a run with the network that ships, untrained, as ``fit`` begins one with a training.

    The run is locked until its advice is published. Yields None for a run that has a generation, which is trained anew,
    and for data whose observations that network does not read.
    """
    preset = (given.get("data") or {}).get("reward", {}).get("preset", USUAL_PRESET)
    folder = named_folder(given.get("run_name"), _files(given), preset)
    if folder.current is not None:
        yield None
        return
    with folder.locked():
        shop = Shop.open(folder, given.get("today"))
        merged = merge_settings(advice_parser(PricingData), [("", shop.lasting), ("", given)])
        run = _build("fit", shop, PricingData, merged, {"data": {}, "model": {}})
        prepare_data(run, shop)
        data = run.pricing
        data.check_products(data.preprocessor.names, data.preprocessor)
        if (policy := shipped_policy(pricing_task(data), data.layout)) is None:
            yield None
            return
        print_notes(find_notes(data.stocks, data.preprocessor.products))
        about = {"format": FORMAT, "version": __version__, **describe_run(run)}
        state = as_tensors({"counts": None, "epoch_end": 0, "evaluated": False, "process": {}, **data.stored()})
        content = {**policy, "global_step": 0, "epoch": 0, CHECKPOINT_KEY: about, DATA_KEY: state}
        generation = folder.start()
        write_file(generation.path / CONFIG, as_yaml(run.settings).encode())
        checkpoint = Checkpoint(generation.path / BEST, content)
        save(generation.path / LAST, content)
        generation.take_over(generation.path / LAST, BEST)
        yield replace(run, checkpoint=checkpoint, module=SavedPolicy(checkpoint), generation=generation)


def named_folder(name: str | None, path: Sources | None, preset: str, env_id: str | None = None) -> RunFolder:
    """Return the folder of the run of a name, or else of the one after its environment, or its file and preset."""
    return RunFolder(RUNS / (check_name(name) if name else name_run(path, preset, env_id)))


def _build(command: str, shop: Shop, kind: type[PricingData], merged: Namespace, stored: dict[str, Any]) -> Run:
    """Return a run of merged settings on top of a checkpoint's ``stored`` ones, without a learner."""
    parser = advice_parser(kind)  # type: ignore[arg-type]  # classes are hashable
    built = parser.instantiate(merged)
    claim_compute(built.threads, built.matmul_precision)
    plain = plain_settings(parser, merged)
    run = Run(
        command=command,
        folder=shop.folder.path,
        options=built,
        settings={**stored, **lasting_settings({**stored, **plain, "data": {**stored["data"], **plain["data"]}})},
        checkpoint=None,
        data=build_data(kind, built),
        module=None,
        configs={name: built[name] for name in GROUPS},
        shop=shop,
        known=shop.log.head.entries,
    )
    check_advising(run)
    return run


def find_checkpoint(given: Nested) -> tuple[Checkpoint, Shop]:
    """Return the checkpoint that options name, by default the best one of the only run, and the shop of its run."""
    name = str(given.get("ckpt_path") or "best")
    if given.get("run_name"):
        folder = RUNS / check_name(given["run_name"])
    elif name not in ("best", "last"):
        folder = RunFolder.of(Path(name)).path
    else:
        env_id = (given.get("data") or {}).get("env_id")
        own = name_run(_files(given), USUAL_PRESET, env_id) if env_id or _files(given) else ""
        folder = RUNS / own if (RUNS / own / BEST).exists() else find_run(None, BEST).path
    shop = Shop.open(RunFolder(folder), given.get("today"))  # first: it may change what ``best`` leads to
    return Checkpoint.read(name, folder), shop


def find_data(checkpoint: Checkpoint, packages: Sequence[str]) -> type[PricingData]:
    """Return the class of a checkpoint's data; one that is no seller's, or may not be imported, is a ``UsageError``."""
    path = checkpoint.settings["data"].get("class_path", USUAL_CLASSES["data"])
    if path == USUAL_CLASSES["data"]:
        return PricingData
    kind: Any = None if path == GYM_CLASS else _own_class(path, checkpoint, packages)
    if kind is None or not issubclass(kind, PricingData) or not kind.advises:
        raise UsageError("predict advises on a seller's file; score other policies with test")
    return kind  # type: ignore[no-any-return]  # checked above


def load_learner(checkpoint: Checkpoint, packages: Sequence[str] = OWN) -> Any:
    """Return the learner in a checkpoint: SAC's without Lightning, a user's own by its module."""
    if SavedPolicy.is_in(checkpoint):
        return SavedPolicy(checkpoint)
    settings = checkpoint.settings["model"]
    kind = _own_class(settings["class_path"], checkpoint, packages)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(kind, "model", fail_untyped=False, instantiate=False, skip={"task"})
    built = parser.instantiate(parser.parse_object({"model": settings.get("init_args", {})}))
    module = kind(task=TaskSpec(**checkpoint.content["hyper_parameters"]["task"]), **vars(built.model))
    checkpoint.restore_weights(module)
    return module


def _own_class(path: str, checkpoint: Checkpoint, packages: Sequence[str]) -> Any:
    """Import a class that a checkpoint names."""
    import_allowed(packages)
    return locate(find_class(path, packages, f"{checkpoint.path}: "))


def stored_settings(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the settings of a checkpoint as a configuration holds them; file and query are the user's."""
    plain = without_query(without_classes(checkpoint.settings))
    plain["data"] = {name: value for name, value in plain["data"].items() if name != "path"}
    classes = named_classes([checkpoint.settings])
    return {**plain, **{group: {**plain[group], "class_path": path} for group, path in classes.items()}}


def _kept_settings(checkpoint: Checkpoint, shop: Shop, given: Nested) -> dict[str, Any]:
    """Return the settings of the checkpoint and of the advice in force, which an advice keeps to."""
    kept = without_training(stored_settings(checkpoint))
    reward = dict(kept["data"].get("reward", {}))
    if (weight := reward.pop("loss_weight", None)) is not None:  # of a plain Trainer's run, which has no decision
        kept = combine({"decision": {"loss_weight": weight}}, {**kept, "data": {**kept["data"], "reward": reward}})
    generation = checkpoint.generation
    if generation is None or generation.name == shop.generation:
        kept = combine(kept, without_query(shop.settings))
    kept = combine(combine(kept, shop.lasting), with_approved(kept, shop.newest, shop.log.entries))
    if "path" in (given.get("data") or {}):
        return kept
    sources = shop.sources if GROUPED in read_accepted(given.get("accept")) else shop.present_sources()
    return combine(kept, {"data": {"path": sources} if sources else {}, "waits": shop.waits})


def _files(given: Nested) -> list[str]:
    return list_sources((given.get("data") or {}).get("path"))


def check_advising(run: Run) -> None:
    """Refuse an advice that could not be written, before a file is read."""
    options = run.options
    check_horizon(options.horizon)
    if options.out:
        check_folder(Path(options.out), "--out ")
    check_folder(run.folder, "the run's folder ")
    Engine.of(run)  # refuses one that is unknown or out of reach
    run.formatter_for(step_days=1)  # refuses an unknown locale or currency
    if options.report.excel:
        check_workbook()


def prepare_data(run: Run, shop: Shop, whole: bool = True) -> None:
    """Give the data the command's engine, and what the shop knows: days, names of products, and its own prices.

    Of several ranks only the first has an engine. Unless the ``whole`` catalogue is wanted, only those products are
    read about which something is new, the others of their categories, and one more, so that a file with nothing but
    unusable ones is no error.
    """
    data = run.pricing
    data.stocks = clear_by(
        data.stocks, {name: item["until"] for name, item in clearances_on(shop.log.entries, shop.today).items()}
    )
    if is_first_process():
        data.engine = engine = Engine.of(run)
        data.spread = partial(engine.map, size=CHUNK)
    accepted = read_accepted(run.options.accept)
    # before days are marked, which are found by the product's name
    data.known_products = {*shop.products}
    data.rename = partial(shop.named, accepted=accepted, related=_related(data))
    publication = ask(shop.log_path, read_publication) if shop.newest else None
    data.known_problems = publication.problems if publication else ()
    means = shop.days(()) if data.advises else None
    if means is not None and data.reading.date_order == "auto":
        data.reading = replace(data.reading, date_order=means.means["date_order"])

    def with_others(names: Collection[str]) -> set[str]:
        groups = {} if data.fresh is None else last_groups(data.fresh.frame)
        found = {*names, *ask(shop.log_path, find_mates, names, {*groups.values()})}
        return {*found, *[name for name in shop.newest if name not in found][:1]}

    wanted: set[str] | None = None
    if not whole and shop.newest and (means is not None or data.path is None):
        with stage("reading the history"):
            fresh = [] if data.fresh is None else data.fresh.names
        data.catalogue = [*dict.fromkeys([*shop.products, *fresh])]
        data.concerned = find_due(run, shop)
        wanted = with_others({*data.concerned, *fresh})
    if means is not None and (days := shop.days(wanted)) is not None:
        data.find_news = days.news
        if wanted is not None and data.concerned is not None and data.fresh is not None:
            data.concerned = {*data.concerned, *days.news(data.fresh).names}
            wanted = with_others(data.concerned)
        data.join = partial(_join, days, data.reading, CHANGED in accepted, wanted)
    entries = shop.entries() if wanted is None else read_own(shop.log_path, wanted)
    if entries:
        data.find_own_prices = partial(find_own_prices, by_product(entries))
        data.visitor_tests = find_visitor_tests(entries)


def files_read(run: Run) -> FilesRead | None:
    """Return what a run has read from its files; None without any."""
    data = run.pricing
    if data.file is None:
        return None
    return FilesRead(data.file, read_accepted(run.options.accept), _related(data), data.hashes, data.unread)


def _related(data: PricingData) -> list[Sequence[str]]:
    """Return the products of each relation of the guardrails."""
    return [relation.products for relation in data.guardrails.related]


def _join(days: Days, reading: DataConfig, accepts: bool, wanted: Collection[str] | None, rows: Rows | None) -> Rows:
    """Return the days of a shop with the rows of a file, of the ``wanted`` products if not of all."""
    joined = days.rows(reading) if rows is None else days.join(rows, accepts)
    return joined if wanted is None else joined.select(wanted)
