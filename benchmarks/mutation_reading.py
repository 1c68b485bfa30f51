"""Mutation test of reading: damaged files end in a history or in one clear message.

    python benchmarks/mutation_reading.py --files 2000

Each file is a simulated or hand-made base file with one to three random changes: cells, separators, encodings, header,
order of rows, truncation, rows twice or left out, control characters, huge numbers. An exception other than
``DataError``, a message without a remedy and more than ten seconds are failures. Accepted files are compared with their
base: a history that differs must have a note, a doubt or a problem that the base has not, or a change of its own rows
(a changed cell that reads as another plain number). The others are printed as unexplained.
"""

from __future__ import annotations

import resource
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from runner import Option, read_options

from pricerl.data.config import DataConfig
from pricerl.data.history import History
from pricerl.data.reading.reader import read_history
from pricerl.errors import DataError
from pricerl.simulation.seller import SellerConfig, simulate

LIMIT_SECONDS = 10.0
CELLS = (
    *("", "x", "1.234", "1,5", "-3", "0", "1e400", "9" * 400, "=1+1", "12€50", "nan", "inf", "\x07"),
    *("2025-13-01", "%"),
)
Rows = list[list[str]]
Change = Callable[[Rows, np.random.Generator], Rows]


def main() -> None:
    options = read_options(
        __doc__, files=2000, first=Option(0, "number of the first file, to run them in parts"), seed=0
    )
    warnings.simplefilter("error")
    bases = [_base(1), _base(3)]
    counts: Counter[str] = Counter()
    slowest, began = 0.0, time.perf_counter()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "sales.csv"
        known = []
        for base in bases:
            path.write_bytes(_encode(base, ",", "utf-8"))
            known.append(read_history(path, DataConfig()))
        for number in range(options.first, options.first + options.files):
            generator = np.random.default_rng([options.seed, number])
            which = int(generator.integers(len(bases)))
            names, data = mutate(bases[which], generator)
            path.write_bytes(data)
            started = time.perf_counter()
            outcome = judge(path, known[which], names)
            slowest = max(slowest, time.perf_counter() - started)
            counts[outcome.split(":")[0]] += 1
            if outcome.startswith(("failed", "unexplained")):
                print(f"file {number}, {' + '.join(names)}: {outcome}", flush=True)
    seconds = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(f"{options.files} files, {seconds:.0f} s, slowest {slowest:.2f} s, {memory:.2f} GB: {dict(counts)}")


def mutate(base: Rows, generator: np.random.Generator) -> tuple[list[str], bytes]:
    """Return the names of the changes and the bytes of a damaged file."""
    rows = [list(row) for row in base]
    names = [str(name) for name in generator.choice(list(CHANGES), size=int(generator.integers(1, 4)))]
    for name in names:
        rows = CHANGES[name](rows, generator)
    separator = str(generator.choice([",", ",", ",", ";", "\t", "|"]))
    encoding = str(generator.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252"]))
    data = _encode(rows, separator, encoding)
    if generator.random() < 0.05:
        data = data[: int(generator.integers(len(data)))]
        names.append("cut")
    return names, data


def judge(path: Path, base: History, names: list[str]) -> str:
    """Return ``refused``, ``same``, ``explained``, ``unexplained`` or ``failed`` with the reason."""
    started = time.perf_counter()
    try:
        history = read_history(path, DataConfig())
    except DataError as error:
        message = str(error)
        return "refused" if len(message) < 10_000 and "\x07" not in message else f"failed: message {message[:200]!r}"
    except Exception:
        return f"failed: {traceback.format_exc(limit=-3)}"
    if time.perf_counter() - started > LIMIT_SECONDS:
        return "failed: too slow"
    if _same(history, base):
        return "same"
    if _remarks(history) - _remarks(base) or history.problems:
        return "explained"
    return "changed cells" if {"cell", "drop", "cut", "header", "scale"} & set(names) else "unexplained:"


def _remarks(history: History) -> set[str]:
    return {str(remark) for report in history.reports for remark in (*report.notes, *report.doubts)}


def _same(history: History, base: History) -> bool:
    ordered = (sorted(item.products, key=lambda product: product.product) for item in (history, base))
    pairs = list(zip(*ordered, strict=False))
    return len(history.products) == len(base.products) and all(
        one.product == other.product
        and len(one.dates) == len(other.dates)
        and np.allclose(one.price, other.price)
        and np.allclose(one.units, other.units)
        for one, other in pairs
    )


def _base(products: int) -> Rows:
    frame, _ = simulate(SellerConfig(days=60, products=products, seed=4))
    text = frame.to_csv(index=False, lineterminator="\n")
    return [line.split(",") for line in text.splitlines()]


def _encode(rows: Rows, separator: str, encoding: str) -> bytes:
    return "".join(separator.join(row) + "\n" for row in rows).encode(encoding, errors="replace")


def _pick(rows: Rows, generator: np.random.Generator, place: int = 0) -> tuple[list[str], int]:
    """Return a random row below the header, and a random place in it from ``place`` on."""
    row = rows[int(generator.integers(1, len(rows)))] if len(rows) > 1 else rows[0]
    return row, int(generator.integers(place, len(row)))


def _cell(rows: Rows, generator: np.random.Generator) -> Rows:
    row, place = _pick(rows, generator)
    row[place] = str(generator.choice(CELLS))
    return rows


def _header(rows: Rows, generator: np.random.Generator) -> Rows:
    place = int(generator.integers(len(rows[0])))
    name = rows[0][place]
    rows[0][place] = str(generator.choice(["", "Foo", name.upper(), rows[0][0], name[:-2]]))
    return rows


def _scale(rows: Rows, generator: np.random.Generator) -> Rows:
    row, place = _pick(rows, generator, 1)
    row[place] = row[place].replace(".", "" if generator.random() < 0.5 else ",")
    return rows


def _shuffle(rows: Rows, generator: np.random.Generator) -> Rows:
    return [rows[0], *(rows[1 + int(place)] for place in generator.permutation(len(rows) - 1))]


def _twice(rows: Rows, generator: np.random.Generator) -> Rows:
    return [*rows, list(rows[int(generator.integers(len(rows)))])]


def _drop(rows: Rows, generator: np.random.Generator) -> Rows:
    keep = generator.random(len(rows)) > generator.choice([0.02, 0.2, 0.9])
    return [rows[0], *(row for row, kept in zip(rows[1:], keep[1:], strict=True) if kept)]


def _quote(rows: Rows, generator: np.random.Generator) -> Rows:
    row = rows[int(generator.integers(len(rows)))]
    place = int(generator.integers(len(row)))
    cell = row[place]
    row[place] = str(generator.choice(['"', f'"{cell}"', f'"{cell}', f"{cell}\x00", f"\x1b[31m{cell}"]))
    return rows


CHANGES: dict[str, Change] = {
    change.__name__[1:]: change for change in (_cell, _header, _scale, _shuffle, _twice, _drop, _quote)
}


if __name__ == "__main__":
    main()
