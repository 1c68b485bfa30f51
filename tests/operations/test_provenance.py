"""Provenance: hashes that change with weights and settings."""

from __future__ import annotations

from typing import Any

import torch

from pricerl.operations.log.provenance import combine, differing, hash_settings, hash_weights


def test_hashes_distinguish_weights() -> None:
    torch.manual_seed(0)
    network = torch.nn.Linear(3, 2)
    before = hash_weights(network.state_dict())
    assert before == hash_weights(network.state_dict()) and len(before) == 64
    with torch.no_grad():
        network.weight[0, 0] += 1e-6
    assert hash_weights(network.state_dict()) != before


def test_hashes_distinguish_settings_in_any_order() -> None:
    assert hash_settings({"floor": 1.0, "seed": 0}) == hash_settings({"seed": 0, "floor": 1.0})
    assert hash_settings({"floor": 1.0, "seed": 0}) != hash_settings({"floor": None, "seed": 0})


STORED: dict[str, Any] = {"seed_everything": 0, "data": {"floor": None, "step": 0.01}}


def test_differences_and_their_combination_are_inverse() -> None:
    now = {"seed_everything": 1, "data": {"floor": 9.0, "step": 0.01}}
    assert differing(now, STORED) == {"seed_everything": 1, "data": {"floor": 9.0}}
    assert combine(STORED, differing(now, STORED)) == now and STORED["seed_everything"] == 0
