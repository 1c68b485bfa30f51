from __future__ import annotations

import numpy as np
import pytest

from pricerl.data.platforms.presets import parse_expression

VALUES = {"Unit price": np.array([2.0, 3.0, np.nan]), "units": np.array([4.0, 0.0, 1.0])}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ('"Unit price" * units', [8.0, 0.0, np.nan]),
        ('-("Unit price" - 1) / 2 + units', [3.5, -1.0, np.nan]),
        ('"Unit price" / units', [0.5, np.nan, np.nan]),
        ("1", [1.0, 1.0, 1.0]),
    ],
)
def test_expression_is_evaluated_for_every_row(text: str, result: list[float]) -> None:
    np.testing.assert_array_equal(parse_expression(text)(VALUES), result)


def test_names_are_columns_in_quotes_and_sums_without() -> None:
    expression = parse_expression('100 * orders / ("Views" + orders)')
    assert (expression.columns, expression.sums) == (("Views",), ("orders",))


@pytest.mark.parametrize(
    "text",
    [
        *("", "units +", "units ** 2", "__import__('os')", "units.real", "units[0]", "lambda: 1", "units if 1 else 2"),
        *("units < 2", "True", "1j", "None", "[units]", "f'{units}'", "b'x'", "(" * 300, "1+" * 500),
    ],
)
def test_anything_but_arithmetic_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"arithmetic expression|may contain only"):
        parse_expression(text)
