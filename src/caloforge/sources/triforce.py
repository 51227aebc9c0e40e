"""Triforce HDF5: LCD windows ``ECAL`` and ``HCAL`` with truth and derived columns.

``ECAL`` (N, x, y, depth) and, behind it, ``HCAL`` hold 50 x GeV in the files of the public Triforce
converters and in ours: ``ECAL`` sums to about the incident energy then, as the sampling fraction is
about 2 %. Files with GeV may exist too, so the unit is checked: it is what ``unit`` says, else our
attribute ``cell_unit``, else 50 x GeV if the first showers agree with that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from caloforge.errors import FormatError, ShowerError
from caloforge.geometry import Calorimeter, load_detector
from caloforge.geometry.blocks import blocks_of
from caloforge.showers import Incident, Provenance, Showers
from caloforge.sources.base import ReadOptions, Source
from caloforge.sources.hdf5 import (
    Hdf5Writer,
    calorimeter_of,
    keys_of,
    require,
    source_provenance,
)
from caloforge.sources.part_reader import PartReader, check_energies
from caloforge.sources.triforce_features import features
from caloforge.sources.triforce_truth import (
    COLUMNS,
    IMAGES,
    IMPACT,
    UNIT,
    UNITS,
    columns_of,
    mev_per_unit,
    truth_of,
)
from caloforge.store.damage import damage_errors
from caloforge.store.reader import open_hdf5

ONLY = ("HCAL", "ECAL_E", "HCAL_E", "openingAngle", "conversion", "ECALmomentX1")
"""Data sets that tell a Triforce file from the variable-angle layout of 3DGAN."""


def is_triforce(path: Path) -> bool:
    """Whether ``path`` has images, an ``energy`` and something that only Triforce files have."""
    names = keys_of(path)
    return {"ECAL", "energy"} <= names and "target" not in names and not names.isdisjoint(ONLY)


class TriforceOptions(ReadOptions):
    """What may be chosen when reading Triforce files."""

    unit: Literal["GeV", "50GeV"] | None = None
    """What a cell value of 1 stands for: 1 GeV, or 1 GeV / 50 (values are 50 x GeV)."""


class TriforceReader(PartReader):
    """Reads the images and the truth; derived columns are ignored, they follow from the images.

    Where the calorimeter is the ECAL alone, the energy in ``HCAL`` counts as outside.

    Raises:
        FormatError: a data set is missing or has the wrong shape, or the unit is in doubt.
        ShowerError: no showers.
    """

    def __init__(self, path: Path, given: Calorimeter | None, unit: str | None) -> None:
        self._file = open_hdf5(path)
        try:
            with damage_errors(path):
                calorimeter = calorimeter_of(
                    self._file, path, given, lambda: _usual(self._file, path)
                )
                self._blocks = blocks_of(calorimeter)
                self._check(path, calorimeter)
                self._to_mev = mev_per_unit(self._file, path, unit)
                provenance = source_provenance(self._file, path, calorimeter)
        except BaseException:
            self._file.close()
            raise
        said = {key: value for key, value in provenance.source.items() if key != UNIT}
        super().__init__(
            path, calorimeter, replace(provenance, source=said), len(self._file["ECAL"])
        )

    def _check(self, path: Path, calorimeter: Calorimeter) -> None:
        images = IMAGES[: _number_of_images(calorimeter, path)]
        optional = ("theta", "eta", "phi", IMPACT, "HCAL", *COLUMNS)
        tables = (*images, "energy", *(name for name in optional if name in self._file))
        require(self._file, path, tables)
        showers = self._file["ECAL"].shape[:1]
        for name, block in zip(images, self._blocks, strict=True):
            shape = (block.n_i, block.n_j, block.n_layers)
            if self._file[name].shape[1:] != shape:
                raise FormatError(
                    f"{path}: '{name}' has shape {self._file[name].shape}, '{calorimeter.name}' "
                    f"needs (N, {', '.join(map(str, shape))}); choose another --detector"
                )
        for name in tables:
            if self._file[name].shape[:1] != showers:
                raise FormatError(
                    f"{path}: '{name}' has shape {self._file[name].shape} for {showers[0]} images "
                    "in 'ECAL'; make the file again"
                )
        if showers[0] == 0:
            raise ShowerError(f"{path}: 'ECAL' holds no showers; give a file with events")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, start: int, stop: int) -> Showers:
        """Showers ``start:stop``."""
        rows = slice(start, stop)
        parts = []
        for name, _ in zip(IMAGES, self._blocks, strict=False):
            image = self._image(name, rows)
            parts.append(image.transpose(0, 3, 1, 2).reshape(stop - start, -1))
        dense = np.concatenate(parts, axis=1)
        incident = Incident(columns_of(self._file, rows))
        if len(self._blocks) == 1 and "HCAL" in self._file:
            behind = self._image("HCAL", rows).reshape(stop - start, -1).sum(axis=1)
            self.tally.add(
                float(dense.sum() + behind.sum()),
                float(behind.sum()),
                int(np.count_nonzero(behind)),
            )
        return Showers.from_dense(self.calorimeter, incident, dense, self.provenance)

    def _image(self, name: str, rows: slice) -> NDArray[np.float64]:
        """One image of every shower in MeV."""
        image = np.asarray(self._file[name][rows], dtype=np.float64)
        check_energies(self.path, name, image, rows.start)
        return image * self._to_mev


def _number_of_images(calorimeter: Calorimeter, path: Path) -> int:
    number = len(blocks_of(calorimeter))
    if number > len(IMAGES):
        raise FormatError(
            f"{path}: a Triforce file holds at most two blocks of layers with the same cells, "
            f"'{calorimeter.name}' has {number}; write another format with --to"
        )
    return number


def _usual(file: h5py.File, path: Path) -> Calorimeter:
    """The LCD calorimeter whose window has the shape of ``ECAL``, with the HCAL if there is one."""
    require(file, path, ("ECAL",))
    known = {(51, 51, 25): "lcd-ecal", (25, 25, 25): "lcd-ecal-25"}
    name = known.get(file["ECAL"].shape[1:])
    if name is None:
        raise FormatError(
            f"{path}: 'ECAL' has shape {file['ECAL'].shape}, the known windows are "
            "(N, 51, 51, 25) and (N, 25, 25, 25); name its calorimeter with --detector"
        )
    return load_detector(f"{name}+lcd-hcal" if "HCAL" in file else name)


class TriforceWriter(Hdf5Writer):
    """Writes images in 50 x GeV, the truth, and the derived columns."""

    chunk_bytes: ClassVar[int] = 3 << 20

    def __init__(self, path: Path, calorimeter: Calorimeter, provenance: Provenance) -> None:
        _number_of_images(calorimeter, path)
        self._blocks = blocks_of(calorimeter)
        super().__init__(path, calorimeter, provenance)

    def attributes(self) -> Mapping[str, Any]:
        """What the original simulation said of itself, and the unit of the cells."""
        return {**self.provenance.source, UNIT: np.bytes_("50GeV")}

    def content(self, showers: Showers) -> Mapping[str, NDArray[Any]]:
        """Images, truth and derived columns."""
        dense = showers.dense().astype(np.float64) / UNITS["50GeV"]
        images, first = {}, 0
        for name, block in zip(IMAGES, self._blocks, strict=False):
            flat = dense[:, first : first + block.n_cells]
            layered = flat.reshape(-1, block.n_layers, block.n_i, block.n_j)
            images[name] = layered.transpose(0, 2, 3, 1)
            first += block.n_cells
        rows = {name: image.astype(np.float32) for name, image in images.items()}
        return {**rows, **truth_of(showers.incident), **features(images)}


class Triforce(Source):
    """ECAL and HCAL windows with truth and derived columns."""

    name = "triforce"
    description = "Triforce HDF5: ECAL and HCAL (N,x,y,depth) in 50 x GeV, energy, derived columns"
    options_class = TriforceOptions

    def matches(self, path: Path) -> bool:
        """An ``ECAL``, an ``energy`` and a data set that only Triforce files have."""
        return is_triforce(path)

    def open(
        self, path: Path, calorimeter: Calorimeter | None = None, options: Any = None
    ) -> TriforceReader:
        """Open for reading, as the LCD calorimeter of that window unless another one is given."""
        return TriforceReader(path, calorimeter, (options or TriforceOptions()).unit)

    def create(
        self, path: Path, calorimeter: Calorimeter, provenance: Provenance
    ) -> TriforceWriter:
        """Write images in 50 x GeV with everything that follows from them."""
        return TriforceWriter(path, calorimeter, provenance)

    def losses(self, incident: Incident) -> list[str]:
        """Half an impact point, and conversions that are no whole numbers."""
        lost = []
        there = {name for name in "xyz" if name in incident}
        if there and not {"x", "y"} <= there:
            lost.append(f"triforce cannot carry {', '.join(sorted(there))} alone: dropped")
        if "conversion" in incident:
            number = incident["conversion"]
            if np.any(number != np.rint(number)):
                lost.append("triforce keeps conversion as whole numbers: rounded")
        return lost
