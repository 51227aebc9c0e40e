"""LCD/3DGAN HDF5, variable angle: ``ECAL`` (N,51,51,25) in 50 x GeV, ``energy`` GeV, ``theta``."""

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
from caloforge.sources.triforce import is_triforce

GEV = 1000.0
TO_MEV = GEV / 50.0
"""The files hold 50 x GeV."""

AXIS_DEPTH = 45.0
"""Depth (mm) at which the particle's line passes the impact point of the window's centre."""


def _columns(file: h5py.File, rows: slice) -> Columns:
    columns: Columns = {
        "energy": np.asarray(file["energy"][rows], dtype=np.float64).ravel() * GEV,
        "theta": np.asarray(file["theta"][rows], dtype=np.float64).ravel(),
        **impact(file, rows, depth=AXIS_DEPTH),
    }
    if "pdgID" in file:
        columns["pdg"] = np.asarray(file["pdgID"][rows]).ravel()
    return columns


def _rows(incident: Incident) -> dict[str, NDArray[Any]]:
    theta = incident["theta"] if "theta" in incident else np.full(len(incident), np.pi / 2)
    rows: dict[str, NDArray[Any]] = {
        "energy": float32_column(incident.energy / GEV),
        "theta": float32_column(theta),
        **impact_rows(incident),
    }
    if "pdg" in incident:
        rows["pdgID"] = incident["pdg"].astype(np.int32)
    return rows


class LcdAngle(Source):
    """The variable-angle layout; theta from the x axis in the x-z plane."""

    name = "lcd-angle"
    description = "LCD/3DGAN HDF5, variable angle: ECAL (N,x,y,depth) in 50 x GeV, energy, theta"

    def matches(self, path: Path) -> bool:
        """An ``ECAL``, an ``energy`` and a ``theta``, and no Triforce file."""
        wanted = {"ECAL", "energy", "theta"}
        return holds(path, wanted) and not is_triforce(path)

    def open(
        self, path: Path, calorimeter: Calorimeter | None = None, options: Any = None
    ) -> LcdReader:
        """Open for reading, as ``lcd-ecal`` unless another calorimeter is given."""
        return LcdReader(path, calorimeter, "lcd-ecal", TO_MEV, _columns, ("energy", "theta"))

    def create(self, path: Path, calorimeter: Calorimeter, provenance: Provenance) -> LcdWriter:
        """Write images in 50 x GeV."""
        return LcdWriter(path, calorimeter, provenance, TO_MEV, _rows)

    def losses(self, incident: Incident) -> list[str]:
        """phi; a missing angle is written as normal incidence."""
        lost = []
        if "phi" in incident:
            lost.append("lcd-angle cannot carry phi: dropped")
        lost += dropped(self.name, incident)
        if ("x" in incident) != ("y" in incident):
            lost.append("lcd-angle cannot carry x without y: dropped")
        if "theta" not in incident:
            lost.append("lcd-angle needs theta: pi/2 written, as the showers have none")
        if "z" in incident and not np.allclose(incident["z"], AXIS_DEPTH):
            lost.append("lcd-angle cannot carry z of the impact point: x and y are kept")
        return lost
