import numpy as np
import pytest
import torch
from scipy.stats import nbinom, norm

from pricerl.env.noise import MAX_Z, Z_STEP, cell_of, draw_z, sample_units, tabulate_units
from pricerl.market.demand.regression import SIZE_RANGE

MEANS = (0.05, 0.07, 0.4, 1.0, 1.3, 7.0, 8.2, 57.0, 200.0, 812.0, 5000.0)
QUICK = (0.05, 1.3, 57.0, 5000.0)
SIZES = (SIZE_RANGE[0], 1.0, 2.0, 5.0, 30.0, 300.0, SIZE_RANGE[1])


def tabulated(mean, size, z):
    """Return the units of one product at normal numbers ``z (N,)``."""
    cell = torch.as_tensor((z + MAX_Z) / Z_STEP, dtype=torch.float32)[None]
    product = torch.zeros(cell.shape[1], dtype=torch.long)
    return tabulate_units(torch.tensor([size])).units(torch.full(cell.shape, mean), cell, product)[0].double().numpy()


@pytest.mark.parametrize(
    "mean", [pytest.param(mean, marks=() if mean in QUICK else pytest.mark.slow) for mean in MEANS]
)
@pytest.mark.parametrize("size", SIZES)
def test_the_table_has_the_distribution_of_the_negative_binomial(mean, size):
    z = np.linspace(-6.5, 6.5, 200_001)
    weight = norm.pdf(z) / norm.pdf(z).sum()
    units = tabulated(mean, size, z)
    centre = weight @ units
    variance = weight @ (units - centre) ** 2
    skew = weight @ (units - centre) ** 3 / variance**1.5
    exact = nbinom(size, size / (size + mean))
    assert centre == pytest.approx(mean, rel=2e-3)
    assert variance == pytest.approx(float(exact.var()), rel=3e-3)
    assert skew == pytest.approx(float(exact.stats("s")), rel=4e-3)
    assert (np.diff(units) >= 0).all() and (units == np.round(units)).all() and units[0] >= 0
    counts = np.unique(units)
    below = np.cumsum(weight)[np.searchsorted(units, counts, side="right") - 1]
    assert np.abs(below - exact.cdf(counts)).max() < 6e-4


@pytest.mark.parametrize("z", [-6.8, 0.0, 6.8])
def test_no_demand_sells_nothing_and_huge_demand_stays_finite(z):
    assert [float(tabulated(mean, 5.0, np.array([z]))[0]) for mean in (0.0, 1e-12, 1e-5)] == [0.0, 0.0, 0.0]
    assert 0 <= float(tabulated(1e9, 5.0, np.array([z]))[0]) < 1e11


def test_every_product_draws_with_its_own_size():
    product = torch.tensor([0, 1]).repeat(50_000)
    z_cell = draw_z(2, len(product), torch.Generator().manual_seed(2))
    units = tabulate_units(torch.tensor([2.0, 1e4])).units(torch.full(z_cell.shape, 60.0), z_cell, product)
    variance = [float(units[:, product == item].var()) for item in (0, 1)]
    assert variance == pytest.approx([60 + 60**2 / 2, 60 + 60**2 / 1e4], rel=0.04)


@pytest.mark.parametrize(("mean", "size"), [(0.7, 2.0), (8.0, 5.0), (60.0, 10.0), (8.0, 1e4)])
def test_exactly_sampled_units_have_the_mean_and_variance_of_the_negative_binomial(mean, size):
    generator = torch.Generator().manual_seed(1)
    units = sample_units(torch.full((200_000,), mean), torch.tensor(size), generator)
    assert float(units.mean()) == pytest.approx(mean, rel=0.02)
    assert float(units.var()) == pytest.approx(mean + mean**2 / size, rel=0.04)
    assert torch.equal(units, units.round()) and units.min() >= 0


def test_many_rows_draw_the_same_numbers_on_any_number_of_threads():
    def drawn(seed, num_threads):
        before = torch.get_num_threads()
        torch.set_num_threads(num_threads)
        try:
            return draw_z(3, 20_000, torch.Generator().manual_seed(seed))
        finally:
            torch.set_num_threads(before)

    assert torch.equal(drawn(3, 1), drawn(3, 2))
    assert not torch.equal(drawn(3, 1), drawn(4, 1))


def test_days_and_rows_draw_independently():
    z = (draw_z(3, 40_000, torch.Generator().manual_seed(0)) * Z_STEP - MAX_Z).view(6, 20_000)
    assert z.mean(1).tolist() == pytest.approx([0.0] * 6, abs=0.03)
    torch.testing.assert_close(torch.cov(z), torch.eye(6), rtol=0, atol=0.03)


def test_the_gradient_of_units_is_that_of_a_share_of_their_mean():
    mean = torch.tensor([[0.0, 20.0, 0.2]], requires_grad=True)
    units = tabulate_units(torch.tensor([5.0])).units(mean, cell_of(torch.full((1, 3), 1.5)), torch.zeros(3).long())
    units.sum().backward()
    assert units[0, 0] == 0 and mean.grad[0, 0].isfinite()  # a closed day
    torch.testing.assert_close(mean.grad[0, 1:], (units / mean).detach()[0, 1:])
