"""The last phase of the training: the decoder learns what the sampler makes of it.

The decoder learns every cell given the layer's numbers and the hits beside it, but the sampler
draws cells with the layer's hits, energy, centres and widths fixed. The density that it draws from
has an unknown normalisation; its gradient is the difference between the gradients of the field's
energy and of the spectra on data and on the sampler's own draws for the same layers (contrastive
divergence, G. Hinton, Neural Computation 14 (2002) 1771, with fresh draws instead of a chain).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numba import get_num_threads

from caloforge.models.layered.cells import Cells
from caloforge.models.layered.config import LayeredConfig
from caloforge.sampling.arrays import Array, Integers
from caloforge.sampling.cells import Layers
from caloforge.sampling.filling import fill, layers_of
from caloforge.sampling.grid import LayerGrid
from caloforge.sampling.spectra import Spectra, tabulate


class Redraw:
    """Draws the cells of real layers again, from what the decoder says now.

    Args:
        cells: the decoder, and the spectra.
        grid: where the cells are.
        config: how the sampler draws.
        threshold: least energy of a hit, MeV.
    """

    def __init__(
        self, cells: Cells, grid: LayerGrid, config: LayeredConfig, threshold: float
    ) -> None:
        self.cells, self.grid, self.threshold = cells, grid, threshold
        self.config = config.model_dump()

    @torch.no_grad()
    def __call__(self, decoded: torch.Tensor, moments: torch.Tensor) -> torch.Tensor:
        """Decoded (B, L, 3, C) and moments (B, L, 6) of real layers -> cells (B, L, C) MeV."""
        every = moments[..., 1].round().long().cpu().numpy()
        shower, layer = np.nonzero(every)
        hits = every[shower, layer]
        numbers = moments[..., [0, 2, 3, 4, 5]].double().cpu().numpy()[shower, layer]
        rows = decoded.cpu().numpy()[shower, layer].reshape(len(shower), -1)
        keys = torch.randint(2**48, (len(shower), 2)).numpy().astype(np.uint64)
        layers, spectra = self._layers(), self._spectra()
        parts = np.array_split(np.arange(len(shower)), get_num_threads())

        def drawn(part: Integers) -> tuple[Integers, Integers, Array]:
            begin = np.zeros(len(part), dtype=np.int64)
            return fill(
                rows[part], layer[part], begin, hits[part], numbers[part], layers, spectra,
                keys[part],
            )  # fmt: skip

        with ThreadPoolExecutor(len(parts)) as threads:
            found, place, energy = (
                np.concatenate(some) for some in zip(*threads.map(drawn, parts), strict=True)
            )
        out = np.zeros((*every.shape, self.grid.number.shape[1]), dtype=np.float32)
        out[np.repeat(shower, found), np.repeat(layer, found), place] = energy
        return torch.from_numpy(out).to(decoded.device)

    def _layers(self) -> Layers:
        """As in the sampler, but the decoder here has spread groups and added offsets itself."""
        size = self.grid.number.shape[1]
        coupling = self.cells.field.coupling[:, self.cells.group].cpu().numpy()
        return layers_of(
            self.grid, self.grid, self.config, self.threshold, np.arange(size),
            np.zeros((len(self.grid.number), 3, size)), coupling,
        )  # fmt: skip

    def _spectra(self) -> Spectra:
        state = {
            f"spectra.{name}": value.cpu().numpy()
            for name, value in self.cells.spectra.state_dict().items()
        }
        return tabulate(state, "spectra", self.cells.spectra.grid)
