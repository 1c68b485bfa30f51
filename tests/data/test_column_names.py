"""Other names of columns: aliases and the seller's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from pricerl.data.config import DataConfig
from pricerl.data.history import History
from pricerl.data.reading.columns import OPTIONAL, REQUIRED, fold
from pricerl.data.reading.header import ALIASES
from pricerl.errors import UsageError

Daily = Callable[..., list[str]]
Problems = Callable[..., tuple[str, ...]]

HEADERS = (
    "Date,Price,Sales,Quantity",
    "Datum,Preis,Umsatz,Menge",
    "Date,Prix,Chiffre d'affaires,Quantité",
    "Fecha,Precio,Ventas,Cantidad",
    "Data,Prezzo,Vendite,Quantità",
    "Data,Preço,Vendas,Quantidade",
)


def test_no_alias_stands_for_two_columns() -> None:
    own = [fold(name) for name in (*REQUIRED, *OPTIONAL)]
    counts = Counter([*own, *(fold(alias) for aliases in ALIASES.values() for alias in {*map(fold, aliases)})])
    assert set(ALIASES) == {*REQUIRED, *OPTIONAL}
    assert [name for name, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("header", HEADERS)
def test_columns_are_found_by_their_names_in_six_languages(
    read: Callable[..., History], daily: Daily, header: str
) -> None:
    history = read(daily(["10,20,2"] * 10, header))
    assert history.products[0].price[0] == 10 and history.products[0].units[0] == 2
    date, *_ = header.split(",")
    assert history.reports[0].notes[0] == f"Column {date!r} was read as Report Date."


def test_our_own_name_comes_before_an_alias(read: Callable[..., History], daily: Daily) -> None:
    history = read(daily(["10,20,7"] * 10, "Report Date,Product Price,Total Sales,Revenue"))
    assert history.products[0].sales[0] == 20
    assert history.reports[0].notes[0] == "Column 'Revenue' is not known and was ignored."


def test_two_aliases_of_one_column_are_refused(problems: Problems, daily: Daily) -> None:
    assert problems(daily(["10,20,7"] * 10, "Date,Price,Revenue,Net Sales")) == (
        "line 1: columns 'Revenue' and 'Net Sales' can both be 'Total Sales'; set --data.reading.columns or remove one",
    )


def test_the_setting_names_columns_and_comes_first(read: Callable[..., History], daily: Daily) -> None:
    lines = daily(["10,20,7,70"] * 10, "Report Date,Product Price,Total Sales,Items,net paid")
    history = read(lines, DataConfig(columns={"Net Paid": "Total Sales", "Items": "Units"}))
    assert history.products[0].sales[0] == 70 and history.products[0].units[0] == 7
    assert "Column 'Total Sales' is another by the setting and was ignored." in history.reports[0].notes


def test_wrong_settings_of_columns_are_refused_with_a_suggestion(problems: Problems, daily: Daily) -> None:
    with pytest.raises(UsageError, match="'Total Sale' is no column of ours; did you mean 'Total Sales'"):
        DataConfig(columns={"a": "Total Sale"})
    with pytest.raises(UsageError, match="'Units' stands for several columns"):
        DataConfig(columns={"a": "Units", "b": "Units"})
    found = problems(daily(["10,20,2"] * 10, "Date,Price,Sales,Piecez"), DataConfig(columns={"Pieces": "Units"}))
    assert found == ("line 1: column 'Pieces', named by data.reading.columns, is missing; did you mean 'Piecez'?",)
