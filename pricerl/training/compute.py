"""What computes: CPU threads, and how matrix products are made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import torch

from pricerl.env.episodes import keep_freed_memory
from pricerl.errors import UsageError

MatmulPrecision = Literal["highest", "high", "medium"]
"""torch's words: ``highest`` is single precision; ``high`` allows TF32 and ``medium`` bfloat16 inside products, where
the processor has units for them (a GPU, a CPU with matrix tiles). Everything else stays single precision."""

PROBE_SIZE = 64
EXACT = 1e-5
"""Relative error up to which a product counts as single precision; bfloat16 errs a hundred times more."""


def claim_compute(threads: int, precision: MatmulPrecision = "highest") -> str:
    """Set torch's CPU threads and its matrix products; returns both in words.

    Numbers too small for single precision's full accuracy count as 0: Adam's averages of weights that hardly move
    become that small, and Intel's processors need many times as long for each. Freed memory is kept: an eager
    update frees and takes many megabytes.

    Args:
        threads: threads of one operation.
        precision: of matrix products.

    Raises:
        UsageError: if there are not as many cores.
    """
    cores = _num_cores()
    if not 1 <= threads <= cores:
        raise UsageError(f"--threads must be 1 to {cores}, the cores that this process may use; found {threads}")
    torch.set_flush_denormal(True)  # before any thread starts: a thread takes it from the one that starts it
    keep_freed_memory()
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision)
    library = "oneDNN" if precision == "highest" and _prefers_onednn() and _use_onednn() else "torch's default"
    return f"{threads} CPU thread{'s' if threads > 1 else ''}, matrix products by {library} in {precision} precision"


def _num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _prefers_onednn() -> bool:
    """AMD's CPUs with AVX-512: MKL, torch's default, uses only half their width."""
    if torch.cuda.is_available() or torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    described = Path("/proc/cpuinfo")
    return described.exists() and "AuthenticAMD" in described.read_text(encoding="utf-8", errors="replace")


def _use_onednn() -> bool:
    """Send single-precision products to oneDNN, if they stay single precision there.

    torch hands them over once bfloat16 arithmetic is allowed; oneDNN takes that offer only on CPUs with matrix tiles
    and otherwise computes in full precision. A product is looked at to be sure.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    factors = torch.linspace(-1.0, 1.0, PROBE_SIZE * PROBE_SIZE).sin().view(PROBE_SIZE, PROBE_SIZE)
    exact = factors.double() @ factors.double().T
    error = (factors @ factors.T - exact).abs().max() / exact.abs().max()
    if error < EXACT:
        return True
    torch.set_float32_matmul_precision(before)
    return False
