"""Writing showers to one Parquet file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from caloforge.atomic import atomic_file
from caloforge.errors import ShowerError
from caloforge.geometry import Calorimeter
from caloforge.showers import COLUMNS, Provenance, Showers

CELL = "hit_cell"
ENERGY = "hit_energy"
LAYER = "hit_layer"

GEOMETRY = "caloforge_geometry"
PROVENANCE = "caloforge_provenance"

ROW_GROUP = 512
"""Showers per row group: what a reader of a few showers has to decode."""

_MEANING = {
    CELL: "cell number, increasing",
    ENERGY: "deposit in the cell, MeV",
    LAYER: "layer of the cell, from 0",
}


class ParquetWriter:
    """Appends batches; whole row groups are written, at most one is kept in memory.

    Raises:
        OutputError: the folder is missing, or the disk is full.
        ShowerError: the batches do not all have the same incident columns, or there are none.
    """

    def __init__(self, path: Path, calorimeter: Calorimeter, provenance: Provenance) -> None:
        self.path = path
        self.calorimeter = calorimeter
        self.provenance = provenance
        self._context = atomic_file(path)
        self._writer: Any = None
        self._waiting: list[Any] = []

    def __enter__(self) -> ParquetWriter:
        self._partial = self._context.__enter__()
        return self

    def append(self, showers: Showers) -> None:
        """Write a batch behind what is there."""
        self.calorimeter.require_same(showers.calorimeter, "a batch of showers")
        table = _table(showers)
        if self._writer is None:
            self._start(table.schema)
        if set(table.column_names) != set(self._schema.names):
            differing = ", ".join(sorted(set(table.column_names) ^ set(self._schema.names)))
            raise ShowerError(
                f"{self.path}: only some of the inputs have the incident column '{differing}'; "
                "convert them one by one"
            )
        self._waiting.append(table.select(self._schema.names).cast(self._schema))
        if sum(len(waiting) for waiting in self._waiting) >= ROW_GROUP:
            self._flush()

    def _start(self, schema: Any) -> None:
        from pyarrow import parquet

        texts = {GEOMETRY: self.calorimeter.to_yaml(), PROVENANCE: self.provenance.to_json()}
        self._schema = schema.with_metadata(texts)
        self._writer = parquet.ParquetWriter(
            str(self._partial), self._schema, compression="zstd", write_page_checksum=True
        )

    def _flush(self) -> None:
        import pyarrow

        if self._waiting:
            table = pyarrow.concat_tables(self._waiting)
            self._writer.write_table(table, row_group_size=ROW_GROUP)
            self._waiting = []

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            try:
                if self._writer is None:
                    raise ShowerError(f"{self.path}: no showers to write; check the input")
                self._flush()
                self._writer.close()
            except BaseException as failure:
                self._abandon()
                self._context.__exit__(type(failure), failure, failure.__traceback__)
                raise
        else:
            self._abandon()
        self._context.__exit__(kind, error, trace)

    def _abandon(self) -> None:
        if self._writer is not None:
            with suppress(Exception):
                self._writer.close()


def _table(showers: Showers) -> Any:
    """A ``pyarrow.Table`` with one row per shower."""
    import pyarrow

    offset = pyarrow.array(showers.offset.astype(np.int32))
    layer = showers.calorimeter.cell_layer[showers.cell].astype(np.int32)
    lists = {CELL: showers.cell, ENERGY: showers.energy, LAYER: layer}
    columns: dict[str, Any] = {
        name: pyarrow.array(values) for name, values in showers.incident.columns.items()
    }
    for name, values in lists.items():
        columns[name] = pyarrow.ListArray.from_arrays(offset, pyarrow.array(values))
    fields = [
        pyarrow.field(name, values.type, metadata={"meaning": {**COLUMNS, **_MEANING}[name]})
        for name, values in columns.items()
    ]
    return pyarrow.table(list(columns.values()), schema=pyarrow.schema(fields))
