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
    ("kind", "code"),
    [(UsageError, 2), (CheckpointError, 5), (InterruptedRunError, 130), (NonFiniteError, 1), (PricerlError, 1)],
)
def test_every_kind_has_its_exit_code(kind: type[PricerlError], code: int) -> None:
    assert kind("text").exit_code == code


def test_one_problem_is_told_on_one_line() -> None:
    error = DataError("sales.csv", ["line 4, Product Price: must be positive, found -1"])
    assert str(error) == "sales.csv: line 4, Product Price: must be positive, found -1"
    assert error.exit_code == 3


def test_several_problems_are_told_at_once_and_counted() -> None:
    assert str(DataError("sales.csv", ["a", "b"])) == "sales.csv has 2 problems:\n  a\n  b"


def test_many_problems_are_cut_with_their_number() -> None:
    lines = str(DataError("sales.csv", [str(number) for number in range(50)])).splitlines()
    assert lines[0] == "sales.csv has 50 problems:"
    assert len(lines) == 22 and lines[-1] == "  … and 30 more"


def test_the_closest_word_is_proposed_whatever_its_case() -> None:
    assert did_you_mean("product prise", ["Product Price", "Total Sales"]) == "; did you mean 'Product Price'?"


def test_a_far_word_proposes_nothing() -> None:
    assert did_you_mean("xyz", ["Product Price"]) == ""
