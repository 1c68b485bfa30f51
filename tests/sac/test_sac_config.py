import dataclasses
import math

import pytest

from pricerl.errors import UsageError
from pricerl.sac.config import NetworkConfig, SACConfig


def test_the_defaults_are_those_measured_on_price_markets():
    sac = SACConfig()
    assert (sac.gamma, sac.tau, sac.actor_lr, sac.critic_lr) == (0.97, 0.02, 3e-3, 1e-3)
    assert (sac.alpha, sac.alpha_lr, sac.target_entropy) == (0.01, 3e-3, -2.0)
    assert (sac.max_grad_norm, sac.batch_size, sac.utd_ratio) == (10.0, 256, 1)
    assert (sac.warmup_steps, sac.buffer_capacity) == (4096, 100_000)
    assert NetworkConfig().hidden == (256, 256)


def test_a_yaml_list_of_widths_becomes_a_tuple():
    assert NetworkConfig(hidden=[64, 32]).hidden == (64, 32)  # type: ignore[arg-type]


@pytest.mark.parametrize("config", [NetworkConfig(), SACConfig()])
def test_settings_cannot_be_changed_later(config):
    field = dataclasses.fields(config)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, field, None)


def test_a_missing_target_entropy_is_minus_the_number_of_actions():
    assert SACConfig(target_entropy=None).resolve_target_entropy(3) == -3.0
    assert SACConfig(target_entropy=-2.0).resolve_target_entropy(3) == -2.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": [10**7, 10**7]}, "hidden must be smaller: more than 100,000,000 weights"),
        ({"num_critics": 10**7}, "hidden must be smaller"),
        ({"hidden": ()}, "hidden must be"),
        ({"hidden": [64, 0]}, r"found \(64, 0\)"),
        ({"hidden": [64, True]}, "hidden must be"),
        ({"hidden": 64}, "found 64"),
        ({"hidden": "64"}, "found '64'"),
        ({"hidden": [64, 1]}, "gives a constant"),
        ({"actor_dropout": 1.0}, "actor_dropout must be at least 0 and below 1; found 1.0"),
        ({"critic_dropout": -0.1}, "critic_dropout"),
        ({"critic_dropout": math.nan}, "critic_dropout"),
        ({"num_critics": 0}, "num_critics"),
        ({"small_init": 0.0}, "small_init must be above 0"),
        ({"log_std_min": 2.0}, "log_std_min must be below log_std_max"),
        ({"normalized": True}, "normalized must be off with residual, critic_dropout or value_bounds"),
    ],
)
def test_impossible_network_settings_are_named(settings, message):
    with pytest.raises(UsageError, match=message):
        NetworkConfig(**settings)


def test_a_width_of_one_is_fine_without_layer_norm():
    assert NetworkConfig(hidden=(4, 1), layer_norm=False).hidden == (4, 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gamma": 1.0}, "gamma must be at least 0 and below 1; found 1.0"),
        ({"tau": 0.0}, "tau"),
        ({"tau": 1.1}, "tau"),
        ({"actor_lr": 0.0}, "actor_lr"),
        ({"critic_lr": math.inf}, "critic_lr"),
        ({"alpha": -1.0}, "alpha must be above 0"),
        ({"alpha_lr": math.nan}, "alpha_lr"),
        ({"target_entropy": math.inf}, "target_entropy"),
        ({"max_grad_norm": -1.0}, "max_grad_norm"),
        ({"batch_size": 0}, "batch_size"),
        ({"utd_ratio": 0.5}, "utd_ratio"),
        ({"warmup_steps": -1}, "warmup_steps"),
        ({"buffer_capacity": 0}, "buffer_capacity"),
    ],
)
def test_impossible_sac_settings_are_named(settings, message):
    with pytest.raises(UsageError, match=message):
        SACConfig(**settings)


def test_all_problems_are_reported_at_once():
    with pytest.raises(UsageError) as caught:
        SACConfig(gamma=2.0, tau=0.0, batch_size=0)
    assert str(caught.value).splitlines() == [
        "sac settings have 3 problems:",
        "  gamma must be at least 0 and below 1; found 2.0",
        "  tau must be above 0 and at most 1; found 0.0",
        "  batch_size must be a whole number of 1 or more; found 0",
    ]
