"""Observation noise: negative-binomial units around their expectation."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch
from torch import Tensor

BLOCK_ROWS = 4096
"""Rows per generator: enough to make the cost of starting a thread negligible."""


class Noise:
    """Random numbers of ``num_rows`` rows, with one generator per block of rows on the CPU.

    torch draws from a generator on one thread only, which would dominate a step. Blocks are drawn in parallel on
    torch's threads; the numbers do not depend on the number of threads.

    Args:
        num_rows: B.
        device: of the rows; devices other than the CPU have one generator, which draws in parallel by itself.
    """

    def __init__(self, num_rows: int, device: torch.device) -> None:
        blocks = math.ceil(num_rows / BLOCK_ROWS) if device.type == "cpu" else 1
        self.generator, *self._others = (torch.Generator(device) for _ in range(blocks))

    def seed(self, seed: int) -> None:
        """Seed the first block's generator, and from it the others."""
        self.generator.manual_seed(seed)
        for other in self._others:
            other.manual_seed(int(torch.randint(2**62, (), generator=self.generator)))

    def sample_units(self, mean: Tensor, size: Tensor) -> Tensor:
        """Draw units ``(n, B)`` of ``n`` days around their mean ``(n, B)``; ``size (B,)``."""
        if not self._others:
            return sample_units(mean, size, self.generator)
        generators = self.generator, *self._others
        blocks = mean.chunk(len(generators), 1), size.chunk(len(generators)), generators
        num_threads = torch.get_num_threads()
        drawn = map(sample_units, *blocks) if num_threads == 1 else _threads(num_threads).map(sample_units, *blocks)
        return torch.cat(list(drawn), 1)


def sample_units(mean: Tensor, size: Tensor, generator: torch.Generator) -> Tensor:
    """Draw units from NegativeBinomial(mean, size): a Poisson with a gamma-distributed rate."""
    rate = torch._standard_gamma(size.expand_as(mean).contiguous(), generator=generator) * (mean / size)
    return torch.poisson(rate, generator=generator)


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="noise")
