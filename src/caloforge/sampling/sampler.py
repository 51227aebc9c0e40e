"""Showers of a layered model: energies, shapes, cells; sparse from the start, no torch."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numba import get_num_threads
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from caloforge.geometry import Calorimeter
from caloforge.sampling.arrays import Array, Doubles, Integers, State
from caloforge.sampling.cells import fill_layers
from caloforge.sampling.energies import EnergyStage
from caloforge.sampling.grid import LayerGrid
from caloforge.sampling.layer_numbers import FEATURES, HITS_OFFSET, LEAST_LAYER, WIDTH_OFFSET
from caloforge.sampling.networks import Linear, Perceptron
from caloforge.sampling.random import keys_of, start
from caloforge.sampling.shapes import ShapeStage
from caloforge.sampling.spectra import tabulate

AT_ONCE = 64
"""Showers that one thread draws together."""

NEVER = -1e4
"""Logit of cells that do not exist."""


class Hits(NamedTuple):
    """Hits of some showers: shower k owns ``offset[k]:offset[k + 1]``, cells rising."""

    offset: NDArray[np.int64]
    cell: NDArray[np.uint32]
    energy: NDArray[np.float32]


class LayeredSampler:
    """Draws showers from the weights of a layered model.

    Args:
        calorimeter: where the showers happen.
        config: the model's configuration.
        state: its weights by name, as in ``weights.safetensors``.
    """

    def __init__(self, calorimeter: Calorimeter, config: Mapping[str, Any], state: State) -> None:
        self.calorimeter = calorimeter
        self.grid = LayerGrid.of(calorimeter)
        self.energies = EnergyStage(state, "energies")
        self.shapes = ShapeStage(state, "shapes")
        self.decoder = Perceptron(state, "cells.decoder", open_end=False)
        self.last = Linear(state, "cells.last")
        self.embedding = state["cells.embedding.weight"].astype(np.float32)
        self.group = state["cells.group"].astype(np.int64)
        self.offset = state["cells.offset"].astype(np.float32).copy()
        self.offset[:, 0][self.grid.number < 0] = NEVER
        self.feature_mean = state["cells.feature_mean"].astype(np.float64)
        self.feature_std = state["cells.feature_std"].astype(np.float64)
        self.spectra = tabulate(state, "cells.spectra", int(config["spectra_grid"]))
        self.tolerance = np.array(config["tolerances"], dtype=np.float64)
        self.swaps = float(config["swaps"])
        self._threads = ThreadPoolExecutor(get_num_threads())

    def hits(self, condition: NDArray[np.floating[Any]], noise: NDArray[np.floating[Any]]) -> Hits:
        """Showers for (B, C) conditions (MeV, rad, mm) and (B, 4) uniform noise."""
        firsts = range(0, len(condition), AT_ONCE)
        some = [(condition[k : k + AT_ONCE], noise[k : k + AT_ONCE]) for k in firsts]
        with threadpool_limits(1, user_api="blas"):
            if len(some) == 1:
                parts = [self._some(*some[0])]
            else:
                parts = list(self._threads.map(lambda pair: self._some(*pair), some))
        counts, cells, energies = (np.concatenate(part) for part in zip(*parts, strict=True))
        return Hits(np.concatenate([[0], np.cumsum(counts)]), cells, energies)

    def dense(
        self, condition: NDArray[np.floating[Any]], noise: NDArray[np.floating[Any]]
    ) -> Array:
        """The same as (B, n_cells) MeV."""
        found = self.hits(condition, noise)
        out = np.zeros((len(condition), self.calorimeter.n_cells), dtype=np.float32)
        rows = np.repeat(np.arange(len(condition)), np.diff(found.offset))
        out[rows, found.cell] = found.energy
        return out

    def layers(
        self, condition: NDArray[np.floating[Any]], noise: NDArray[np.floating[Any]]
    ) -> tuple[Doubles, Integers, Doubles, Array]:
        """What the two stages say of every layer.

        Returns:
            Energies (B, L) MeV, hits (B, L), centres and widths (B, L, 4) in cells, and what the
            decoder sees (B, L, 6 + latents).
        """
        keys = keys_of(noise)
        words = np.empty_like(keys)
        start(keys, words)
        known = np.array(condition, dtype=np.float64)
        known[:, 0] = np.log(known[:, 0])
        energy, hits = self.energies.draw(known, words, self.grid.sizes)
        hit = hits > 0
        features = np.zeros((*hits.shape, FEATURES), dtype=np.float64)
        features[..., 0] = np.log(np.maximum(energy, LEAST_LAYER))
        features[..., 1] = np.log(np.maximum(hits, 1) - HITS_OFFSET)
        features = (features - self.feature_mean) / self.feature_std
        seen = np.dstack([np.where(hit[..., None], features[..., :2], 0.0), hit])
        drawn = self.shapes.draw(seen.astype(np.float32), self.energies.standardised(known), words)
        shape = drawn[..., :4] * self.feature_std[:, 2:] + self.feature_mean[:, 2:]
        shape[..., 2:] = np.maximum(np.exp(shape[..., 2:]) - WIDTH_OFFSET, 0.0)
        features[..., 2:] = drawn[..., :4]
        decoder_sees = np.concatenate([features, drawn[..., 4:]], axis=2, dtype=np.float32)
        return energy, hits, shape, decoder_sees

    def _some(
        self, condition: NDArray[np.floating[Any]], noise: NDArray[np.floating[Any]]
    ) -> tuple[Integers, NDArray[np.uint32], Array]:
        """Hits per shower, cells and energies of a few showers."""
        energy, hits, shape, sees = self.layers(condition, noise)
        shower, layer = np.nonzero(hits)
        decoded = self.last(
            self.decoder(np.concatenate([sees[shower, layer], self.embedding[layer]], axis=1))
        )
        numbers = np.concatenate([energy[shower, layer][:, None], shape[shower, layer]], axis=1)
        out = np.zeros((len(shower), self.grid.number.shape[1]), dtype=np.float32)
        fill_layers(
            decoded, self.group, self.offset, layer, hits[shower, layer], numbers,
            self.tolerance, self.swaps, self.calorimeter.cell_threshold, self.grid.x, self.grid.y,
            self.spectra, keys_of(noise)[shower], out,
        )  # fmt: skip
        row, place = np.nonzero(out)
        cell = self.grid.number[layer[row], place]
        counts = np.bincount(shower[row], minlength=len(condition))
        return counts, cell.astype(np.uint32), out[row, place]
