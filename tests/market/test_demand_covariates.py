"""Covariates of demand: their effects are recovered, and the price is not credited with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pricerl.evaluation.valuation import expect_days
from pricerl.market.demand.averaging import BIASES, find_reported_bias, fit_demand_regression, fit_parts, regress
from pricerl.market.demand.config import DemandConfig, DemandSettings
from pricerl.market.demand.covariates import BIAS, SEASON, Terms, gather_covariates, optional_covariates
from pricerl.market.fitting import fit_market

SLOPE, CROSS, PROMOTED = -2.0, 0.8, 0.4
DAYS, UNITS = 700, 60.0


def wandering(rng, days=DAYS, swing=0.12):
    """Log prices around 0, each kept for three to fourteen days."""
    holds = rng.integers(3, 15, days)
    return np.repeat(rng.uniform(-swing, swing, days), holds)[:days]


def sold(rng, log_mean):
    return rng.poisson(UNITS * np.exp(log_mean) * rng.gamma(10, 0.1, len(log_mean))).astype(float)


def promoted_shop(seed):
    """Two in five weeks are promoted, most of them at a lower price."""
    rng = np.random.default_rng(seed)
    weeks = rng.random(DAYS // 7 + 1) < 0.4
    on, cut = (np.repeat(flags, 7)[:DAYS] for flags in (weeks, weeks & (rng.random(len(weeks)) < 0.8)))
    x = wandering(rng) - 0.12 * cut
    return 12.5 * np.exp(x), sold(rng, SLOPE * x + PROMOTED * on), on


def rivalled_shop(seed, follow=0.5):
    """We follow a competitor half way."""
    rng = np.random.default_rng(seed)
    z = wandering(rng, swing=0.3)
    x = wandering(rng) + follow * z
    return np.round(12.5 * np.exp(x), 2), sold(rng, SLOPE * x + CROSS * z), 11 * np.exp(z)


def slope_at(market, price=12.5):
    at = np.log(price * np.array([0.95, 1.05]))
    rows = np.stack([np.interp(at, market.log_grid, row) for row in market.units.log_value])
    return ((rows[:, 1] - rows[:, 0]) / np.diff(at)).mean()


def fit(prepare, product):
    return fit_market(prepare(product), DemandConfig(num_draws=32)).products[0]


def regression(product):
    days = gather_covariates(product).keep(product.observed)
    posterior = regress(days, DemandSettings())
    effects = days.effects(posterior.mode[3:])
    return posterior, {name: effects[name] for name in effects if name != SEASON}


def test_the_effects_of_promotions_and_of_the_competitors_price_are_recovered(make_product):
    promoted, crossed = [], []
    for seed in range(5):
        price, units, on = promoted_shop(seed)
        promoted.append(regression(make_product(price, units, promotion=on))[1]["promotion"])
        price, units, competitor = rivalled_shop(seed)
        crossed.append(regression(make_product(price, units, competitor=competitor))[1]["competitor"])
    assert np.mean(promoted) == pytest.approx(PROMOTED, abs=0.05)
    assert np.mean(crossed) == pytest.approx(CROSS, abs=0.15)


def test_promotions_that_go_with_price_cuts_are_not_credited_to_the_price(make_product, prepare):
    shops = [make_product(price, units, promotion=on) for price, units, on in map(promoted_shop, range(4))]
    assert np.mean([slope_at(fit(prepare, shop)) for shop in shops]) == pytest.approx(SLOPE, abs=0.3)


def test_a_competitor_whom_we_follow_is_not_credited_to_the_price(make_product, prepare):
    shops = [make_product(price, units, competitor=rival) for price, units, rival in map(rivalled_shop, range(4))]
    assert np.mean([slope_at(fit(prepare, shop)) for shop in shops]) == pytest.approx(SLOPE, abs=0.3)


@pytest.mark.parametrize(("make_shop", "low", "high"), [(promoted_shop, -4, -2.6), (rivalled_shop, -1.6, 0)])
def test_without_its_column_a_cause_is_credited_to_the_price(make_product, make_shop, low, high):
    shops = [make_product(price, units) for price, units, _ in map(make_shop, range(4))]
    assert low < np.mean([regression(shop)[0].mode[1] for shop in shops]) < high


def test_a_reported_rival_hints_at_others_that_may_bias_the_slope_half_as_much(make_product):
    price, units, competitor = rivalled_shop(0)
    reported, alone = (make_product(np.round(price, 2), units, competitor=column) for column in (competitor, None))
    days = gather_covariates(reported).keep(reported.observed)
    bias = find_reported_bias(days, regress(days, DemandSettings()))
    assert 0.4 < bias < 1.4, "0.98 follows from the shop's numbers"
    first, unbiased = (fit_parts(shop, DemandSettings())[1][0].data for shop in (reported, alone))
    hidden = first.names.index(BIAS)
    mean, sd = BIASES["plain"]
    expected = bias / 2 + mean, float(np.hypot(bias / 2, sd))
    assert (first.prior.mean[hidden], first.prior.sd[hidden]) == pytest.approx(expected, rel=0.3)
    assert unbiased.bias == (mean, sd)


def test_a_column_of_promotions_leaves_the_bias_as_it_is(make_product):
    price, units, on = promoted_shop(0)
    for column in (None, on):
        parts = fit_parts(make_product(np.round(price, 2), units, promotion=column), DemandSettings())[1]
        assert {part.data.bias for part in parts} == {BIASES["plain"]}


def following_shop(seed, lag, noise):
    """A competitor answers our price some days later."""
    rng = np.random.default_rng(seed)
    x = wandering(rng)
    z = np.concatenate([np.full(lag, x[0]), x[: DAYS - lag]]) + noise * np.repeat(rng.normal(size=DAYS), 7)[:DAYS]
    return np.round(12.5 * np.exp(x), 2), sold(rng, SLOPE * x + CROSS * z), 11 * np.exp(z)


@pytest.mark.parametrize("lag", [0, 3])
def test_a_competitor_who_only_answers_our_price_is_no_covariate_and_the_slope_holds_both_effects(make_product, lag):
    slopes = []
    for seed in range(4):
        price, units, competitor = following_shop(seed, lag, noise=0.0)
        posterior, effects = regression(make_product(price, units, competitor=competitor))
        assert effects == {}
        slopes.append(posterior.mode[1])
    assert SLOPE + 0.2 < np.mean(slopes) < SLOPE + CROSS + 0.15


def test_a_competitor_who_answers_with_a_will_of_his_own_leaves_the_slope_unbiased_and_less_certain(make_product):
    slopes, sds, crossed = [], [], []
    for seed in range(4):
        price, units, competitor = following_shop(seed, lag=1, noise=0.06)
        for column in (competitor, None):
            posterior, effects = regression(make_product(price, units, competitor=column))
            slopes.append(posterior.mode[1])
            sds.append(posterior.covariance[1, 1] ** 0.5)
            crossed += effects.values()
    assert np.mean(slopes[::2]) == pytest.approx(SLOPE, abs=0.25) and len(crossed) == 4
    assert np.mean(slopes[1::2]) > SLOPE + 0.25, "their answer softens ours"
    assert np.mean(sds[::2]) > np.mean(sds[1::2])


def test_a_competitor_who_has_just_cut_the_price_lowers_the_next_days_units(make_product, prepare):
    price, units, competitor = rivalled_shop(0)
    cut = competitor.copy()
    competitor[-7:], cut[-7:] = 11.0, np.repeat([11.0, 9.0], [6, 1])
    levels = [
        np.exp([np.interp(np.log(10.0), market.log_grid, row) for row in market.units.log_value]).mean()
        for market in (fit(prepare, make_product(price, units, competitor=column)) for column in (competitor, cut))
    ]
    assert np.log(levels[1] / levels[0]) == pytest.approx(CROSS * np.log(9 / 11), abs=0.06)


def test_a_promotion_that_is_over_does_not_raise_the_next_days_units(make_product, prepare):
    rng = np.random.default_rng(1)
    on = np.arange(280) % 56 >= 28
    price = 10 * np.exp(wandering(rng, 280))
    units = sold(rng, SLOPE * np.log(price / 10) + 0.6 * on)
    given, omitted = (
        np.exp([np.interp(np.log(10.0), market.log_grid, row) for row in market.units.log_value]).mean()
        for market in (fit(prepare, make_product(price, units, promotion=column)) for column in (on, None))
    )
    assert given < 1.2 * UNITS < 1.4 * UNITS < omitted


def test_a_promotion_that_trebles_sales_is_no_outlier(make_product):
    rng = np.random.default_rng(2)
    on = np.arange(280) % 40 >= 37
    units = rng.poisson(UNITS * np.where(on, 3, 1))
    units[0] = 20 * UNITS
    product = make_product(10 * np.exp(wandering(rng, 280)), units, promotion=on)
    days, posterior, outliers = fit_demand_regression(gather_covariates(product), DemandSettings())
    assert days.effects(posterior.mode[3:])["promotion"] == pytest.approx(np.log(3), abs=0.15)
    assert outliers == 1, "the bulk order of the first day"


@pytest.mark.parametrize("days", [2, 7, 8])
def test_a_few_days_can_be_fitted_with_every_column(make_product, days):
    rng = np.random.default_rng(0)
    product = make_product(
        10 + rng.random(days), np.full(days, 5.0), competitor=9 + rng.random(days), promotion=np.arange(days) == 1
    )
    assert np.isfinite(regression(product)[0].mode).all()


def test_a_constant_column_is_no_covariate(make_product):
    units = np.full(60, 20.0)
    never, always = np.zeros(60, dtype=bool), np.ones(60, dtype=bool)
    for promotion in (None, never, always):
        product = make_product(10.0, units, promotion=promotion, competitor=np.full(60, 9.0))
        assert gather_covariates(product).optional == () and optional_covariates(product) == []
    only_unobserved = make_product(10.0, units, promotion=np.arange(60) == 7, observed=np.arange(60) != 7)
    assert optional_covariates(only_unobserved) == []


def test_the_columns_of_a_file_without_them_stay_as_they_were(make_product):
    price, units, on = promoted_shop(0)
    plain, given = (
        gather_covariates(make_product(price, units)).without(SEASON),
        gather_covariates(make_product(price, units, promotion=on)).without(SEASON),
    )
    np.testing.assert_array_equal(given.covariates[:, :-1], plain.covariates)
    assert (
        given.ahead[-1] == 0
        and (plain.prior.mean == 0).all()
        and plain.effects(np.ones(plain.covariates.shape[1])) == {}
    )


def test_past_days_are_compared_with_the_next_ones(make_product):
    on = np.arange(60) % 10 == 0
    competitor = np.where(np.arange(60) < 59, 10.0, 8.0)
    product = make_product(np.tile([10.0, 11.0], 30), np.full(60, 20.0), promotion=on, competitor=competitor)
    for columns, effects, expected in [
        (product, {"promotion": 0.5, "competitor": 1.0}, [1.25 * np.exp(0.5), 1.25, 1.0]),
        (product, {}, [1, 1, 1]),
        (replace(product, promotion=None, competitor=None), {"promotion": 0.5}, [1, 1, 1]),
    ]:
        days = gather_covariates(columns)
        coefficients = np.array([effects.get(name, 0.0) for name in days.names])
        assert days.past_multiplier(-2.0, coefficients, days.optional)[[0, 1, 59]] == pytest.approx(expected)


def yearly_shop(seed, days):
    """The seller raises the price in a season that comes every year."""
    rng = np.random.default_rng(seed)
    season = 0.35 * np.sin(2 * np.pi * (np.arange(days) / 365.25 + rng.random()))
    x = wandering(rng, days) + 0.3 * season
    return np.round(12.5 * np.exp(x), 2), sold(rng, SLOPE * x + season)


def test_a_yearly_season_that_moves_the_price_is_not_credited_to_it(make_product, prepare):
    slopes = [slope_at(fit(prepare, make_product(*yearly_shop(seed, 1100)))) for seed in range(3)]
    expected = SLOPE - BIASES["plain"][0]
    assert np.mean(slopes) == pytest.approx(expected, abs=0.35), "without waves it is 0.8 too flat"


def test_a_yearly_season_needs_a_year_and_counts_as_in_the_coming_weeks(make_product):
    short, long = (make_product(*yearly_shop(0, days)) for days in (364, 730))
    assert optional_covariates(short) == []
    waves = optional_covariates(long)
    assert [cause.name for cause in waves] == 4 * [SEASON]
    for cause in waves:
        assert cause.ahead == pytest.approx(cause.values[365:379].mean(), abs=0.01), "the same weeks a year ago"


@pytest.mark.parametrize("amplitude", [0.0, 0.35])
def test_a_season_is_forecast_where_two_years_show_one(make_product, prepare, amplitude):
    days = np.arange(730)
    season = amplitude * np.sin(2 * np.pi * days / 365.25)
    units = np.random.default_rng(4).poisson(30 * np.exp(season)).astype(float)
    market = fit_market(prepare(make_product(np.where(days // 14 % 2, 10.0, 11.0), units)), DemandConfig(num_draws=32))
    ahead = np.log(market.products[0].ahead.path)
    expected = season[:365] - season[:14].mean()
    np.testing.assert_allclose(ahead, expected, atol=0.1 if amplitude else 0.03)
    price = torch.tensor([10.0, 10.0])
    dates = market.preprocessor.products[0].dates[-1] + np.array([1, 1 + 91])
    first, later = expect_days(market, 0, price, dates).expected_units.mean(0).tolist()
    assert later / first == pytest.approx(np.exp(amplitude), rel=0.15)
    past = expect_days(market, 0, price, market.preprocessor.products[0].dates[:2]).expected_units.mean(0)
    np.testing.assert_allclose(past, first / np.exp(ahead[0]), rtol=0.25)  # 729 days before the last one


def advertised_shop(seed):
    """Budgets change every one or two weeks, and with them the price."""
    rng = np.random.default_rng(seed)
    budget = np.repeat(rng.normal(0, 0.6, DAYS), rng.integers(7, 15, DAYS))[:DAYS]
    before = np.log(np.convolve(np.exp(budget), np.ones(7) / 7)[:DAYS])
    effect = 0.4 * np.append(0.0, before[:-1])
    x = wandering(rng, swing=0.05) - 0.1 * budget
    return 12.5 * np.exp(x), sold(rng, SLOPE * x + effect), 100 * np.exp(budget)


def test_ad_spend_that_goes_with_the_price_is_not_credited_to_it(make_product):
    slopes = []
    for seed in range(4):
        price, units, spend = advertised_shop(seed)
        product = make_product(price, units)
        reported = replace(product, ad_spend=spend)
        slopes.append([regression(item)[0].mode[1] for item in (reported, product)])
    reported, unreported = np.mean(slopes, axis=0)
    assert reported == pytest.approx(SLOPE, abs=0.25)
    assert unreported < reported - 0.15


def stepped_shop(make_product, days=200, own=91):
    """A price that is kept, then one higher by 10 %, which pricerl set."""
    later = np.arange(days) >= days - own
    price = np.round(12.5 * np.exp(0.1 * later), 2)
    return make_product(price, sold(np.random.default_rng(0), SLOPE * np.log(price / 12.5)), own_price=later)


def test_the_slope_is_that_at_the_prices_that_pricerl_did_not_set(make_product):
    data = gather_covariates(stepped_shop(make_product, days=150))
    np.testing.assert_allclose(data.design[~data.own, 1], 0, atol=1e-12)
    later = data.keep(data.own)
    np.testing.assert_allclose(later.design[:, 1], 0, atol=1e-12, err_msg="all prices are its own")


def test_other_priors_need_no_other_columns(make_product):
    product = make_product(10 * np.exp(wandering(np.random.default_rng(0))), np.full(DAYS, 20.0))
    first, other = (gather_covariates(product, Terms(bias=bias)) for bias in ((0.0, 1.0), (-0.2, 2.0)))
    again = first.with_priors(Terms(bias=(-0.2, 2.0)))
    np.testing.assert_array_equal(again.covariates, other.covariates)
    assert again.prior.mean.tolist() == other.prior.mean.tolist() and again.prior.sd.tolist() == other.prior.sd.tolist()
