"""What the networks of the best CaloChallenge entries see of a shower, and back.

Energy variables and shares (:mod:`.layer_shares`) get a little noise; all but u_0 become logits,
pulled away from 0 and 1; then every number is standardised. The condition is ln(E) scaled to
[0, 1] (angles and positions are scaled as they are).

Source: L. Favaro et al., CaloDREAM, arXiv:2405.09629.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import nn

from caloforge.geometry import Calorimeter
from caloforge.preprocess.layer_shares import NOISE, LayerShares

DELTA = 1e-6
"""How far logits stay away from 0 and 1."""

LEAST_SPREAD = 1e-6


def to_logit(value: torch.Tensor, delta: float = DELTA) -> torch.Tensor:
    """Logit of a number in [0, 1] that is first mapped to [delta, 1 - delta]."""
    return torch.logit((value + (1.0 - 2.0 * value) * delta).clamp(delta, 1.0 - delta))


def from_logit(value: torch.Tensor, delta: float = DELTA) -> torch.Tensor:
    """The inverse of :func:`to_logit`, for any real number.

    Not written with a division by 1 - 2 delta: optimisers of exported graphs take that for 1.
    """
    share = torch.sigmoid(value)
    return share + (2.0 * share - 1.0) * (delta / (1.0 - 2.0 * delta))


class ShowerScaling(nn.Module):
    """Standardised energy variables, shapes and conditions. All that it learns is in its buffers.

    Args:
        calorimeter: any.
        columns: the condition's columns; the incident energy comes first.
        noise: width of the uniform noise on shares.
        delta: how far logits stay away from 0 and 1.
        cut: smaller shares are empty cells; the width of the noise where it is not given.
    """

    def __init__(
        self,
        calorimeter: Calorimeter,
        columns: Sequence[str] = ("energy",),
        noise: float = NOISE,
        delta: float = DELTA,
        cut: float | None = None,
    ) -> None:
        super().__init__()
        self.split = LayerShares(calorimeter, noise, cut)
        self.columns, self.delta = tuple(columns), delta
        layers, cells = calorimeter.n_layers, calorimeter.n_cells
        self.condition_low: torch.Tensor = nn.Buffer(torch.zeros(len(self.columns)))
        self.condition_high: torch.Tensor = nn.Buffer(torch.ones(len(self.columns)))
        self.variable_mean: torch.Tensor = nn.Buffer(torch.zeros(layers))
        self.variable_std: torch.Tensor = nn.Buffer(torch.ones(layers))
        self.shape_mean: torch.Tensor = nn.Buffer(torch.zeros(cells))
        self.shape_std: torch.Tensor = nn.Buffer(torch.ones(cells))

    def fit(
        self,
        blocks: Iterable[tuple[torch.Tensor, torch.Tensor]],
        ranges: Mapping[str, tuple[float, float]],
    ) -> None:
        """Take the condition's ranges, and means and spreads over a sample.

        Args:
            blocks: incident energies (B,) and cells (B, n_cells), MeV, a part of the sample each.
            ranges: (lowest, highest) of every column (MeV, rad, mm).
        """
        low, high = torch.tensor([ranges[name] for name in self.columns]).double().unbind(1)
        low, high = with_log_energy(low), with_log_energy(high)
        self.condition_low.copy_(low)
        self.condition_high.copy_(torch.where(high > low, high, low + 1.0))
        generator = torch.Generator().manual_seed(0)
        variables, shapes = _Moments(), _Moments()
        for incident, energy in blocks:
            draws = (torch.rand(energy.shape, generator=generator) for _ in range(2))
            raw = self._raw_variables(incident, energy, next(draws)[:, : len(self.variable_mean)])
            variables.add(raw)
            shapes.add(self._raw_shapes(energy, next(draws)))
        for moments, mean, std in (
            (variables, self.variable_mean, self.variable_std),
            (shapes, self.shape_mean, self.shape_std),
        ):
            mean.copy_(moments.mean)
            std.copy_(moments.std.clamp(min=LEAST_SPREAD))

    # ------------------------------------------------------------------ forth

    def conditions(self, condition: torch.Tensor) -> torch.Tensor:
        """Conditions (B, C) in MeV, rad, mm -> (B, C), in [0, 1] over the training sample."""
        known = with_log_energy(condition)
        low, high = self.condition_low.to(known.dtype), self.condition_high.to(known.dtype)
        return (known - low) / (high - low)

    def variables(
        self, incident: torch.Tensor, energy: torch.Tensor, draw: torch.Tensor
    ) -> torch.Tensor:
        """Standardised energy variables (B, L).

        Args:
            incident: (B,) MeV.
            energy: cells (B, n_cells) MeV.
            draw: uniform numbers (B, L) in [0, 1).
        """
        raw = self._raw_variables(incident, energy, draw)
        return (raw - self.variable_mean) / self.variable_std

    def shapes(self, energy: torch.Tensor, draw: torch.Tensor) -> torch.Tensor:
        """Standardised logits of the shares (B, n_cells); ``draw`` uniform as well (B, n_cells)."""
        return (self._raw_shapes(energy, draw) - self.shape_mean) / self.shape_std

    def _raw_variables(
        self, incident: torch.Tensor, energy: torch.Tensor, draw: torch.Tensor
    ) -> torch.Tensor:
        layers = self.split.layer_energies(energy.double())
        u = self.split.variables(layers, incident.double())
        u = self.split.smear_ends(u, draw.double())
        return torch.cat([u[:, :1], to_logit(u[:, 1:], self.delta)], -1).float()

    def _raw_shapes(self, energy: torch.Tensor, draw: torch.Tensor) -> torch.Tensor:
        return to_logit(self.split.smear(self.split.shares(energy), draw), self.delta)

    # ------------------------------------------------------------------- back

    def layers(self, incident: torch.Tensor, variables: torch.Tensor) -> torch.Tensor:
        """Standardised energy variables (B, L) -> layer energies (B, L) in MeV."""
        dtype = variables.dtype
        raw = variables * self.variable_std.to(dtype) + self.variable_mean.to(dtype)
        u = torch.cat([raw[:, :1], from_logit(raw[:, 1:], self.delta)], -1)
        return self.split.layers(u, incident)

    def cells(self, shapes: torch.Tensor, layers: torch.Tensor) -> torch.Tensor:
        """Standardised logits (B, n_cells) and layer energies (B, L) -> cells (B, n_cells), MeV."""
        dtype = shapes.dtype
        logits = shapes * self.shape_std.to(dtype) + self.shape_mean.to(dtype)
        return self.split.cells(from_logit(logits, self.delta), layers)


def with_log_energy(condition: torch.Tensor) -> torch.Tensor:
    """(..., C) with the logarithm of the first column."""
    return torch.cat([condition[..., :1].log(), condition[..., 1:]], -1)


class _Moments:
    """Mean and spread of rows that come in blocks."""

    def __init__(self) -> None:
        self._count = 0
        self._sum: torch.Tensor | float = 0.0
        self._squares: torch.Tensor | float = 0.0

    def add(self, rows: torch.Tensor) -> None:
        self._count += len(rows)
        self._sum = self._sum + rows.double().sum(0)
        self._squares = self._squares + rows.double().square().sum(0)

    @property
    def mean(self) -> torch.Tensor:
        return torch.as_tensor(self._sum / self._count)

    @property
    def std(self) -> torch.Tensor:
        return torch.as_tensor(self._squares / self._count - self.mean**2).clamp(min=0.0).sqrt()
