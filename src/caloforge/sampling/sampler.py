"""Showers of a layered model: energies, shapes, cells; sparse from the start, no torch."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numba import get_num_threads
from numpy.typing import NDArray

from caloforge.errors import ConfigError, ModelError, ShowerError
from caloforge.geometry import Calorimeter
from caloforge.sampling.arrays import Array, Doubles, Integers, State
from caloforge.sampling.cells import Rows
from caloforge.sampling.energies import EnergyStage
from caloforge.sampling.filling import fill, layers_of
from caloforge.sampling.frame import Frame
from caloforge.sampling.layer_numbers import (
    FEATURES,
    HITS_OFFSET,
    LEAST_LAYER,
    WIDTH_OFFSET,
)
from caloforge.sampling.networks import Linear, Perceptron
from caloforge.sampling.random import keys_of, start
from caloforge.sampling.shapes import ShapeStage, told_of
from caloforge.sampling.spectra import tabulate

AT_ONCE = 64
"""Showers that one thread draws together."""


class Hits(NamedTuple):
    """Hits of some showers: shower k owns ``offset[k]:offset[k + 1]``, cells rising."""

    offset: NDArray[np.int64]
    cell: NDArray[np.uint32]
    energy: NDArray[np.float32]


class Said(NamedTuple):
    """What the two stages say of the layers.

    ``energy`` (B, L) MeV; ``hits`` (B, L); ``shape`` (B, L, 4): centres and widths in cells of the
    frame; ``sees`` (B, L, n): what the decoder sees; ``begin`` (B, L): the frame's cell
    that lies on the layer's first one.
    """

    energy: Doubles
    hits: Integers
    shape: Doubles
    sees: Array
    begin: Integers


class LayeredSampler:
    """Draws showers from the weights of a layered model.

    Args:
        calorimeter: where the showers happen.
        config: the model's configuration.
        state: its weights by name, as in ``weights.safetensors``.
        threads: that draw showers; all cores when 0.

    Raises:
        ModelError: weights that are not finite.
    """

    def __init__(
        self,
        calorimeter: Calorimeter,
        config: Mapping[str, Any],
        state: State,
        threads: int = 0,
    ) -> None:
        wrong = [name for name, weights in state.items() if not np.isfinite(weights).all()]
        if wrong:
            raise ModelError(f"weights '{wrong[0]}' are not finite")
        self.calorimeter = calorimeter
        self.frame = Frame(calorimeter, config)
        self.energies = EnergyStage(state, "energies")
        self.shapes = ShapeStage(state, "shapes")
        self.decoder = Perceptron(state, "cells.decoder", open_end=False)
        self.last = Linear(state, "cells.last")
        self.embedding = state["cells.embedding.weight"].astype(np.float32)
        self.feature_mean = state["cells.feature_mean"].astype(np.float64)
        self.feature_std = state["cells.feature_std"].astype(np.float64)
        self.spectra = tabulate(state, "cells.spectra", int(config["spectra_grid"]))
        offset, coupling = _with_rings(state, self.frame.grid.ring)
        self.about = layers_of(
            self.frame.grid, self.frame.inner, config, calorimeter.cell_threshold,
            state["cells.group"], offset, coupling,
        )  # fmt: skip
        self._threads = ThreadPoolExecutor(threads or get_num_threads())

    def hits(self, condition: NDArray[np.floating[Any]], noise: NDArray[np.floating[Any]]) -> Hits:
        """Showers for (B, C) conditions (MeV, rad, mm) and (B, 4) uniform noise, B >= 1.

        Raises:
            ConfigError: another number of condition columns than the model has.
            ShowerError: numbers that are not finite: of a damaged model, or conditions far beyond
                those of the training.
        """
        if condition.shape[1] != len(self.frame.columns):
            raise ConfigError(
                f"condition has {condition.shape[1]} columns; this model needs "
                f"{', '.join(self.frame.columns)}"
            )
        firsts = range(0, len(condition), AT_ONCE)
        some = [(condition[k : k + AT_ONCE], noise[k : k + AT_ONCE]) for k in firsts]
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
    ) -> Said:
        """What the two stages say of every layer."""
        keys = keys_of(noise)
        words = np.empty_like(keys)
        start(keys, words)
        known = self.frame.known(condition)
        _require_finite("conditions", self.energies.standardised(known))
        begin, apart = self.frame.places(condition)
        energy, hits = self.energies.draw(known, words, self.frame.inner.sizes)
        _require_finite("layer energies", energy)
        if (hits < 0).any():
            raise ShowerError("layers with less than no hits")
        hit = hits > 0
        features = np.zeros((*hits.shape, FEATURES), dtype=np.float64)
        features[..., 0] = np.log(np.maximum(energy, LEAST_LAYER))
        features[..., 1] = np.log(np.maximum(hits, 1) - HITS_OFFSET)
        features = (features - self.feature_mean) / self.feature_std
        crossing = self.frame.crossing(apart)
        told = told_of(features[..., :2], hit, crossing)
        standard = self.energies.standardised(known)
        drawn = self.shapes.draw(told, standard, words)
        features[..., 2:] = drawn[..., :4]
        features[..., 2] += apart / self.feature_std[:, 2]
        shape = features[..., 2:] * self.feature_std[:, 2:] + self.feature_mean[:, 2:]
        shape[..., 2:] = np.maximum(np.exp(shape[..., 2:]) - WIDTH_OFFSET, 0.0)
        particle = np.broadcast_to(standard[:, None], (*hits.shape, standard.shape[1]))
        decoder_sees = np.concatenate(
            [features, particle, crossing, drawn[..., 4:]], axis=2, dtype=np.float32
        )
        return Said(energy, hits, shape, decoder_sees, begin)

    def _some(
        self, condition: NDArray[np.floating[Any]], noise: NDArray[np.floating[Any]]
    ) -> tuple[Integers, NDArray[np.uint32], Array]:
        """Hits per shower, cells and energies of a few showers."""
        said = self.layers(condition, noise)
        shower, layer = np.nonzero(said.hits)
        hit = (shower, layer)
        sees = np.concatenate([said.sees[hit], self.embedding[layer]], axis=1)
        numbers = np.concatenate([said.energy[hit][:, None], said.shape[hit]], axis=1)
        decoded, keys = self.last(self.decoder(sees)), keys_of(noise)[shower]
        _require_finite("cells", decoded, numbers)
        rows = Rows(decoded, layer, said.begin[hit], said.hits[hit], numbers, keys)
        found, place, out = fill(rows, self.about, self.spectra)
        cell = self.frame.inner.number[np.repeat(layer, found), place]
        counts = np.bincount(shower, weights=found, minlength=len(condition)).astype(np.int64)
        return counts, cell.astype(np.uint32), out


def _require_finite(what: str, *numbers: NDArray[np.floating[Any]]) -> None:
    """Compiled loops take an index from some of them: NaN would lead out of memory."""
    if not all(np.isfinite(part).all() for part in numbers):
        raise ShowerError(f"numbers of its {what} are not finite")


def _with_rings(state: State, ring: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Offsets (layers, 3, cells) and couplings (layers, groups), those of rings (L, C) added."""
    first = np.unique(state["cells.group"], return_index=True)[1]
    layer = np.arange(len(ring))[:, None]
    rings = np.moveaxis(state["cells.rings"][layer, :, ring], 2, 1)
    couplings = state["cells.field.rings"][layer, ring[:, first]]
    return state["cells.offset"] + rings, state["cells.field.coupling"] + couplings
