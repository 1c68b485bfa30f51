"""The Lightning shell of training, and the import of Lightning without what no run needs at start-up."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"


class _AnyOptimizedModule(type):
    """Type that shares its instances with the compiler's ``OptimizedModule``, which has none before it loads."""

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


def import_lightning() -> None:
    """Import Lightning, unless it is already imported, without two modules that no run needs at start-up.

    Lightning reads two names of torch's compiler while it is imported, and torchmetrics one of ``scipy.signal``. Both
    take 1.9 of 4.6 CPU-seconds and 75 MB. Modules with only these names stand in for them meanwhile.
    """
    if "lightning" in sys.modules:
        return
    names: dict[str, dict[str, Any]] = {
        COMPILER: {"OptimizedModule": OptimizedModule, "disable": _disable},
        "scipy.signal": {"hamming": None},
    }
    absent = [name.rpartition(".") for name in names if name not in sys.modules]
    for package, _, child in absent:
        module = ModuleType(f"{package}.{child}")
        vars(module).update(names[module.__name__])
        sys.modules[module.__name__] = module
        setattr(import_module(package), child, module)
    try:
        import_module("lightning.pytorch.cli")
    finally:
        for package, _, child in absent:
            del sys.modules[f"{package}.{child}"]
            delattr(sys.modules[package], child)
