"""The weights from which training starts: what they fit, how well they do alone, and that training never harms them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from command_line import run
from lightning.pytorch import Trainer

from pricerl.env.config import EnvConfig
from pricerl.env.stock.category import FEATURES
from pricerl.env.stock.category_env import CategoryVectorEnv
from pricerl.errors import UsageError
from pricerl.market.demand.config import DemandConfig
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.sac.start import SHIPPED, SHIPPED_CATEGORY, pack, start_from
from pricerl.simulation.seller import SellerConfig
from pricerl.training import simulated_markets
from pricerl.training.module import SACModule
from pricerl.training.pricing_data import PricingDataModule
from pricerl.training.saved_policy import category_policy

SELLER, DEMAND = SellerConfig(market="linear", days=130, units=30.0), DemandConfig(num_draws=8)
QUIET = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}


@pytest.fixture
def data(fitted: Callable[..., Market]) -> PricingDataModule:
    made = PricingDataModule(seller=SELLER, market=DEMAND, reward=RewardConfig("profit"), num_envs=8)
    made.market = fitted(SELLER, DEMAND)
    made.preprocessor = made.market.preprocessor
    return made


def make(data: PricingDataModule, init: str = "shipped", **changes: float) -> SACModule:
    return SACModule(data.task, SACConfig(warmup_steps=64, batch_size=16, actor_horizon=1, **changes), init=init)


def fit(module: SACModule, data: PricingDataModule) -> SACModule:
    Trainer(accelerator="cpu", max_steps=2, max_epochs=-1, **QUIET).fit(module, data)
    return module


def test_the_weights_that_ship_are_small_and_fit_the_default_network(data: PricingDataModule) -> None:
    module = make(data)
    assert SHIPPED.stat().st_size <= 500_000 and SHIPPED.with_suffix(".md").exists()
    assert start_from(SHIPPED, module.agent, module.network, data.layout) == ""
    learned, target = (part.head.weight for part in (module.agent.critic, module.agent.target_critic))
    torch.testing.assert_close(learned, target, rtol=0, atol=0)
    assert module.agent.normalization is not None and module.agent.normalization.count > 10_000


def test_the_network_that_ships_earns_what_the_plan_of_an_unseen_seller_earns(data: PricingDataModule) -> None:
    module = make(data).eval()
    start_from(SHIPPED, module.agent, module.network, data.layout)
    unit = data.reward.resolved().profit_share
    compared = data.benchmark(module.step_discount).compare(module.policy)
    assert unit is not None and float(unit * compared.advantage) > -0.005


def test_packed_weights_give_the_same_actions_but_for_half_precision(data: PricingDataModule, tmp_path: Path) -> None:
    module, other = make(data), make(data)
    module.agent.normalization.update(torch.rand(64, data.task.observation_dim))
    (tmp_path / "weights").write_bytes(pack(module.agent, module.network, data.layout))
    assert start_from(tmp_path / "weights", other.agent, other.network, data.layout) == ""
    seen = torch.rand(8, data.task.observation_dim)
    torch.testing.assert_close(other.policy(seen), module.policy(seen), rtol=0.01, atol=1e-4)


def test_weights_of_other_observations_or_networks_do_not_fit_and_a_missing_file_is_named(
    data: PricingDataModule, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent, network = make(data).agent, NetworkConfig()
    assert start_from(SHIPPED, agent, network, "other") == "they read other observations"
    wide = NetworkConfig(hidden=(64,))
    assert start_from(SHIPPED, agent, wide, data.layout) == "model.network.hidden is [256, 256] there"
    agent.actor.head = torch.nn.Linear(8, 2)
    assert start_from(SHIPPED, agent, network, data.layout) == "they are of another network"
    with pytest.raises(UsageError, match=r"model.init: .*absent is no file of weights"):
        start_from(tmp_path / "absent", agent, network, data.layout)
    module = SACModule(data.task, SACConfig(warmup_steps=64, batch_size=16, actor_horizon=0), wide)
    fit(module, data)
    assert capsys.readouterr().err.count("hidden is [256, 256] there; training starts from random weights") == 1
    with pytest.raises(UsageError, match=r"do not fit, .*; leave it out"):
        fit(SACModule(data.task, SACConfig(warmup_steps=64), wide, init=str(SHIPPED)), data)


def test_training_that_earns_less_than_its_start_is_undone(data: PricingDataModule) -> None:
    module = fit(make(data, actor_lr=1.0), data)
    fresh = make(data)
    start_from(SHIPPED, fresh.agent, fresh.network, data.layout)
    seen = torch.rand(8, data.task.observation_dim)
    torch.testing.assert_close(module.eval().policy(seen), fresh.policy(seen))


def test_one_command_trains_on_simulated_sellers_and_another_exports_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulated_markets, "UNSEEN", 2)
    small = ["--data.market.num_draws=8", "--data.seller.products=3", "--model.algorithm.warmup_steps=64"]
    short = ["--trainer.max_steps=2", "--model.algorithm.actor_horizon=1", "--trainer.enable_progress_bar=false"]
    result = run(tmp_path, "fit", "--config", "policy", *small, *short)
    assert result.code == 0 and not (tmp_path / "checkpoints" / "policy" / "advice.json").exists(), result.err
    assert run(tmp_path, "export", "--run_name", "policy", "--format", "weights", "--out", "out").code == 0
    module = SACModule(PricingDataModule().task)
    layout = PricingDataModule().layout
    assert start_from(tmp_path / "out" / "policy.safetensors", module.agent, module.network, layout) == ""


@pytest.mark.slow
def test_one_command_trains_the_policy_for_categories(tmp_path: Path) -> None:
    short = ["--trainer.max_steps=2", "--model.algorithm.warmup_steps=64", "--trainer.enable_progress_bar=false"]
    result = run(tmp_path, "fit", "--config", "category", *short)
    assert result.code == 0 and (tmp_path / "checkpoints" / "category" / "best.ckpt").exists(), result.err


def test_the_network_for_categories_that_ships_earns_far_more_than_the_first_prices_at_any_size() -> None:
    assert SHIPPED_CATEGORY.stat().st_size <= 200_000 and SHIPPED_CATEGORY.with_suffix(".md").exists()
    act = category_policy()
    for products in (1, 3, 9):
        earned = []
        for policy in (act, lambda seen, size=products: torch.zeros(len(seen), 2 * size)):
            env = CategoryVectorEnv(32, products)
            observation, _ = env.reset(seed=9)
            total, ended = torch.zeros(32), torch.zeros(1, dtype=torch.bool)
            while not ended.any():
                observation, reward, ended, _, _ = env.step(policy(observation))
                total += reward
            earned.append(float(total.mean()))
        assert earned[0] > 1.1 * earned[1]


@pytest.mark.slow
def test_one_command_trains_on_random_categories_and_another_exports_their_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulated_markets, "UNSEEN", 2)
    monkeypatch.setattr(simulated_markets, "GRADIENT_PRODUCTS", 24)
    small = ["--trainer.max_steps=2", "--model.algorithm.warmup_steps=64", "--trainer.enable_progress_bar=false"]
    result = run(tmp_path, "fit", "--config", "category", "--model.network.hidden=[8,8]", *small)
    assert result.code == 0, result.err
    assert run(tmp_path, "export", "--run_name", "category", "--format", "weights", "--out", "out").code == 0
    act = category_policy(tmp_path / "out" / "category.safetensors")
    assert act(torch.rand(2, 5 * len(FEATURES))).shape == (2, 10)
    with pytest.raises(UsageError, match="do not fit, they are for single products"):
        category_policy(SHIPPED)


def test_undescribed_observations_have_no_layout_that_weights_could_fit() -> None:
    assert PricingDataModule(env=EnvConfig(describe=False)).layout == ""
    assert PricingDataModule(env=EnvConfig(action="absolute")).layout == ""
