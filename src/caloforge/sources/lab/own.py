"""What the files that we write hold besides their layout: cells, incident table, checksums."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import FormatError, ShowerError
from caloforge.geometry import Calorimeter
from caloforge.showers import COLUMNS, Incident, Provenance, Showers
from caloforge.sources.cellid import CellId
from caloforge.sources.checksums import checksums, require_checksums
from caloforge.sources.part_reader import check_energies

GEV = 1000.0
CHECKSUM = "checksum"

Columns = dict[str, NDArray[Any]]

ENCODING = "system:8,layer:16,i:20,j:20"
"""cellID of the files that we write: layer, and the cell (i, j) in it."""

CELL_ID = CellId.parse(ENCODING)

LARGEST = {field.name: field.limits[1] + 1 for field in CELL_ID.fields}


def check_fits(calorimeter: Calorimeter, path: Path) -> None:
    """Refuse calorimeters with more layers or cells than the encoding can number.

    Raises:
        FormatError: naming the limit.
    """
    rows = max(max(layer.segmentation.shape) for layer in calorimeter.layers)
    if calorimeter.n_layers > LARGEST["layer"] or rows > LARGEST["i"]:
        raise FormatError(
            f"{path}: the cellID {ENCODING} holds {LARGEST['layer']} layers of {LARGEST['i']} "
            f"cells a side, '{calorimeter.name}' has more; write another format with --to"
        )


def cell_ids(showers: Showers) -> NDArray[np.uint64]:
    """The cellID of every hit."""
    layer, i, j = showers.calorimeter.cell_coordinates(showers.cell)
    return CELL_ID.encode({"layer": layer, "i": i, "j": j})


def gev(showers: Showers) -> NDArray[np.float32]:
    """The energies in GeV, rounded once."""
    return (showers.energy.astype(np.float64) / GEV).astype(np.float32)


def table(showers: Showers, ids: NDArray[np.uint64], energy: NDArray[np.float32]) -> Columns:
    """The incident table as the file keeps it, with a checksum of every shower.

    Args:
        showers: a batch.
        ids: cellID of the hits.
        energy: of the hits, in GeV.
    """
    incident = showers.incident
    columns: Columns = {
        name: np.asarray(incident[name], dtype=np.float64) for name in COLUMNS if name in incident
    }
    return {**columns, CHECKSUM: _checksums(showers.offset, ids, energy, columns)}


def read_back(
    path: Path,
    calorimeter: Calorimeter,
    start: int,
    sizes: NDArray[np.int64],
    ids: NDArray[Any],
    energy: NDArray[Any],
    kept: Columns,
    provenance: Provenance,
) -> Showers:
    """The showers that were written.

    Args:
        path: for errors.
        calorimeter: the cells.
        start: number of the first shower.
        sizes: (n,) hits per shower.
        ids: (hits,) cellID.
        energy: (hits,) GeV.
        kept: what :func:`table` made.
        provenance: of the showers.

    Raises:
        FormatError: the content is not what was written.
        ShowerError: impossible values.
    """
    columns = {name: values for name, values in kept.items() if name != CHECKSUM}
    incident = Incident(columns)
    check_energies(path, "energy", energy, 0)
    offset = np.concatenate([[0], np.cumsum(sizes)])
    found = _checksums(offset, ids, energy, columns)
    require_checksums(path, start, found, kept[CHECKSUM])
    layer, i, j = (CELL_ID.decode(ids, name) for name in ("layer", "i", "j"))
    cell = calorimeter.cell_index(layer, i, j)
    rows = np.repeat(np.arange(len(sizes)), sizes)
    mev = np.asarray(energy, dtype=np.float64) * GEV
    showers = Showers.from_hits(calorimeter, incident, rows, cell, mev, provenance)
    if showers.n_hits != np.count_nonzero(energy):
        raise ShowerError(f"{path}: a cell appears twice in an event; make the file again")
    return showers


def _checksums(
    offset: NDArray[Any], ids: NDArray[Any], energy: NDArray[Any], columns: Columns
) -> NDArray[np.uint32]:
    """Of the cells, the energies as stored and the rows of the table."""
    hits = (np.asarray(ids, dtype=np.uint64), np.asarray(energy, dtype=np.float32))
    return checksums(offset, hits, np.column_stack([*columns.values()]))
