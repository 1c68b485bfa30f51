from __future__ import annotations

import numpy as np
import pytest

from pricerl.advice.sentences.data_report import report_lines
from pricerl.data.config import DataConfig
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading.numbers import read_flags

STOCK = "Report Date,Product Price,Total Sales,Total Profit,In Stock"
PROMOTION = "Report Date,Product Price,Total Sales,Competitor Price,Promotion"


def stocked(daily, words, sales=None):
    sold = sales or ["20"] * len(words)
    return daily([f"10,{amount},5,{word}" for amount, word in zip(sold, words, strict=True)], STOCK)


def promoted(daily, cells):
    return daily([f"10,20,{cell}" for cell in cells], PROMOTION)


@pytest.mark.parametrize(
    ("name", "yes", "no"),
    [
        ("In Stock", ["Yes", "TRUE", "1", "in stock"], ["no", "false", "0", "out"]),
        ("Promotion", ["Yes", "1", "TRUE", "on"], ["no", "0", "off"]),
    ],
)
def test_flags_are_read_in_several_words_and_blank_is_unknown(name, yes, no):
    values, problems = read_flags(name, [*yes, *no, "", "n/a"], range(len(yes) + len(no) + 2))
    np.testing.assert_array_equal(values, [1] * len(yes) + [0] * len(no) + [np.nan] * 2)
    assert problems == []


@pytest.mark.parametrize(
    ("name", "cell", "expected"),
    [
        *(("In Stock", cell, "yes, no or the units in stock") for cell in ("maybe", "-3", "nan%", "inf")),
        *(("Promotion", cell, "yes, no, 1 or 0") for cell in ("summer sale", "2", "-1", "20%", "0.5")),
    ],
)
def test_any_other_cell_is_a_problem_with_its_line(problems, daily, name, cell, expected):
    cells = ["yes"] * 9 + [cell]
    lines = stocked(daily, cells) if name == "In Stock" else promoted(daily, [f"9,{word}" for word in cells])
    assert problems(lines) == (f"line 11, {name}: must be {expected}, found {cell}",)


def test_days_out_of_stock_and_the_day_on_which_it_ran_out_are_excluded_from_demand(read, daily):
    sales = ["20"] * 10 + ["0", "0", "10"] + ["20"] * 5
    history = read(stocked(daily, ["yes"] * 10 + ["no", "0", "no"] + [""] * 5, sales))
    product = history.products[0]
    assert np.flatnonzero(~product.observed).tolist() == [9, 10, 11, 12]
    assert product.units[9:13].tolist() == [2.0] * 4, "as in the week before"
    assert not product.profit_known[9:13].any()
    notes = history.reports[0].notes
    assert "Days out of stock, excluded from demand: 3." in notes
    assert "Days before stock-outs or on weekdays which often sell out, excluded from demand: 1." in notes


def test_a_day_out_of_stock_with_sales_is_the_one_on_which_it_ran_out(read, daily):
    history = read(stocked(daily, ["yes"] * 10 + ["no"] + [""] * 5, ["20"] * 10 + ["10"] + ["20"] * 5))
    assert np.flatnonzero(~history.products[0].observed).tolist() == [10]


def test_a_column_of_yes_changes_nothing(read, daily):
    with_column, without = (read(stocked(daily, [word] * 20)).products[0] for word in ("yes", ""))
    assert (with_column.observed == without.observed).all() and (with_column.units == without.units).all()


def test_blanks_carry_the_competitors_last_price_and_mean_no_promotion(read, daily):
    history = read(promoted(daily, [",", ",yes", "9,", ",no", "8.5,1", *[","] * 5]))
    product, report = history.products[0], history.reports[0]
    assert product.competitor.tolist() == [9, 9, 9, 9, *[8.5] * 6]
    assert np.flatnonzero(product.promotion).tolist() == [1, 4]
    assert (report.filled["Competitor Price"], report.filled["Promotion"]) == (8, 7)
    assert "Competitor Price 8, Promotion 7" in "\n".join(report_lines(report))


def test_columns_that_are_blank_throughout_count_as_absent(read, daily):
    history = read(promoted(daily, [","] * 10))
    assert history.products[0].competitor is None and history.products[0].promotion is None
    assert history.reports[0].filled["Competitor Price"] == 0
    state = DataPreprocessor.fit(history, DataConfig()).state_dict()
    loaded = DataPreprocessor.from_state_dict(state).products[0]
    assert loaded.competitor is None and loaded.promotion is None


def test_optional_columns_survive_a_checkpoint_and_end_with_the_training_days(read, daily):
    header = f"{PROMOTION},In Stock"
    history = read(daily(["10,20,9,yes,yes", "10,20,8,,"] * 20, header))
    own = np.arange(40) >= 20
    fitted = DataPreprocessor.fit(history, DataConfig()).mark_own_prices(lambda product: own)
    loaded = DataPreprocessor.from_state_dict(fitted.state_dict()).products[0]
    known = fitted.first_days(0, 30).products[0]
    flags = dict.fromkeys(("promotion", "in_stock", "own_price"), np.bool_)
    for name, kind in {"competitor": np.float64, **flags}.items():
        np.testing.assert_array_equal(getattr(loaded, name), getattr(fitted.products[0], name))
        assert getattr(loaded, name).dtype == kind
        assert len(getattr(known, name)) == len(known.dates) == 30
