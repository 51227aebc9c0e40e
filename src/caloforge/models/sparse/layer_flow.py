"""How a shower's energy divides among the layers: a normalising flow of its energy variables.

The first stage of the models that make cells given their layer's energy: it makes the sum and the
layers' energies right whatever the cells are. The variables (:mod:`caloforge.preprocess`) are taken
as ln u_0 and logits of the others, standardised; the flow is a coupling flow of rational-quadratic
splines (C. Durkan et al., arXiv:1906.04032, from the library zuko) given the incident particle, as
flow I of CaloFlow (C. Krause, D. Shih, Phys. Rev. D 107 (2023) 113003) with couplings in place of
masked layers, so that drawing is as fast as learning.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import zuko
from torch import nn

from caloforge.geometry import Calorimeter
from caloforge.models import draws
from caloforge.preprocess.layer_shares import LayerShares
from caloforge.preprocess.shower_scaling import from_logit, to_logit, with_log_energy
from caloforge.showers import Showers

DELTA = 1e-6
"""How far logits stay away from 0 and 1."""

RANGE = 4.8
"""Largest standardised variable; the splines act on -5 ... 5."""

LEAST_SHARE = 1e-7
"""Of the incident energy; layers with less count as this in what networks see."""

FEATURE_RANGE = 6.0
"""Largest standardised logarithm of a layer's energy that networks see."""


class LayerFlow(nn.Module):
    """Density of the layers' energies given the incident particle.

    Args:
        calorimeter: any.
        columns: columns of the condition, the energy first.
        transforms: coupling layers.
        hidden: sizes of the hidden layers of their networks.
    """

    def __init__(
        self,
        calorimeter: Calorimeter,
        columns: Sequence[str],
        transforms: int,
        hidden: Sequence[int],
    ) -> None:
        super().__init__()
        layers = calorimeter.n_layers
        self.columns = tuple(columns)
        self.split = LayerShares(calorimeter)
        with torch.device("cpu"):  # zuko cannot be made on the device that only counts
            self.flow = zuko.flows.NSF(
                layers, len(columns), transforms=transforms, hidden_features=hidden, passes=2
            )
        self.condition_mean: torch.Tensor = nn.Buffer(torch.zeros(len(columns)))
        self.condition_std: torch.Tensor = nn.Buffer(torch.ones(len(columns)))
        self.variable_mean: torch.Tensor = nn.Buffer(torch.zeros(layers))
        self.variable_std: torch.Tensor = nn.Buffer(torch.ones(layers))
        self.feature_mean: torch.Tensor = nn.Buffer(torch.zeros(layers))
        self.feature_std: torch.Tensor = nn.Buffer(torch.ones(layers))

    def fit(self, showers: Showers) -> None:
        """Take means and spreads from a sample."""
        condition = np.column_stack([showers.incident[name] for name in self.columns])
        given = torch.from_numpy(condition)
        place = (
            showers.hit_shower * len(self.split.sizes)
            + showers.calorimeter.cell_layer[showers.cell]
        )
        total = np.bincount(place, showers.energy, minlength=len(showers) * len(self.split.sizes))
        layers = torch.from_numpy(total).view(len(showers), -1)
        _standardise(self.condition_mean, self.condition_std, with_log_energy(given))
        raw = self._raw(layers, given)
        _standardise(self.variable_mean, self.variable_std, raw)
        _standardise(self.feature_mean, self.feature_std, self._logarithms(layers, given))

    def known(self, condition: torch.Tensor) -> torch.Tensor:
        """Conditions (B, C) in MeV, rad, mm as networks see them."""
        dtype = condition.dtype
        mean, std = self.condition_mean.to(dtype), self.condition_std.to(dtype)
        return (with_log_energy(condition) - mean) / std

    def features(self, layers: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Layer energies (B, L) as networks see them: standardised ln(E_layer / E_incident)."""
        dtype = condition.dtype
        mean, std = self.feature_mean.to(dtype), self.feature_std.to(dtype)
        standard = (self._logarithms(layers, condition) - mean) / std
        return standard.clamp(-FEATURE_RANGE, FEATURE_RANGE)

    def describe(self, layers: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """What networks know of a shower (B, C + L): the particle, then the layers' energies."""
        return torch.cat([self.known(condition), self.features(layers, condition)], -1)

    def loss(self, layers: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Minus ln p per shower of layer energies (B, L) in MeV, in standardised variables."""
        raw = self._raw(layers.double(), condition.double())
        value = ((raw - self.variable_mean) / self.variable_std).clamp(-RANGE, RANGE).float()
        density: torch.Tensor = self.flow(self.known(condition)).log_prob(value)
        return -density.mean()

    def forward(self, condition: torch.Tensor, normal: torch.Tensor) -> torch.Tensor:
        """Layer energies (B, L) in MeV from conditions (B, C) and normal numbers (B, L)."""
        value = self.flow(self.known(condition)).transform.inv(normal)
        raw = value.clamp(-RANGE, RANGE) * self.variable_std + self.variable_mean
        u = from_logit(raw[:, 1:], DELTA).clamp(0.0, 1.0)
        left = torch.cumsum(torch.log1p(-u), -1).exp()  # shares of the visible energy
        ahead = torch.cat([torch.ones_like(left[:, :1]), left], -1)
        taken = torch.cat([u, torch.ones_like(u[:, :1])], -1)
        visible: torch.Tensor = raw[:, :1].exp() * condition[:, :1]
        return visible * ahead * taken

    def _raw(self, layers: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        u = self.split.variables(layers, condition[:, 0])
        u = self.split.smear_ends(u, draws.uniform(*u.shape, device=u.device).to(u.dtype))
        return torch.cat([u[:, :1].clamp(min=LEAST_SHARE).log(), to_logit(u[:, 1:], DELTA)], -1)

    def _logarithms(self, layers: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        return (layers / condition[:, :1]).clamp(min=LEAST_SHARE).log()


def _standardise(mean: torch.Tensor, std: torch.Tensor, sample: torch.Tensor) -> None:
    """Put the mean and the spread of rows (B, n) into two buffers; 1 where nothing varies."""
    mean.copy_(sample.mean(0))
    spread = sample.std(0, correction=0)
    std.copy_(torch.where(spread > 1e-6, spread, torch.ones_like(spread)))
