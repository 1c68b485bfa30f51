"""What computes: CPU threads, and the library behind matrix products."""

from __future__ import annotations

from pathlib import Path

import torch

PROBE_SIZE = 64
EXACT = 1e-5
"""Relative error up to which a product counts as single precision; bfloat16 errs a hundred times more."""


def claim_cpu(threads: int) -> str:
    """Set torch's CPU threads and the library for its matrix products; returns both in words.

    Args:
        threads: threads of one operation.
    """
    torch.set_num_threads(threads)
    library = "oneDNN" if _prefers_onednn() and _use_onednn() else "torch's default"
    return f"{threads} CPU thread{'s' if threads > 1 else ''}, matrix products by {library}"


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
