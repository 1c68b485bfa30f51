from __future__ import annotations

from collections.abc import Callable

from pricerl.data.history import History

Daily = Callable[..., list[str]]
Problems = Callable[..., tuple[str, ...]]


def test_header_ignores_case_spaces_and_underscores(read: Callable[..., History], daily: Daily) -> None:
    history = read(daily(["10,20"] * 10, " report_date ,PRODUCT  PRICE,TotalSales"))
    assert history.products[0].price[0] == 10


def test_missing_required_columns_are_all_named(problems: Problems, daily: Daily) -> None:
    found = problems(daily(["10,20"] * 10, "Report Date,Prise,Amount"))
    assert found[0] == "line 1: column 'Product Price' is missing; the header has: Report Date, Prise, Amount"
    assert found[1].startswith("line 1: column 'Total Sales' is missing")
    assert problems(daily(["10,20"] * 10, "Report Date,Product Prise,Total Sales")) == (
        "line 1: column 'Product Price' is missing; did you mean 'Product Prise'?",
    )


def test_misspelt_optional_column_is_a_problem(problems: Problems, daily: Daily) -> None:
    found = problems(daily(["10,20,1"] * 10, "Report Date,Product Price,Total Sales,Total Proft"))
    assert found == ("line 1: column 'Total Proft' is not known; rename or remove it; did you mean 'Total Profit'?",)


def test_other_unknown_columns_are_ignored_with_a_note(read: Callable[..., History], daily: Daily) -> None:
    notes = read(daily(["10,20,x"] * 10, "Report Date,Product Price,Total Sales,Colour")).reports[0].notes
    assert notes[0] == "Column 'Colour' is not known and was ignored."


def test_duplicated_column_is_a_problem(problems: Problems, daily: Daily) -> None:
    found = problems(daily(["10,20,20"] * 10, "Report Date,Product Price,Total Sales,total_sales"))
    assert found == ("line 1: column 'total_sales' appears more than once; keep one",)


def test_header_and_cell_problems_are_reported_together(problems: Problems, daily: Daily) -> None:
    lines = daily(["10,20,1"] * 10, "Report Date,Product Price,Total Sales,Total Proft")
    lines[4] = "2025-01-03,-5,oops,1"
    found = problems(lines)
    assert [problem.split(":")[0] for problem in found] == [
        "line 1",
        "line 5, Product Price",
        "line 5, Report Date",
        "line 5, Total Sales",
    ]
