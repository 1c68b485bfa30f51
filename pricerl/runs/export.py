"""Export of a policy: the actor with its scaler and price rule as an ONNX program, and a JSON that describes it."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pricerl.data.days import RECENT_DAYS, steps_in
from pricerl.data.features import FEATURES
from pricerl.env.dynamics import Dynamics
from pricerl.guardrails.limits import price_limits
from pricerl.guardrails.projection import project
from pricerl.writing import explained, write_file, write_text

OUTPUTS = ("price", "action", "feasible")


class PricePolicy(nn.Module):
    """The env's next price from recorded days of ``P`` products on the CPU: scaling, mean action, price rule."""

    def __init__(self, actor: nn.Module, dynamics: Dynamics) -> None:
        super().__init__()
        self.actor: Any = actor
        self.dynamics = dynamics
        self.limits = price_limits(dynamics.guarded, dtype=torch.float64)
        self.start = dynamics.start(*dynamics.history.latest())
        scaler = dynamics.market.preprocessor.scaler
        self.gain, self.bias = (torch.tensor(values)[:, None] for values in (scaler.gain, scaler.bias))

    def forward(self, window: Tensor, prices: Tensor, product: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return prices in money, actions in [-1, 1], and whether limits leave a price, ``(B,)`` each.

        Args:
            window: ``(B, W, 12)`` float64, the unscaled `FEATURES` of the last days, oldest first.
            prices: ``(B, 28)`` float64, prices in money on the last days (4 weeks of weekly rows), newest last.
            product: ``(B,)`` int64, indices of the products.
        """
        scaled = (window * self.gain[product] + self.bias[product]).clamp(0, 1).float()
        charged = window[:, :, FEATURES.index("price")].T.float()
        rows = self.start.rows._replace(limits=self.limits.rows(product), **self.dynamics.described(product))
        observed = self.dynamics.with_description(rows, scaled.permute(1, 2, 0), charged)
        action = self.actor.act(observed.permute(2, 0, 1).flatten(1), deterministic=True)[:, 0].double()
        state = self.start._replace(rows=rows, prices=prices.T, trail=prices.T)
        band = self.dynamics.band(state)
        return project(self.dynamics.propose(state, action, band), state.price, band), action, band.feasible


def write_policy(actor: nn.Module, dynamics: Dynamics, folder: Path, about: Mapping[str, Any]) -> Path:
    """Write ``policy.onnx``, and ``policy.json``, which describes it from ``about`` on; return the program's path."""
    data = dynamics.market.preprocessor
    path = folder / "policy.onnx"
    sizes = {"window": [data.config.window, len(FEATURES)], "prices": [steps_in(RECENT_DAYS, data.step_days)]}
    described = {"products": data.names, "features": FEATURES, "inputs": sizes, "step_days": data.step_days}
    write_text(path.with_suffix(".json"), json.dumps({**about, **described}, indent=1) + "\n")
    inputs = {name: torch.ones(2, *size, dtype=torch.float64) for name, size in sizes.items()}
    inputs["product"] = torch.zeros(2, dtype=torch.int64)
    # onnxscript 0.7.2 optimizes an input of the clamps of price endings away.
    options: Any = {"dynamo": True, "external_data": False, "optimize": False, "verbose": False}
    with warnings.catch_warnings(), explained(path):
        warnings.simplefilter("ignore")  # torch about itself
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision
        made: Any = torch.onnx.export(
            PricePolicy(actor, dynamics).eval(),
            kwargs=inputs,
            dynamic_shapes={name: {0: torch.export.Dim("B")} for name in inputs},
            output_names=OUTPUTS,
            **options,
        )
        for node in made.model_proto.graph.node:
            del node.metadata_props[:]  # lines and paths of this machine
        write_file(path, made.model_proto.SerializeToString())
    return path
