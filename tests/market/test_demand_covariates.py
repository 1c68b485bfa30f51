"""Covariates of demand and confounders that move with the price: it is not credited with their effects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from elasticities import elasticities
from shops.pricebench import probability_better
from shops.sellers import ShopConfig

from pricerl.data.config import DataConfig
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.decide.decision import DecisionConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.pricing_rules import Candidates
from pricerl.evaluation.valuation import expect_days
from pricerl.market.demand.averaging import BIASES, find_reported_bias, fit_demand_regression, fit_parts, regress
from pricerl.market.demand.config import DemandConfig, DemandSettings
from pricerl.market.demand.covariates import BIAS, SEASON, Terms, gather_covariates, optional_covariates
from pricerl.market.fitting import fit_market
from pricerl.market.market import log_units_at
from pricerl.simulation.seller import SellerConfig, simulate, simulated_history

SLOPE, CROSS, PROMOTED = -2.0, 0.8, 0.4
DAYS, UNITS = 700, 60.0


def wandering(rng, days=DAYS, swing=0.12):
    """Log prices around 0, each kept for three to fourteen days."""
    holds = rng.integers(3, 15, days)
    return np.repeat(rng.uniform(-swing, swing, days), holds)[:days]


def sold(rng, log_mean):
    return rng.poisson(UNITS * np.exp(log_mean) * rng.gamma(10, 0.1, len(log_mean))).astype(float)


def promoted_shop(make_product, seed):
    """Two in five weeks are promoted, most of them at a lower price."""
    rng = np.random.default_rng(seed)
    weeks = rng.random(DAYS // 7 + 1) < 0.4
    on, cut = (np.repeat(flags, 7)[:DAYS] for flags in (weeks, weeks & (rng.random(len(weeks)) < 0.8)))
    x = wandering(rng) - 0.12 * cut
    return make_product(np.round(12.5 * np.exp(x), 2), sold(rng, SLOPE * x + PROMOTED * on), promotion=on)


def rivalled_shop(make_product, seed):
    """We follow a competitor half way."""
    rng = np.random.default_rng(seed)
    z = wandering(rng, swing=0.3)
    x = wandering(rng) + 0.5 * z
    units = sold(rng, SLOPE * x + CROSS * z)
    return make_product(np.round(12.5 * np.exp(x), 2), units, competitor=11 * np.exp(z))


def fit(prepare, product):
    return fit_market(prepare(product), DemandConfig(num_draws=32)).products[0]


def regression(product):
    days = gather_covariates(product).keep(product.observed)
    posterior = regress(days, DemandSettings())
    effects = days.effects(posterior.mode[3:])
    return posterior, {name: effects[name] for name in effects if name != SEASON}


def regressions(products):
    """Slopes, their standard deviations and the effects of covariates, one per product."""
    found = [regression(product) for product in products]
    slopes, sds = np.array([(posterior.mode[1], posterior.covariance[1, 1] ** 0.5) for posterior, _ in found]).T
    return slopes, sds, [effects for _, effects in found]


def hide(product):
    return replace(product, promotion=None, competitor=None, ad_spend=None)


@pytest.mark.parametrize(
    ("make_shop", "column", "effect", "error", "steepest", "flattest"),
    [
        (promoted_shop, "promotion", PROMOTED, 0.05, -4, -2.6),
        (rivalled_shop, "competitor", CROSS, 0.15, -1.6, 0),
    ],
)
def test_a_cause_is_recovered_from_its_column_and_credited_to_the_price_without_it(
    make_product, prepare, make_shop, column, effect, error, steepest, flattest
):
    shops = [make_shop(make_product, seed) for seed in range(5)]
    assert np.mean([effects[column] for effects in regressions(shops)[2]]) == pytest.approx(effect, abs=error)
    slopes = [elasticities(fit(prepare, shop), 12.5).mean() for shop in shops]
    assert np.mean(slopes) == pytest.approx(SLOPE, abs=0.4)
    assert steepest < regressions(map(hide, shops))[0].mean() < flattest


def test_a_reported_rival_hints_at_others_that_may_bias_the_slope_half_as_much(make_product):
    reported = rivalled_shop(make_product, 0)
    days = gather_covariates(reported).keep(reported.observed)
    bias = find_reported_bias(days, regress(days, DemandSettings()))
    assert 0.4 < bias < 1.4, "0.98 follows from the shop's numbers"
    first, unbiased = (fit_parts(shop, DemandSettings())[1][0].data for shop in (reported, hide(reported)))
    hidden = first.names.index(BIAS)
    mean, sd = BIASES["plain"]
    expected = bias / 2 + mean, float(np.hypot(bias / 2, sd))
    assert (first.prior.mean[hidden], first.prior.sd[hidden]) == pytest.approx(expected, rel=0.3)
    assert unbiased.bias == (mean, sd)


def test_a_column_of_promotions_leaves_the_bias_as_it_is(make_product):
    parts = fit_parts(promoted_shop(make_product, 0), DemandSettings())[1]
    assert {part.data.bias for part in parts} == {BIASES["plain"]}


def following_shop(make_product, seed, lag, noise):
    """A competitor answers our price some days later."""
    rng = np.random.default_rng(seed)
    x = wandering(rng)
    z = np.concatenate([np.full(lag, x[0]), x[: DAYS - lag]]) + noise * np.repeat(rng.normal(size=DAYS), 7)[:DAYS]
    units = sold(rng, SLOPE * x + CROSS * z)
    return make_product(np.round(12.5 * np.exp(x), 2), units, competitor=11 * np.exp(z))


@pytest.mark.parametrize("lag", [0, 3])
def test_a_competitor_who_only_answers_our_price_is_no_covariate_and_the_slope_holds_both_effects(make_product, lag):
    shops = [following_shop(make_product, seed, lag, noise=0.0) for seed in range(4)]
    slopes, _, effects = regressions(shops)
    assert effects == [{}] * 4
    assert SLOPE + 0.2 < slopes.mean() < SLOPE + CROSS + 0.15


def test_a_competitor_who_answers_with_a_will_of_his_own_leaves_the_slope_unbiased_and_less_certain(make_product):
    shops = [following_shop(make_product, seed, lag=1, noise=0.06) for seed in range(4)]
    slopes, sds, effects = regressions(shops)
    without, without_sds, none = regressions(map(hide, shops))
    assert slopes.mean() == pytest.approx(SLOPE, abs=0.25)
    assert [len(found) for found in effects] == [1] * 4 and none == [{}] * 4
    assert without.mean() > SLOPE + 0.25, "their answer softens ours"
    assert sds.mean() > without_sds.mean()


def units_at_ten(prepare, product):
    return np.exp(log_units_at(fit(prepare, product), np.array([10.0]))).mean()


def test_a_competitor_who_has_just_cut_the_price_lowers_the_next_days_units(make_product, prepare):
    shop = rivalled_shop(make_product, 0)
    levels = []
    for last in (11.0, 9.0):
        competitor = np.append(shop.competitor[:-7], [*[11.0] * 6, last])
        levels.append(units_at_ten(prepare, replace(shop, competitor=competitor)))
    assert np.log(levels[1] / levels[0]) == pytest.approx(CROSS * np.log(9 / 11), abs=0.06)


def test_a_promotion_that_is_over_does_not_raise_the_next_days_units(make_product, prepare):
    rng = np.random.default_rng(1)
    on = np.arange(280) % 56 >= 28
    price = 10 * np.exp(wandering(rng, 280))
    units = sold(rng, SLOPE * np.log(price / 10) + 0.6 * on)
    given, omitted = (units_at_ten(prepare, make_product(price, units, promotion=column)) for column in (on, None))
    assert given < 1.2 * UNITS < 1.4 * UNITS < omitted


def test_a_promotion_that_trebles_sales_is_no_outlier(make_product):
    rng = np.random.default_rng(2)
    on = np.arange(280) % 40 >= 37
    units = rng.poisson(UNITS * np.where(on, 3, 1))
    units[0] = 20 * UNITS
    product = make_product(10 * np.exp(wandering(rng, 280)), units, promotion=on)
    days, posterior = fit_demand_regression(gather_covariates(product), DemandSettings())
    assert days.effects(posterior.mode[3:])["promotion"] == pytest.approx(np.log(3), abs=0.15)
    assert len(days.units) == 279, "without the bulk order of the first day"


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
        assert gather_covariates(product).optional == () and optional_covariates(product, Terms()) == []
    only_unobserved = make_product(10.0, units, promotion=np.arange(60) == 7, observed=np.arange(60) != 7)
    assert optional_covariates(only_unobserved, Terms()) == []


def test_the_columns_of_a_file_without_them_stay_as_they_were(make_product):
    shop = promoted_shop(make_product, 0)
    plain, given = (gather_covariates(item).without(SEASON) for item in (hide(shop), shop))
    np.testing.assert_array_equal(given.covariates[:, :-1], plain.covariates)
    assert given.ahead[-1] == 0 and (plain.prior.mean == 0).all()
    assert plain.effects(np.ones(plain.covariates.shape[1])) == {}


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
        assert days.past_multiplier(-2.0, coefficients)[[0, 1, 59]] == pytest.approx(expected)


def yearly_shop(seed, days):
    """The seller raises the price in a season that comes every year."""
    rng = np.random.default_rng(seed)
    season = 0.35 * np.sin(2 * np.pi * (np.arange(days) / 365.25 + rng.random()))
    x = wandering(rng, days) + 0.3 * season
    return np.round(12.5 * np.exp(x), 2), sold(rng, SLOPE * x + season)


def test_a_yearly_season_that_moves_the_price_is_not_credited_to_it(make_product, prepare):
    shops = [fit(prepare, make_product(*yearly_shop(seed, 1100))) for seed in range(3)]
    slopes = [elasticities(shop, 12.5).mean() for shop in shops]
    expected = SLOPE - BIASES["plain"][0]
    assert np.mean(slopes) == pytest.approx(expected, abs=0.35), "without waves it is 0.8 too flat"


def test_a_yearly_season_needs_a_year_and_counts_as_in_the_coming_weeks(make_product):
    short, long = (make_product(*yearly_shop(0, days)) for days in (364, 730))
    assert optional_covariates(short, Terms()) == []
    waves = optional_covariates(long, Terms())
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


def test_curvature_hides_the_elasticity_once_where_the_current_price_is_the_highest(prepare, make_product):
    spreads = []
    for seed in range(2):
        rng = np.random.default_rng([seed, 1])
        price = np.round(21.3 * np.repeat([1.0, 0.965, 0.93, 0.895, 0.86, 0.93, 1.0], [60, 10, 10, 12, 12, 8, 80]), 2)
        units = rng.negative_binomial(20, 20 / (20 + 40 * (price / 21.3) ** -2.2))
        market = fit_market(prepare(make_product(price, units)), conversions=False).products[0]
        spreads.append(elasticities(market, 21.3, 0.9, 1.0).std())
    assert np.mean(spreads) < 0.55


def test_covariates_are_known_before_the_day(make_product):
    rng = np.random.default_rng(0)
    units, ad = rng.poisson(20, 100).astype(float), rng.uniform(5, 15, 100)
    before = gather_covariates(make_product(10.0, units, ad=ad))
    units[60], ad[60] = 200.0, 90.0
    after = gather_covariates(make_product(10.0, units, ad=ad))
    changed = np.flatnonzero((np.abs(before.covariates[:, -4:] - after.covariates[:, -4:]) > 0.2).any(1))
    assert changed.tolist() == list(range(61, 68))


def test_buyers_get_used_to_a_price(make_product):
    days = gather_covariates(make_product(np.repeat([10.0, 11.0, 10.0], [50, 60, 30]), np.full(140, 20.0)))
    rise, loss = days.covariates[:, -2], days.covariates[:, -1]
    assert (rise[:50] == 0).all() and rise[50] == pytest.approx(-np.log(1.1))
    assert rise[60] == pytest.approx(0.9**10 * rise[50])
    assert (loss[:110] == rise[:110]).all()
    assert rise[110] > 0.09 and (loss[110:] == 0).all()
    assert (days.ahead[-2:] == 0).all()


def test_days_out_of_stock_do_not_lower_demand(make_product, prepare):
    rng = np.random.default_rng(0)
    out = np.arange(140) % 7 >= 5
    units = np.where(out, 0, rng.poisson(10, 140))
    flagged, unflagged = (
        fit_market(prepare(make_product(13.0, units, observed=observed)), DemandConfig(num_draws=200)).products[0]
        for observed in (~out, np.ones(140, dtype=bool))
    )
    levels = [np.exp(log_units_at(market, np.array([13.0]))).mean() for market in (flagged, unflagged)]
    assert levels[0] == pytest.approx(10, rel=0.15) and levels[1] < 8


def test_a_season_that_moves_the_price_is_not_taken_for_demand(fitted):
    slopes = []
    for seed in range(3):
        seller = ShopConfig(market="seasonal", days=365, units=50.0, seed=seed)
        market = fitted(seller, DemandConfig()).products[0]
        truth = simulate(seller)[1]
        slopes.append(elasticities(market, truth["current_price"]).mean() - truth["parameters"]["elasticity"])
    assert np.abs(slopes).max() < 0.9, "the season alone would hide two thirds of the elasticity"


def test_a_long_history_has_no_more_knots_than_can_be_fitted_fast(make_product):
    assert gather_covariates(make_product(10.0, np.full(9000, 5.0))).covariates.shape[1] < 140


def advertised_shop(make_product, seed):
    """Budgets change every one or two weeks, and with them the price."""
    rng = np.random.default_rng(seed)
    budget = np.repeat(rng.normal(0, 0.6, DAYS), rng.integers(7, 15, DAYS))[:DAYS]
    before = np.log(np.convolve(np.exp(budget), np.ones(7) / 7)[:DAYS])
    effect = 0.4 * np.append(0.0, before[:-1])
    x = wandering(rng, swing=0.05) - 0.1 * budget
    return make_product(12.5 * np.exp(x), sold(rng, SLOPE * x + effect), ad_spend=100 * np.exp(budget))


def test_ad_spend_that_goes_with_the_price_is_not_credited_to_it(make_product):
    shops = [advertised_shop(make_product, seed) for seed in range(4)]
    slope = regressions(shops)[0].mean()
    assert slope == pytest.approx(SLOPE, abs=0.25)
    assert regressions(map(hide, shops))[0].mean() < slope - 0.15


def test_the_slope_is_that_at_the_prices_that_pricerl_did_not_set(make_product):
    later = np.arange(150) >= 59
    price = np.round(12.5 * np.exp(0.1 * later), 2)
    units = sold(np.random.default_rng(0), SLOPE * np.log(price / 12.5))
    data = gather_covariates(make_product(price, units, own_price=later))
    np.testing.assert_allclose(data.design[~data.own, 1], 0, atol=1e-12)
    np.testing.assert_allclose(data.keep(data.own).design[:, 1], 0, atol=1e-12, err_msg="all prices are its own")


HALF_YEAR = 182
WEEKEND = np.arange(HALF_YEAR) % 7 >= 5


def shop_of(price, units):
    """A half-year's shop with unit cost 4 and fees of 15 %."""
    history = simulated_history(SellerConfig(days=HALF_YEAR), DataConfig())
    sold = {"price": price, "units": units, "sales": price * units, "profit": (0.85 * price - 4) * units}
    product = replace(history.products[0], **sold)
    known = DataPreprocessor.fit(replace(history, products=(product,)), DataConfig())
    alone = Product(Dynamics(fit_market(known)), 0)
    return Candidates(alone)


@pytest.mark.parametrize("seed", range(3))
def test_dear_weekends_that_sell_four_times_as_much_do_not_make_a_rise_look_good(seed):
    rng = np.random.default_rng(seed)
    usual = np.where(WEEKEND, 12.0, 9.0)
    price = np.where(rng.random(HALF_YEAR) < 0.1, rng.choice([9.0, 10.0, 11.0, 12.0], HALF_YEAR), usual)
    weekend = shop_of(price, rng.poisson(np.where(WEEKEND, 40, 10) * (price / usual) ** -2.0).astype(float))
    assert probability_better(weekend, 13.0) < 0.65  # from 12, one whole price to the next


def test_a_price_that_rises_with_growing_demand_proves_nothing():
    share = np.arange(HALF_YEAR) / HALF_YEAR
    units = [np.random.default_rng(seed).poisson(10 + 40 * share).astype(float) for seed in range(5)]
    growing = [shop_of(np.round(9 + 4 * share, 2), sold) for sold in units]
    for change in (0.95, 1.05):
        chances = [probability_better(shop, change * shop.current_price) for shop in growing]
        assert np.mean(chances) < 0.9 < DecisionConfig().claim_chance


def test_random_price_changes_show_their_effect_despite_weekdays_and_growth():
    rng = np.random.default_rng(0)
    price = np.repeat(rng.choice([9.0, 10.0, 11.0, 12.0], HALF_YEAR // 7), 7)
    mean = np.where(WEEKEND, 80, 40) * np.exp(np.arange(HALF_YEAR) / HALF_YEAR) * (price / 10) ** -4.0
    known = shop_of(price, rng.poisson(mean).astype(float))
    assert probability_better(known, 0.95 * known.current_price) > 0.95


def test_ad_over_organic_conversion_separates_campaigns_from_their_discounts(make_product):
    """At an elasticity of -2; the noise of conversions leaves a part of the bias."""
    slopes = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        campaign = np.repeat(rng.random(26) < 0.3, 7)
        price = np.repeat(rng.choice([9.5, 10.0, 10.5], 26), 7) * np.where(campaign, 0.92, 1.0)
        units = rng.poisson(40 * (price / 10) ** -2.0 * np.where(campaign, 1.6, 1.0)).astype(float)
        organic, ad = (rate * (price / 10) ** -1.0 * np.exp(0.2 * rng.normal(size=HALF_YEAR)) for rate in (12.0, 8.0))
        hidden = make_product(price, units)
        seen = replace(hidden, organic=organic, ad=ad * np.where(campaign, 2.0, 1.0))
        slopes.append([_slope(item) for item in (hidden, seen, replace(seen, ad=ad))])
    without, campaigns, none = np.mean(slopes, axis=0)
    assert without < -3.5 and campaigns == pytest.approx(-2.0, abs=0.7)
    assert none == pytest.approx(without, abs=0.2), "conversions without campaigns explain nothing"


def _slope(product):
    return fit_parts(product, DemandSettings())[1][0].posterior.mode[1]
