"""The answer that ``predict`` and ``fit`` print: the advice, what is charged, where the files are."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pricerl.advice.block import block_lines, wrapped
from pricerl.advice.files import AdviceFiles
from pricerl.advice.report.view import View
from pricerl.advice.report.work_list import WorkList
from pricerl.advice.sentences import grounds
from pricerl.advice.sentences.next_steps import Place
from pricerl.advice.sentences.verdict import Record
from pricerl.cli.commands.decisions import outbox_lines, receipt_lines
from pricerl.data.reading.problems import Problem
from pricerl.errors import PROBLEMS
from pricerl.formatting import Formatter, plural
from pricerl.operations.log.decision_log import LOG_FILE
from pricerl.operations.shop import Shop
from pricerl.runs.names import needed_name
from pricerl.terminal import print_notes, table, write_json, write_lines

MOST_SUMMARIES = 20
"""Products whose summary is printed at most."""


def print_answer(
    work: WorkList,
    shop: Shop,
    files: AdviceFiles,
    formatter: Formatter,
    problems: Sequence[Problem],
    recorded: str = "",
    form: str = "text",
    verbose: bool = False,
) -> None:
    """Print the advice on all products of a work list, and what is charged of it."""
    if problems:
        print_notes([f"{plural(len(problems), 'problem')} in {files.table.with_name(PROBLEMS)}, such as {problems[0]}"])
    if form == "json":
        write_json(json.loads(files.document.read_text(encoding="utf-8")))
        return
    place = Place(files.report, needed_name(shop.folder.path, LOG_FILE), today=shop.today.isoformat())
    write_lines(block_lines(work, formatter, place))
    write_lines(part for line in receipt_lines(shop) for part in wrapped(line, "Receipt"))
    if verbose:
        for _, product in work.listed[:MOST_SUMMARIES]:
            write_lines(["", *_evidence(product, formatter)])
        more = [f"… and {len(work) - MOST_SUMMARIES} more products in {files.table}"]
        written = f"files: {files.table}, {files.document}, {files.report}"
        write_lines([*(more if len(work) > MOST_SUMMARIES else []), written, recorded])
    if shop.outbox.rows or shop.outbox.left_out:
        for at, line in enumerate(outbox_lines(shop)):
            write_lines(wrapped(line, "" if at else "Prices"))


def _evidence(product: Record, f: Formatter) -> list[str]:
    """Return the scores of one product, who decided and why, and how forecasts and orders have fared."""
    lines = [
        f"decided by {', then '.join(product['chain'])}: {product['reason']}",
        *(f"check the data: {reason}" for reason in product["data_quality"]["reasons"]),
        *grounds.order_lines(product["orders"], f),
        *grounds.track_lines(product["track_record"], f),
        *([] if product["backtest"] is None else [grounds.judge_backtest(product["backtest"], f)]),
    ]
    return [*score_lines(product, f), *(f"  {line}" for line in lines)]


def score_lines(product: Record, formatter: Formatter) -> list[str]:
    """Return the rules and the proposed path's value of one product."""
    days = plural(len(product["days"]), formatter.period)
    rows = View.of(product, formatter, Place()).baseline_rows()
    texts = (
        (rule, *(" ".join([cell.value, *(f"({note})" for note in cell.notes)]) for cell in cells))
        for rule, cells in rows
    )
    return [
        f"{product['product']}: per {formatter.period} over {days}, each price approached inside the guardrails",
        *table([("rule", *(cell.label.lower() for cell in rows[0][1])), *texts]),
        *(f"  {line}" for line in grounds.judge_proposal(product, formatter)),
    ]
