from __future__ import annotations

import numpy as np
import pytest

from pricerl.data.zero_runs import improbable_runs

HEADER = "Report Date,Product Price,Total Sales,In Stock"


def seller(mean, days=365, seed=0):
    """Units whose variance is that of a negative binomial of size 10, with a sale on the first and last day."""
    rng = np.random.default_rng(seed)
    units = rng.poisson(mean * rng.gamma(10, 0.1, days)).astype(float)
    units[[0, -1]] = 1
    return units


def all_known(units):
    return np.ones(len(units), dtype=bool)


@pytest.mark.parametrize("seed", range(5))
def test_ten_days_without_a_sale_at_five_a_day_are_named(seed):
    units = seller(5.0, seed=seed)
    units[150:160], units[[149, 160]] = 0, 5
    assert improbable_runs(units, all_known(units)) == [(150, 160)]


@pytest.mark.parametrize(("mean", "days"), [(0.05, 730), (0.2, 130), (0.2, 730), (1.0, 365), (5.0, 365)])
def test_slow_sellers_are_seldom_accused(mean, days):
    accused = [bool(improbable_runs(seller(mean, days, seed), np.ones(days, dtype=bool))) for seed in range(200)]
    assert np.mean(accused) <= 0.01


def test_a_slow_sellers_own_long_runs_are_chance():
    units = seller(0.2, days=730)
    edges = np.flatnonzero(units)
    assert np.diff(edges).max() > 20
    assert improbable_runs(units, all_known(units)) == []


def test_closed_weekends_are_usual_but_not_two_closed_weeks():
    units = seller(5.0) * (np.arange(365) % 7 < 5)
    assert improbable_runs(units, all_known(units)) == []
    units[196:210] = 0
    (run,) = improbable_runs(units, all_known(units))
    assert run[0] <= 196 and run[1] >= 210


def test_zeros_in_a_slow_season_are_usual():
    season = np.exp(1.5 + 2 * np.cos(2 * np.pi * np.arange(730) / 365))
    units = np.random.default_rng(0).poisson(season).astype(float)
    units[[0, -1]] = 1
    assert improbable_runs(units, all_known(units)) == []


def test_a_day_whose_sales_are_not_known_ends_a_run():
    units = seller(5.0)
    units[150:160] = 0
    known = all_known(units)
    known[150:160:2] = False
    assert improbable_runs(units, known) == []


def lines(daily, stock):
    units = np.array([5, 4, 6, 5, 7, 3] * 20)
    units[60:70] = 0
    return daily([f"10,{10 * sold},{word}" for sold, word in zip(units, stock, strict=True)], HEADER)


def test_the_report_names_the_days_and_keeps_them_in_demand(read, daily):
    history = read(lines(daily, [""] * 120))
    (note,) = [note for note in history.reports[0].notes if note.startswith("Nothing sold")]
    assert "from 2025-03-02 to 2025-03-11: too long for chance" in note and "In Stock column" in note
    assert history.products[0].observed[60:70].all()


@pytest.mark.parametrize("word", ["yes", "no"])
def test_an_in_stock_column_that_explains_the_days_is_believed(read, daily, word):
    notes = read(lines(daily, [""] * 60 + [word] * 10 + [""] * 50)).reports[0].notes
    assert not any(note.startswith("Nothing sold") for note in notes)


def test_of_many_runs_the_first_are_named_and_the_others_counted(read, daily):
    units = np.where(np.arange(365) % 45 < 35, 20, 0)
    units[-1] = 20
    notes = read(daily([f"10,{10 * sold}," for sold in units], HEADER)).reports[0].notes
    (note,) = [note for note in notes if note.startswith("Nothing sold")]
    assert note.count(" to ") == 5 and ", 3 more: too long" in note
