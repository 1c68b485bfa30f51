import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pricerl.runtime import COMPUTE
from pricerl.sac.layers import (
    NORMALIZED_LIMIT,
    EnsembleLinear,
    InputNormalization,
    Linear,
)


def test_before_any_update_normalization_changes_nothing():
    observation = torch.rand(8, 3)
    assert torch.equal(InputNormalization(3)(observation), observation)


def test_normalized_columns_have_mean_zero_and_variance_one():
    torch.manual_seed(0)
    observation = torch.rand(500, 3) * torch.tensor([0.01, 0.5, 1.0]) + torch.tensor([0.9, 0.0, -3.0])
    normalization = InputNormalization(3)
    normalization.update(observation)
    normalized = normalization(observation)
    torch.testing.assert_close(normalized.mean(dim=0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(normalized.std(dim=0, correction=0), torch.ones(3), atol=1e-2, rtol=0)


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_statistics_of_any_batches_are_those_of_all_rows_at_once(sizes):
    generator = torch.Generator().manual_seed(sum(sizes))
    batches = [index + (1 + index) * torch.randn(size, 2, generator=generator) for index, size in enumerate(sizes)]
    rows = torch.cat(batches)
    seen = InputNormalization(2)
    for batch in batches:
        seen.update(batch)
    assert seen.count.item() == len(rows)
    torch.testing.assert_close(seen.mean, rows.mean(dim=0), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(seen.var, rows.var(dim=0, correction=0), atol=1e-5, rtol=1e-4)


def test_batches_of_several_processes_count_as_one():
    first, second = torch.randn(2, 30, 3)
    together, gathered = InputNormalization(3), InputNormalization(3)
    together.update(torch.cat([first, second]))
    gathered.update(first, lambda own: [own, torch.stack(torch.var_mean(second, dim=0, correction=0)[::-1])])
    assert gathered.count == 60
    torch.testing.assert_close(gathered.mean, together.mean)
    torch.testing.assert_close(gathered.var, together.var)


def test_a_column_that_never_varied_is_centred_and_not_blown_up():
    normalization = InputNormalization(1)
    for _ in range(20):
        normalization.update(torch.full((50, 1), 0.7))
    assert normalization(torch.tensor([[0.7]])).item() == pytest.approx(0.0, abs=1e-6)
    assert normalization(torch.tensor([[0.8]])).item() == pytest.approx(0.1, abs=1e-6)


def test_outliers_are_clipped():
    normalization = InputNormalization(1)
    normalization.update(torch.tensor([[0.0], [1.0]]))
    assert normalization(torch.tensor([[1e6], [-1e6]])).flatten().tolist() == [NORMALIZED_LIMIT, -NORMALIZED_LIMIT]


def test_normalization_refuses_another_number_of_columns():
    with pytest.raises(ValueError, match=r"observation must have shape \(B, O\) = \(5, 3\); found \(5, 2\)"):
        InputNormalization(3).update(torch.rand(5, 2))


@pytest.mark.parametrize("make", [lambda: Linear(64, 32), lambda: EnsembleLinear(2, 64, 32)])
def test_rounded_factors_change_outputs_and_gradients_by_the_error_of_bfloat16(make, monkeypatch):
    torch.manual_seed(0)
    layer, inputs = make(), torch.randn(2, 16, 64)
    results = []
    for rounds in (False, True):
        monkeypatch.setattr(COMPUTE, "rounds_factors", rounds)
        output = layer(inputs)
        assert output.dtype == torch.float32
        results.append([output, *torch.autograd.grad(output.square().sum(), list(layer.parameters()))])
    for exact, rounded in zip(*results, strict=True):
        assert 0.0 < (rounded - exact).norm() / exact.norm() < 2**-7
