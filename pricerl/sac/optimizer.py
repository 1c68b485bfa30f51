"""Adam optimizer that clips its gradients."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam


class Adam(torch.optim.Adam):
    """Adam (arXiv:1412.6980, Algorithm 1) as in torch, fused with the clipping of its gradients.

    Clipped in a pass of its own, as by Lightning's ``clip_gradients``, an update would take 0.2 ms longer. The learning
    rate is a tensor, which a compiled step reads anew. State and ``state_dict`` are torch's.

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

    # Methods of torch without their wrappers, which import its compiler, for more than a second, to turn it off.
    add_param_group = inspect.unwrap(torch.optim.Adam.add_param_group)
    state_dict = inspect.unwrap(torch.optim.Adam.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Adam.load_state_dict)
    zero_grad = inspect.unwrap(torch.optim.Adam.zero_grad)

    @property
    def params(self) -> list[nn.Parameter]:
        """Optimized parameters."""
        return list(self.param_groups[0]["params"])

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make one step with the gradients in ``.grad``, and return what the closure returns, which is called first."""
        result = None if closure is None else closure()
        self.grad_norm = self.descend([param.grad for param in self.params if param.grad is not None])
        return result

    @torch.no_grad()
    def descend(self, gradients: Sequence[Tensor]) -> Tensor:
        """Make one step with gradients, one per parameter; return their joint norm ``()`` before clipping."""
        compiling = torch.compiler.is_compiling()
        gradients = list(gradients)
        # A compiled graph has no kernel for torch's norm of a list of tensors.
        norms = [torch.linalg.vector_norm(item) for item in gradients] if compiling else torch._foreach_norm(gradients)
        norm: Tensor = torch.linalg.vector_norm(torch.stack(norms))
        divisor = ((norm + 1e-6) / self.max_norm).clamp(min=1.0) if self.max_norm else None
        if compiling and divisor is not None:  # the fused step divides by itself
            gradients = list(torch._foreach_div(gradients, divisor))
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
            grad_scale=None if compiling else divisor,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )
        return norm
