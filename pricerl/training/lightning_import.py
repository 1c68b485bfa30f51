"""Import of Lightning without the compiler of torch and the signal processing of scipy.

Lightning imports both for one class and one function that no run needs at start-up: 1.9 of 4.6 CPU-seconds, and 75 MB.
They are replaced while it is imported; whoever needs them later gets the real ones.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"


class _AnyOptimizedModule(type):
    """Type whose instances are those of the compiler's ``OptimizedModule``, of which there are none before it loads."""

    def __instancecheck__(cls, instance: object) -> bool:
        compiler = sys.modules.get(COMPILER)
        return compiler is not None and isinstance(instance, compiler.OptimizedModule)


class OptimizedModule(metaclass=_AnyOptimizedModule):
    """Stand-in for the compiler's class of this name in Lightning's ``isinstance`` checks."""


def _disable(function: Callable[..., Any], recursive: bool = True, **options: Any) -> Callable[..., Any]:
    """Return the function, excluded from compilation once there is a compiler; a stand-in for the compiler's own."""

    @functools.wraps(function)
    def call(*args: Any, **settings: Any) -> Any:
        compiler = sys.modules.get(COMPILER)
        target = function if compiler is None else compiler.disable(function, recursive, **options)
        return target(*args, **settings)

    return call


STAND_INS: dict[str, dict[str, Any]] = {
    COMPILER: {"OptimizedModule": OptimizedModule, "disable": _disable},
    "scipy.signal": {"hamming": None},  # torchmetrics adds this old name unless there is one
}
"""Modules that Lightning imports, with the attributes that it reads while it is imported."""


def import_lightning() -> None:
    """Import Lightning, unless it is already imported; the modules in `STAND_INS` are left out."""
    if "lightning" not in sys.modules:
        with contextlib.ExitStack() as stack:
            for name, attributes in STAND_INS.items():
                if name not in sys.modules:
                    stack.enter_context(_replaced(name, attributes))
            importlib.import_module("lightning.pytorch.cli")


@contextlib.contextmanager
def _replaced(name: str, attributes: dict[str, Any]) -> Iterator[None]:
    """Put a module of these attributes in the place of another for the duration of the context."""
    package, _, child = name.rpartition(".")
    parent = importlib.import_module(package)
    module = ModuleType(name)
    vars(module).update(attributes)
    sys.modules[name] = module
    setattr(parent, child, module)
    try:
        yield
    finally:
        del sys.modules[name]
        delattr(parent, child)
