"""The last phase of the training: the decoder learns what the sampler makes of it.

The decoder learns cells as if they were independent given the layer's numbers, but the sampler
draws them with the layer's hits, energy, centres and widths fixed. The density that it draws from
has an unknown normalisation; its gradient is the difference between the gradients of the
independent likelihood on data and on the sampler's own draws for the same layers (contrastive
divergence, G. Hinton, Neural Computation 14 (2002) 1771, with fresh draws instead of a chain).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numba import get_num_threads

from caloforge.models.layered.cells import Cells
from caloforge.models.layered.config import LayeredConfig
from caloforge.sampling.arrays import Array, Doubles, Integers, Words
from caloforge.sampling.cells import fill_layers
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
        self.swaps, self.tolerance = config.swaps, np.array(config.tolerances)
        size = grid.number.shape[1]
        self.group = np.arange(size)
        self.no_offset = np.zeros((len(grid.number), 3, size), dtype=np.float32)

    @torch.no_grad()
    def __call__(self, decoded: torch.Tensor, moments: torch.Tensor) -> torch.Tensor:
        """Decoded (B, L, 3, C) and moments (B, L, 6) of real layers -> cells (B, L, C) MeV."""
        hits = moments[..., 1].round().long().cpu().numpy()
        shower, layer = np.nonzero(hits)
        numbers = moments[..., [0, 2, 3, 4, 5]].double().cpu().numpy()[shower, layer]
        rows = decoded.cpu().numpy()[shower, layer].reshape(len(shower), -1)
        keys = torch.randint(2**48, (len(shower), 2)).numpy().astype(np.uint64)
        drawn = np.zeros((len(shower), self.grid.number.shape[1]), dtype=np.float32)
        spectra = self._spectra()
        parts = np.array_split(np.arange(len(shower)), get_num_threads())
        with ThreadPoolExecutor(len(parts)) as threads:
            done = [
                threads.submit(
                    self._fill, rows[part], layer[part], hits[shower, layer][part],
                    numbers[part], spectra, keys[part], drawn[part[0] : part[-1] + 1],
                )
                for part in parts if len(part)
            ]  # fmt: skip
            for one in done:
                one.result()
        out = torch.zeros((*hits.shape, drawn.shape[1]))
        out[torch.from_numpy(shower), torch.from_numpy(layer)] = torch.from_numpy(drawn)
        return out.to(decoded.device)

    def _spectra(self) -> Spectra:
        state = {
            f"spectra.{name}": value.cpu().numpy()
            for name, value in self.cells.spectra.state_dict().items()
        }
        return tabulate(state, "spectra", self.cells.spectra.grid)

    def _fill(
        self,
        rows: Array,
        layer: Integers,
        hits: Integers,
        numbers: Doubles,
        spectra: Spectra,
        keys: Words,
        out: Array,
    ) -> None:
        fill_layers(
            rows, self.group, self.no_offset, layer, hits, numbers, self.tolerance, self.swaps,
            self.threshold, self.grid.x, self.grid.y, spectra, keys, out,
        )  # fmt: skip
