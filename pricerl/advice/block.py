"""The advice in a terminal: at most 72 columns, the verdict first, in the seller's terms."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len, chop_cells, set_cell_size

from pricerl.advice.report.work_list import WorkList
from pricerl.advice.sentences import grounds, next_steps, verdict
from pricerl.advice.sentences.next_steps import Place
from pricerl.advice.sentences.verdict import SCENARIO, WRITE_COSTS, Record
from pricerl.decide.standing import IN_FORCE
from pricerl.evaluation.rule_names import BEST_FOR_OBJECTIVE
from pricerl.formatting import Formatter, plural, sentence
from pricerl.terminal import shown

WIDTH = 72
"""Columns of a terminal, of which wide characters take two."""

LABEL = 12
"""Columns of the label before a sentence, with the space in front of it."""

MOST_PRODUCTS = 10
"""Most products with a line of their own."""

SHORTEST_NAME = 12
"""Columns that the name of a product has in any case."""

MOST_CHECKS = 2
"""Most doubts about the data that are printed; the page lists all."""

NO_BREAK = "\N{NO-BREAK SPACE}"


def block_lines(products: Iterable[Record] | WorkList, f: Formatter, place: Place) -> list[str]:
    """Return ``products`` of ``advice.json`` in lines of ``WIDTH`` columns: a block for one, else a line each."""
    work = products if isinstance(products, WorkList) else WorkList(products)
    lines = _block(work.listed[0][1], f, place) if len(work) == 1 else _overview(work, f, place)
    return [part for line in map(str.rstrip, lines) for part in ([line] if cell_len(line) <= WIDTH else _folded(line))]


def _folded(line: str) -> list[str]:
    """Break a line that is too wide, because of large numbers, at spaces."""
    first, *words = line.split()
    return _filled(" " * min(len(line) - len(line.lstrip()), LABEL) + first, words, " ")


def wrapped(text: str, label: str = "") -> list[str]:
    """Return a text in lines of at most ``WIDTH`` columns, with a label in front of the first."""
    words = " ".join(text.split()).replace(" %", f"{NO_BREAK}%").split(" ")
    return [line.replace(NO_BREAK, " ") for line in _filled(set_cell_size(f" {label}", LABEL), words, "")]


def _filled(head: str, words: Sequence[str], gap: str) -> list[str]:
    """Fill lines of at most ``WIDTH`` columns with words; ``gap`` stands between the head and the first word."""
    lines = [head]
    for part in (part for word in words for part in chop_cells(word, WIDTH - LABEL)):
        if cell_len(lines[-1] + gap + part) <= WIDTH:
            lines[-1] += gap + part
        else:
            lines.append(" " * LABEL + part)
        gap = " "
    return lines


def _block(product: Record, f: Formatter, place: Place) -> list[str]:
    quality = product["data_quality"]
    span = f"{plural(quality['history_days'], f.period)}, last {f.period} {f.date(quality['last_day'])}"
    _, order, limits = verdict.stock_words(product, f)
    parts = [
        *([("Too old", next_steps.late_words(product, f))] if place.is_late(product) else []),
        *reasons(product, f),
        ("", ""),
        ("Next", f"open {place.report}"),
        *(("", command) for command in _commands(product, f, place)),
    ]
    return [
        *_heading(shown(product["product"]), span, f"grade {product['decision']['grade']}"),
        *_verdict(product, f, place),
        *([f" {order.capitalize()}{limits}"] if order else []),
        "",
        *_comparison(product, f),
        "",
        *(line for label, text in parts for line in wrapped(text, label)),
    ]


def _commands(product: Record, f: Formatter, place: Place) -> list[str]:
    """Return the commands that may be next."""
    approve = [f"pricerl approve{place.option}", next_steps.pause_command(product, place)]
    best = next(row["price"] for row in product["baselines"] if row["rule"] == BEST_FOR_OBJECTIVE)
    asked = best if product.get("weighed") is None else product["settled_price"]
    same = f.price(asked) == f.price(product["current_price"])
    return [
        *([f"pricerl resume{place.option}"] if verdict.find_decided(product, f) else []),
        *(approve if next_steps.may_approve(product, place) else []),
        *next_steps.cost_commands(product, place.option),
        *(command for _, command in next_steps.confirm_steps(product, place.option)),
        *([] if same else [f"pricerl what-if {asked:.{f.price_decimals}f}{place.option}"]),
    ]


def _heading(name: str, about: str, end: str) -> list[str]:
    """Return a name, shortened if it must be, with a text after it, one at the right end, and a rule below."""
    room = max(SHORTEST_NAME, WIDTH - 7 - cell_len(about) - cell_len(end))
    start = f" {_fitted(name, min(room, cell_len(name))).rstrip()} · {about}"
    return [set_cell_size(start, max(cell_len(start) + 1, WIDTH - 2 - cell_len(end))) + end, " " + "─" * (WIDTH - 3)]


def _verdict(product: Record, f: Formatter, place: Place) -> list[str]:
    if decided := verdict.find_decided(product, f, place.today):
        return [f" {''.join(decided.words)}"]
    now = product["current_price"]
    new = product["recommended_price"]
    first = place.change_day(product)
    if first is None:
        return [f" Keep the price   {f.price(now)}{verdict.stock_words(product, f)[0]}"]
    change = f"{f.price(now)} → {f.price(new)} ({f.percent(new / now - 1, plus='+')})  on {f.weekday_date(first)}"
    later = [
        f" then             {f.price(day['recommended_price'])} on {f.weekday_date(day['date'])}, if sales hold"
        for day in product["days"]
        if day["recommended_price"] not in (now, new) and day["date"] > first
    ]
    return [f" {verdict.verb_of(product)} the price  {change}", *later[:1]]


def _comparison(product: Record, f: Formatter) -> list[str]:
    """Return profit, sales and units per day at both prices; the label names the currency of amounts."""
    kept = product["keep"]
    change = verdict.compared(product)
    decided = verdict.find_decided(product, f)
    heads = {
        "advised": decided is not None and not decided.followed,
        "change": product["uplift"] is not None,
        "planned": product.get("stock"),
        f"at {f.price(product['settled_price'])}": True,
    }
    new = next(head for head, holds in heads.items() if holds)
    rows = [["", "keep", *([new, "difference (90 %)"] if change else [])]]
    for name in [name for name in verdict.MEASURED if kept[name] is not None]:
        means = [side[name][0] for side in (kept, *(change or ()))]
        digits = f.compared_digits(name, means, change and change[1][name])
        money = f", {f.currency}" if f.currency and name != "units" else ""
        rows.append([f"{name} per {f.period}{money}", *(f.number(mean, digits) for mean in means[:2])])
        if change is not None:
            rows[-1].append(_gained(change[1][name], digits, f))
    width, *widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["   ".join([f"  {label:<{width}}", *map(str.rjust, cells, widths)]) for label, *cells in rows]


def _gained(gain: Sequence[float], digits: int, f: Formatter) -> str:
    """Return a difference with its 90 % limits, without a currency."""
    mean, low, high = gain
    return f"{f.number(mean, digits, '+')}{f.limits(low, high, digits, '+')}"


def reasons(product: Record, f: Formatter) -> list[tuple[str, str]]:
    """Return label and text of certainty, reasons, limits, order and doubts about the data."""
    decision = product["decision"]
    uplift = product["uplift"]
    sure = (
        f"{verdict.scenario_words(uplift, product)}; {verdict.tested_words(product, f)}"
        if uplift and uplift["probability_better"] is not None
        else " ".join(line for line in verdict.certainty_words(product, f)[2] if line != SCENARIO)
    )
    stated = product.get("weighed") is not None or decision["grade"] in ("A", "B", "B-")
    why = [
        "" if stated else verdict.why_words(product, f),
        verdict.demand_words(product, f),
        verdict.substitution_words(product, f),
    ]
    stock = next_steps.stock_lines(product, f) if product.get("stock") else {}
    helps = [f"{WRITE_COSTS}."] if next_steps.cost_commands(product) else []
    helps += next_steps.what_would_change(product, f) if decision["follow"] == "hold" else []
    rule = product["stop_rule"]
    doubts = grounds.list_doubts(product, f)
    if len(doubts) > MOST_CHECKS:
        doubts[MOST_CHECKS:] = [f"{len(doubts) - MOST_CHECKS} more doubts about the data, listed on the page"]
    parts = [
        ("Certainty", [sure]),
        ("Why", [" ".join(sentence(text) for text in why if text)]),
        ("Limits", [grounds.edit_words(product, f)]),
        *((label, [" ".join(lines)]) for label, lines in stock.items()),
        ("Profits", ["before fixed costs, as none is known"] if verdict.is_before_fixed(product) else []),
        ("Go back", [next_steps.stop_rule_clause(rule, f, product.get("stock"))] if rule else []),
        ("To decide", [" ".join(helps)]),
        ("Your order", grounds.order_lines(product["orders"], f, IN_FORCE)),
        ("Your order", grounds.order_lines(product["orders"], f)),
        ("So far", [" ".join(grounds.track_lines(product["track_record"], f)[:2])]),
        ("Quarter", [" ".join(next_steps.account_words(product["account"], f, product["measure"]))]),
        ("Proposal", grounds.proposer_lines(product, f) if decision["grade"] != "D" else []),
        ("Check", [next_steps.contradiction_words(product), *doubts]),
    ]
    return [(label, text) for label, texts in parts for text in texts if text]


def _overview(work: WorkList, f: Formatter, place: Place) -> Iterator[str]:
    """Yield a line for each of the products that matter most, totals, and the place of the others."""
    listed = [product for _, product in work.listed]
    about = f"{work.moves[1]} to raise, {work.moves[-1]} to lower, {work.moves[0]} to keep"
    yield from _heading(plural(len(work), "product"), about, "grade")
    first = listed[:MOST_PRODUCTS]
    heads = ["", *(work.head_of(item, f) for item in first)]
    rows = [("", "", f"gain per {f.period} (90 %)", ""), *(_row(item, f, place) for item in first)]
    changes, gains = (max(cell_len(row[column]) for row in rows) for column in (1, 2))
    room = max(SHORTEST_NAME, WIDTH - 9 - changes - gains)
    for at, (name, change, earned, grade) in enumerate(rows):
        if at and heads[at] not in heads[:at]:
            yield f" {heads[at]}"
        cells = (_fitted(name, room), set_cell_size(change, changes), " " * (gains - cell_len(earned)) + earned, grade)
        yield " " + "  ".join(cells)
    if len(listed) > MOST_PRODUCTS:
        others = f", {len(work) - len(listed)} others in advice.csv" if len(work) > len(listed) else ""
        yield f" … and {len(listed) - MOST_PRODUCTS} more on the page{others}"
    names = [shown(item["product"]) for item in listed if verdict.stock_words(item, f)[1]]
    names[MOST_PRODUCTS:] = ["…"] if len(names) > MOST_PRODUCTS else []
    commands = next(filter(None, (next_steps.cost_commands(item, place.option) for item in listed)), [])
    waiting = (_approve_command(item, f, place) for item in listed if next_steps.may_approve(item, place))
    parts = [
        ("", ""),
        *(("Together", f.estimate(total, f" {words}", "+")) for words, total in work.sums(f)),
        *([("Order for", ", ".join(names))] if names else []),
        ("Next", f"open {place.report}"),
        *(("", command) for command in commands),
        *(("", command) for command in itertools.islice(waiting, 1)),
    ]
    yield from (line for label, text in parts for line in wrapped(text, label))


def _approve_command(product: Record, f: Formatter, place: Place) -> str:
    """Return the command that approves the change of a product, or all changes of its category."""
    alone = f"pricerl approve{place._replace(product=product['product']).options}"
    return next((command for _, command in next_steps.group_steps(product, f, place)), alone)


def _row(product: Record, f: Formatter, place: Place) -> tuple[str, str, str, str]:
    """Return name, change, gain and grade of a product; a reason to look at it takes the place of the gain."""
    now = product["current_price"]
    decided = verdict.find_decided(product, f, place.today)
    new = decided.price if decided else product["recommended_price"]
    change = f"keep {f.price(now)}" if new == now else f"{f.price(now)} → {f.price(new)}"
    gain = verdict.gain_of(product)
    earned = "" if gain is None else _gained(gain, f.money_digits(*gain), f)
    if decided and not decided.followed:
        earned = f"your {decided.kind.replace('_', ' ')}{decided.words[2]}"
    earned = verdict.exception_words(product) or earned
    return shown(product["product"]), change, earned, f"{product['decision']['grade']:<2}"


def _fitted(text: str, room: int) -> str:
    """Return a text in exactly ``room`` columns, shortened by an ellipsis if it must be."""
    return set_cell_size(text if cell_len(text) <= room else set_cell_size(text, room - 1).rstrip() + "…", room)
