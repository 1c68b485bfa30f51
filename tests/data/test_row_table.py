"""The file ``costs.csv``: tolerant reading, every problem with its place, and the template."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pricerl.data.row_table import TABLES
from pricerl.errors import DataError

COSTS = TABLES["costs"]
Write = Callable[..., str]
HEADER = "Product,Unit Cost,From,Fees (% of the price),Fixed Cost"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write lines to costs.csv in the working folder and return its name."""
    monkeypatch.chdir(tmp_path)

    def write_lines(*lines: str, encoding: str = "utf-8") -> str:
        Path("costs.csv").write_bytes("\r\n".join([*lines, ""]).encode(encoding))
        return "costs.csv"

    return write_lines


def refused(path: str) -> tuple[str, ...]:
    """Problems of a file that must be refused."""
    with pytest.raises(DataError) as caught:
        COSTS.read(path, {})
    assert caught.value.source == path and "check" not in str(caught.value)
    return caught.value.problems


def test_rows_hold_the_cells_that_are_filled(write: Write) -> None:
    rows, notes = COSTS.read(write(HEADER, "Mug,6.20,,,", "Mug,6.50,2025-03-01,15 %,2", "Bowl,,2025-01-01,10,"), {})
    assert rows == [
        {"product": "Mug", "unit_cost": 6.2},
        {"product": "Mug", "unit_cost": 6.5, "from": "2025-03-01", "fees": 15.0, "fixed_cost": 2.0},
        {"product": "Bowl", "from": "2025-01-01", "fees": 10.0},
    ]
    assert notes == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_semicolons_decimal_commas_currency_signs_and_encodings_are_read(write: Write, encoding: str) -> None:
    lines = ["Artikel;Einkaufspreis (EUR);Gültig ab;Share Kept", "Müsli, groß;6,20 €;28.02.2025;85 %", ";;;"]
    rows, _ = COSTS.read(write(*lines, encoding=encoding), {})
    assert rows == [{"product": "Müsli, groß", "unit_cost": 6.2, "from": "2025-02-28", "fees": 15.0}]


@pytest.mark.parametrize("kept", ["0.85", "85", "85 %"])
def test_fees_are_a_percentage_and_an_older_share_kept_is_read_as_such(write: Write, kept: str) -> None:
    """Page, interface, file and setting hold fees in percent; the market has the share that they leave."""
    (row,), _ = COSTS.read(write("Product,Share Kept", f"Mug,{kept}"), {})
    assert row == {"product": "Mug", "fees": 15.0}
    for known in (row, {"product": "Mug", "share_kept": float(kept.strip(" %"))}):
        assert COSTS.group("data.cost.products", [known]) == {"Mug": [{"product": "Mug", "share_kept": 0.85}]}
        COSTS.write(Path("costs.csv"), [known])
        assert Path("costs.csv").read_text().splitlines() == [HEADER, "Mug,,,15,"]
        assert COSTS.read("costs.csv", {})[0] == [row]
    assert "found 0.85; write 15 for 15 %" in refused(write(HEADER, "Mug,4,,0.85,"))[0]
    assert "must be 0 or lie between 1 and 50, found 60.0;" in refused(write(HEADER, "Mug,4,,60,"))[0]


@pytest.mark.parametrize("name", ["Unit Cost", "COGS", "Cost per item", "Wareneinsatz", "Coût unitaire", "Kostprijs"])
def test_one_product_needs_no_name(write: Write, name: str) -> None:
    assert COSTS.read(write(name, "$6.20"), {}) == ([{"unit_cost": 6.2}], [])


def test_a_workbook_is_read_like_the_csv(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    pd.DataFrame({"Product": ["Mug"], "Unit Cost": [6.2], "From": ["2025-03-01"]}).to_excel(tmp_path / "c.xlsx")
    rows, _ = COSTS.read(str(tmp_path / "c.xlsx"), {})
    assert rows == [{"product": "Mug", "unit_cost": 6.2, "from": "2025-03-01"}]


def test_products_without_a_cost_and_unknown_columns_are_ignored_with_a_note(write: Write) -> None:
    rows, notes = COSTS.read(write("Product,Unit Cost,Supplier", "Mug,,a", "Bowl,3,b", "Cup,n/a,c"), {})
    assert rows == [{"product": "Bowl", "unit_cost": 3.0}]
    assert notes == ["costs.csv: not used: 'Supplier'.", "costs.csv: nothing is given for 'Mug', 'Cup'."]


def test_every_problem_is_listed_with_line_column_and_remedy(write: Write) -> None:
    lines = ["Mug,6.20,,,", "Mug,abc,,140 %,", ",4,,,", "Bowl,-1,03/04/2025,,", "Bowl,2,30.02.2025,,"]
    assert refused(write(HEADER, *lines)) == (
        "line 3: product and first day repeat line 2; keep one",
        "line 3, Fees (% of the price): must be 0 or lie between 1 and 50, found 140.0; write 15 for 15 %",
        "line 3, Unit Cost: must be a number, found 'abc'",
        "line 4, Product: is blank; every row needs a product",
        "line 5, Unit Cost: must be 0 or more, found -1.0",
        "line 6, From: 30.02.2025 is not a day of the calendar",
    )


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["Product,Unit Cots", "Mug,3"], "line 1: column 'Unit Cots' is not known; did you mean 'Unit Cost'?"),
        (["Product,Price", "Mug,3"], "line 1: column 'Unit Cost' is missing; the header has: Product, Price"),
        (["Cost,COGS", "3,4"], "line 1: several columns can be 'Unit Cost'; keep one"),
        (["Unit Cost,From", "3,01/02/2025"], "line 2, From: 01/02/2025 can be 1 Feb or 2 Jan; write it like"),
        (["Unit Cost;From", "1.234;"], "line 2, Unit Cost: 1.234 can be 1.234 or 1234; write it like"),
        (["Product,Unit Cost", "Mug,€3", "Bowl,$3"], "line 3, Unit Cost: $3 and €3 on line 2 are two currencies"),
        (["Product,Unit Cost", "Mug,6,20"], "line 2: 1 of 1 row do not have as many cells as the header, 2"),
        (["Product,Unit Cost", "Mug,6,20", "Bowl,3"], "line 2: as many cells as the header, 2, are needed"),
    ],
)
def test_what_cannot_be_read_is_refused(write: Write, lines: list[str], problem: str) -> None:
    found = refused(write(*lines))
    assert len(found) == 1 and found[0].startswith(problem)


def test_the_template_has_a_row_per_product_and_reads_back(write: Write) -> None:
    products: dict[str, Any] = {"Mug": 6.2, "Tea, green": None, "=SUM(1)": 3.0}
    text = COSTS.template(products)
    assert text.splitlines() == [HEADER, "Mug,6.2,,,", '"Tea, green",,,,', "'=SUM(1),3,,,"]
    rows, notes = COSTS.read(write(*text.splitlines()), {})
    assert rows == [{"product": "Mug", "unit_cost": 6.2}, {"product": "=SUM(1)", "unit_cost": 3.0}]
    assert notes == ["costs.csv: nothing is given for 'Tea, green'."]
