"""The pooled prior: products with little evidence borrow, products with much do not, outliers are believed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

from pricerl.data.costs import CostConfig
from pricerl.evaluation.backtest import forecast_units
from pricerl.market.demand.averaging import BIASES, fit_parts
from pricerl.market.demand.config import DemandConfig
from pricerl.market.demand.covariates import yearly_waves
from pricerl.market.demand.pooling import FEWEST_POOLED, NO_EVIDENCE, Evidence, Pool, find_evidence
from pricerl.market.demand.priors import log_normal_prior, settings_of_prior
from pricerl.market.demand.regression import MOTIONS
from pricerl.market.fitting import find_priors, fit_market
from pricerl.market.market import log_units_at
from pricerl.simulation.seller import SellerConfig

SETTINGS = DemandConfig().resolved()
GENERAL = log_normal_prior(SETTINGS.prior_elasticity, SETTINGS.prior_elasticity_sd)


def _pool(elasticities, error=0.2):
    return Pool({f"p{row}": Evidence(value, error) for row, value in enumerate(elasticities)}, SETTINGS)


def _probability(prior, low, high):
    """Prior probability of an elasticity between two, the steeper first."""
    edges = np.interp(np.log([-high, -low]), prior.quantiles, prior.normal)
    return float(np.diff(ndtr(edges))[0])


@pytest.mark.parametrize("centre", [-1.4, -2.2, -4.0])
def test_the_prior_lies_where_the_products_are(centre):
    drawn = centre * np.exp(np.random.default_rng(0).normal(0, 0.1, 30)) + np.random.default_rng(1).normal(0, 0.2, 30)
    prior = _pool(drawn).prior("stranger")
    assert -np.exp(prior.at(np.zeros(1))[0]) == pytest.approx(centre, rel=0.08)
    assert _probability(prior, 1.4 * centre, centre / 1.4) > 0.7
    assert _probability(prior, -30.0, 2.5 * centre) + _probability(prior, centre / 2.5, -0.1) > 0.002


def test_products_that_differ_give_a_wide_prior():
    assert _pool([-1.2, -1.4, -1.6, -2.2, -2.4, -3.8, -4.0, -4.5, -2.0, -1.5]).prior("stranger").sd > 0.35


def test_two_kinds_of_products_give_a_prior_with_two_peaks():
    prior = _pool([-1.4, -1.5, -1.3, -1.4, -4.0, -4.1, -3.9, -4.2], 0.15).prior("stranger")
    gap = _probability(prior, -3.0, -2.0)
    assert min(_probability(prior, -1.8, -1.1), _probability(prior, -5.0, -3.2)) > 2 * gap


def test_a_product_does_not_count_in_its_own_prior():
    pool = _pool([*[-2.0] * 10, -8.0], 0.1)
    without = Pool({name: item for name, item in pool.evidence.items() if name != "p10"}, SETTINGS).prior("p10")
    beyond = float(ndtr((GENERAL.mean - np.log(6.0)) / GENERAL.sd))
    own = _probability(pool.prior("p10"), -40.0, -6.0)
    assert own == pytest.approx(beyond, rel=0.1), "none of the others' is there"
    assert _probability(without, -40.0, -6.0) < 0.4 * beyond


def test_the_pool_gives_way_to_a_product_that_disagrees():
    others = _pool([-1.4] * 12).evidence
    shares = []
    for own in (-1.4, -3.0, -4.0, -5.0):
        prior = Pool({**others, "own": Evidence(own, 1.0)}, SETTINGS).prior("own")
        shares.append(_probability(prior, -1.8, -1.1))
    alone = float(np.diff(ndtr((np.log([1.1, 1.8]) - GENERAL.mean) / GENERAL.sd))[0])
    assert shares == sorted(shares, reverse=True) and shares[0] > 0.7 and shares[-1] < alone + 0.1


def test_a_group_is_pooled_before_the_catalogue():
    known = {f"a{row}": Evidence(-1.5, 0.2, "a") for row in range(8)}
    known |= {f"b{row}": Evidence(-4.0, 0.2, "b") for row in range(8)}
    blind = {name: NO_EVIDENCE._replace(group=name) for name in ("a", "b", "", "new")}
    pool = Pool({**known, **blind}, SETTINGS)
    steep = {name: _probability(pool.prior(name), -5.5, -3.0) for name in blind}
    assert steep["a"] < 0.2 and steep["b"] > 0.65
    assert steep[""] == pytest.approx(steep["new"]) and 0.3 < steep[""] < 0.5


def test_the_order_of_products_does_not_matter():
    drawn = -np.exp(np.random.default_rng(4).normal(0.8, 0.4, 12))
    pool = _pool(drawn)
    turned = Pool(dict(reversed(pool.evidence.items())), SETTINGS)
    np.testing.assert_array_equal(pool.prior("p3").normal, turned.prior("p3").normal)


def test_too_few_products_with_evidence_give_no_prior():
    known = {f"p{row}": Evidence(-2.0, 0.2) for row in range(FEWEST_POOLED - 1)}
    assert Pool({**known, "blind": NO_EVIDENCE}, SETTINGS).prior("blind") is None


def test_the_settings_of_a_prior_lead_back_to_it():
    for sd in (0.1, 0.7):
        elasticity, setting = settings_of_prior(0.9, sd)
        assert log_normal_prior(elasticity, setting) == pytest.approx((0.9, sd))


def test_evidence_is_the_elasticity_of_the_history_alone_less_its_bias(make_product):
    rng = np.random.default_rng(2)
    price = np.round(10 * np.exp(rng.uniform(-0.2, 0.2, 80).repeat(5)), 2)
    product = make_product(price, rng.poisson(30 * (price / 10) ** -3.0).astype(float))
    for elasticity in (-1.0, -6.0):  # whatever the prior
        found = find_evidence(product, replace(SETTINGS, prior_elasticity=elasticity))
        mean, sd = BIASES["plain"]
        assert found.elasticity == pytest.approx(-3.0 - mean, abs=3 * found.error) and sd < found.error < 0.45
        assert found[:6] == pytest.approx(find_evidence(product, SETTINGS)[:6], abs=0.02)


def test_a_backtest_knows_nothing_of_the_later_days_of_its_product(make_product, prepare):
    rng = np.random.default_rng(6)
    price = np.round(10 * np.exp(rng.uniform(-0.2, 0.2, 30).repeat(4)), 2)
    units = rng.poisson(30 * (price / 10) ** -3.0).astype(float)
    changed = np.where(np.arange(len(price)) < 90, units, rng.poisson(30 * (price / 10) ** 4.0))
    pools = [_pool([-1.5] * 12).with_history(make_product(price, sold)) for sold in (units, changed)]
    assert pools[0].evidence["product"] != pools[1].evidence["product"]
    forecasts = [
        forecast_units(prepare(make_product(price, sold)), 0, [80], DemandConfig(num_draws=32), CostConfig(), 0, pool)
        for sold, pool in zip((units, changed), pools, strict=True)
    ]
    np.testing.assert_array_equal(forecasts[0].mean[:2], forecasts[1].mean[:2])
    alone = forecast_units(prepare(make_product(price, units)), 0, [80], DemandConfig(num_draws=32), CostConfig(), 0)
    assert (forecasts[0].mean != alone.mean).any()


def test_a_price_that_never_varied_is_no_evidence(make_product):
    assert find_evidence(make_product(10.0, np.full(90, 20.0)), SETTINGS) == NO_EVIDENCE


def test_the_market_of_a_history_is_fitted_with_the_motions_that_its_evidence_found(simulated):
    product = simulated(SellerConfig(days=90, units=30.0, seed=5)).products[0]
    found = find_evidence(product, SETTINGS)
    peers = {f"peer {number}": Evidence(-2.0, 0.3) for number in range(FEWEST_POOLED)}
    prior = Pool({**peers, product.product: Evidence(*list(found))}, SETTINGS).prior(product.product)
    assert set(prior.motions) < set(MOTIONS)
    assert [bool(prior.motions_of(rows)) for rows in (84, 86, 90, 94, 96)] == [False, True, True, True, False]
    posteriors = [
        max(fit_parts(product, replace(SETTINGS, pooled=used))[1], key=lambda part: part.weight).posterior
        for used in (prior, prior._replace(motions=()))
    ]
    assert posteriors[0].motions == posteriors[1].motions
    assert posteriors[0].mode == pytest.approx(posteriors[1].mode, abs=1e-3)


def test_a_thin_product_borrows_and_one_with_much_evidence_hardly_does(make_product, prepare):
    rng = np.random.default_rng(3)
    price = np.round(12.3 * np.exp(rng.uniform(-0.2, 0.2, 80).repeat(5)), 2)
    product = make_product(price, rng.poisson(30 * (price / 12.3) ** -3.0).astype(float))
    prior = _pool([-1.5] * 12).prior("stranger")
    change = []
    for history in (product.first_days(28), product):
        fits = [
            fit_market(prepare(history), DemandConfig(num_draws=600), CostConfig(), conversions=False, priors=[given])
            for given in (None, prior)
        ]
        at = np.array([11.3, 13.3])
        alone, pooled = (np.diff(log_units_at(fit.products[0], at).mean(0))[0] for fit in fits)
        change.append(abs(pooled - alone) / abs(alone))
    assert change[0] > 0.05 and change[0] > 1.5 * change[1]


def test_without_pooling_no_product_gets_a_prior(make_product):
    products = [make_product(10.0, np.full(60, 20.0))] * FEWEST_POOLED
    assert find_priors(products, DemandConfig(pool=False)) == [None] * FEWEST_POOLED


def _moved(make_product, gap, seed):
    """A history of 25 prices that is steeper than buyers by ``-gap``, and 15 more prices that pricerl set."""
    rng = np.random.default_rng(seed)
    price = np.round(10 * np.exp(rng.uniform(-0.2, 0.2, 40).repeat(7)), 2)
    own = np.arange(len(price)) >= 175
    units = rng.poisson(40 * (price / 10) ** np.where(own, -2.0, -2.0 + gap)).astype(float)
    return make_product(price, units, own_price=own)


def test_prices_that_pricerl_set_show_the_common_bias_of_histories(make_product):
    for gap, low, high in ((-0.5, -5.0, -1.0), (0.0, -1.0, 1.0)):
        items = {f"p{seed}": find_evidence(_moved(make_product, gap, seed), SETTINGS) for seed in range(12)}
        bias = Pool(items, SETTINGS).prior("stranger").bias
        assert low < bias.mean < high and bias.sd < 0.91 and bias.products == 12
        assert Pool(items, SETTINGS).prior("p3").bias.products == 11
    alone = replace(_moved(make_product, -1.0, 0), own_price=None)
    assert find_evidence(alone, SETTINGS).precision == 0


def test_the_elasticities_of_others_are_freed_of_a_common_bias():
    blind = {f"p{row}": Evidence(-3.0, 0.2, slope=-0.1) for row in range(10)}
    shown = {f"s{row}": Evidence(-3.0, 0.2, "", -5.0, 1.0, -0.1) for row in range(10)}
    medians = [float(np.exp(Pool(items, SETTINGS).prior("x").at(np.zeros(1))[0])) for items in (blind, blind | shown)]
    assert medians[1] / medians[0] == pytest.approx((3.0 - 0.1 * 50 / 11) / 3.0, rel=0.03)


WAVE = np.array([0.3, 0.1, 0.0, 0.0])
"""Coefficients of a yearly season."""


def _seasonal(count, spread=0.05, mean=WAVE, group=""):
    drawn = mean + np.random.default_rng(1).normal(0, spread, (count, 4))
    return {
        f"{group}{row}": Evidence(-2.0, 0.3, group, season=[(float(one), 0.02) for one in item])
        for row, item in enumerate(drawn)
    }


def test_the_season_that_products_share_is_the_prior_of_another():
    prior = Pool(_seasonal(12), SETTINGS).prior("stranger").season
    assert prior.mean == pytest.approx(WAVE, abs=0.03) and prior.sd == pytest.approx([0.055] * 4, rel=0.4)
    assert prior.none < 0.06
    single = Pool({**_seasonal(7), "7": Evidence(-2.0, 0.3)}, SETTINGS)
    assert single.prior("stranger").season is None, "too few show one"
    assert Pool(_seasonal(12, 0.02, np.zeros(4)), SETTINGS).prior("stranger").season is None, "none has one"


def test_the_season_of_a_group_comes_before_the_one_of_the_catalogue_and_never_from_the_product_itself():
    toys = _seasonal(9, 0.02, group="toys")
    pool = Pool(toys | _seasonal(9, 0.02, -WAVE, "tools"), SETTINGS, {"new": NO_EVIDENCE._replace(group="toys")})
    assert pool.prior("new").season.mean == pytest.approx(WAVE, abs=0.03)
    assert pool.prior("stranger").season.mean == pytest.approx([0.0] * 4, abs=0.05)
    moved = {**toys, "toys0": toys["toys0"]._replace(season=[(item, 0.02) for item in WAVE])}
    seasons = [np.hstack(Pool(items, SETTINGS).prior("toys0").season) for items in (moved, toys)]
    np.testing.assert_allclose(*seasons, rtol=1e-9)
    odd = {**toys, "toys0": toys["toys0"]._replace(season=[(-item, 0.02) for item in WAVE])}
    assert Pool(odd, SETTINGS).prior("toys0").season is None, "it has a season of its own"


def test_a_product_with_a_season_of_its_own_shows_it_whatever_the_other_products_do(make_product):
    days = np.arange(730)
    day = make_product(np.full(730, 10.0), days).dates.astype(np.int64)
    units = np.random.default_rng(2).poisson(30 * np.exp(yearly_waves(day) @ WAVE)).astype(float)
    found = find_evidence(make_product(10.0, units), SETTINGS)
    assert not found.known and len(found.season) == 4, "a price that never varied shows a season"
    estimate, error = np.array(found.season).T
    assert (np.abs(estimate - WAVE) < 3 * error).all() and (error < 0.05).all()
    assert find_evidence(make_product(10.0, units[:364]), SETTINGS).season == ()


def test_a_short_history_is_forecast_with_the_season_of_the_other_products(make_product, prepare):
    rng = np.random.default_rng(3)
    history = make_product(np.where(np.arange(100) // 7 % 2, 10.0, 11.0), np.zeros(100))
    day = history.dates.astype(np.int64)
    season = yearly_waves(np.concatenate([day, day[-1] + 1 + np.arange(365)])) @ WAVE
    ahead = season[100:] - season[100:114].mean()
    pool = Pool(_seasonal(12), SETTINGS)
    fitted = []
    for wave in (season[:100], -2 * season[:100]):
        product = replace(history, units=rng.poisson(40 * np.exp(wave)).astype(float))
        market = fit_market(prepare(product), DemandConfig(num_draws=32), priors=[pool.prior("stranger")])
        fitted.append(market.products[0].ahead)
    np.testing.assert_allclose(np.log(fitted[0].path), ahead, atol=0.15)
    assert [item.season_of for item in fitted] == ["catalogue"] * 2
    assert fitted[0].yearly_season > 0.95 > fitted[1].yearly_season + 0.05, "its own sales count, too"
    alone = fit_market(prepare(product), DemandConfig(num_draws=32)).products[0].ahead
    assert alone.yearly_season is None and alone.season_of is None


def test_promoted_products_with_a_year_keep_the_season_that_they_show(make_product, prepare):
    days = np.arange(500)
    dips = make_product(np.where(days % 30 < 5, 8.0, 10.0), days)
    season = yearly_waves(dips.dates.astype(np.int64)) @ -WAVE
    dips = replace(dips, units=np.random.default_rng(4).poisson(30 * np.exp(season)).astype(float))
    prior = Pool(_seasonal(12), SETTINGS).prior("stranger")
    market = fit_market(prepare(dips), DemandConfig(num_draws=8), priors=[prior], conversions=False)
    assert market.products[0].ahead.yearly_season > 0.95, "whatever the season of the others"
