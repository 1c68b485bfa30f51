from __future__ import annotations

import csv

import pytest
from fixture_types import Daily, Lines, Problems, Read, Write

from pricerl.cli.commands.check import check
from pricerl.data.config import DataConfig
from pricerl.errors import DataError

HEADER = "Report Date,Product Price,Total Sales,Product"
STRICT = DataConfig(strict=True)


@pytest.fixture
def three(daily: Daily) -> Daily:
    """Return a file of two good products and one with the given cells of price and sales."""

    def make(cells: Lines) -> Lines:
        good = [row for name in "AB" for row in daily([f"10,20,{name}", f"11,22,{name}"] * 10, HEADER)[1:]]
        return [HEADER, *good, *daily([f"{cell},Bad" for cell in cells], HEADER)[1:]]

    return make


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["10,0"] * 20, "product 'Bad': no day has both a price and sales"),
        (["10,20"] * 3, "product 'Bad': 3 days of history"),
        (["10,20"] * 10 + ["ten,20"], "line 52, Product Price: must be a number, found 'ten'"),
        (["10,20"] * 10 + ["-1,20"], "line 52, Product Price: must be positive, found -1"),
    ],
)
def test_a_product_that_cannot_be_used_is_skipped_and_reported(
    read: Read, problems: Problems, three: Daily, cells: Lines, words: str
) -> None:
    history = read(three(cells))
    assert [item.product for item in history.products] == ["A", "B"]
    assert [item.product for item in history.problems] == ["Bad"] and str(history.problems[0]).startswith(words)
    for report in history.reports:
        assert report.notes[0].startswith("Skipped, as their rows cannot be used: 1 of 3 products ('Bad').")
    assert problems(three(cells), STRICT)[0].startswith(words)


def test_a_repeated_day_skips_its_product(read: Read, three: Daily) -> None:
    lines = three(["10,20"] * 12)
    history = read([*lines, lines[-1]])
    assert len(history.products) == 2 and "is already on line 53" in str(history.problems[0])


def test_a_problem_of_the_whole_file_skips_nothing(problems: Problems) -> None:
    dated = [f"0{day}.02.2025,{10 + day},20,{name}" for name in "AB" for day in range(1, 10)]
    assert "set --data.reading.date_format" in problems([HEADER, *dated])[0]


def test_every_product_of_a_file_without_a_usable_one_is_named_with_what_it_lacks(
    problems: Problems, daily: Daily
) -> None:
    short, unsold = problems(daily(["10,20,Short"] * 5, HEADER) + daily(["10,0,Unsold"] * 10, HEADER)[1:])
    assert short.startswith("product 'Short': 5 days of history")
    assert unsold.startswith("product 'Unsold': no day has both a price and sales")


def test_check_writes_all_problems_and_shows_twenty(
    write: Write, three: Daily, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(three([f"=cell {day},{'9' * 200}x" for day in range(20)]))
    out = path.with_name("problems.csv")
    check([str(path), "--problems", str(out)])
    shown = capsys.readouterr().out
    assert f"… and 20 more; `check {path} --problems problems.csv` lists them" in shown and "9" * 100 not in shown
    rows = list(csv.reader(out.read_text(encoding="utf-8").splitlines()))
    assert rows[0] == ["Line", "Column", "Product", "Value", "Problem"] and len(rows) == 41
    assert ["42", "Product Price", "Bad", "'=cell 0"] in [row[:4] for row in rows]
    with pytest.raises(DataError, match=r"and 20 more; `check .* --problems problems.csv` lists them"):
        check([str(path), "--problems", str(out), "--strict", "true"])
    assert len(out.read_text(encoding="utf-8").splitlines()) == 41


def test_of_many_products_twenty_are_reported_in_full_and_all_if_asked(
    write: Write, daily: Daily, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row for number in range(23) for row in daily([f"10,20,P{number}", f"11,22,P{number}"] * 20)[1:]]
    file = str(write([HEADER, *rows]))
    check([file])
    shown = capsys.readouterr().out
    assert shown.count("  costs  ") == 20 and "3 more products, a line each; check --verbose prints" in shown
    assert "\n  P22: REVIEW, 40 days, 2 prices; only 2 different prices were tried\n" in shown
    check([file, "--verbose"])
    shown = capsys.readouterr().out
    assert shown.count("  costs  ") == 23 and "--verbose" not in shown
