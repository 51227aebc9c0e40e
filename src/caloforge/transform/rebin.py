"""Showers in the cells of another calorimeter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import field_serializer, field_validator

from caloforge.geometry import Calorimeter, load_detector
from caloforge.showers import Showers
from caloforge.transform.base import Step
from caloforge.transform.shares import LayerRule, cell_shares
from caloforge.transform.tally import Tally

CHUNK = 1 << 21
"""Hits that are shared out at a time: what bounds the memory."""


class Rebin(Step):
    """Share the energy of every cell among the cells of ``target``, by overlapping area and depth.

    The energy of a cell counts as spread evenly over its volume. Both calorimeters lie in the same
    frame (front face at z = 0, the axis at x = y = 0), so the incident table stays as it is. The
    energy of a shower is conserved but for what lies outside the target's cells, which is counted.
    See :mod:`caloforge.transform.overlap` for how exact the shares are.

    Args:
        target: a calorimeter, the name of a shipped one, or a YAML file.
        layers: ``depth`` shares by depth (mm); ``match`` carries layer k to layer k wherever it
            lies, or merges as many consecutive layers as the numbers of layers say.

    Raises:
        GeometryError: the target is unknown.
    """

    kind: ClassVar[str] = "rebin"

    target: Calorimeter
    layers: LayerRule = "depth"

    @field_validator("target", mode="before")
    @classmethod
    def _load(cls, target: Any) -> Any:
        return load_detector(target) if isinstance(target, str | Path) else target

    @field_serializer("target")
    def _name(self, target: Calorimeter) -> dict[str, str]:
        return {"name": target.name, "hash": target.hash}

    def calorimeter(self, before: Calorimeter) -> Calorimeter:
        """The target.

        Raises:
            GeometryError: see :func:`caloforge.transform.shares.cell_shares`.
        """
        cell_shares(before, self.target, self.layers)
        return self.target

    def apply(self, showers: Showers, tally: Tally) -> Showers:
        """The showers in the target's cells.

        Raises:
            GeometryError: see :func:`caloforge.transform.shares.cell_shares`.
        """
        shares = cell_shares(showers.calorimeter, self.target, self.layers)
        tally.enter(showers)
        counts, cells, energies = [np.zeros(1, np.int64)], [], []
        for sample in _chunks(showers):
            lost = sample @ shares.outside
            tally.add(outside=float(lost.sum()), showers=int(np.count_nonzero(lost)))
            shared = sample @ shares.matrix
            shared.sort_indices()
            energy = shared.data.astype(np.float32)
            kept = energy > 0  # a tiny share may round to zero
            counts.append(np.diff(np.concatenate([[0], np.cumsum(kept)])[shared.indptr]))
            cells.append(shared.indices[kept].astype(np.uint32))
            energies.append(energy[kept])
        return Showers(
            self.target,
            showers.incident,
            np.cumsum(np.concatenate(counts)),
            np.concatenate(cells) if cells else np.zeros(0, np.uint32),
            np.concatenate(energies) if energies else np.zeros(0, np.float32),
            showers.provenance,
        )

    def note(self, tally: Tally) -> str | None:
        """How much energy lay outside the target's cells."""
        return tally.note(f"rebin to {self.target.name}")


def _chunks(showers: Showers) -> Iterator[Any]:
    """Consecutive showers as sparse CSR matrices (showers, cells) of about :data:`CHUNK` hits."""
    offset: NDArray[np.int64] = showers.offset.astype(np.int64)
    start = 0
    while start < len(showers):
        stop = int(np.searchsorted(offset, offset[start] + CHUNK, side="right")) - 1
        stop = max(stop, start + 1)
        hits = slice(offset[start], offset[stop])
        content = (
            showers.energy[hits].astype(np.float64),
            showers.cell[hits].astype(np.int32),
            (offset[start : stop + 1] - offset[start]).astype(np.int32),
        )
        yield sp.csr_matrix(content, shape=(stop - start, showers.calorimeter.n_cells))
        start = stop
