"""SACModule without a Trainer, for plain loops in benchmarks and tests."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from torch import Tensor

from pricerl.sac.agent import SACAgent
from pricerl.training.devices import average
from pricerl.training.module import SACModule


class BareModule(SACModule):
    """Module of an agent whose ``training_step`` can be called by anyone.

    Args:
        agent: networks and temperature, on their final device.
        compiles: whether losses are compiled.
    """

    def __init__(self, agent: SACAgent, compiles: bool = False) -> None:
        super(SACModule, self).__init__(agent.config, agent.config.gamma, {})  # without networks of its own
        self.agent = agent
        self.compiles = compiles
        self.bare_optimizers = self.configure_optimizers()
        self._trainer = SimpleNamespace(global_step=0)  # type: ignore[assignment]

    def optimizers(self, use_pl_optimizer: bool = True) -> Any:
        """Return the optimizers without Lightning's wrappers."""
        return self.bare_optimizers

    def manual_backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Call what a Trainer would call between its hooks, and average over the ranks, if there are any."""
        self.backward(loss, *args, **kwargs)
        if self.averages:
            average([item.grad for item in self.parameters() if item.grad is not None])

    def count_updates(self, number: int) -> None:
        """Count nothing."""

    def update(self, batch: Any) -> dict[str, Tensor]:
        """Make one update; return its metrics by name without ``train/``."""
        return {name.partition("/")[2]: value for name, value in self.training_step(batch, 0).items()}
