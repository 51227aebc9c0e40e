"""LCD/3DGAN HDF5, fixed angle: ``ECAL`` (N,25,25,25) in GeV, ``target`` (N,2) = pdg, GeV."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Calorimeter
from caloforge.showers import Incident, Provenance
from caloforge.sources.base import Source
from caloforge.sources.hdf5 import holds
from caloforge.sources.lcd_images import (
    Columns,
    LcdReader,
    LcdWriter,
    dropped,
    float32_column,
    impact,
    impact_rows,
)

GEV = 1000.0


def _columns(file: h5py.File, rows: slice) -> Columns:
    target = np.asarray(file["target"][rows], dtype=np.float64)
    target = target.reshape(len(target), -1)
    if target.shape[1] != 2:
        raise ValueError(f"'target' has {target.shape[1]} columns, expected pdg and energy")
    return {
        "energy": target[:, 1] * GEV,
        "pdg": np.rint(target[:, 0]),
        "theta": np.full(len(target), np.pi / 2),
        **impact(file, rows, depth=0.0),
    }


def _rows(incident: Incident) -> dict[str, NDArray[Any]]:
    pdg = incident["pdg"] if "pdg" in incident else np.zeros(len(incident))
    target = np.column_stack([pdg, incident.energy / GEV])
    return {"target": float32_column(target), **impact_rows(incident)}


class LcdFixed(Source):
    """The fixed-angle layout; axes x, y, depth; normal incidence."""

    name = "lcd"
    description = "LCD/3DGAN HDF5, fixed angle: ECAL (N,x,y,depth) in GeV, target (N,2)"

    def matches(self, path: Path) -> bool:
        """An ``ECAL`` and a ``target``."""
        return holds(path, {"ECAL", "target"}, {"theta"})

    def open(
        self, path: Path, calorimeter: Calorimeter | None = None, options: Any = None
    ) -> LcdReader:
        """Open for reading, as ``lcd-ecal-25`` unless another calorimeter is given."""
        return LcdReader(path, calorimeter, "lcd-ecal-25", GEV, _columns, ("target",))

    def create(self, path: Path, calorimeter: Calorimeter, provenance: Provenance) -> LcdWriter:
        """Write images in GeV."""
        return LcdWriter(path, calorimeter, provenance, GEV, _rows)

    def losses(self, incident: Incident) -> list[str]:
        """Angles other than normal incidence, phi, and a missing particle code."""
        lost = []
        if "theta" in incident and not np.allclose(incident["theta"], np.pi / 2, atol=1e-6):
            lost.append("lcd cannot carry theta: the angles are lost; use lcd-angle")
        if "z" in incident and np.any(incident["z"] != 0.0):
            lost.append("lcd cannot carry z of the impact point: 0 is read back")
        if ("x" in incident) != ("y" in incident):
            lost.append("lcd cannot carry x without y: dropped")
        if "phi" in incident:
            lost.append("lcd cannot carry phi: dropped")
        lost += dropped(self.name, incident)
        if "pdg" not in incident:
            lost.append("lcd needs a particle code: 0 written, as the showers have none")
        elif np.any(incident["pdg"] != incident["pdg"].astype(np.float32)):
            lost.append("lcd keeps particle codes as float32: large ones are rounded")
        return lost
