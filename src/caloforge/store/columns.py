"""Columns of a store file, read past the HDF5 library: from any thread, without its lock.

The HDF5 library reads one chunk at a time in one thread. Here the positions of the chunks are asked
for once; then every thread reads, checks and decompresses on its own. A column that is not stored
as this version stores it (older files, other filters) is read through the library instead.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import FormatError
from caloforge.store import schema
from caloforge.store.chunks import ChunkTable, Piece, chunk_table, read_pieces
from caloforge.store.damage import damage_errors
from caloforge.store.reader import ShowerFile, open_hdf5

Span = tuple[int, int, NDArray[Any]]


class ColumnFile:
    """A store file as columns: checked and measured once, then read block by block.

    Raises:
        FormatError: not a store file, truncated or damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with ShowerFile(self.path) as shard:
            self.calorimeter = shard.calorimeter
            self.provenance = shard.provenance
            self.incident_columns = shard.columns
            self.offset: NDArray[np.int64] = shard.offset.astype(np.int64)
            names = [schema.OFFSET, schema.CELL, schema.ENERGY]
            names += [f"{schema.INCIDENT}/{name}" for name in shard.columns]
        self._types: dict[str, np.dtype[Any]] = {}
        self._tables: dict[str, ChunkTable | None] = {}
        what = "the list of chunks is damaged"
        with open_hdf5(self.path) as file, damage_errors(self.path, what):
            for name in names:
                self._types[name] = file[name].dtype
                self._tables[name] = chunk_table(self.path, name, file[name])

    def forget_offset(self) -> None:
        """Give the memory of the offsets back, once the blocks are known."""
        self.offset = np.empty(0, np.int64)

    def read(self, spans: Mapping[str, Span]) -> None:
        """Read several columns at once: name -> (start, stop, array of this length).

        Raises:
            FormatError: the file is damaged there, or has gone.
        """
        import blosc2

        blosc2.set_releasegil(True)
        converted = {
            name: np.empty(stop - start, self._types[name])
            for name, (start, stop, out) in spans.items()
            if out.dtype != self._types[name]
        }
        pieces: list[Piece] = []
        for name, (start, stop, out) in spans.items():
            table, target = self._tables[name], converted.get(name, out)
            if table is None:
                self._read_with_library(name, start, stop, target)
            else:
                pieces += table.pieces(start, stop, target)
        self._read(pieces)
        for name, values in converted.items():
            spans[name][2][:] = values

    def _read(self, pieces: list[Piece]) -> None:
        try:
            file = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise FormatError(f"{self.path}: cannot read it any more ({error.strerror})") from error
        try:
            read_pieces(file, pieces)
        finally:
            os.close(file)

    def _read_with_library(self, name: str, start: int, stop: int, out: NDArray[Any]) -> None:
        what = f"data set '{name}' is damaged near entry {start}"
        with open_hdf5(self.path) as file, damage_errors(self.path, what):
            out[:] = file[name][start:stop]
