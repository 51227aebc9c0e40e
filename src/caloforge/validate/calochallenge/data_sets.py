"""The four data sets of the CaloChallenge, recognised by their cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caloforge.geometry import Calorimeter, CylindricalGrid, load_detector

MIN_RESPONSE, MAX_RESPONSE = 0.5, 1.5
"""Range of the official Etot / Einc histogram."""

TOLERANCE = 1e-6
"""Largest difference (mm) of two ring edges that are the same."""


@dataclass(frozen=True)
class DataSet:
    """One data set.

    ``name`` is the one of the evaluation code ('1-photons', '1-pions', '2', '3'), ``detector`` that
    of the shipped calorimeter with its cells, ``layers`` the official number of each layer that has
    cells, ``min_energy`` (MeV) the smallest voxel energy that the evaluation keeps.
    """

    name: str
    detector: str
    layers: tuple[int, ...]
    min_energy: float

    @property
    def electrons(self) -> bool:
        """Data sets 2 and 3: 45 equal layers, energies divided by a sampling fraction of 0.033."""
        return self.name in ("2", "3")


DATA_SETS = (
    DataSet("1-photons", "calochallenge-1-photons", (0, 1, 2, 3, 12), 1.0),
    DataSet("1-pions", "calochallenge-1-pions", (0, 1, 2, 3, 12, 13, 14), 1.0),
    DataSet("2", "par04-siw", tuple(range(45)), 0.5e-3 / 0.033),
    DataSet("3", "par04-siw-fine", tuple(range(45)), 0.5e-3 / 0.033),
)


def _same_cells(one: Calorimeter, other: Calorimeter) -> bool:
    if one.n_layers != other.n_layers:
        return False
    for a, b in zip(one.layers, other.layers, strict=True):
        first, second = a.segmentation, b.segmentation
        if not (isinstance(first, CylindricalGrid) and isinstance(second, CylindricalGrid)):
            return False
        if first.shape != second.shape or not np.allclose(
            first.r_edges, second.r_edges, rtol=0.0, atol=TOLERANCE
        ):
            return False
    return True


def calochallenge_data_set(calorimeter: Calorimeter) -> DataSet | None:
    """The data set with these cells (ring edges and number of sectors of every layer), or None.

    Neither the name of the calorimeter nor its depths, materials and layer numbers matter. Layers
    of the binning file without cells are not part of a calorimeter.
    """
    for known in DATA_SETS:
        shipped = load_detector(known.detector)
        if shipped.n_cells == calorimeter.n_cells and _same_cells(calorimeter, shipped):
            return known
    return None


def official_scale(response: float) -> bool:
    """Whether a mean response Etot / Einc fits the official histogram, 0.5 to 1.5.

    The challenge divides the energies of data sets 2 and 3 by the sampling fraction; a simulation
    in the same cells that does not has a response of 0.03.
    """
    return MIN_RESPONSE <= response <= MAX_RESPONSE


def reference_threshold(calorimeter: Calorimeter, response: float) -> float:
    """Cell threshold (MeV) of a comparison whose reference has this mean response.

    At the official scale that of the data set (1 MeV; 0.5 keV / 0.033), unless the calorimeter's
    own is higher; otherwise the calorimeter's own.
    """
    found = calochallenge_data_set(calorimeter)
    if found is None or not official_scale(response):
        return calorimeter.cell_threshold
    return max(found.min_energy, calorimeter.cell_threshold)


def edges_threshold(calorimeter: Calorimeter, first_edge: float) -> float:
    """The cell threshold (MeV) that belongs to a cell spectrum starting at ``first_edge``.

    A spectrum that starts at a data set's threshold was made for the official scale, and both
    samples are cut there; otherwise at the calorimeter's threshold.
    """
    found = calochallenge_data_set(calorimeter)
    if found is not None and np.isclose(first_edge, found.min_energy, rtol=1e-9, atol=0.0):
        return max(found.min_energy, calorimeter.cell_threshold)
    return calorimeter.cell_threshold
