"""Scorers in C++ and how their sums become cell energies.

A scorer's key is ``(layer * n_i + i) * n_j + j``: the calorimeter's own order inside a layer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Calorimeter
from caloforge.simulate.geant4.birks import Quenching
from caloforge.simulate.geant4.volumes import Scored

Hits = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Cell numbers and energies (MeV)."""


NOTHING: Hits = (np.zeros(0, np.int64), np.zeros(0))


class Scorer:
    """Sums the deposits of one group of cells, with Birks' saturation where it asks for it."""

    def __init__(self, g4: Any, calorimeter: Calorimeter, group: Scored, name: str) -> None:
        self.g4 = g4
        self.calorimeter = calorimeter
        self.group = group
        self.name = name
        self.detector = g4.G4MultiFunctionalDetector(name)
        g4.G4SDManager.GetSDMpointer().AddNewDetector(self.detector)
        self._ids: dict[str, int] = {}
        self._kept: list[Any] = []
        self._add("energy")
        self.quenching: Quenching | None = None
        if group.birks is not None:
            self.quenching = Quenching(g4, group.material, group.birks)
            for class_name, made in self.quenching.filters():
                self._add(class_name, made)

    def _add(self, name: str, sd_filter: Any = None) -> None:
        layers = self.calorimeter.n_layers
        scorer = self.g4.G4PSEnergyDeposit3D(name, layers, *self.group.shape, *self.group.depths)
        if sd_filter is not None:
            scorer.SetFilter(sd_filter)
        self.detector.RegisterPrimitive(scorer)
        self._kept += [scorer, sd_filter]

    def sums(self, collections: Any, name: str) -> Hits:
        """Keys and sums of one scorer in this event."""
        if name not in self._ids:
            manager = self.g4.G4SDManager.GetSDMpointer()
            self._ids[name] = manager.GetCollectionID(f"{self.name}/{name}")
        found = dict(iter(collections.GetHC(self._ids[name])))
        if not found:
            return NOTHING
        keys = np.fromiter(found.keys(), np.int64, len(found))
        return keys, np.fromiter(found.values(), np.float64, len(found))

    def cells(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Cell numbers of scorer keys."""
        per_layer = self.group.shape[0] * self.group.shape[1]
        layer, local = np.divmod(keys, per_layer)
        return np.asarray(self.calorimeter.layer_offset[layer] + local)

    def hits(self, collections: Any) -> Hits:
        """Cells and visible energy."""
        keys, energy = self.sums(collections, "energy")
        if not len(keys):
            return NOTHING
        if self.quenching is None:
            return self.cells(keys), energy
        order = np.argsort(keys)
        keys, energy = keys[order], energy[order]
        for class_name, loss in self.quenching.losses().items():
            found, deposit = self.sums(collections, class_name)
            np.subtract.at(energy, np.searchsorted(keys, found), loss * deposit)
        return self.cells(keys), np.maximum(energy, 0.0)
