from __future__ import annotations

import pytest

from pricerl.errors import (
    CheckpointError,
    DataError,
    InterruptedRunError,
    NonFiniteError,
    PricerlError,
    UsageError,
    did_you_mean,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError(""), 2),
        (DataError("sales.csv", [""]), 3),
        (CheckpointError(""), 5),
        (InterruptedRunError(""), 130),
        (NonFiniteError(""), 1),
        (PricerlError(""), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_kind_has_its_exit_code(error: PricerlError, code: int) -> None:
    assert error.exit_code == code


def test_problems_are_a_line_each_counted_and_cut_after_twenty() -> None:
    assert str(DataError("sales.csv", ["line 4: must be positive"])) == "sales.csv: line 4: must be positive"
    assert str(DataError("sales.csv", ["a", "b"])) == "sales.csv has 2 problems:\n  a\n  b"
    lines = str(DataError("sales.csv", [str(number) for number in range(50)])).splitlines()
    assert lines[0] == "sales.csv has 50 problems:"
    assert len(lines) == 22 and lines[-1] == "  … and 30 more"


def test_the_closest_word_is_proposed_whatever_its_case_and_a_far_one_is_not() -> None:
    assert did_you_mean("product prise", ["Product Price", "Total Sales"]) == "; did you mean 'Product Price'?"
    assert did_you_mean("xyz", ["Product Price"]) == ""
