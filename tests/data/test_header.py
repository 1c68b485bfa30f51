"""Names of columns: our own, aliases and the seller's; what is missing, misspelt or not clear is refused."""

from __future__ import annotations

from collections import Counter

import pytest

from pricerl.data.config import DataConfig
from pricerl.data.reading.columns import OPTIONAL, REQUIRED, fold
from pricerl.data.reading.header import ALIASES
from pricerl.errors import UsageError

OWN = "Report Date,Product Price,Total Sales"
HEADERS = (
    "Date,Price,Sales,Quantity",
    "Datum,Preis,Umsatz,Menge",
    "Date,Prix,Chiffre d'affaires,Quantité",
    "Fecha,Precio,Ventas,Cantidad",
    "Data,Prezzo,Vendite,Quantità",
    "Data,Preço,Vendas,Quantidade",
)


def test_no_alias_stands_for_two_columns():
    own = [fold(name) for name in (*REQUIRED, *OPTIONAL)]
    counts = Counter([*own, *(fold(alias) for aliases in ALIASES.values() for alias in {*map(fold, aliases)})])
    assert set(ALIASES) == {*REQUIRED, *OPTIONAL}
    assert [name for name, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("header", HEADERS)
def test_columns_are_found_by_their_names_in_six_languages(read, daily, header):
    history = read(daily(["10,20,2"] * 10, header))
    assert history.products[0].price[0] == 10 and history.products[0].units[0] == 2
    date, *_ = header.split(",")
    assert history.reports[0].notes[0] == f"Column {date!r} was read as Report Date."


def test_header_ignores_case_spaces_and_underscores(read, daily):
    history = read(daily(["10,20"] * 10, " report_date ,PRODUCT  PRICE,TotalSales"))
    assert history.products[0].price[0] == 10


@pytest.mark.parametrize("other", ["Colour", "Revenue"])
def test_unknown_columns_and_aliases_of_our_own_names_are_ignored_with_a_note(read, daily, other):
    history = read(daily(["10,20,7"] * 10, f"{OWN},{other}"))
    assert history.products[0].sales[0] == 20
    assert history.reports[0].notes[0] == f"Column '{other}' is not known and was ignored."


@pytest.mark.parametrize("name", ["Category", "Produktkategorie", "Type de produit", "Categorías", "ASIN padre"])
def test_categories_types_and_parent_products_are_groups(read, daily, name):
    history = read(daily(["10,20,Tea"] * 10, f"{OWN},{name}"))
    assert history.products[0].group == "Tea"
    assert history.reports[0].notes[0] == f"Column {name!r} was read as Group."


@pytest.mark.parametrize(
    "header", ["Category,Parent ASIN", "Parent ASIN,Category", "Kategorie,Product Type", "Category,Group"]
)
def test_the_narrowest_of_several_groups_counts_and_check_says_which(read, daily, header):
    wide = next(name for name in header.split(",") if name in ("Category", "Kategorie"))
    narrow = next(name for name in header.split(",") if name != wide)
    cells = ",".join({wide: "Drinks", narrow: "B0TEA"}[name] for name in header.split(","))
    history = read(daily([f"10,20,{cells}"] * 10, f"{OWN},{header}"))
    assert history.products[0].group == "B0TEA"
    assert f"Column {wide!r} is wider than {narrow!r} and was ignored." in history.reports[0].notes


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("Report Date,Product Prise,Total Sales,A", "column 'Product Price' is missing; did you mean 'Product Prise'?"),
        (f"{OWN},Total Proft", "column 'Total Proft' is not known; rename or remove it; did you mean 'Total Profit'?"),
        (f"{OWN},total_sales", "column 'total_sales' appears more than once; keep one"),
        (
            "Date,Price,Revenue,Net Sales",
            "columns 'Revenue' and 'Net Sales' can both be 'Total Sales'; set --data.reading.columns or remove one",
        ),
    ],
)
def test_a_header_that_is_misspelt_or_not_clear_is_refused(problems, daily, header, found):
    assert problems(daily(["10,20,1"] * 10, header)) == (f"line 1: {found}",)


def test_missing_required_columns_are_all_named(problems, daily):
    found = problems(daily(["10,20"] * 10, "Report Date,Prise,Amount"))
    assert found[0] == "line 1: column 'Product Price' is missing; the header has: Report Date, Prise, Amount"
    assert found[1].startswith("line 1: column 'Total Sales' is missing")


def test_header_and_cell_problems_are_reported_together(problems, daily):
    lines = daily(["10,20,1"] * 10, f"{OWN},Total Proft")
    lines[4] = "2025-01-03,-5,oops,1"
    assert [problem.split(":")[0] for problem in problems(lines)] == [
        "line 1",
        "line 5, Product Price",
        "line 5, Report Date",
        "line 5, Total Sales",
    ]


def test_the_setting_names_columns_and_comes_first(read, daily):
    lines = daily(["10,20,7,70"] * 10, f"{OWN},Items,net paid")
    history = read(lines, DataConfig(columns={"Net Paid": "Total Sales", "Items": "Units"}))
    assert history.products[0].sales[0] == 70 and history.products[0].units[0] == 7
    assert "Column 'Total Sales' is another by the setting and was ignored." in history.reports[0].notes


def test_wrong_settings_of_columns_are_refused_with_a_suggestion(problems, daily):
    with pytest.raises(UsageError, match="'Total Sale' is no column of ours; did you mean 'Total Sales'"):
        DataConfig(columns={"a": "Total Sale"})
    with pytest.raises(UsageError, match="'Units' stands for several columns"):
        DataConfig(columns={"a": "Units", "b": "Units"})
    found = problems(daily(["10,20,2"] * 10, "Date,Price,Sales,Piecez"), DataConfig(columns={"Pieces": "Units"}))
    assert found == ("line 1: column 'Pieces', named by data.reading.columns, is missing; did you mean 'Piecez'?",)
