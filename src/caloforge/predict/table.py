"""The table of predictions: one row per shower, truth beside what was predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.models import Predicted
from caloforge.showers import COLUMNS, Incident, Showers

Column = NDArray[Any]
Floats = NDArray[np.float64]

FILE, ROW, VISIBLE, PDG = "file", "row", "visible", "predicted_pdg"
PROBABILITY, PREDICTED = "probability_", "predicted_"

_MEANING = {
    FILE: "number of the input file, from 0",
    ROW: "number of the shower in its file, from 0",
    VISIBLE: "sum of the cells above the threshold, MeV",
    PDG: "PDG code of the most probable particle; 0 without classes",
}
_UNITS = {"energy": "MeV", "theta": "rad", "phi": "rad"}


@dataclass(frozen=True)
class Table:
    """Truth and predictions of n showers.

    ``truth`` holds the incident columns that all inputs have; ``visible`` (n,) the sum of the
    cells above the threshold in MeV; ``file`` and ``row`` say which shower it is.
    """

    file: NDArray[np.int32]
    row: NDArray[np.int64]
    truth: dict[str, Column]
    visible: Floats
    predicted: Predicted

    def __len__(self) -> int:
        return len(self.visible)

    @property
    def columns(self) -> dict[str, Column]:
        """All columns by name, as in the file."""
        told = self.predicted
        pdg = told.pdg if told.classes else np.zeros(len(self), np.int64)
        return {
            FILE: self.file,
            ROW: self.row,
            **self.truth,
            VISIBLE: self.visible,
            PDG: pdg,
            **{f"{PROBABILITY}{c}": told.probability[:, k] for k, c in enumerate(told.classes)},
            **{f"{PREDICTED}{name}": values for name, values in told.targets.items()},
        }


@dataclass(frozen=True)
class Part:
    """A batch of one input file: its truth, visible energy (MeV) and predictions."""

    file: int
    truth: Mapping[str, Column]
    visible: Floats
    predicted: Predicted

    @staticmethod
    def of(file: int, showers: Showers, predicted: Predicted) -> Part:
        """From a batch of showers."""
        visible = showers.above_threshold().total_energy
        return Part(file, showers.incident.columns, visible, predicted)


def join(parts: Sequence[Part]) -> Table:
    """One table of all parts; of the truth what :meth:`Incident.concatenate` keeps."""
    truth = Incident.concatenate([Incident(part.truth) for part in parts])
    sizes = [len(part.visible) for part in parts]
    files = np.repeat([part.file for part in parts], sizes).astype(np.int32)
    first = np.unique(files, return_index=True)[1]
    row = np.arange(len(files)) - np.repeat(first, np.diff([*first, len(files)]))
    return Table(
        files,
        row,
        dict(truth.columns),
        np.concatenate([part.visible for part in parts]),
        Predicted.concatenate([part.predicted for part in parts]),
    )


def write_table(table: Table, path: Path) -> None:
    """Write a Parquet file; every column says its meaning and unit."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays, fields = [], []
    for name, values in table.columns.items():
        arrays.append(pa.array(values))
        meaning = {b"description": _meaning(name).encode()}
        fields.append(pa.field(name, arrays[-1].type, nullable=False, metadata=meaning))
    pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields)), path)


def _meaning(name: str) -> str:
    if name.startswith(PROBABILITY):
        return f"probability of particle {name.removeprefix(PROBABILITY)}"
    known = {**COLUMNS, **_MEANING}
    target = name.removeprefix(PREDICTED)
    return known.get(name, f"predicted {target}, {_UNITS.get(target, '')}")
