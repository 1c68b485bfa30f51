"""The optimizer against torch's own clipping and Adam."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from pricerl.sac.optimizer import Adam


def weights() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((3, 4), (4,), ())]


@pytest.mark.parametrize("max_norm", [0.0, 0.5, 1e3])
def test_a_step_is_that_of_torch_with_clipped_gradients(max_norm: float) -> None:
    ours, theirs = weights(), weights()
    optimizer, reference = Adam(ours, lr=0.1, max_norm=max_norm), torch.optim.Adam(theirs, lr=0.1)
    for step in range(1, 4):
        gradients = [step * torch.ones_like(param) for param in ours]
        for own, param, gradient in zip(ours, theirs, gradients, strict=True):
            own.grad, param.grad = gradient, gradient.clone()
        expected_norm = nn.utils.clip_grad_norm_(theirs, max_norm or math.inf)
        assert (expected_norm > max_norm) == (max_norm < 1.0)
        reference.step()
        optimizer.step()
        torch.testing.assert_close(optimizer.grad_norm, expected_norm)
    for param, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(param, expected)
        for name, value in optimizer.state[param].items():
            torch.testing.assert_close(value, reference.state[expected][name])
