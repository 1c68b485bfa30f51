from __future__ import annotations

import json

import numpy as np
import pytest

from pricerl.data import DataConfig, DataPreprocessor
from pricerl.data.reading.flags import read_flags

HEADER = "Report Date,Product Price,Total Sales,Competitor Price,Promotion"


def lines(daily, told):
    return daily([f"10,20,{cells}" for cells in told], HEADER)


def test_yes_and_no_are_read_in_several_words_and_blank_is_unknown():
    values, problems = read_flags("Promotion", ["Yes", "1", "TRUE", "on", "no", "0", "off", "", "n/a"], range(9))
    np.testing.assert_array_equal(values, [1, 1, 1, 1, 0, 0, 0, np.nan, np.nan])
    assert problems == []


@pytest.mark.parametrize("cell", ["summer sale", "2", "-1", "20%"])
def test_anything_else_is_a_problem_with_its_line(problems, daily, cell):
    found = problems(lines(daily, ["9,yes"] * 9 + [f"9,{cell}"]))
    assert found == (f"line 11, Promotion: must be yes, no, 1 or 0, found {cell}",)


@pytest.mark.parametrize("price", ["0", "-3"])
def test_a_competitors_price_is_positive(problems, daily, price):
    found = problems(lines(daily, ["9,"] * 9 + [f"{price},"]))
    assert found == (f"line 11, Competitor Price: must be positive, found {price}",)


def test_blanks_carry_the_competitors_last_price_and_mean_no_promotion(read, daily):
    history = read(lines(daily, [",", ",yes", "9,", ",no", "8.5,1", *[","] * 5]))
    product, report = history.products[0], history.reports[0]
    assert product.competitor.tolist() == [9, 9, 9, 9, *[8.5] * 6]
    assert np.flatnonzero(product.promotion).tolist() == [1, 4]
    assert (report.filled["Competitor Price"], report.filled["Promotion"]) == (8, 7)
    assert "Competitor Price 8, Promotion 7" in "\n".join(report.lines())


def test_columns_that_are_blank_throughout_count_as_absent(read, daily):
    history = read(lines(daily, [","] * 10))
    assert history.products[0].competitor is None and history.products[0].promotion is None
    assert history.reports[0].filled["Competitor Price"] == 0


def test_both_columns_survive_a_checkpoint_and_end_with_the_training_days(read, daily):
    history = read(lines(daily, ["9,yes", "8,"] * 20))
    fitted = DataPreprocessor.fit(history, DataConfig())
    loaded = DataPreprocessor.from_state_dict(json.loads(json.dumps(fitted.state_dict()))).products[0]
    np.testing.assert_array_equal(loaded.competitor, history.products[0].competitor)
    np.testing.assert_array_equal(loaded.promotion, history.products[0].promotion)
    assert loaded.promotion.dtype == np.bool_
    known = fitted.first_days(0, 30).products[0]
    assert len(known.competitor) == len(known.promotion) == len(known.dates) == 30


def test_a_checkpoint_of_a_file_without_the_columns_does_not_speak_of_them(read, daily):
    fitted = DataPreprocessor.fit(read(daily(["10,20"] * 10)), DataConfig())
    assert not {"competitor", "promotion"} & set(fitted.state_dict()["products"][0])
    assert DataPreprocessor.from_state_dict(fitted.state_dict()).products[0].promotion is None
