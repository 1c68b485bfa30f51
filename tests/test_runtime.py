"""CPU threads, precision of products, denormal numbers, and compiled functions."""

import builtins
import io
import os

import pytest
import torch

from pricerl import runtime
from pricerl.errors import UsageError
from pricerl.runtime import COMPUTE, CompiledFunction, claim_compute, usable_cores

CGROUP = "/sys/fs/cgroup/cpu.max"


@pytest.fixture(autouse=True)
def compute_is_restored():
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    yield
    torch.set_flush_denormal(False)
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision)
    COMPUTE.rounds_factors = False


@pytest.mark.parametrize(("precision", "most"), [("highest", 1e-5), ("medium", 2**-8)])
def test_products_err_no_more_than_numbers_of_their_precision_do(precision, most):
    claim_compute(1, precision)
    factors = torch.linspace(-1.0, 1.0, 256 * 256).sin().view(256, 256)
    exact = factors.double() @ factors.double().T
    assert float((factors @ factors.T - exact).abs().max() / exact.abs().max()) < most


@pytest.mark.parametrize(
    ("precision", "capability", "flags", "rounds"),
    [
        ("medium", "AVX512", "avx512f avx512_bf16", True),
        ("medium", "AVX512", "avx512f avx512_bf16 amx_bf16 amx_tile", False),
        ("medium", "AVX512", "avx512f", False),
        ("medium", "AVX2", "avx512f avx512_bf16", False),  # torch is kept from using AVX-512
        ("high", "AVX512", "avx512f avx512_bf16", False),
        ("highest", "AVX512", "avx512f avx512_bf16", False),
    ],
)
def test_factors_are_rounded_where_only_products_of_bfloat16_are_fast(
    precision, capability, flags, rounds, monkeypatch, tmp_path
):
    (tmp_path / "cpuinfo").write_text(f"vendor_id: GenuineIntel\nflags: {flags}\n")
    monkeypatch.setattr(runtime, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    claim_compute(1, precision)
    assert COMPUTE.rounds_factors is rounds


def test_the_claim_is_described_in_words_and_numbers_below_full_accuracy_count_as_zero():
    tiny = torch.full((64,), 1e-38)
    assert claim_compute(1, "high").startswith("1 CPU thread, matrix products by torch's default in high precision")
    assert torch.all(tiny * 0.01 == 0)


@pytest.mark.parametrize("threads", [0, -1, 1 + (os.cpu_count() or 1)])
def test_more_threads_than_cores_are_refused(threads):
    with pytest.raises(UsageError, match=rf"--threads must be 1 to \d+, .*; found {threads}"):
        claim_compute(threads)


@pytest.mark.parametrize(("quota", "cores"), [("max 100000", 4), ("150000 100000", 2), ("900000 100000", 4)])
def test_a_quota_limits_the_cores(quota, cores, monkeypatch):
    real = builtins.open
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {2, 3, 5, 7})
    monkeypatch.setattr(os.path, "exists", lambda path: path == CGROUP)
    monkeypatch.setattr(
        builtins, "open", lambda path, *rest: io.StringIO(quota) if path == CGROUP else real(path, *rest)
    )
    assert usable_cores() == cores


class Line:
    """A function with a constant that is part of its graph, and a tensor that is not."""

    def __init__(self, slope):
        self.slope, self.level = slope, torch.tensor(0.0)

    def at(self, x):
        return self.slope * x + self.level


def test_a_function_that_cannot_be_compiled_runs_as_it_is_with_one_warning():
    def total(values):
        torch._dynamo.graph_break()
        return values.sum()

    function = CompiledFunction(total, "sums")
    with pytest.warns(UserWarning, match="sums run uncompiled, which is slower: ") as caught:
        assert function(torch.ones(3)) == 3.0
    assert len(caught) == 1 and function.failed
    assert function(torch.ones(3)) == 3.0


@pytest.mark.slow
@pytest.mark.compiler
def test_functions_of_other_settings_and_shapes_share_no_graph():
    for slope, size in ((2.0, 3), (5.0, 4), (2.0, 3)):
        function = CompiledFunction(Line(slope).at, "lines")
        assert torch.equal(function(torch.ones(size)), torch.full((size,), slope))
        assert not function.failed


@pytest.mark.compiler
def test_a_graph_reads_tensors_anew_in_every_call():
    line = Line(2.0)
    function = CompiledFunction(line.at, "lines")
    assert function(torch.ones(())) == 2.0
    line.level.fill_(1.0)
    assert function(torch.ones(())) == 3.0
