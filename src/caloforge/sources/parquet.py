"""Parquet: one row per shower, the incident columns and lists of hits, for Spark, Dask, pandas.

``energy`` (MeV) and the other incident columns; ``hit_cell``, ``hit_energy`` (MeV), and
``hit_layer`` for those who read without the geometry. The geometry (YAML) and the provenance (JSON)
are in the metadata of the schema; files of others with the same columns need a detector.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import CaloforgeError, FormatError, ShowerError
from caloforge.geometry import Calorimeter
from caloforge.showers import COLUMNS, Incident, Provenance, Showers
from caloforge.sources.base import Source
from caloforge.sources.hit_lists import same_counts, showers_of_lists
from caloforge.sources.origin import own_geometry, own_provenance
from caloforge.sources.parquet_rows import (
    Rows,
    looks_like_parquet,
    open_parquet,
    parquet_files,
)
from caloforge.sources.parquet_writer import CELL, ENERGY, GEOMETRY, PROVENANCE, ParquetWriter
from caloforge.sources.part_reader import PartReader


class ParquetReader(PartReader):
    """Reads a file or a folder of files in parts.

    Raises:
        FormatError: damaged, a column is missing or of the wrong type, no calorimeter is said.
        ShowerError: no showers.
        GeometryError: the given calorimeter is not the files' own, or the files differ.
    """

    def __init__(self, path: Path, given: Calorimeter | None) -> None:
        parts = parquet_files(path)
        if not parts:
            raise FormatError(f"{path}: a folder without Parquet files; give another one")
        self._files: list[Any] = []
        try:
            for part in parts:
                self._files.append(open_parquet(part))
            names = [_check_columns(*pair) for pair in zip(parts, self._files, strict=True)]
            if any(set(other) != set(names[0]) for other in names):
                raise FormatError(f"{path}: its files have different columns; convert them apart")
            texts = [_texts(file) for file in self._files]
            calorimeter = own_geometry(parts[0], given, *texts[0])
            for part, said in zip(parts, texts, strict=True):
                calorimeter.require_same(own_geometry(part, calorimeter, *said), str(part))
            self._rows = Rows(path, self._files, names[0])
            if len(self._rows) == 0:
                raise ShowerError(f"{path}: holds no showers; give a file with rows")
            provenance = own_provenance(path, calorimeter, texts[0][1])
        except BaseException:
            self.close()
            raise
        super().__init__(path, calorimeter, provenance, len(self._rows))

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()

    def read(self, start: int, stop: int) -> Showers:
        """Showers ``start:stop``."""
        table = self._rows.read(start, stop)
        counts, cell = self._lists(table, CELL, start)
        other, energy = self._lists(table, ENERGY, start)
        same_counts(self.path, start, (CELL, ENERGY), counts, other)
        columns = {
            name: self._numbers(table, name, start)
            for name in table.column_names
            if name in COLUMNS
        }
        return showers_of_lists(
            self.path,
            start,
            self.calorimeter,
            Incident(columns),
            counts,
            cell.astype(np.int64),
            energy.astype(np.float64),
            self.provenance,
        )

    def _numbers(self, table: Any, name: str, start: int) -> NDArray[np.float64]:
        column = table.column(name).combine_chunks()
        self._refuse_nulls(column, name, start)
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)

    def _lists(self, table: Any, name: str, start: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Length of every list, and all entries."""
        import pyarrow
        from pyarrow import compute

        column = table.column(name).combine_chunks()
        if isinstance(column, pyarrow.ChunkedArray):  # older pyarrow
            column = pyarrow.concat_arrays(column.chunks)
        self._refuse_nulls(column, name, start)
        counts = np.asarray(compute.list_value_length(column), dtype=np.int64)
        flat = column.flatten()
        if flat.null_count:
            hit = int(np.flatnonzero(flat.is_null().to_numpy(zero_copy_only=False))[0])
            shower = start + int(np.searchsorted(np.cumsum(counts), hit, side="right"))
            raise ShowerError(
                f"{self.path}: shower {shower} has a null in '{name}'; remove or repair that shower"
            )
        return counts, flat.to_numpy(zero_copy_only=False)

    def _refuse_nulls(self, column: Any, name: str, start: int) -> None:
        if column.null_count:
            row = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
            raise ShowerError(
                f"{self.path}: shower {start + row} has no '{name}' (null); "
                "remove or repair that shower"
            )


def _check_columns(path: Path, file: Any) -> list[str]:
    """The columns to read, known to hold numbers or lists of numbers."""
    from pyarrow import types

    schema = file.schema_arrow
    for name in ("energy", CELL, ENERGY):
        if schema.names.count(name) != 1:
            raise FormatError(
                f"{path}: column '{name}' is {'there twice' if name in schema.names else 'missing'}"
                f", the columns are {', '.join(schema.names)}; choose the right format with --from"
            )
    columns = [name for name in schema.names if name in (*COLUMNS, CELL, ENERGY)]
    for name in columns:
        kind = schema.field(name).type
        if name in COLUMNS:
            good, wanted = types.is_integer(kind) or types.is_floating(kind), "numbers"
        else:
            listed = (types.is_list, types.is_large_list, types.is_fixed_size_list)
            entry = kind.value_type if any(is_kind(kind) for is_kind in listed) else kind
            whole, wanted = name == CELL, "lists of " + ("whole " * (name == CELL)) + "numbers"
            number = types.is_integer(entry) or (not whole and types.is_floating(entry))
            good = entry is not kind and number
        if not good:
            raise FormatError(
                f"{path}: column '{name}' holds {kind}, not {wanted}; write it as {wanted}"
            )
    return columns


def _texts(file: Any) -> tuple[str | None, str | None]:
    """Geometry and provenance from the metadata of the schema."""
    metadata = file.schema_arrow.metadata or {}
    found = (metadata.get(key.encode()) for key in (GEOMETRY, PROVENANCE))
    geometry, provenance = (
        None if text is None else text.decode("utf-8", "replace") for text in found
    )
    return geometry, provenance


class Parquet(Source):
    """A Parquet file, or a folder of them."""

    name = "parquet"
    description = "Parquet file or folder: one row per shower, lists of cells and energies (MeV)"
    suffixes = (".parquet", ".pq")

    def matches(self, path: Path) -> bool:
        """Parquet with the columns ``energy``, ``hit_cell`` and ``hit_energy``."""
        try:
            if path.is_dir() and (path / "index.json").exists():
                return False
            first = next(iter(parquet_files(path)), path)
            if not looks_like_parquet(first):
                return False
            with open_parquet(first) as file:
                return {"energy", CELL, ENERGY} <= set(file.schema_arrow.names)
        except (CaloforgeError, OSError):
            return False

    def open(
        self, path: Path, calorimeter: Calorimeter | None = None, options: Any = None
    ) -> ParquetReader:
        """Open for reading; files of others need their calorimeter."""
        return ParquetReader(path, calorimeter)

    def create(self, path: Path, calorimeter: Calorimeter, provenance: Provenance) -> ParquetWriter:
        """Write one file."""
        return ParquetWriter(path, calorimeter, provenance)

    def losses(self, incident: Incident) -> list[str]:
        """Nothing is lost."""
        return []
