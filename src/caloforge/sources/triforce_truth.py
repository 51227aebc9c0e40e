"""What Triforce files say beside the images: the truth columns, and the unit of the cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from caloforge.errors import FormatError
from caloforge.showers import Incident
from caloforge.sources.hdf5 import GEOMETRY
from caloforge.store.attributes import text_of

GEV = 1000.0
UNITS = {"GeV": GEV, "50GeV": GEV / 50.0}
"""MeV per unit of a cell."""

UNIT = "cell_unit"
"""Attribute with the unit of the cells, in the files that we write."""

IMAGES = ("ECAL", "HCAL")
IMPACT = "impact_mm"
COLUMNS = {"pdgID": "pdg", "openingAngle": "opening_angle", "conversion": "conversion"}
"""Data sets that are incident columns as they are."""

_SHOWERS_TO_LOOK_AT = 20
_LEAST_RATIO = 0.1
"""Visible / incident energy in units of the file: about 1 for 50 x GeV, 0.02 for GeV."""


def mev_per_unit(file: h5py.File, path: Path, said: str | None) -> float:
    """MeV per unit of a cell: as said, as we wrote it, or 50 x GeV if that makes sense."""
    unit = said or text_of(file.attrs.get(UNIT, ""))
    if unit in UNITS:
        return UNITS[unit]
    if unit:
        raise FormatError(
            f"{path}: attribute '{UNIT}' is '{unit}', not one of {', '.join(UNITS)}; "
            "say it with --option unit=GeV or unit=50GeV"
        )
    first = slice(0, _SHOWERS_TO_LOOK_AT)
    visible = sum(float(np.sum(file[name][first])) for name in IMAGES if name in file)
    share = visible / max(float(np.sum(file["energy"][first])), 1e-30)
    if 0 < share < _LEAST_RATIO:
        raise FormatError(
            f"{path}: the unit of 'ECAL' is in doubt: the cells sum to {share:.3g} of 'energy', "
            "about 1 is usual for 50 x GeV, 0.02 for GeV; "
            "say it with --option unit=GeV or unit=50GeV"
        )
    return UNITS["50GeV"]


def columns_of(file: h5py.File, rows: slice) -> dict[str, NDArray[Any]]:
    """The incident columns, in MeV, mm and radians."""

    def column(name: str) -> NDArray[np.float64]:
        return np.asarray(file[name][rows], dtype=np.float64).ravel()

    columns = {"energy": column("energy") * GEV}
    columns |= {ours: column(name) for name, ours in COLUMNS.items() if name in file}
    if "theta" in file:
        columns["theta"] = column("theta")
    elif "eta" in file:
        columns["theta"] = 2 * np.arctan(np.exp(-column("eta")))
    if "phi" in file and GEOMETRY in file.attrs:  # elsewhere it turns around the beam pipe
        columns["phi"] = column("phi")
    if IMPACT in file:
        point = np.asarray(file[IMPACT][rows], dtype=np.float64)
        if point.ndim != 2 or point.shape[1] not in (2, 3):
            raise ValueError(f"'{IMPACT}' has shape {file[IMPACT].shape}, expected (N, 2 or 3)")
        columns |= dict(zip("xyz", point.T, strict=False))
    return columns


def truth_of(incident: Incident) -> dict[str, NDArray[Any]]:
    """The truth data sets of incident particles; eta follows from theta."""
    rows: dict[str, NDArray[Any]] = {"energy": (incident.energy / GEV).astype(np.float32)}
    if "pdg" in incident:
        rows["pdgID"] = incident["pdg"].astype(np.int32)
    for name in ("theta", "phi"):
        if name in incident:
            rows[name] = incident[name].astype(np.float32)
    if "theta" in incident:
        with np.errstate(divide="ignore", invalid="ignore"):
            rows["eta"] = (-np.log(np.tan(incident["theta"] / 2))).astype(np.float32)
    if "opening_angle" in incident:
        rows["openingAngle"] = incident["opening_angle"].astype(np.float32)
    if "conversion" in incident:
        rows["conversion"] = np.rint(incident["conversion"]).astype(np.int32)
    if "x" in incident and "y" in incident:
        point = [incident[name] for name in "xyz" if name in incident]
        rows[IMPACT] = np.column_stack(point).astype(np.float32)
    return rows
