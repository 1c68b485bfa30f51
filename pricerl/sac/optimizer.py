"""Adam optimizer that clips its gradients and also takes them as arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam


class Adam(torch.optim.Adam):
    """Adam (arXiv:1412.6980, Algorithm 1) as in torch, with a step that compiles into a larger graph.

    The learning rate is a tensor, so changing it requires no recompilation. State and ``state_dict`` are torch's.

    Args:
        params: parameters of a module that is already on its final device.
        lr: learning rate.
        max_norm: gradients are clipped to this joint norm (arXiv:1211.5063, Algorithm 1); 0 turns clipping off.

    Attributes:
        grad_norm: joint norm ``()`` of the gradients of the last `step`, before clipping.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: float, max_norm: float = 0.0) -> None:
        params = list(params)
        self.max_norm = max_norm
        self.grad_norm = torch.zeros((), device=params[0].device)
        super().__init__(params, lr=torch.tensor(lr, device=params[0].device), fused=True)
        for param in params:
            self.state[param] = {
                "step": torch.zeros((), device=param.device),
                "exp_avg": torch.zeros_like(param),
                "exp_avg_sq": torch.zeros_like(param),
            }

    # Those of torch without their wrappers, which import its compiler, for more than a second, to turn it off.
    add_param_group = inspect.unwrap(torch.optim.Adam.add_param_group)
    state_dict = inspect.unwrap(torch.optim.Adam.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Adam.load_state_dict)
    zero_grad = inspect.unwrap(torch.optim.Adam.zero_grad)

    @property
    def params(self) -> list[nn.Parameter]:
        """Optimized parameters."""
        params: list[nn.Parameter] = self.param_groups[0]["params"]
        return params

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make one step with the gradients in ``.grad``, and return what the closure returns, which is called first."""
        result = None if closure is None else closure()
        _, self.grad_norm = self.descend([param.grad for param in self.params if param.grad is not None])
        return result

    @torch.no_grad()
    def descend(self, gradients: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Make one optimizer step.

        Args:
            gradients: one per parameter, in the order of ``params``; may be changed in place.

        Returns:
            The gradients, clipped, and their joint norm ``()`` before.
        """
        gradients = list(gradients)
        divisor = None
        compiling = torch.compiler.is_compiling()
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        if self.max_norm > 0.0:
            divisor = ((norm + 1e-6) / self.max_norm).clamp(min=1.0)
            if compiling:  # the fused step divides by itself
                gradients = list(torch._foreach_div(gradients, divisor))
                divisor = None
        group = self.param_groups[0]
        states = [self.state[param] for param in self.params]
        adam(
            list(self.params),
            gradients,
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=not compiling,
            foreach=compiling,
            capturable=compiling,
            grad_scale=divisor,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )
        return gradients, norm
