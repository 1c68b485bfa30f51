"""One compiled graph for a whole update, where a compiler is at hand."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch
import torch._dynamo.config

from pricerl.sac.replay import Transition

Result = TypeVar("Result")


class CompiledFunction(Generic[Result]):
    """An update compiled into one graph at its first call; if that fails, the plain function with one warning.

    Random numbers come from torch's own generators, as in the plain function, so both give the same numbers but for
    rounding. Batches must keep their shape: nothing is checked again after the first call.

    Args:
        function: a method of `pricerl.sac.update.SACUpdate`.
    """

    def __init__(self, function: Callable[[Transition], Result]) -> None:
        self._plain = function
        self._compiled: Callable[[Transition], Result] | None = None

    @property
    def is_compiled(self) -> bool:
        """Whether calls go through compiled code; False before the first call."""
        return self._compiled is not None and self._compiled is not self._plain

    def __call__(self, batch: Transition) -> Result:
        """Make the update."""
        return self._first(batch) if self._compiled is None else self._compiled(batch)

    def _first(self, batch: Transition) -> Result:
        options: dict[str, Any] = {"fallback_random": True, "guard_filter_fn": _no_guards, "size_asserts": False}
        compiled = torch.compile(self._plain, fullgraph=True, dynamic=False, options=options)
        try:
            # Gradients are taken inside the graph, which torch traces only when asked to.
            with torch._dynamo.config.patch(trace_autograd_ops=True), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's compiler warns about torch
                result = compiled(batch)
        except Exception as error:  # whatever a compiler that is missing, old or broken raises
            warnings.warn(f"updates run uncompiled, which is slower: {_reason(error)}", stacklevel=3)
            self._compiled = self._plain
            return self._plain(batch)
        self._compiled = compiled
        return result


def _reason(error: Exception) -> str:
    """The line that says what was wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if not line.endswith("raised:")), type(error).__name__)


def _no_guards(guards: list[Any]) -> list[bool]:
    """Shapes, settings and modules stay as they are during a run; looking at all of them costs 5 % of an update."""
    return [False] * len(guards)
