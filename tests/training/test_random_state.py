"""The state of the global generators is complete: after a restore, all of them repeat their numbers."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule
from saved_states import as_saved

from pricerl.training.datamodule import random_state, restore_random_state
from pricerl.training.off_policy import OffPolicyModule


def draw():
    """Draw normal numbers, which numpy and Python make in pairs and keep the second of."""
    drawn = [*torch.randn(3).tolist(), *np.random.standard_normal(3), *np.random.randint(99, size=3)]
    if torch.cuda.is_available():
        drawn += torch.randn(3, device="cuda").tolist()
    return [*drawn, random.gauss(0, 1), random.random()]


@pytest.mark.parametrize("before", [0, 1])
def test_restored_generators_repeat_their_numbers(before):
    for _ in range(before):  # one normal number leaves a second one waiting
        draw()
    state = as_saved(random_state())
    expected = draw()
    assert draw() != expected
    restore_random_state(state)
    assert draw() == expected


def test_states_of_absent_gpus_are_skipped(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    state = random_state() | {"cuda": [torch.zeros(16, dtype=torch.uint8)]}
    expected = draw()
    restore_random_state(state)
    assert draw() == expected


class Evaluated(OffPolicyModule):
    def __init__(self):
        LightningModule.__init__(self)
        self.evaluation = None

    trainer = SimpleNamespace(strategy=None, state=SimpleNamespace(fn="fit"))

    def log_dict(self, metrics, **options):
        self.logged = {name: float(value) for name, value in metrics.compute().items()}


Evaluated.__abstractmethods__ = frozenset()


def test_an_evaluation_does_not_move_the_training_stream():
    module, state = Evaluated(), random_state()
    expected = draw()
    restore_random_state(state)
    module.validation_step(lambda learner: {"drawn": torch.tensor(draw()[:3])}, 0)
    assert module.logged == {"eval/drawn": pytest.approx(sum(expected[:3]) / 3)}
    assert draw() == expected
