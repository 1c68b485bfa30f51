"""The rolling backtest: known errors of a hand-made series, no look ahead, and a market that beats the last week."""

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest

from pricerl.data.costs import CostConfig
from pricerl.evaluation import backtest
from pricerl.evaluation.backtest import (
    MOST_ORIGINS,
    Forecasts,
    choose_origins,
    forecast_units,
    run_backtests,
    score_forecasts,
)
from pricerl.market.demand.config import DemandConfig
from pricerl.simulation.seller import SellerConfig

SMALL = DemandConfig(num_draws=16)
YEARS = [SellerConfig(days=365, units=60.0, seed=seed) for seed in (0, 1, 2)]
FLAT = np.full(3, 10.0)


def with_units(preprocessor, units, price=None):
    """Return the preprocessor with other units, and prices, in its only product's history."""
    product = preprocessor.products[0]
    price = product.price if price is None else price
    return replace(preprocessor, products=(replace(product, units=units, price=price, sales=units * price),))


def one_day_ahead(origin, mean=FLAT, low=FLAT - 5, high=FLAT + 5):
    origin = np.array(origin)
    return Forecasts(origin, origin, mean, low, high)


@pytest.fixture(scope="module")
def year_runs(simulated):
    """Backtests with an origin on every day of the last third: four days at a horizon are chance."""
    with patch.object(backtest, "MOST_ORIGINS", 122):
        return [row for seller in YEARS for row in run_backtests(simulated(seller), SMALL, CostConfig()).values()]


def test_errors_of_a_hand_made_series(make_product):
    units = np.arange(30.0)
    product = make_product(2.0, units, predicted=np.where(units == 21, 2 * 20.0, np.nan))
    (score,) = score_forecasts(product, one_day_ahead([20, 21, 22], mean=np.array([20.0, 24.0, 19.0])))
    assert (score.days_ahead, score.days) == (1, 3)
    assert score.wape_market == pytest.approx((0 + 3 + 3) / 63)
    assert score.wape_mean_7 == pytest.approx((4 + 4 + 4) / 63)
    assert score.skill == pytest.approx(0.5)
    assert score.wape_supplied == pytest.approx(1 / 21)
    assert score.skill_supplied == pytest.approx(1 - 3 / 1)


def test_coverage_is_the_share_of_days_inside_the_limits(make_product):
    product = make_product(2.0, np.array([*[1.0] * 20, 5.0, 15.0, 16.0]))
    (score,) = score_forecasts(product, one_day_ahead([20, 21, 22]))
    assert score.coverage == pytest.approx(2 / 3)
    assert score.wape_supplied is None and score.skill_supplied is None


def test_each_horizon_is_scored_by_itself_on_observed_days(make_product):
    product = make_product(2.0, np.full(40, 10.0))
    observed = product.observed.copy()
    observed[26] = False
    origin, ahead = np.array([20, 20, 20, 21, 21, 21]), np.array([1, 7, 14, 1, 7, 14])
    mean = np.array([10.0, 99.0, 12.0, 11.0, 13.0, 12.0])
    forecasts = Forecasts(origin, origin + ahead - 1, mean, mean - 1, mean + 1)
    scores = score_forecasts(replace(product, observed=observed), forecasts)
    assert [(row.days_ahead, row.days) for row in scores] == [(1, 2), (7, 1), (14, 2)]
    assert [row.wape_market for row in scores] == pytest.approx([0.05, 0.3, 0.2])


def test_a_mean_that_is_never_wrong_leaves_no_skill_and_days_that_sold_nothing_are_not_scored(make_product):
    (score,) = score_forecasts(make_product(2.0, np.full(30, 10.0)), one_day_ahead([20, 21, 22], mean=FLAT + 1))
    assert score.wape_mean_7 == 0 and score.skill == 0
    product = make_product(2.0, np.repeat([5.0, 0.0], [20, 5]))
    assert score_forecasts(product, one_day_ahead([20, 21, 22])) == ()


def test_a_forecast_sees_no_day_after_its_origin(simulated):
    day = 300
    preprocessor = simulated(YEARS[0])
    product = preprocessor.products[0]
    units, price = product.units.copy(), product.price.copy()
    units[day:] = np.random.default_rng(0).poisson(900, len(units) - day)
    price[day + 14 :] *= 3
    origins = [day - 40, day, day + 1, day + 20]
    kept, changed = (
        forecast_units(data, 0, origins, SMALL, CostConfig(), 0)
        for data in (preprocessor, with_units(preprocessor, units, price))
    )
    before = kept.origin <= day
    for name in ("mean", "low", "high"):
        np.testing.assert_array_equal(getattr(kept, name)[before], getattr(changed, name)[before])
        assert (getattr(kept, name)[~before] != getattr(changed, name)[~before]).any()
    assert (kept.mean[~before] != changed.mean[~before]).all()


def test_a_forecast_is_made_at_the_price_really_charged(simulated):
    preprocessor = simulated(YEARS[0])
    product = preprocessor.products[0]
    dearer = np.where(np.arange(365) == 306, 1.1, 1.0) * product.price
    kept, changed = (
        forecast_units(data, 0, [300], SMALL, CostConfig(), 0)
        for data in (preprocessor, with_units(preprocessor, product.units, dearer))
    )
    assert kept.day.tolist() == [300, 306, 313]
    assert changed.mean[1] < 0.95 * kept.mean[1]
    assert changed.mean[0] == kept.mean[0], "what came before the dear day"
    assert changed.mean[2] == pytest.approx(kept.mean[2], rel=0.01), "a week later it is nearly forgotten"


@pytest.mark.slow
def test_the_market_forecasts_better_than_the_last_week_when_prices_vary(year_runs):
    for row in year_runs:
        assert [(score.days_ahead, score.days) for score in row.scores] == [(1, 109), (7, 109), (14, 109)]
        assert all(score.wape_market < score.wape_mean_7 for score in row.scores)
        assert np.mean([score.skill for score in row.scores]) > 0.1


@pytest.mark.slow
def test_ninety_percent_intervals_hold_about_ninety_percent_of_the_days(year_runs):
    assert np.mean([score.coverage for row in year_runs for score in row.scores]) == pytest.approx(0.9, abs=0.03)


def test_products_without_an_observed_forecast_day_are_left_out_and_a_seed_repeats_its_scores(simulated):
    preprocessor = simulated(SellerConfig(days=60, products=2))
    first, second = preprocessor.products
    confounding = second.observed & (np.arange(60) < 40)
    silent = replace(preprocessor, products=(first, replace(second, observed=confounding)))
    found = run_backtests(silent, SMALL, CostConfig(), seed=1)
    assert list(found) == [first.product]
    again, other = (run_backtests(silent, SMALL, CostConfig(), seed=seed) for seed in (1, 2))
    assert found == again and found != other


def test_the_shortest_history_is_forecast_where_it_can_be(make_product, prepare):
    (row,) = run_backtests(prepare(make_product(10.0, np.full(8, 20.0))), SMALL, CostConfig()).values()
    assert row.origins == 1
    assert [(score.days_ahead, score.days) for score in row.scores] == [(1, 1)]


def test_origins_are_few_lie_in_the_last_third_leave_room_for_every_horizon_and_fall_on_different_weekdays():
    assert choose_origins(60, 7) == [40, 42, 44, 46]
    assert choose_origins(60, 7, latest=1) == [44, 49, 54, 59]
    assert choose_origins(20, 7) == [13]
    assert choose_origins(8, 7) == [7]
    assert choose_origins(40, 35) == [35]
    for num_days in (100, 365, 500, 1000):
        origins = choose_origins(num_days, 7)
        assert len({origin % 7 for origin in origins}) == len(origins) == MOST_ORIGINS
