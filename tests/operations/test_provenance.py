"""Provenance: hashes that change with weights and settings."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pricerl.operations.log.provenance import combine, differing, hash_settings, hash_weights, new_settings


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


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ({"seed_everything": 0, "data": {"floor": 9.0, "step": 0.01}}, {}),
        ({"seed_everything": 0, "data": {"floor": 9.0, "step": 0.01, "ceiling": None}}, {"data": {"ceiling": None}}),
        ({"seed_everything": 1, "data": {"floor": 9.0, "step": 0.01}}, None),
        ({"seed_everything": 1, "data": {"floor": 9.0, "step": 0.01, "ceiling": None}}, None),
    ],
    ids=["the same", "a new one", "another value", "both"],
)
def test_settings_added_since_are_told_apart_from_changed_ones(now: Any, expected: Any) -> None:
    changes = {"data": {"floor": 9.0}}
    then = hash_settings({**combine(STORED, changes), "horizon": 14})
    entry = {"settings": changes, "horizon": 14, "hashes": {"config": then}}
    run: Any = SimpleNamespace(checkpoint=SimpleNamespace(settings=STORED), settings=now)
    assert new_settings(entry, run) == expected
    assert new_settings({**entry, "horizon": 7}, run) is None
