"""What computes: threads, precision of products, the smallest numbers."""

import os

import pytest
import torch

from pricerl.errors import UsageError
from pricerl.training.compute import claim_compute


@pytest.fixture(autouse=True)
def _as_before():
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    yield
    torch.set_flush_denormal(False)
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision)


def relative_error(precision):
    claim_compute(1, precision)
    factors = torch.linspace(-1.0, 1.0, 256 * 256).sin().view(256, 256)
    exact = factors.double() @ factors.double().T
    return float((factors @ factors.T - exact).abs().max() / exact.abs().max())


def test_products_in_highest_precision_are_single_precision():
    assert relative_error("highest") < 1e-5


def test_products_in_medium_precision_err_no_more_than_bfloat16_does():
    assert relative_error("medium") < 2**-8


def test_what_computes_is_told_in_words():
    assert claim_compute(1, "high").startswith("1 CPU thread, matrix products by torch's default in high precision")


def test_numbers_below_single_precisions_full_accuracy_count_as_zero():
    tiny = torch.full((64,), 1e-38)
    claim_compute(1)
    assert torch.all(tiny * 0.01 == 0)


@pytest.mark.parametrize("threads", [0, -1, 1 + (os.cpu_count() or 1)])
def test_more_threads_than_cores_are_refused(threads):
    with pytest.raises(UsageError, match=rf"--threads must be 1 to \d+, .*; found {threads}"):
        claim_compute(threads)
