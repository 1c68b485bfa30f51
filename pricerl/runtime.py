"""CPU threads, precision of matrix products, memory and compiled functions."""

from __future__ import annotations

import contextlib
import ctypes
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any, Literal

import joblib
import torch

from pricerl.errors import UsageError

MatmulPrecision = Literal["highest", "high", "medium"]
"""Precisions of products by torch's names: ``highest`` is single precision, ``high`` allows TF32, ``medium`` bfloat16.
The latter two need a GPU, a CPU with matrix tiles, or for ``medium`` AVX-512 with bfloat16."""

EXACT = 1e-5
"""Relative error up to which a product counts as single precision; bfloat16 makes a hundred times larger ones."""

CPU_INFO = Path("/proc/cpuinfo")
"""Linux's description of the CPU."""


@dataclass
class Compute:
    """Settings of this process that torch does not hold; `claim_compute` sets them."""

    rounds_factors: bool = False
    """Whether hidden layers round the factors of their products, and so the products, to bfloat16."""


COMPUTE = Compute()


def usable_cores() -> int:
    """Return the number of cores that this process may use: those on which it may run, up to a container's quota."""
    return int(joblib.cpu_count())


def claim_compute(threads: int, precision: MatmulPrecision = "highest") -> str:
    """Set the process's CPU threads and the precision of its matrix products, and return a description of both.

    Denormal numbers are flushed to zero: Adam's averages for nearly constant weights become that small, and Intel
    processors handle them many times more slowly. Freed memory is kept: an eager update frees and allocates many
    megabytes. More ``threads`` than the process may use cores are a ``UsageError``.
    """
    cores = usable_cores()
    if not 1 <= threads <= cores:
        raise UsageError(f"--threads must be 1 to {cores}, the cores that this process may use; found {threads}")
    torch.set_flush_denormal(True)  # before any thread starts: threads inherit it from their parent
    # Freeing a block of just under 32 MiB, never written to, makes glibc keep later ones; other C libraries ignore it.
    torch.empty(31 * 2**20, dtype=torch.uint8)
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision)
    flags = _cpu_flags()
    # With AVX-512 for bfloat16 but no matrix tiles, torch ignores medium, and products of bfloat16 are twice as fast.
    COMPUTE.rounds_factors = precision == "medium" and "avx512_bf16" in flags and "amx_tile" not in flags
    # On AMD's CPUs MKL, torch's default, uses only half the width of AVX-512.
    one_dnn = precision == "highest" and "AuthenticAMD" in flags and _use_onednn()
    library = "oneDNN" if one_dnn else "torch's default"
    return f"{threads} CPU thread{'s' if threads > 1 else ''}, matrix products by {library} in {precision} precision"


def return_freed_memory() -> None:
    """Return the memory of freed objects to the system, where the C library can."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _cpu_flags() -> list[str]:
    """Return words of the description of a CPU with AVX-512 that makes the matrix products; none for others."""
    if torch.cuda.is_available() or torch.backends.cpu.get_cpu_capability() != "AVX512" or not CPU_INFO.exists():
        return []
    return CPU_INFO.read_text(encoding="utf-8", errors="replace").split()


def _use_onednn() -> bool:
    """Route products to oneDNN and return True, provided that they stay single precision there."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")  # torch uses oneDNN once bfloat16 arithmetic is allowed
    factors = torch.linspace(-1.0, 1.0, 64 * 64).sin().view(64, 64)
    exact = factors.double() @ factors.double().T
    error = (factors @ factors.T - exact).abs().max() / exact.abs().max()
    if error < EXACT:
        return True
    torch.set_float32_matmul_precision(before)
    return False


@dataclass
class CompiledFunction:
    """Function compiled into one graph at its first call, with the plain function as a fallback.

    The fallback emits one warning. Random numbers come from torch's own generators, so compiled and plain results agree
    up to rounding. Nothing is checked after the first call: arguments must keep their shapes, and apart from tensors,
    everything else that the function reads must keep its values. The ``function`` maps tensors, in any nesting of
    tuples, to tensors; ``name`` is the subject of the warning, in the plural.
    """

    function: Callable[..., Any]
    name: str
    _compiled: Callable[..., Any] | None = None

    @property
    def failed(self) -> bool:
        """Whether compiling failed, so that calls run the plain function."""
        return self._compiled is self.function

    def __call__(self, *args: Any) -> Any:
        """Call the function."""
        return self._first(*args) if self._compiled is None else self._compiled(*args)

    def _first(self, *args: Any) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's compiler warns about torch
                import torch._dynamo.config  # slow to import, and only needed here

                options: dict[str, Any] = {
                    "fallback_random": True,  # torch's own random numbers
                    "guard_filter_fn": lambda guards: [False] * len(guards),  # nothing changes in a run; saves 5 %
                    "size_asserts": False,
                    "cpp_wrapper": not torch.cuda.is_available(),  # saves 3 % on one thread and 6 % on two
                }
                compiled = torch.compile(_with_own_code(self.function), fullgraph=True, dynamic=False, options=options)
                # Gradients are taken inside the graph, which torch traces only on request.
                with torch._dynamo.config.patch(trace_autograd_ops=True):
                    result = compiled(*args)
        except Exception as error:  # a missing, old or broken compiler can raise anything
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            reason = next((line for line in lines if not line.endswith("raised:")), type(error).__name__)
            warnings.warn(f"{self.name} run uncompiled, which is slower: {reason}", stacklevel=3)
            self._compiled = self.function
            return self.function(*args)
        self._compiled = compiled
        return result


def _with_own_code(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function in a code object of its own, by which torch caches the graph: no other function shares it."""

    def call(*args: Any) -> Any:
        return function(*args)

    return FunctionType(call.__code__.replace(), call.__globals__, closure=call.__closure__)
