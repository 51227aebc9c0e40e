"""The sparse shower sample: the one thing that every stage reads or writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from caloforge.errors import ShowerError
from caloforge.geometry import Calorimeter
from caloforge.showers.incident import Incident
from caloforge.showers.provenance import Provenance


class Showers:
    """n showers in one calorimeter.

    Shower k owns the hits ``offset[k]:offset[k + 1]``; inside a shower the cells increase
    strictly, so every cell appears at most once.

    Args:
        calorimeter: the geometry the cell numbers refer to.
        incident: the particles, n rows.
        offset: (n + 1,) uint64, from 0 to the number of hits.
        cell: (hits,) uint32 cell numbers.
        energy: (hits,) float32 deposits, MeV, finite and positive.
        provenance: where the showers come from.

    Raises:
        ShowerError: the arrays do not fit together or hold impossible values.
    """

    def __init__(
        self,
        calorimeter: Calorimeter,
        incident: Incident,
        offset: ArrayLike,
        cell: ArrayLike,
        energy: ArrayLike,
        provenance: Provenance | None = None,
    ) -> None:
        self.calorimeter = calorimeter
        self.incident = incident
        self.offset: NDArray[np.uint64] = np.ascontiguousarray(offset, dtype=np.uint64)
        self.cell: NDArray[np.uint32] = np.ascontiguousarray(cell, dtype=np.uint32)
        self.energy: NDArray[np.float32] = np.ascontiguousarray(energy, dtype=np.float32)
        self.provenance = provenance or Provenance(step="memory", geometry=calorimeter.hash)
        self._check()

    def _check(self) -> None:
        if self.offset.shape != (len(self.incident) + 1,):
            raise ShowerError(
                f"offset has shape {self.offset.shape} for {len(self.incident)} incident "
                "particles; it needs one entry more than showers"
            )
        if self.cell.shape != self.energy.shape or self.cell.ndim != 1:
            raise ShowerError(
                f"cell has shape {self.cell.shape}, energy {self.energy.shape}; "
                "both list the hits, one entry each"
            )
        steps = np.diff(self.offset.astype(np.int64))
        if self.offset[0] != 0 or np.any(steps < 0) or self.offset[-1] != len(self.cell):
            raise ShowerError(
                f"offset must rise from 0 to the {len(self.cell)} hits; the sample is damaged"
            )
        if len(self.cell) == 0:
            return
        if int(self.cell.max()) >= self.calorimeter.n_cells:
            raise ShowerError(
                f"cell {int(self.cell.max())} does not exist in '{self.calorimeter.name}' "
                f"({self.calorimeter.n_cells} cells); use the right detector"
            )
        bad = ~(np.isfinite(self.energy) & (self.energy > 0))
        if bad.any():
            hit = int(np.flatnonzero(bad)[0])
            raise ShowerError(
                f"shower {int(np.searchsorted(self.offset, hit, side='right')) - 1}, cell "
                f"{int(self.cell[hit])}: energy {self.energy[hit]} MeV is not finite and positive; "
                "remove or repair that shower"
            )
        falling = np.flatnonzero(np.diff(self.cell.astype(np.int64)) <= 0) + 1
        if not np.isin(falling, self.offset.astype(np.int64)).all():
            raise ShowerError(
                "cells must increase inside a shower; build the sample with Showers.from_hits"
            )

    # ------------------------------------------------------------ construction

    @classmethod
    def from_dense(
        cls,
        calorimeter: Calorimeter,
        incident: Incident,
        dense: ArrayLike,
        provenance: Provenance | None = None,
    ) -> Showers:
        """From dense energies (MeV) of shape (n, n_cells); zeros are not stored.

        Raises:
            ShowerError: wrong shape, or a NaN, infinite or negative energy.
        """
        array = np.asarray(dense, dtype=np.float32)
        if array.shape != (len(incident), calorimeter.n_cells):
            raise ShowerError(
                f"dense showers have shape {array.shape}, expected "
                f"({len(incident)}, {calorimeter.n_cells}) for '{calorimeter.name}'"
            )
        shower, cell = np.nonzero(array)
        offset = np.concatenate([[0], np.cumsum(np.count_nonzero(array, axis=1))])
        return cls(calorimeter, incident, offset, cell, array[shower, cell], provenance)

    @classmethod
    def from_hits(
        cls,
        calorimeter: Calorimeter,
        incident: Incident,
        shower: ArrayLike,
        cell: ArrayLike,
        energy: ArrayLike,
        provenance: Provenance | None = None,
    ) -> Showers:
        """From hits in any order; hits of one shower in the same cell are summed, zeros dropped.

        Raises:
            ShowerError: a shower or cell number that does not exist, or a bad energy.
        """
        rows = np.asarray(shower, dtype=np.int64)
        cells = np.asarray(cell, dtype=np.int64)
        values = np.asarray(energy, dtype=np.float64)
        n = len(incident)
        if rows.size and (rows.min() < 0 or rows.max() >= n):
            raise ShowerError(f"hits name a shower outside 0..{n - 1}; check the shower numbers")
        if cells.size and (cells.min() < 0 or cells.max() >= calorimeter.n_cells):
            raise ShowerError(
                f"hits name a cell outside 0..{calorimeter.n_cells - 1} of "
                f"'{calorimeter.name}'; use the right detector"
            )
        keys, sums = _summed(rows * calorimeter.n_cells + cells, values)
        kept = sums != 0
        keys, sums = keys[kept], sums[kept]
        counts = np.bincount(keys // calorimeter.n_cells, minlength=n)
        offset = np.concatenate([[0], np.cumsum(counts)])
        return cls(calorimeter, incident, offset, keys % calorimeter.n_cells, sums, provenance)

    @staticmethod
    def concatenate(parts: Sequence[Showers]) -> Showers:
        """One sample from many of the same geometry, in order, with the first one's provenance.

        Raises:
            ShowerError: nothing to concatenate.
            GeometryError: the geometries differ.
        """
        if not parts:
            raise ShowerError("nothing to concatenate; give at least one sample")
        for part in parts[1:]:
            parts[0].calorimeter.require_same(part.calorimeter, "a part")
        starts = np.cumsum([0] + [part.n_hits for part in parts[:-1]])
        offsets = [
            part.offset[:-1].astype(np.int64) + start
            for part, start in zip(parts, starts, strict=True)
        ]
        total = sum(part.n_hits for part in parts)
        return Showers(
            parts[0].calorimeter,
            Incident.concatenate([part.incident for part in parts]),
            np.concatenate([*offsets, [total]]),
            np.concatenate([part.cell for part in parts]),
            np.concatenate([part.energy for part in parts]),
            parts[0].provenance,
        )

    # ----------------------------------------------------------------- content

    def __len__(self) -> int:
        return len(self.incident)

    def __repr__(self) -> str:
        return f"Showers({len(self)} in '{self.calorimeter.name}', {self.n_hits} hits)"

    @property
    def n_hits(self) -> int:
        """Number of hits over all showers."""
        return len(self.cell)

    @property
    def hits_per_shower(self) -> NDArray[np.int64]:
        """Number of hits of every shower, shape (n,)."""
        return np.asarray(np.diff(self.offset.astype(np.int64)), dtype=np.int64)

    @property
    def hit_shower(self) -> NDArray[np.int64]:
        """Shower number of every hit, shape (hits,)."""
        return np.repeat(np.arange(len(self)), self.hits_per_shower)

    @property
    def total_energy(self) -> NDArray[np.float64]:
        """Visible energy of every shower (MeV), shape (n,)."""
        sums = np.bincount(self.hit_shower, weights=self.energy, minlength=len(self))
        return sums.astype(np.float64)

    @property
    def layer_energy(self) -> NDArray[np.float64]:
        """Visible energy per layer (MeV), shape (n, n_layers)."""
        n_layers = self.calorimeter.n_layers
        keys = self.hit_shower * n_layers + self.calorimeter.cell_layer[self.cell]
        flat = np.bincount(keys, weights=self.energy, minlength=len(self) * n_layers)
        return flat.reshape(len(self), n_layers).astype(np.float64)

    def dense(self) -> NDArray[np.float32]:
        """Energies (MeV) as a dense array (n, n_cells). Mind the memory: take batches."""
        array = np.zeros((len(self), self.calorimeter.n_cells), dtype=np.float32)
        array[self.hit_shower, self.cell] = self.energy
        return array

    def __getitem__(self, rows: slice | Sequence[int] | NDArray[Any]) -> Showers:
        """The chosen showers: a slice, a list or array of numbers, or a boolean mask."""
        index = np.arange(len(self))[rows if isinstance(rows, slice) else np.asarray(rows)]
        counts = self.hits_per_shower[index]
        offset = np.concatenate([[0], np.cumsum(counts)])
        starts = self.offset[:-1].astype(np.int64)[index]
        hits = np.arange(offset[-1]) + np.repeat(starts - offset[:-1], counts)
        return Showers(
            self.calorimeter,
            self.incident.take(index),
            offset,
            self.cell[hits],
            self.energy[hits],
            self.provenance,
        )

    def batches(self, size: int) -> Iterator[Showers]:
        """Consecutive parts of ``size`` showers (the last may be shorter)."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def above_threshold(self, threshold: float | None = None) -> Showers:
        """Without the hits below ``threshold`` MeV (the calorimeter's by default)."""
        cut = self.calorimeter.cell_threshold if threshold is None else threshold
        kept = self.energy >= cut
        counts = np.bincount(self.hit_shower[kept], minlength=len(self))
        offset = np.concatenate([[0], np.cumsum(counts)])
        return Showers(
            self.calorimeter,
            self.incident,
            offset,
            self.cell[kept],
            self.energy[kept],
            self.provenance,
        )

    def with_provenance(self, provenance: Provenance) -> Showers:
        """The same showers with another provenance."""
        return Showers(
            self.calorimeter, self.incident, self.offset, self.cell, self.energy, provenance
        )


def _summed(
    keys: NDArray[np.int64], values: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The different keys, rising, and the sum of the values of each."""
    if (keys[1:] > keys[:-1]).all():
        return keys, values
    rising, inverse = np.unique(keys, return_inverse=True)
    sums = np.bincount(inverse, weights=values, minlength=len(rising))
    return rising, sums.astype(np.float64)
