"""The fast readers of files and of numbers agree with the exact ones."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricerl.data.reading import numbers
from pricerl.data.reading.sources import csv_file
from pricerl.data.reading.sources.csv_file import read_fast, split_rows
from pricerl.data.reading.tables import TextColumn, TextTable
from pricerl.errors import DataError

NUMBERS = st.text("0123456789.,-+ %$€()eE'\u00a0", max_size=9)
CELLS = st.text('ab1 ,;"\n\r\té|', max_size=5)
QUOTED = st.builds(lambda text: '"' + text.replace('"', '""') + '"', CELLS)


@given(st.lists(st.one_of(NUMBERS, st.decimals(-9999, 9999, places=3).map(str)), unique=True, max_size=20))
def test_numbers_read_together_equal_those_read_one_by_one(texts: list[str]) -> None:
    point, comma, blank = numbers.read_texts(pa.array(texts, type=pa.large_string()))
    for at, text in enumerate(texts):
        expected = (None, None) if numbers.is_blank(text) else numbers.read_number(text)
        found = tuple(None if math.isnan(side) else side for side in (point[at], comma[at]))
        assert (found, bool(blank[at])) == (expected, numbers.is_blank(text)), text


def outcome_of(text: str) -> tuple[object, ...] | str:
    """The outcome of reading a text: cells, lines and ragged rows, or the error."""
    try:
        table: TextTable = split_rows(text.encode(), "sales.csv")
    except DataError as error:
        return str(error)
    return table.frame.astype(object).to_numpy().tolist(), list(table.lines), table.ragged, list(table.frame.columns)


@given(
    st.lists(st.lists(st.one_of(CELLS, QUOTED, st.just("")), min_size=1, max_size=4), max_size=6),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)
def test_a_file_read_fast_equals_the_one_read_record_by_record(
    rows: list[list[str]], separator: str, end: str, ended: bool
) -> None:
    text = end.join(["a" + separator + "b", *(separator.join(row) for row in rows)]) + end * ended
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_file, "read_fast", lambda *_: None)
        exact = outcome_of(text)
    assert outcome_of(text) == exact


def test_plain_and_quoted_files_are_read_fast() -> None:
    for text in ("a,b\n1,2\n3,4\n\n\n", 'a,b\r\n"1, 0","say ""x"""\r\n2,4'):
        found = read_fast(text.encode(), ",", 2, 2)
        assert found is not None and list(found[1]) == [2, 3]
    for text in ("a,b\n1,2,3\n", 'a,b\n1,"2"3\n', 'a,b\n"two\nlines",4', "a,b\n1,2\n\n3,4", "a,b\n1,2\n,\n3,4\n"):
        assert read_fast(text.encode(), ",", 2, 2) is None


def test_quotes_are_judged_alike_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pricerl.data.reading.sources.csv_file.BLOCK_BYTES", 64)
    rows = [f'"row {row}","a ""quoted"" cell, {row}"' for row in range(30)]
    found = read_fast("\n".join(["a,b", *rows]).encode(), ",", 2, 2)
    assert found is not None
    assert found[0][1][29] == 'a "quoted" cell, 29'


def test_lines_above_the_header_are_kept_apart() -> None:
    text = "Sales report\nPeriod,January\n\nDay;x\nDate,Price,Sales\n2025-01-01,1,2\n2025-01-02,1,2\n"
    table = split_rows(text.encode(), "sales.csv")
    assert table.header_line == 5
    assert list(table.frame.columns) == ["Date", "Price", "Sales"] and list(table.lines) == [6, 7]


def test_a_column_of_texts_ignores_categories_that_no_row_has() -> None:
    cells = pd.Series(pd.Categorical(["1", "x", "2"])).drop(1)
    column = TextColumn(cells)
    bad = np.array(column.texts.to_pylist()) == "x"
    assert len(column.rows(bad)) == 0 and column.find_problems("c", [2, 4], {"x": "is bad"}) == []
    assert column.text_of(1) == "2"
