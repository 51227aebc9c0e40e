"""The last phase of the training: the decoder learns what the sampler makes of it.

The decoder learns every cell given the layer's numbers and the hits beside it, but the sampler
draws cells with the layer's hits, energy, centres and widths fixed. The density that it draws from
has an unknown normalisation; its gradient is the difference between the gradients of the field's
energy and of the spectra on data and on the sampler's own draws for the same layers (contrastive
divergence, G. Hinton, Neural Computation 14 (2002) 1771, with fresh draws instead of a chain).

Draws do not depend on what the layer's numbers fix: a factor exp(a e + b e r^2) common to all its
spectra, or a constant in all its logits. :meth:`.cells.Cells.misfit` pins those.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numba import get_num_threads

from caloforge.models import draws
from caloforge.models.layered.cells import Cells
from caloforge.models.layered.config import LayeredConfig
from caloforge.models.layered.hits import Hits
from caloforge.sampling.arrays import Array, Integers
from caloforge.sampling.cells import Layers, Rows
from caloforge.sampling.filling import fill, layers_of
from caloforge.sampling.frame import Frame
from caloforge.sampling.spectra import Spectra, tabulate


class Redraw:
    """Draws the cells of real layers again, from what the decoder says now.

    Args:
        cells: the decoder, and the spectra.
        frame: where the cells are.
        config: how the sampler draws.
        threshold: least energy of a hit, MeV.
    """

    def __init__(self, cells: Cells, frame: Frame, config: LayeredConfig, threshold: float) -> None:
        self.cells, self.frame, self.threshold = cells, frame, threshold
        self.config = config.model_dump()

    @torch.no_grad()
    def __call__(
        self, decoded: torch.Tensor, size: torch.Size, moments: torch.Tensor, begin: torch.Tensor
    ) -> Hits:
        """Other hits of real layers.

        Args:
            decoded: (B L, 3, groups), see :meth:`Cells.decode`.
            size: (C, B, L).
            moments: (B, L, 6).
            begin: (B, L) frame cells that lie on the layers' first ones.
        """
        every = moments[..., 1].round().long().flatten().cpu().numpy()
        row = np.flatnonzero(every)
        numbers = moments[..., [0, 2, 3, 4, 5]].flatten(0, 1).double().cpu().numpy()[row]
        said = decoded.flatten(1).cpu().numpy()[row]
        first = begin.flatten().cpu().numpy()[row]
        keys = draws.integers(2**48, size[1], size[2], 2).view(-1, 2).numpy()[row].astype(np.uint64)
        rows = Rows(said, row % size[2], first, every[row], numbers, keys)
        layers, spectra = self._layers(), self._spectra()
        parts = np.array_split(np.arange(len(row)), get_num_threads())

        def drawn(part: Integers) -> tuple[Integers, Integers, Array]:
            return fill(Rows._make(values[part] for values in rows), layers, spectra)

        with ThreadPoolExecutor(len(parts)) as threads:
            found, place, energy = (
                np.concatenate(some) for some in zip(*threads.map(drawn, parts), strict=True)
            )
        row_of, cell, deposit = (
            torch.from_numpy(part).to(decoded.device)
            for part in (np.repeat(row, found), np.repeat(first, found) + place, energy)
        )
        return Hits(row_of, cell, deposit, size)

    def _layers(self) -> Layers:
        offset, coupling = self.cells.offsets(), self.cells.field.couplings()
        return layers_of(
            self.frame.grid, self.frame.inner, self.config, self.threshold,
            *(part.cpu().numpy() for part in (self.cells.group, offset, coupling)),
        )  # fmt: skip

    def _spectra(self) -> Spectra:
        state = {
            f"spectra.{name}": value.cpu().numpy()
            for name, value in self.cells.spectra.state_dict().items()
        }
        return tabulate(state, "spectra", self.cells.spectra.grid)
