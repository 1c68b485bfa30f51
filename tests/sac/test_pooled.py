"""Networks of categories: products may stand in any order and number."""

from __future__ import annotations

import pytest
import torch

from pricerl.errors import UsageError
from pricerl.sac.agent import SACAgent
from pricerl.sac.config import NetworkConfig, SACConfig

COLUMNS, ACTIONS = 5, 2


@pytest.fixture
def agent():
    torch.manual_seed(0)
    network = NetworkConfig(hidden=(16, 16, 16), columns=COLUMNS, small_init=1.0)
    made = SACAgent(3 * COLUMNS, 3 * ACTIONS, SACConfig(), network)
    made.normalization.update(torch.rand(64, COLUMNS))
    return made


@pytest.mark.parametrize("products", [1, 2, 3, 7])
def test_reordered_products_get_the_same_actions_and_the_category_the_same_value(agent, products):
    seen = torch.rand(4, products, COLUMNS)
    acted = torch.rand(4, products, ACTIONS)
    order = torch.randperm(products)
    action = agent.act(seen.flatten(1), deterministic=True)
    assert action.shape == (4, products * ACTIONS)
    moved = agent.act(seen[:, order].flatten(1), deterministic=True).view(4, products, ACTIONS)
    torch.testing.assert_close(moved, action.view(4, products, ACTIONS)[:, order])
    value = agent.critic(seen.flatten(1), acted.flatten(1))
    assert value.shape == (2, 4)
    torch.testing.assert_close(agent.critic(seen[:, order].flatten(1), acted[:, order].flatten(1)), value)


def test_the_others_matter(agent):
    seen = torch.rand(1, 3, COLUMNS)
    other = seen.clone()
    other[:, 2] = torch.rand(COLUMNS)
    first = [agent.act(item.flatten(1), deterministic=True)[0, :ACTIONS] for item in (seen, other)]
    assert float((first[0] - first[1]).abs().max()) > 1e-3


def test_columns_are_a_count_and_go_without_normalized_critics():
    with pytest.raises(UsageError, match="columns must be a whole number of 0 or more"):
        NetworkConfig(columns=-1)
    with pytest.raises(UsageError, match="columns must be 0 with normalized"):
        NetworkConfig(columns=4, normalized=True, residual=False, value_bounds=False)
