"""Random numbers, densities and spectra of the layered model: what is learned is what is drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from caloforge.models.layered.mixtures import Chain, log_density
from caloforge.models.layered.spectra import Spectra as TorchSpectra
from caloforge.models.layered.spectra import equal_bins, splines
from caloforge.sampling.mixtures import Chain as Weights
from caloforge.sampling.mixtures import draw_chains
from caloforge.sampling.products import product
from caloforge.sampling.random import keys_of, seed, uniform
from caloforge.sampling.spectra import (
    Spectra,
    draw_energy,
    tabulate,
)
from helpers import words

# ------------------------------------------------------------------------------ random


def test_random_numbers_are_even_and_streams_differ() -> None:
    state, other = words(), words()
    seed(other, np.array([1, 7], np.uint64), 1)
    draws = np.array([[uniform(state), uniform(other)] for _ in range(20_000)])
    assert stats.kstest(draws[:, 0], "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(draws.T)[0, 1]) < 0.03
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 0.03


def test_neighbouring_keys_give_unlike_showers() -> None:
    keys = keys_of(np.array([[0.0, 0.5, 0.25, 0.75], [2.0**-24, 0.5, 0.25, 0.75]]))
    first = []
    for key in keys:
        state = np.empty(2, np.uint64)
        seed(state, key, 0)
        first.append([uniform(state) for _ in range(2000)])
    assert abs(np.corrcoef(first[0], first[1])[0, 1]) < 0.08


# ---------------------------------------------------------------------------- products


@pytest.mark.parametrize(("size", "n"), [(1, 1), (3, 5), (33, 224), (112, 795)])
def test_rows_of_a_product_do_not_depend_on_how_many_there_are(size: int, n: int) -> None:
    random = np.random.default_rng(size)
    x = random.normal(size=(67, size)).astype(np.float32)
    weight = random.normal(size=(size, n)).astype(np.float32)
    whole = product(x, weight)
    np.testing.assert_allclose(whole, x.astype(float) @ weight, atol=1e-6 * size)
    for begin in (0, 1, 6):
        for rows in (0, 1, 2, 3, 8, 13, 48):
            part = product(x[begin : begin + rows], weight)
            assert np.array_equal(part, whole[begin : begin + rows])


# --------------------------------------------------------------------------- densities


def test_a_mixture_is_a_density() -> None:
    parameters = torch.tensor([0.3, -1.0, -0.5, 1.5, -1.0, 0.2])

    def p(x: float) -> float:
        return float(log_density(parameters, torch.tensor(x)).exp())

    assert integrate.quad(p, -12, 12)[0] == pytest.approx(1.0, abs=1e-4)


def test_a_chain_only_looks_back() -> None:
    torch.manual_seed(0)
    chain = Chain(5, 4, 8, 3)
    h, value = torch.randn(1, 5), torch.randn(1, 4, requires_grad=True)
    chain(h, value)[0, 1].backward()
    assert value.grad is not None
    assert (value.grad[0, :2] != 0).all()
    assert (value.grad[0, 2:] == 0).all()


def test_numbers_are_drawn_from_the_density_that_is_learned() -> None:
    """The compiled chain against the torch density: probability integral transforms are even."""
    torch.manual_seed(1)
    chain = Chain(5, 2, 8, 3)
    h = torch.randn(1, 5)
    state = {f"c.{name}": value.detach().numpy() for name, value in chain.state_dict().items()}
    weights = Weights(state, "c")
    n = 4000
    inner = np.tile(weights.first(h.numpy()), (n, 1)).reshape(n, 2, 8)
    out = np.empty((n, 2), np.float32)
    rows = np.stack([words(k) for k in range(n)])
    bounds = np.array([[-50, -50], [50, 50]], np.float32)
    draw_chains(
        np.ascontiguousarray(inner, np.float32),
        weights.earlier,
        weights.last,
        weights.last_bias,
        bounds,
        np.ones(n, np.float32),
        rows,
        out,
    )
    grid = torch.linspace(-30, 30, 6001)
    with torch.no_grad():
        first = chain(h, torch.stack([grid, torch.zeros_like(grid)], -1)[:, None].squeeze(1))[:, 0]
        cdf = torch.cumsum(first.exp(), 0) * 0.01
        assert stats.kstest(np.interp(out[:, 0], grid, cdf), "uniform").pvalue > 1e-3
        ranks = []
        for a, b in out[:400]:
            pair = torch.stack([torch.full_like(grid, float(a)), grid], -1)
            ranks.append(np.interp(b, grid, torch.cumsum(chain(h, pair)[:, 1].exp(), 0) * 0.01))
    assert stats.kstest(ranks, "uniform").pvalue > 1e-3


# ----------------------------------------------------------------------------- spectra


def test_bins_share_hits_and_energy() -> None:
    energy = np.random.default_rng(0).lognormal(-1, 1.5, 50_000).astype(np.float32)
    energy = energy[energy > 1e-3]
    inner, count = equal_bins(energy, 32, 1e-3)
    assert (np.diff(inner, axis=1) >= 0).all()
    assert (inner[1:, 0] == inner[:-1, -1]).all()
    assert count.sum() == len(energy)
    sums = np.histogram(energy, np.append(inner[:, 0], inner[-1, -1]), weights=energy)[0]
    measure = 0.5 * count / count.sum() + 0.5 * sums / sums.sum()
    assert measure == pytest.approx(1 / 32, abs=0.004)


def learned(number: int) -> tuple[TorchSpectra, Spectra]:
    """A network of spectra before training, and as the sampler tabulates it."""
    torch.manual_seed(number + 2)
    energy = np.random.default_rng(number).lognormal(-1, 1.5, 20_000).astype(np.float32)
    network = TorchSpectra(16, 8, 6)
    network.fit(energy[energy > 1e-3], 1e-3)
    state = {f"s.{name}": value.detach().numpy() for name, value in network.state_dict().items()}
    return network, tabulate(state, "s", 8)


def test_spectra_are_drawn_as_they_are_learned() -> None:
    network, spectra = learned(1)
    share = network.shares().detach().numpy().reshape(64, 16)
    assert np.diff(spectra.rising, prepend=0.0, axis=1) == pytest.approx(share, abs=1e-6)
    state_words = words(5)
    drawn = np.array([draw_energy(spectra, 20, state_words) for _ in range(20_000)])
    found = np.histogram(drawn, np.append(spectra.inner[:, 0], spectra.inner[-1, -1]))[0]
    expected = np.diff(spectra.rising[20], prepend=0.0) * len(drawn)
    assert stats.chisquare(found, expected).pvalue > 1e-3
    assert drawn.mean() == pytest.approx(spectra.mean[20], rel=0.05)
    place = torch.tensor([[0.3, -0.7]])
    shares = [network.log_share(place, torch.tensor([k])).exp() for k in range(16)]
    assert float(torch.cat(shares).sum().detach()) == pytest.approx(1.0, abs=1e-5)


def test_splines_tell_nodes_apart_smoothly() -> None:
    basis = splines(128, 32)
    assert basis.shape == (32, 128)
    assert basis.sum(0) == pytest.approx(np.ones(128))
    assert ((basis > 0).sum(0) <= 4).all()
    assert np.array_equal(splines(16, 16), np.eye(16))


def test_means_of_spectra_are_those_of_what_is_drawn() -> None:
    network, spectra = learned(2)
    node = np.array([[2, 5], [0, 0], [7, 7]])
    place = torch.from_numpy(np.log((node + 1e-6) / (7 - node + 1e-6)))  # sigmoid^-1(node / 7)
    mean, variance = network.moments(place.float())
    number = node[:, 0] * 8 + node[:, 1]
    assert mean.detach().numpy() == pytest.approx(spectra.mean[number], rel=1e-3)
    assert variance.detach().numpy() == pytest.approx(spectra.variance[number], rel=1e-2)
