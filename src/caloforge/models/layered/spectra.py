"""Spectra of single cells: common bins, and a network that makes a grid of histograms in them.

The logarithm of a histogram is one of all nodes, bin by bin, plus a spline of the node: structures
like the multiples of the MIP are common to all cells, what tells cells apart is smooth. What they
mean: :mod:`caloforge.sampling.spectra`.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import BSpline
from scipy.special import ndtri
from torch import nn

from caloforge.models.layered.mixtures import perceptron
from caloforge.sampling.spectra import REACH

INNER_STEPS = 16
"""Steps of the training sample's own distribution inside a bin."""

HIDDEN = 64


class Spectra(nn.Module):
    """The densities of cell energies on a grid of nodes.

    Args:
        bins: number of bins.
        grid: nodes a side.
        knots: coefficients of a node's spline; as many as bins: every bin for itself.
    """

    def __init__(self, bins: int, grid: int, knots: int) -> None:
        super().__init__()
        self.bins, self.grid = bins, grid
        self.network = perceptron([2, HIDDEN, HIDDEN, knots], open_end=True)
        self.common = nn.Parameter(torch.zeros(bins))
        self.basis: torch.Tensor = nn.Buffer(torch.from_numpy(splines(bins, knots)).float())
        self.inner: torch.Tensor = nn.Buffer(torch.zeros(bins, INNER_STEPS + 1))
        self.score: torch.Tensor = nn.Buffer(torch.zeros(bins))
        """The middle of every bin as a quantile of the standard normal distribution."""

    def fit(self, energy: NDArray[np.float32], threshold: float) -> None:
        """Take bins from the energies (MeV) of a sample's hits."""
        inner, count = equal_bins(energy, self.bins, threshold)
        share = count / count.sum()
        self.inner.copy_(torch.from_numpy(inner))
        self.score.copy_(torch.from_numpy(ndtri(np.cumsum(share) - share / 2)))
        with torch.no_grad():
            self.common.copy_(torch.from_numpy(np.log(share)))

    def bin_of(self, energy: torch.Tensor) -> torch.Tensor:
        """Bin numbers of energies (MeV)."""
        return torch.bucketize(energy, self.inner[1:, 0].contiguous(), right=True)

    def shares(self) -> torch.Tensor:
        """The histograms of all nodes, flat: (grid * grid * bins,)."""
        side = torch.linspace(-REACH, REACH, self.grid, device=self.inner.device)
        nodes = torch.stack(torch.meshgrid(side, side, indexing="ij"), dim=-1)
        with torch.autocast(side.device.type, enabled=False):  # as the sampler tabulates them
            logits: torch.Tensor = self.network(nodes.flatten(0, 1)) @ self.basis + self.common
            return logits.softmax(-1).flatten()

    def log_share(self, place: torch.Tensor, number: torch.Tensor) -> torch.Tensor:
        """ln of the probability of bin ``number`` (n,) at ``place`` (n, 2)."""
        node, weight = self._corners(place)
        place_of = node * self.bins + number[:, None]
        share = self.shares().index_select(0, place_of.flatten()).view_as(weight)
        return ((weight * share).sum(-1) + 1e-12).log()

    def moments(self, place: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Means and variances (n,) of the energies at ``place`` (n, 2), MeV."""
        low, high = self.inner[:, :-1], self.inner[:, 1:]
        powers = [(low + high) / 2, (low**2 + low * high + high**2) / 3]
        of_bins = torch.stack([power.mean(1) for power in powers], 1)
        with torch.autocast(place.device.type, enabled=False):
            of_nodes = self.shares().view(-1, self.bins) @ of_bins
        node, weight = self._corners(place)
        found = of_nodes.index_select(0, node.flatten()).view(*node.shape, 2)
        mean, square = (weight[..., None] * found).sum(1).unbind(-1)
        return mean, (square - mean**2).clamp(min=0.0)

    def _corners(self, place: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The four nodes around places (n, 2), and their weights, (n, 4)."""
        at = place.float().sigmoid() * (self.grid - 1)
        low = at.detach().floor().clamp(0, self.grid - 2)
        (right, up), (i, j) = (at - low).unbind(-1), low.long().unbind(-1)
        corner = torch.tensor([0, 1, self.grid, self.grid + 1], device=place.device)
        of_j = torch.stack([1.0 - up, up], -1)
        weight = torch.cat([of_j * (1.0 - right)[:, None], of_j * right[:, None]], -1)
        return (i * self.grid + j)[:, None] + corner, weight


def splines(bins: int, knots: int) -> NDArray[np.float64]:
    """Cubic B-splines at the middles of evenly spaced bins, (knots, bins)."""
    if knots >= bins:
        return np.eye(bins)
    inner = np.linspace(0.0, 1.0, knots - 2)
    middles = (np.arange(bins) + 0.5) / bins
    edges = np.concatenate([[0.0] * 3, inner, [1.0] * 3])
    return np.asarray(BSpline.design_matrix(middles, edges, 3).toarray().T)


def equal_bins(
    energy: NDArray[np.float32], bins: int, threshold: float
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Bins with equal shares of the mean of hits and energy, and the energies inside them.

    Half of the resolution goes to where most hits are, half to where the energy is.

    Returns:
        (bins, INNER_STEPS + 1) MeV, equal steps of probability; (bins,) number of hits.
    """
    sorted_ = np.sort(energy.astype(np.float64))
    rank = np.arange(1, len(sorted_) + 1) / len(sorted_)
    measure = 0.5 * rank + 0.5 * np.cumsum(sorted_) / sorted_.sum()
    cut = np.searchsorted(measure, np.arange(1, bins) / bins)
    edge = np.concatenate([[threshold], sorted_[cut], [sorted_[-1] * 1.15]])
    start = np.concatenate([[0], cut, [len(sorted_)]])
    inner = np.empty((bins, INNER_STEPS + 1), dtype=np.float32)
    steps = np.linspace(0.0, 1.0, INNER_STEPS + 1)
    for number in range(bins):
        part = sorted_[start[number] : start[number + 1]]
        if len(part):
            inner[number] = np.quantile(part, steps)
        else:
            inner[number] = np.interp(steps, [0, 1], edge[number : number + 2])
        inner[number, 0], inner[number, -1] = edge[number], edge[number + 1]
    return inner, np.maximum(np.diff(start), 0.5)
