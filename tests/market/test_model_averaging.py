"""The regressions of one history are averaged by evidence; how its prices were set decides which there are.

A repricer's rule is read from the history where it is proven, and nowhere else.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from elasticities import elasticities

from pricerl.data.costs import CostConfig
from pricerl.data.price_setting import classify_prices
from pricerl.market.demand.averaging import BIASES, bias_of, fit_parts, price_prior, regress
from pricerl.market.demand.config import DemandConfig, DemandSettings
from pricerl.market.demand.covariates import Terms, gather_covariates
from pricerl.market.fitting import fit_market

DAYS = 200
DEEPER, STEP = -1.2, 0.2
"""Further elasticity of a deal with respect to its depth, and its step."""


def elasticities_of(prepare, products, truth, price=None):
    """Kinds of price setting, in how many 90 % intervals the true elasticity lies, and all draws, ``(shops, draws)``.

    The elasticity is that at ``price``, else at the last price of a shop.
    """
    config = DemandConfig(num_draws=200)
    fits = [fit_market(prepare(product), config, CostConfig(), conversions=False).products[0] for product in products]
    prices = [price or product.price[-1] for product in products]
    draws = np.array([elasticities(fit, at, 0.97, 1.03) for fit, at in zip(fits, prices, strict=True)])
    low, high = np.quantile(draws, [0.05, 0.95], axis=1)
    return {fit.price_setting for fit in fits}, ((low <= truth) & (truth <= high)).sum(), draws


def deal_shop(seed, elasticity=-1.5):
    """Regular prices change every seven weeks; a deal of a week every month has an effect of its own."""
    rng = np.random.default_rng(seed)
    regular = np.repeat(rng.uniform(-0.12, 0.12, 5), 49)[:DAYS]
    deal = np.arange(DAYS) % 30 >= 23
    x = regular + np.where(deal, np.log(rng.choice([0.7, 0.8, 0.9], 8)[np.arange(DAYS) // 30]), 0.0)
    price = np.round(20 * np.exp(x), 2)
    mean = 30 * np.exp(elasticity * x + (DEEPER * (x - regular) + STEP) * deal)
    return price, rng.poisson(mean * rng.gamma(10, 0.1, DAYS)).astype(float)


def repriced_shop(seed, elasticity=-3.0):
    """The price follows the demand of the days before and of the day."""
    rng = np.random.default_rng(seed)
    demand = rng.normal(0, 0.3, DAYS)
    x = np.convolve(demand, [0.25, 0.15, 0.1])[:DAYS] + 0.02 * rng.normal(size=DAYS)
    return np.round(20 * np.exp(x), 2), rng.poisson(20 * np.exp(elasticity * x + demand)).astype(float)


def advised_shop(make_product, seed, days=60, swing=0.08, elasticity=-3.0):
    """A repriced shop whose last days charge advised prices, changed every week."""
    price, units = repriced_shop(seed, elasticity)
    rng = np.random.default_rng(100 + seed)
    x = swing * np.where(np.arange(days) // 7 % 2, 1, -1)
    sold = rng.poisson(20 * np.exp(elasticity * x + rng.normal(0, 0.3, days)))
    product = make_product(np.append(price, np.round(20 * np.exp(x), 2)), np.append(units, sold))
    return product, np.arange(len(product.price)) >= len(price)


def test_deals_do_not_steepen_the_response_to_the_regular_price(make_product, prepare):
    kinds, covered, draws = elasticities_of(prepare, [make_product(*deal_shop(seed)) for seed in range(8)], -1.5)
    assert kinds == {"promotions"} and covered >= 7
    assert draws.mean() > -2.4, "a slope over all days is about -3.5"


def test_a_repricer_that_follows_demand_leaves_a_wide_posterior(make_product, prepare):
    shops = [make_product(*repriced_shop(seed)) for seed in range(4)]
    kinds, covered, draws = elasticities_of(prepare, shops, -3.0, 20.0)
    assert kinds == {"repricer"} and covered == 4 and draws.std(1).min() > 0.5


def test_the_information_of_a_biased_history_is_that_of_its_bias(make_product):
    _, parts = fit_parts(make_product(*repriced_shop(0)), DemandSettings())
    for part in parts:
        free = part.posterior.without_prior([1], price_prior(part.data, DemandSettings()))
        assert free.covariance[1, 1] ** -1 - 0.01 == pytest.approx(0.25, abs=0.05), "a bias of sd 2"


@pytest.mark.slow
def test_own_prices_tighten_the_posterior_of_a_repricer_around_the_truth(make_product, prepare):
    shops = [advised_shop(make_product, seed) for seed in range(8)]
    marked = [replace(product, own_price=own) for product, own in shops]
    kinds, covered, draws = elasticities_of(prepare, marked, -3.0, 20.0)
    unmarked = elasticities_of(prepare, [product for product, _ in shops], -3.0, 20.0)[-1].std(1).mean()
    assert kinds == {"repricer"} and covered >= 6
    assert draws.std(1).mean() < 0.75 * unmarked and unmarked > 0.8


def test_many_own_prices_do_not_hide_a_repricer(make_product):
    product, own = advised_shop(make_product, 0, days=400)
    assert classify_prices(product.price).kind != "repricer"
    assert fit_parts(replace(product, own_price=own), DemandSettings())[0].kind == "repricer"


def test_kept_regular_prices_do_not_hide_promotions(make_product):
    product = make_product(*deal_shop(0), own_price=np.arange(DAYS) % 30 < 23)
    assert fit_parts(product, DemandSettings())[0].kind == "promotions"


def test_the_bias_has_no_effect_on_own_days_and_is_centred_on_the_others(make_product):
    product, own = advised_shop(make_product, 0, days=300)
    data = gather_covariates(replace(product, own_price=own), Terms(bias=(1.0, 2.0)))
    bias = data.covariates[:, data.names.index("bias")]
    assert not bias[own].any() and np.median(bias[~own]) == pytest.approx(0, abs=1e-12)
    everything = gather_covariates(replace(product, own_price=~np.zeros_like(own)), Terms(bias=(1.0, 2.0)))
    assert "bias" not in everything.names


@pytest.mark.parametrize("own", [False, True])
def test_every_history_has_a_bias_unless_pricerl_set_all_its_prices(make_product, own):
    rng = np.random.default_rng(3)
    price = np.round(20 * np.exp(rng.uniform(-0.1, 0.1, 20).repeat(10)), 2)
    product = make_product(price, rng.poisson(20 * (price / 20) ** -2.0).astype(float), own_price=np.full(DAYS, own))
    setting, parts = fit_parts(product, DemandSettings())
    assert setting.kind == "plain"
    assert {part.data.bias for part in parts} == {None if own else BIASES["plain"]}


def test_the_bias_of_a_history_moves_and_widens_its_elasticity(make_product):
    rng = np.random.default_rng(4)
    price = np.round(20 * np.exp(rng.uniform(-0.2, 0.2, 40).repeat(5)), 2)
    product = make_product(price, rng.poisson(500 * (price / 20) ** -2.0).astype(float))
    modes, variances = [], []
    for bias in (None, BIASES["plain"]):
        data = gather_covariates(product, Terms(bias=bias))
        posterior = regress(data, DemandSettings())
        modes.append(posterior.mode[1])
        variances.append(posterior.covariance[1, 1])
    mean, sd = BIASES["plain"]
    assert modes[1] - modes[0] == pytest.approx(-mean, abs=0.03)
    assert variances[1] - variances[0] == pytest.approx(sd**2, rel=0.1)


def test_weekly_prices_that_change_on_most_rows_have_the_bias_of_rounded_averages():
    rng = np.random.default_rng(5)
    changing = np.round(3 * np.exp(rng.normal(0, 0.05, 60)), 2)
    assert bias_of(classify_prices(changing, 7), 7) == BIASES["rounded averages"]
    assert bias_of(classify_prices(changing[::6].repeat(6), 7), 7) == BIASES["plain"]
    assert bias_of(classify_prices(changing.repeat(3)), 1) == BIASES["plain"]


def test_own_days_have_the_bias_of_the_last_price_that_followed_demand(make_product):
    price = np.r_[np.linspace(19.0, 21.0, 60), np.full(20, 20.5), np.linspace(21.0, 19.0, 15), np.full(5, 22.0)]
    own = np.isin(np.arange(100), np.r_[60:80, 95:100])
    data = gather_covariates(
        make_product(price, np.full(100, 20.0), own_price=own), Terms(bias=(1.0, 2.0), follows=True)
    )
    column = data.names.index("bias")
    bias, centre = data.covariates[:, column], np.median(np.log(price[~own]))
    np.testing.assert_allclose(bias[60:80], np.log(21.0) - centre)
    np.testing.assert_allclose(bias[95:], np.log(19.0) - centre)
    np.testing.assert_allclose(bias[~own], np.log(price[~own]) - centre)
    assert data.ahead[column] == bias[-1]


def persistent_shop(make_product, seed, days=60, elasticity=-3.0):
    """A repricer follows demand that changes slowly; on the last days its last price is kept."""
    rng = np.random.default_rng(seed)
    demand = 0.03 * np.cumsum(rng.normal(size=DAYS + days))
    x = 0.4 * demand + 0.01 * rng.normal(size=DAYS + days)
    x[DAYS:] = x[DAYS - 1]
    sold = rng.poisson(100 * np.exp(elasticity * x + demand)).astype(float)
    return make_product(np.round(20 * np.exp(x), 2), sold, own_price=np.arange(DAYS + days) >= DAYS)


@pytest.mark.slow
def test_a_kept_price_of_a_repricer_shows_no_response(make_product, prepare):
    shops = [persistent_shop(make_product, seed) for seed in range(8)]
    kinds, covered, draws = elasticities_of(prepare, shops, -3.0)
    assert kinds == {"repricer"} and covered >= 7 and draws.std(1).mean() > 0.8


def test_a_history_without_own_prices_is_unchanged(make_product):
    product = make_product(*repriced_shop(0))
    unmarked, none = (
        fit_parts(item, DemandSettings())[1] for item in (product, replace(product, own_price=np.zeros(DAYS, bool)))
    )
    for before, after in zip(unmarked, none, strict=True):
        np.testing.assert_array_equal(before.posterior.mode, after.posterior.mode)


def test_weights_are_probabilities(make_product):
    price = np.round(10 * np.exp(np.repeat(np.random.default_rng(3).uniform(-0.2, 0.2, 50), 4)), 2)
    _, parts = fit_parts(make_product(price, np.full(200, 40.0)), DemandSettings())
    assert len(parts) == 2 and sum(part.weight for part in parts) == pytest.approx(1)


def test_noise_of_a_regular_price_that_hardly_moves_is_no_elasticity(make_product, prepare):
    regular = np.repeat([20.0, 20.2, 20.1, 20.2], 50)
    deal = np.arange(DAYS) % 30 >= 23
    price = np.round(np.where(deal, 0.8, 1.0) * regular, 2)
    shops = []
    for rng in map(np.random.default_rng, range(4)):
        level = np.repeat(rng.normal(0, 0.15, 4), 50)
        shops.append(make_product(price, rng.poisson(80 * np.exp(level + 0.6 * deal)).astype(float)))
    means = elasticities_of(prepare, shops, -3.0, 20.2)[-1].mean(1)
    assert means.min() > -6 and means.max() < -0.5


RULE_DAYS, ELASTICITY, STRENGTH = 210, -3.0, 0.5
WEEKDAY = np.array([-0.2, -0.15, -0.1, 0.0, 0.1, 0.25, 0.1])


def ruled_shop(make_product, kind, seed=3):
    """Demand has weekdays and shocks that last; the price follows both, a rival, or the weekdays alone."""
    rng = np.random.default_rng(seed)
    shock, rival = 0.2 * wander(rng), 0.12 * wander(rng)
    weekday = np.resize(WEEKDAY, RULE_DAYS)
    rest = rng.normal(0, 0.06, RULE_DAYS)
    moved = {
        "follows": STRENGTH * (shock + weekday) + rest,
        "follows a day later": STRENGTH * np.roll(shock + weekday, 1) + rest,
        "rival": rival + rest / 3,
        "weekdays": STRENGTH * weekday + rest,
        "shocks": STRENGTH * shock + rest,
    }
    x = moved[kind]
    units = rng.poisson(15 * np.exp(ELASTICITY * x + shock + weekday + 0.5 * rival * (kind == "rival")))
    return make_product(np.round(20 * np.exp(x), 2), units.astype(float))


def wander(rng, memory=0.75):
    found = rng.normal(size=RULE_DAYS)
    for day in range(1, RULE_DAYS):
        found[day] = memory * found[day - 1] + np.sqrt(1 - memory**2) * found[day]
    return found


@pytest.mark.parametrize("kind", ["follows", "follows a day later"])
def test_a_proven_rule_gives_the_elasticity_that_the_regression_misses(make_product, kind):
    setting, parts = fit_parts(ruled_shop(make_product, kind), DemandSettings())
    (part,) = parts
    assert setting.kind == "repricer" and setting.follows == pytest.approx(STRENGTH, abs=0.1)
    assert part.posterior.mode[1] == pytest.approx(ELASTICITY, abs=0.6)
    bias, sd = part.data.bias
    assert bias > 0.7, "the plain slope is too flat"
    assert 0.2 < sd < 1.0


@pytest.mark.parametrize("kind", ["rival", "weekdays", "shocks"])
def test_without_proof_the_wide_bias_stays(make_product, kind):
    setting, parts = fit_parts(ruled_shop(make_product, kind), DemandSettings())
    assert setting.kind == "repricer" and not setting.follows
    assert {part.data.bias for part in parts} == {BIASES["repricer"]}
