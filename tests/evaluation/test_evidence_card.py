"""The card of evidence and the regression that it refits nothing with, on histories whose faults were put there."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from pricerl.data.costs import CostConfig
from pricerl.evaluation.card.evidence_card import draw_card
from pricerl.evaluation.card.placebos import find_placebos
from pricerl.evaluation.card.prior_share import find_prior_share, own_precision
from pricerl.market.demand.priors import StatedPrior, Tabulated, log_normal_prior
from pricerl.market.fitting import fit_market
from pricerl.market.working_fit import find_entangled, find_price_shares, fit_demand

DAYS = 364


def prices(rng, hold=5, spread=0.1):
    """Random prices around 10 that each stay for some days."""
    return np.round(10 * np.exp(np.repeat(rng.normal(0, spread, -(-DAYS // hold)), hold)[:DAYS]), 2)


def fitted_to(prepare, product):
    return fit_market(prepare(product), cost=CostConfig(unit_cost=4.0, share_kept=1.0), conversions=False).products[0]


def card_of(product, fitted, tested=False):
    """The lines of the card by their question."""
    fit = fit_demand(product)
    share = find_prior_share(fit, product, fitted)
    return {line.question: line for line in draw_card(fit, share, product, fitted, tested)}


def verdicts_of(card):
    return {question: line.verdict for question, line in card.items()}


def led(make_product, response=0.0, units=40):
    """A product whose price follows the demand of the day before."""
    rng = np.random.default_rng(1)
    demand = rng.normal(0, 0.3, DAYS)
    price = np.round(10 * np.exp(0.1 * np.append(0, demand[:-1]) + rng.normal(0, 0.02, DAYS)), 2)
    return make_product(price, rng.poisson(units * np.exp(demand + response * np.log(price / 10))).astype(float))


def test_a_history_without_faults_passes_every_placebo(make_product):
    rng = np.random.default_rng(0)
    price = prices(rng)
    fit = fit_demand(make_product(price, rng.poisson(40 * (price / 10) ** -2.0)))
    found = find_placebos(fit)
    assert max(abs(found.lead), found.shifted, found.capped, -found.busy) < 2.58  # no FAIL
    assert fit.slope[0] == pytest.approx(-2, abs=3 * fit.slope[1]) and fit.slope[1] < 0.5


def test_the_matrices_of_a_fit_stay_out_of_the_market(make_product, prepare):
    rng = np.random.default_rng(0)
    product = make_product(prices(rng), rng.poisson(40.0, DAYS))
    known = fitted_to(prepare, product).fit
    assert find_placebos(fit_demand(product, known)) == find_placebos(fit_demand(product, known))
    assert not {"levels", "_factor"} & vars(known).keys()


def test_a_price_that_follows_yesterdays_demand_explains_the_sales_before_it(make_product, prepare):
    product = led(make_product)
    found = find_placebos(fit_demand(product))
    assert found.lead > 4
    card = card_of(product, replace(fitted_to(prepare, product), follows=0.0))
    assert card["next price"].verdict == "REVIEW" and "explains sales before it" in card["next price"].finding


def test_shocks_that_last_as_long_as_prices_widen_the_elasticity_and_fail_nothing(make_product):
    rng = np.random.default_rng(2)
    price = prices(rng, 7)
    shock = np.repeat(rng.normal(0, 0.3, DAYS // 7), 7)
    calm, stormy = (fit_demand(make_product(price, rng.poisson(60 * np.exp(level)))) for level in (0 * shock, shock))
    assert find_placebos(stormy).shifted < 2.58
    assert stormy.slope[1] > 2 * calm.slope[1] and abs(stormy.slope[0]) < 3 * stormy.slope[1]


@pytest.mark.parametrize("units", [6, 200])
def test_sales_that_stock_caps_differ_from_replayed_ones(make_product, units):
    rng = np.random.default_rng(3)
    price = prices(rng)
    week = np.tile([0.7, 0.8, 0.9, 1, 1.1, 1.4, 1.1], DAYS // 7)
    stock = np.ceil(units * np.exp(rng.normal(0.1, 0.2, DAYS)))
    sold = np.minimum(rng.poisson(units * week * (price / 10) ** -2.5), stock)
    found = find_placebos(fit_demand(make_product(price, sold)))
    assert found.capped > 3 if units == 6 else found.busy < -3


def test_a_price_that_moves_with_the_season_alone_cannot_be_tested(make_product):
    price = np.round(10 * np.exp(0.2 * np.sin(np.arange(DAYS) / 60)), 4)
    assert find_placebos(fit_demand(make_product(price, np.full(DAYS, 20.0)))) is None
    assert find_placebos(fit_demand(make_product(10.0, np.full(DAYS, 20.0)))) is None


@pytest.mark.parametrize("units", [40, 4000])
def test_sales_that_follow_from_the_price_without_chance_cannot_be_tested(units, make_product, prepare):
    price = prices(np.random.default_rng(6))
    product = make_product(price, np.round(units * (price / 10) ** -2.0))
    assert find_placebos(fit_demand(product)) is None
    card = card_of(product, fit_market(prepare(product), conversions=False).products[0])
    assert len(card) == 7 and "FAIL" not in verdicts_of(card).values()
    assert sum("sales are few" in line.finding for line in card.values()) == 1


def test_a_pooled_prior_has_the_density_of_any_other():
    normal = np.linspace(-4, 4, 401)
    plain = log_normal_prior(-2.2, 1.5)
    table = Tabulated(plain.mean, plain.sd, normal, plain.at(normal))
    at = np.linspace(0, 1.5, 7)
    assert StatedPrior(table).pooled and not StatedPrior(plain).pooled
    assert StatedPrior(table).log_density(at) == pytest.approx(StatedPrior(plain).log_density(at), abs=1e-3)


def test_three_sales_or_a_single_price_leave_the_prior_as_it_is(make_product, prepare):
    units = np.zeros(180)
    units[[20, 90, 150]] = 1
    product = make_product(np.repeat([10.0, 11.0, 10.0], 60), units)
    fitted = fitted_to(prepare, product)
    assert find_prior_share(fit_demand(product), product, fitted) > 0.9
    card = card_of(product, fitted)
    assert [name for name, verdict in verdicts_of(card).items() if verdict == "FAIL"] == ["prior share"]
    assert "does not show how buyers react" in card["prior share"].finding
    single = make_product(10.0, np.random.default_rng(5).poisson(8, 90).astype(float))
    verdicts = verdicts_of(card_of(single, fitted_to(prepare, single)))
    assert verdicts["published elasticities"] == "REVIEW" and verdicts["prior share"] == "FAIL"


def test_a_year_of_varied_prices_leaves_little_of_the_prior(make_product, prepare):
    rng = np.random.default_rng(4)
    price = prices(rng)
    product = make_product(price, rng.poisson(60 * (price / 10) ** -2.0).astype(float))
    fitted = fitted_to(prepare, product)
    share = find_prior_share(fit_demand(product), product, fitted)
    assert 0 < share < 0.2
    card = card_of(product, fitted)
    verdicts = verdicts_of(card)
    assert len(card) == 7 and verdicts["prior share"] == "PASS" and verdicts["experiment"] == "REVIEW"
    assert "FAIL" not in verdicts.values()
    assert all(bool(line.remedy) == (line.verdict != "PASS") for line in card.values())
    assert card_of(product, fitted, tested=True)["experiment"].verdict == "PASS"
    assert find_prior_share(fit_demand(product), product, replace(fitted, prior=None)) is None


def test_a_proven_rule_is_a_finding_and_fails_no_question(make_product, known_demand):
    product = led(make_product, 0.5, 60)
    fitted = replace(known_demand().products[0], price_setting="repricer", bias=(3.0, 0.5))
    for follows, verdict in ((0.0, "FAIL"), (0.1, "REVIEW")):
        lines = card_of(product, replace(fitted, follows=follows))
        assert lines["who set the prices"].verdict == verdict and lines["next price"].verdict == "REVIEW"
    assert "It rises 0.1 % per 1 % of demand".lower() in lines["who set the prices"].finding
    assert f"an elasticity of {fit_demand(product).slope[0] - 3:.1f}" in lines["published elasticities"].finding


def test_only_own_prices_that_vary_inform_about_the_elasticity(make_product):
    price, own = np.repeat([10.0, 11.0, 10.0], [60, 28, 28]), np.arange(116) >= 60
    kept = make_product(np.full(116, 10.0), np.full(116, 20.0), own_price=own)
    varied = make_product(price, np.full(116, 20.0), own_price=own)
    fitted = SimpleNamespace(units=SimpleNamespace(size=5.0), tests=())
    assert own_precision(kept, fitted) == pytest.approx(0, abs=1e-20)
    assert own_precision(make_product(price, np.full(116, 20.0)), fitted) == 0
    by_hand = 56 * (np.log(1.1) / 2) ** 2 * 20 / (1 + 20 / 5)  # variance of log units: 1 / mean + 1 / size
    assert own_precision(varied, fitted) == pytest.approx(by_hand)


def history_of(make_product, season=0.0, noise=0.06):
    """Random prices that follow a season of 90 days, elasticity -2."""
    rng = np.random.default_rng(0)
    wave = np.sin(2 * np.pi * np.arange(DAYS) / 90)
    price = np.round(10 * np.exp(rng.normal(0, noise, DAYS) + season * wave), 2)
    units = rng.poisson(40 * (price / 10) ** -2.0 * np.exp(season * wave))
    return make_product(price, units.astype(float))


def test_the_share_of_a_cause_is_what_the_others_leave_of_the_price_which_is_entangled_with_it_at_most(make_product):
    still, turning = (find_price_shares(fit_demand(history_of(make_product, season))) for season in (0.0, 0.15))
    assert list(still) == ["weekday", "season"] and still["season"] < 0.1
    assert turning["season"] == pytest.approx(0.15**2 / 2 / (0.15**2 / 2 + 0.06**2), abs=0.05)
    assert turning["weekday"] < 0.03
    assert find_entangled(fit_demand(history_of(make_product, 0.15, noise=0.001))) == "season"
    assert find_entangled(fit_demand(history_of(make_product, 0.15))) == ""
    assert find_entangled(fit_demand(make_product(np.full(60, 10.0), np.full(60, 5.0)))) == ""
