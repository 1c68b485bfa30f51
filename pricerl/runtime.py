"""One compiled graph for a whole update or env step, where a compiler is at hand."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import FunctionType
from typing import Any, Generic, ParamSpec, TypeVar

import torch
import torch._dynamo.config

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class CompiledFunction(Generic[Arguments, Result]):
    """A function compiled into one graph at its first call; if that fails, the plain function with one warning.

    Random numbers come from torch's own generators, as in the plain function, so both give the same numbers but for
    rounding. Arguments must keep their shapes, and whatever else the function reads its values, other than those of
    tensors: nothing is checked again after the first call.

    Args:
        function: of tensors in any nesting of tuples.
        name: what the warning says runs uncompiled, in the plural.
    """

    def __init__(self, function: Callable[Arguments, Result], name: str) -> None:
        self._plain, self._name = function, name
        self._compiled: Callable[Arguments, Result] | None = None

    @property
    def is_compiled(self) -> bool:
        """Whether calls go through compiled code; False before the first call."""
        return self._compiled is not None and self._compiled is not self._plain

    def __call__(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        """Call the function."""
        return self._first(*args, **kwargs) if self._compiled is None else self._compiled(*args, **kwargs)

    def _first(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        compiled = torch.compile(_with_own_code(self._plain), fullgraph=True, dynamic=False, options=_options())
        try:
            # Gradients are taken inside the graph, which torch traces only when asked to.
            with torch._dynamo.config.patch(trace_autograd_ops=True), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's compiler warns about torch
                result = compiled(*args, **kwargs)
        except Exception as error:  # whatever a compiler that is missing, old or broken raises
            warnings.warn(f"{self._name} run uncompiled, which is slower: {_reason(error)}", stacklevel=3)
            self._compiled = self._plain
            return self._plain(*args, **kwargs)
        self._compiled = compiled
        return result


def _with_own_code(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Wrap ``function`` in code that no other wrapper has.

    torch keeps what it compiled by code object. Without guards it would take the graph of one agent, with the constants
    of its settings, for the next agent in the same process.
    """

    def call(*args: Any) -> Result:
        return function(*args)  # type: ignore[call-arg]

    return FunctionType(call.__code__.replace(), call.__globals__, closure=call.__closure__)


def _options() -> dict[str, Any]:
    """The compiler's settings: plain random numbers, and as little as possible between two kernels.

    Calling kernels from C++ instead of Python saves 3 % of an update on one thread and 6 % on two.
    """
    on_cpu_only = not torch.cuda.is_available()
    return {
        "fallback_random": True,
        "guard_filter_fn": _no_guards,
        "size_asserts": False,
        "cpp_wrapper": on_cpu_only,
    }


def _reason(error: Exception) -> str:
    """The line that says what was wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if not line.endswith("raised:")), type(error).__name__)


def _no_guards(guards: list[Any]) -> list[bool]:
    """Shapes, settings and modules stay as they are during a run; looking at all of them costs 5 % of an update."""
    return [False] * len(guards)
