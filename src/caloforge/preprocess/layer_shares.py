"""Showers as energy variables and shares of the layers' energies, and back, for any calorimeter.

The energy variables of L layers with energies E_0 ... E_{L-1} are

    u_0 = sum(E) / E_inc,    u_i = E_{i-1} / (E_{i-1} + ... + E_{L-1})    for i = 1 ... L-1:

all but the first lie in [0, 1], and the sum and the layers' energies are exact. A cell's share is
its energy over that of its layer.

Source: C. Krause, D. Shih, Phys. Rev. D 107 (2023) 113003; L. Favaro et al., CaloDREAM,
arXiv:2405.09629.
"""

from __future__ import annotations

import numpy as np
import torch

from caloforge.geometry import Calorimeter

NOISE = 5e-6
"""Width of the uniform noise on shares."""

TINY = 1e-10


class LayerShares:
    """Splits showers of a calorimeter into layer energies (or energy variables) and shares.

    Args:
        calorimeter: its layers may have different numbers of cells.
        noise: width of the uniform noise; energy variables as near to 0 or 1 are at this end.
        cut: smaller shares are empty cells; the width of the noise where it is not given.
    """

    def __init__(
        self, calorimeter: Calorimeter, noise: float = NOISE, cut: float | None = None
    ) -> None:
        self.noise, self.cut = noise, noise if cut is None else cut
        self.threshold = calorimeter.cell_threshold
        self.sizes = [int(size) for size in np.diff(calorimeter.layer_offset)]

    def layer_energies(self, energy: torch.Tensor) -> torch.Tensor:
        """Cells (B, n_cells) -> sums of the layers (B, L), in the same units."""
        parts = energy.split_with_sizes(self.sizes, -1)
        return torch.stack([part.sum(-1) for part in parts], -1)

    def spread(self, layers: torch.Tensor) -> torch.Tensor:
        """Numbers of layers (B, L) at each of their cells (B, n_cells)."""
        columns = zip(layers.unbind(-1), self.sizes, strict=True)
        return torch.cat([column[:, None].expand(-1, size) for column, size in columns], -1)

    def shares(self, energy: torch.Tensor) -> torch.Tensor:
        """Cells (B, n_cells) -> their shares of the layers' energies; zeros where it has none."""
        return energy / (self.spread(self.layer_energies(energy)) + TINY)

    def cells(self, shares: torch.Tensor, layers: torch.Tensor) -> torch.Tensor:
        """Shares (B, n_cells) and layer energies (B, L) in MeV -> cells (B, n_cells) in MeV.

        Shares below the cut are empty, every layer is scaled to its energy, and at last cells
        below the calorimeter's threshold are zero.
        """
        kept = torch.where(shares < self.cut, 0.0, shares)
        energy = kept * self.spread(layers / (self.layer_energies(kept) + TINY))
        return torch.where(energy < self.threshold, 0.0, energy)

    def variables(self, layers: torch.Tensor, incident: torch.Tensor) -> torch.Tensor:
        """Layer energies (B, L) and incident energies (B,) in MeV -> energy variables (B, L).

        Where nothing is left behind a layer, its variable is zero.
        """
        left = layers.flip(-1).cumsum(-1).flip(-1)
        shares = layers / torch.where(left > 0.0, left, 1.0)
        return torch.cat([left[:, :1] / incident[:, None], shares[:, :-1]], -1)

    def layers(self, variables: torch.Tensor, incident: torch.Tensor) -> torch.Tensor:
        """Energy variables (B, L) and incident energies (B,) in MeV -> layer energies (B, L).

        A negative u_0 counts as zero; the others are clipped to [0, 1], and nearer to an end than
        the noise they are this end.
        """
        left = variables[:, 0].clamp(min=0.0) * incident
        u = variables[:, 1:]
        u = torch.where(u < self.noise, 0.0, torch.where(u > 1.0 - self.noise, 1.0, u))
        energies = []
        for share in u.unbind(-1):
            energies.append(left * share)
            left = left * (1.0 - share)
        return torch.stack([*energies, left], -1)

    def smear(self, values: torch.Tensor, draw: torch.Tensor) -> torch.Tensor:
        """Shares with noise: ``draw``, uniform in [0, 1), times the width of the noise is added.

        Then all shrink a little, so that they stay in [0, 1].
        """
        return (values + self.noise * draw) / (1.0 + self.noise)

    def smear_ends(self, variables: torch.Tensor, draw: torch.Tensor) -> torch.Tensor:
        """Energy variables (B, L) with noise inwards on the exact zeros and ones behind u_0.

        Layers without energy would else be peaks without a width, which no density describes.
        """
        first, u = variables[:, :1], variables[:, 1:]
        inwards = self.noise * draw[:, 1:]
        u = torch.where(u <= 0.0, inwards, torch.where(u >= 1.0, 1.0 - inwards, u))
        return torch.cat([first, u], -1)
