"""Commands that run a policy, and their last step: the advice, its record and files, and what is printed of them."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from pricerl.advice.block import block_lines, plan_lines, wrapped
from pricerl.advice.files import About, AdviceFiles, StoredAdvice, render_files
from pricerl.advice.report.view import View
from pricerl.advice.result import ProductAdvice
from pricerl.advice.sentences import grounds
from pricerl.advice.sentences.next_steps import Place
from pricerl.advice.sentences.verdict import Record
from pricerl.advice.what_if import Answer, Questions, answer_lines
from pricerl.cli.decisions import outbox_lines
from pricerl.cli.usage import Parser, add_files, option_values, option_words, with_file, with_first, with_tables
from pricerl.data.naming import choose_product
from pricerl.data.reading.problems import list_names
from pricerl.errors import EXIT_ALARM, EXIT_NOT_ENOUGH_EVIDENCE, EXIT_OK, EXIT_WARNING, PROBLEMS, DataError, UsageError
from pricerl.evaluation.backtest import Backtest
from pricerl.formatting import Formatter, plural
from pricerl.guardrails.limits_in_force import refuse_price
from pricerl.market.row_table import TABLES
from pricerl.market.stock_rows import COSTLESS
from pricerl.operations.backtests import BacktestTask, backtest_task, find_backtests, keep_backtests
from pricerl.operations.catalogue import Advised, advise_chunks, split
from pricerl.operations.engine import CHUNK, Engine, attempt
from pricerl.operations.log.decision_log import LOG_FILE, Entry, Head, by_product
from pricerl.operations.log.drafts import draft_publishing, publishing_words
from pricerl.operations.log.orders import ADVICE, LIMITS, PUBLISHING, doubt_price, positive_price
from pricerl.operations.log.provenance import describe_origin, shorten
from pricerl.operations.log.unchanged import find_bases, find_unchanged
from pricerl.operations.outbox import approved_change
from pricerl.operations.shop import Prepared, Shop, day_of
from pricerl.progress import stage
from pricerl.runs.folder import RunFolder
from pricerl.runs.names import needed_name
from pricerl.terminal import print_notes, table, write_json, write_lines

if TYPE_CHECKING:
    from pricerl.decide.decision import Approval
    from pricerl.training.run import Run  # imports Lightning


MOST_SUMMARIES = 20
"""Products whose summary is printed at most."""

MOST_FAILED = 0.1
"""Share of products without advice above which the exit code is that of an alarm."""

MOST_SCORED = 10
"""Products whose scores are printed at most."""


def fit(words: Sequence[str]) -> int:
    """Train a policy, evaluate it, and advise with its best weights."""
    run = run_lightning("fit", words)
    with run.held:
        if run.nothing_left:
            assert run.checkpoint is not None
            ended = f"{run.checkpoint.path} has ended at update {run.checkpoint.update:,}"
            write_lines([f"nothing left to do: {ended}; a larger --trainer.max_steps goes on"])
            return EXIT_OK
        trains_only = run.options.trainer.fast_dev_run or not run.advises or not run.is_global_zero
        return EXIT_OK if trains_only else print_advice(run)


def train_and_advise(words: Sequence[str]) -> int:
    """Train on the seller's FILE and advise on their products; every option of fit applies."""
    return fit(with_file(["--help" if word == "--help=all" else word for word in words]))


def predict(words: Sequence[str]) -> int:
    """Advise with a trained policy; settings on the command line override those of its checkpoint."""
    return print_advice(run_lightning("predict", words))


def validate(words: Sequence[str]) -> int:
    """Print the scores of a trained policy on the held-out days, next to the rules."""
    return _score(run_lightning("validate", words))


def test(words: Sequence[str]) -> int:
    """Print the scores of a trained policy on the held-out days, as ``validate`` does."""
    return _score(run_lightning("test", words))


def what_if(words: Sequence[str]) -> int:
    """Compare a PRICE with keeping the current one; all options of predict apply as well."""
    parser = Parser(prog="pricerl what-if", description=what_if.__doc__, allow_abbrev=False)
    parser.add_argument("--price", required=True, type=float, help="price to charge over the forecast horizon")
    parser.add_argument("--unit_cost", type=float, help="cost of a unit to assume, instead of that of the advice")
    parser.add_argument("--product", help="product, if the file has several")
    parser.add_argument("--ckpt_path", help="checkpoint written by fit; the best of the only run if absent")
    add_files(parser, "the seller's CSV; the files of the newest advice if absent")
    options, rest = parser.parse_known_args(with_first(words, "--price"))
    check_question(price := options.price, options.unit_cost)
    named = option_words({"ckpt_path": options.ckpt_path, "data.path": options.path})
    questions = load_questions([*rest, *named])
    name = choose_product(questions.run.pricing.preprocessor.names, options.product, "the file")
    answer = questions.ask(name, price, options.unit_cost)
    write_lines(answer_lines(answer, questions.run.formatter))
    product = answer.product
    if refusal := refuse_price(price, product.hard_limits):
        write_lines([f"  an override would be refused: {refusal}"])
    elif doubt := doubt_price(price, product.current_price, product.history.tried_prices):
        write_lines([f"  an override would need --force: {doubt}"])
    return EXIT_OK


def check_question(price: float, unit_cost: float | None) -> None:
    """Refuse a price or a cost of a unit that cannot be one with a ``UsageError``."""
    positive_price(price)
    if fault := TABLES["costs"].columns["unit_cost"].find_fault(unit_cost):
        raise UsageError(f"--unit_cost {fault}")


def ask_shop(shop: Shop, product: str, price: float, unit_cost: float | None = None) -> Answer:
    """Answer as ``what-if`` does to a price and perhaps another cost of a unit, money; the run is loaded once.

    Files that hold other days than the newest advice knew are a ``DataError``.
    """
    check_question(price, unit_cost)
    paths = [path for path in map(Path, shop.sources) if path.exists()]
    state = [(path.resolve(), path.stat().st_mtime_ns, path.stat().st_size) for path in paths]
    newest = next(entry for entry in reversed(shop.log.entries) if entry["kind"] in (ADVICE, LIMITS))
    day = None if shop.given_day is None else shop.given_day.isoformat()
    with _ASKING:
        answer = _load_questions(shop.folder.path.name, day, newest["hash"], *state).ask(product, price, unit_cost)
    if str(answer.product.history.dates[-1]) != shop.newest[product]["history_end"]:
        raise DataError(shop.sources[0], ["holds other days than the newest advice knew; run predict first"])
    return answer


_ASKING = Lock()


@lru_cache(maxsize=4)
def _load_questions(run_name: str, today: str | None, *state: Hashable) -> Questions:
    """Load a run anew only if its newest advice or the files of that have changed."""
    return load_questions(option_words({"run_name": run_name, "today": today, "trainer.enable_progress_bar": False}))


def load_questions(words: Sequence[str]) -> Questions:
    """Load the run that options of ``predict`` name, with files, settings and horizon of its newest advice."""
    run = run_lightning("predict", words)
    newest = {} if option_values(words, "--horizon") else Shop.open(RunFolder(run.folder), run.options.today).newest
    step = run.pricing.preprocessor.step_days
    return Questions(run, {name: step * len(entry["days"]) for name, entry in newest.items()})


def run_lightning(name: str, words: Sequence[str], entries: Sequence[Entry] | None = None) -> Run:
    """Run a command by `pricerl.cli.train.run_command`, without Lightning's log lines."""
    warnings.filterwarnings("ignore", module="lightning")
    from pricerl.training import import_lightning

    import_lightning()  # before anything else imports it, and more of it
    from pricerl.cli.train import run_command

    for logger in ("lightning.pytorch", "lightning.fabric"):  # lightning sets its levels when it is imported
        logging.getLogger(logger).setLevel(logging.ERROR)
    long = {"--excel": "--report.excel=true", "--verbose": "--verbose=true"}
    long |= {"--strict": "--data.reading.strict=true", "--help=all": "--help"}
    return run_command([name, *(long.get(word, word) for word in with_tables(words))], entries)


def make_advice(
    run: Run,
    entries: Sequence[Entry],
    backtests: Mapping[str, Backtest] | None,
    rows: Sequence[int] | None = None,
    origin: Entry | None = None,
) -> Advised:
    """Advise on the products of a run, or on those in some ``rows``, subject to kill switch, orders and track record.

    The ``entries`` are those of its log before this advice. Backtests are computed if absent, and ``origin`` is that of
    the decisions for the log; None if they are not to be recorded.
    """
    data = run.pricing
    if backtests is None and (rows is None or len(rows) == len(data.preprocessor.products)):
        backtests = _test_forecasts(run)
    with stage("deciding on the prices"):
        chunks = list(split(run, entries, backtests, rows, origin))
        parts, failed = advise_chunks(chunks, data.engine or Engine.of(run))
    data.leave_out(failed)
    advice = [item for part in parts for item in part.advice]
    drafts = [item for part in parts for item in part.drafts]
    scores = backtests or {name: score for part in parts for name, score in part.backtests.items()}
    notes = tuple(note for part in parts for note in part.notes)
    print_notes(notes)
    return Advised(advice, drafts, scores, notes)


def _test_forecasts(run: Run) -> Mapping[str, Backtest] | None:
    """Return the backtests of all products; None if one fails, or for a catalogue, whose advice brings them."""
    if len(run.pricing.preprocessor.products) > CHUNK:
        return None
    with stage("testing the forecast on past days"):
        (found,) = attempt(BacktestTask.run, [backtest_task(run)])
    return None if isinstance(found, Exception) else found


def _decide(run: Run, shop: Shop, rows: Sequence[int], origin: Entry) -> Advised:
    """Return the advice on products in some rows; a training's prices are printed before its forecast is tested."""
    entries = shop.log.entries
    whole = run.command == "fit" and len(rows) == len(run.pricing.preprocessor.products) <= MOST_SUMMARIES
    if not whole or run.options.trainer.enable_progress_bar is False:
        return make_advice(run, entries, find_backtests(run) if rows else {}, rows, origin)
    advised = make_advice(run, entries, {}, origin=origin)
    head = run.formatter, Place(today=shop.today.isoformat()), len(advised.advice) > 1
    verdicts = (plan_lines(item.to_dict(), *head) for item in advised.advice)
    write_lines(["the advice, before its forecast is tested on past days:", *chain(*verdicts)], problems=True)
    tested = find_backtests(run) or _test_forecasts(run)
    if tested is None:
        return make_advice(run, entries, None, origin=origin)
    checks = [replace(item.checks, backtest=tested.get(item.product)) for item in advised.advice]
    advice = [replace(item, checks=own) for item, own in zip(advised.advice, checks, strict=True)]
    return advised._replace(advice=advice, backtests=tested)


def deliver(run: Run) -> tuple[Sequence[ProductAdvice | StoredAdvice], AdviceFiles, Shop, str]:
    """Advise on the products about which something is new, record the advice on all, and publish its files.

    Return the advice, its files, the shop after it, and a sentence about the log entries.
    """
    from pricerl.cli.train import remove_old_generations, write_card  # imports Lightning
    from pricerl.operations.tracking import track_advice

    shop = Shop.open(RunFolder(run.folder), run.options.today)
    entries = shop.log.entries
    origin = {**describe_origin(run, day_of(run.options.today, run.pricing)), "seen": len(entries)}
    asked = run.configs["decision"].approval
    origin["terms"]["approval"] = asked or shop.publishing or "auto"
    bases = find_bases(run, origin)
    kept = find_unchanged(run, shop, origin, bases)
    rows = [row for row, name in enumerate(bases) if name not in kept]
    run.module.trainer = run.data.trainer = None  # it holds env and buffer
    run.pricing.release()
    advised = _decide(run, shop, rows, origin)
    if kept:
        print_notes([f"nothing is new for {len(kept):,} of {plural(len(bases), 'product')}: the last advice stands"])
    else:
        keep_backtests(run, advised.backtests)
    decided: dict[str, tuple[ProductAdvice | StoredAdvice, Entry]] = {**kept}
    own = by_product(entries)
    for item, draft in zip(advised.advice, advised.drafts, strict=True):
        approved = approved_change(draft, own.get(item.product, ()))
        decided[item.product] = replace(item, approved=approved), {**draft, "basis": bases[item.product]}
    products, drafts = zip(*(decided[name] for name in bases if name in decided), strict=True)
    files = _renderer(run, products, origin, shop.log.head)
    if not run.is_global_zero:
        return products, AdviceFiles.of(run.folder), shop, ""
    trained = run.generation if run.command == "fit" else None
    if trained is not None:
        write_card(run, run.checkpoint, advised.backtests)
    prepared = Prepared(run.home, files, run.configs["report"].excel)
    with stage("writing the report"):
        written, after = shop.record(lambda now: [*_publish_as(now, asked), *drafts], prepared, trained)
    if trained is not None:
        remove_old_generations(run)
    in_force = run.home == after.home
    paths = AdviceFiles.of(run.folder if in_force else run.home)
    if run.options.out:
        after.publish_copy(prepared._replace(home=Path(run.options.out)))
        paths = AdviceFiles.of(Path(run.options.out))
    track_advice(run, records_of(products), paths)
    first = written[-len(products)]["id"]
    last = written[-1]["id"]
    named = f"entry {first}" if first == last else f"entries {first} to {last}"
    print_notes(publishing_words(entry) for entry in written if entry["kind"] == PUBLISHING)
    return products, paths, after, f"recorded: {named} of {shop.log_path}"


def _publish_as(shop: Shop, asked: Approval | None) -> list[Entry]:
    """Draft another way of publishing if one is asked for and the shop has had one."""
    if asked is None or shop.publishing in (None, asked):
        return []
    return [draft_publishing(shop, asked, None, f"--decision.approval {asked}")]


def _score(run: Run) -> int:
    """Print the scores of a run, and of a seller's products; write the advice to ``--out``, if named, but no entry."""
    write_lines(f"{score:<22} {value:>12.4f}" for score, value in sorted(run.scores.items()))
    if not run.advises or not run.is_global_zero:
        return EXIT_OK
    shop = Shop.open(RunFolder(run.folder), run.options.today)
    number = len(run.pricing.preprocessor.products)
    rows = range(number if run.options.out else min(number, MOST_SCORED))
    advised = make_advice(run, shop.log.entries, find_backtests(run), rows)
    if len(advised.advice) == number:
        keep_backtests(run, advised.backtests)
    for item in advised.advice[:MOST_SCORED]:
        write_lines(["", *score_lines(item.to_dict(), run.formatter)])
    if number > MOST_SCORED:
        write_lines(["", f"… and {number - MOST_SCORED} more products"])
    if run.options.out:
        origin = describe_origin(run, day_of(run.options.today, run.pricing))
        files = _renderer(run, advised.advice, origin, shop.log.head)
        shop.publish_copy(Prepared(Path(run.options.out), files, run.configs["report"].excel))
    return EXIT_OK


def print_advice(run: Run) -> int:
    """Record, write and print the advice of a trained policy for its history."""
    products, files, shop, recorded = deliver(run)
    stocked = records_of(products if run.pricing.stocks else ())
    if costless := [item["product"] for item in stocked if f"stock {COSTLESS}" in item["data_quality"]["reasons"]]:
        print_notes([f"stock of {list_names(costless)} {COSTLESS}."])
    if problems := run.pricing.problems:
        print_notes([f"{plural(len(problems), 'problem')} in {files.table.with_name(PROBLEMS)}, such as {problems[0]}"])
    if run.options.format == "json":
        write_json(json.loads(files.document.read_text(encoding="utf-8")))
    else:
        name = needed_name(run.folder, LOG_FILE)
        place = Place(files.report, name, today=shop.today.isoformat())
        write_lines(block_lines(records_of(products), run.formatter, place))
        first = list(records_of(products[:MOST_SUMMARIES]))
        if run.options.verbose:
            for product in first:
                write_lines(["", *_evidence(product, run.formatter)])
            if len(products) > MOST_SUMMARIES:
                write_lines([f"… and {len(products) - MOST_SUMMARIES} more products in {files.table}"])
            write_lines([f"files: {files.table}, {files.document}, {files.report}", recorded])
        if shop.outbox.rows or shop.outbox.notes:
            for at, line in enumerate(outbox_lines(shop)):
                write_lines(wrapped(line, "" if at else "Prices"))
    if failed := len(run.pricing.failed):
        return EXIT_ALARM if failed > MOST_FAILED * (failed + len(products)) else EXIT_WARNING
    unclear = all(item["decision"]["lacks_evidence"] for item in records_of(products))
    return EXIT_NOT_ENOUGH_EVIDENCE if unclear else EXIT_OK


def records_of(products: Iterable[ProductAdvice | StoredAdvice]) -> Iterator[Record]:
    """Yield the records of ``advice.json``."""
    return (item.to_dict() for item in products)


def _renderer(
    run: Run, products: Sequence[ProductAdvice | StoredAdvice], origin: Entry, head: Head
) -> Callable[[], Iterator[tuple[str, str | bytes]]]:
    """Return a function that renders the files of an advice."""
    data = run.pricing
    about = About(
        source=Path(data.preprocessor.source).name,
        objective=data.reward.preset,
        model=shorten(origin["hashes"]["model"]),
        config=shorten(origin["hashes"]["config"]),
        approval=origin["terms"]["approval"],
        run=run.folder.name,
        today=origin["today"],
        decision_log={"entries": head.entries, "hash": head.hash},
    )
    return lambda: render_files(
        (item if isinstance(item, StoredAdvice) else item.to_dict() for item in products),
        about,
        run.formatter,
        data.problems,
    )


def _evidence(product: Record, f: Formatter) -> list[str]:
    """Return the scores of one product, who decided and why, and how forecasts and orders have fared."""
    lines = [f"decided by {', then '.join(product['chain'])}: {product['reason']}"]
    lines += [f"check the data: {reason}" for reason in product["data_quality"]["reasons"]]
    lines += grounds.order_lines(product["orders"], f)
    if product["track_record"] is not None:
        lines += grounds.track_lines(product["track_record"], f)
    if product["backtest"] is not None:
        lines.append(grounds.judge_backtest(product["backtest"], f))
    return [*score_lines(product, f), *(f"  {line}" for line in lines)]


def score_lines(product: Record, formatter: Formatter) -> list[str]:
    """Return the rules, the proposed path's value and the off-policy estimates of one product."""
    days = plural(len(product["days"]), formatter.period)
    rows = View.of(product, formatter, Place()).baseline_rows()
    head = ("rule", *(cell.label.lower() for cell in rows[0][1]))
    texts = []
    for rule, cells in rows:
        texts.append((rule, *(" ".join([cell.value, *(f"({note})" for note in cell.notes)]) for cell in cells)))
    sentences = [
        *grounds.judge_proposal(product, formatter),
        *grounds.describe_off_policy(product, formatter),
    ]
    return [
        f"{product['product']}: per {formatter.period} over {days}, each price approached inside the guardrails",
        *table([head, *texts]),
        *(f"  {line}" for line in sentences),
    ]
