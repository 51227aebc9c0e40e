"""Store files as blocks: what does not fit into memory stays on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caloforge.data.blocks import BLOCK_HITS, Block, Room, cut_blocks, random_blocks
from caloforge.data.kernels import first_bad_hit
from caloforge.errors import FormatError, ShowerError
from caloforge.geometry import Calorimeter
from caloforge.showers import Provenance, Showers
from caloforge.store import ShowerFile, schema, shard_paths
from caloforge.store.columns import ColumnFile


class StoredBlocks:
    """The showers of store files and folders of shards, read block by block.

    In memory are only the positions of the blocks and chunks: some bytes per shower.

    Raises:
        FormatError: no file, or one that is missing, foreign or damaged.
        ShowerError: no showers, or an empty one.
        GeometryError: the geometries differ, or are not ``calorimeter``.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        calorimeter: Calorimeter | None = None,
        block_hits: int = BLOCK_HITS,
    ) -> None:
        files = [shard for path in paths for shard in shard_paths(path)]
        if not files:
            raise FormatError("no training data; name at least one store file with --data")
        self._files: list[ColumnFile] = []
        blocks: list[Block] = []
        for number, path in enumerate(files):
            file = ColumnFile(path)
            known = calorimeter or (self._files[0].calorimeter if self._files else file.calorimeter)
            known.require_same(file.calorimeter, str(path))
            blocks += self._cut(file, number, block_hits)
            file.forget_offset()
            self._files.append(file)
        self.blocks: Sequence[Block] = blocks
        self.calorimeter: Calorimeter = self._files[0].calorimeter
        self.provenance: Provenance = self._files[0].provenance

    @staticmethod
    def _cut(file: ColumnFile, number: int, block_hits: int) -> list[Block]:
        if len(file.offset) < 2:
            raise ShowerError(f"{file.path}: holds no showers; make it again with at least one")
        steps = np.diff(file.offset)
        if file.offset[0] != 0 or np.any(steps < 0):
            raise FormatError(
                f"{file.path}: '{schema.OFFSET}' does not increase; make the file again"
            )
        if not steps.all():
            empty = int(np.flatnonzero(steps == 0)[0])
            raise ShowerError(
                f"{file.path}: shower {empty} is empty; convert again with --drop-empty"
            )
        return cut_blocks(file.offset, number, block_hits)

    def __len__(self) -> int:
        return sum(map(len, self.blocks))

    def load(self, block: Block, columns: Sequence[str], room: Room, row: int, hit: int) -> None:
        """Read, check and unpack a block.

        Raises:
            FormatError: the file is damaged there.
            ShowerError: it holds impossible values, or lacks a column.
        """
        file = self._files[block.file]
        self._require(file, columns)
        offset = np.empty(len(block) + 1, np.int64)
        file.read({schema.OFFSET: (block.start, block.stop + 1, offset)})
        if offset[-1] - offset[0] != block.hits:
            raise FormatError(f"{file.path}: has changed since it was opened; start again")
        rows, hits = slice(row, row + len(block)), slice(hit, hit + block.hits)
        table = np.empty((len(columns), len(block)), np.float64)
        spans = {
            f"{schema.INCIDENT}/{name}": (block.start, block.stop, values)
            for name, values in zip(columns, table, strict=True)
        }
        begin, end = int(offset[0]), int(offset[-1])
        file.read(
            {
                **spans,
                schema.CELL: (begin, end, room.cell[hits]),
                schema.ENERGY: (begin, end, room.energy[hits]),
            }
        )
        room.condition[rows] = table.T
        room.first[rows] = offset[:-1] - begin + hit
        room.last[rows] = offset[1:] - begin + hit
        self._check(file, block, room, rows)

    @staticmethod
    def _require(file: ColumnFile, columns: Sequence[str]) -> None:
        missing = [name for name in columns if name not in file.incident_columns]
        if missing:
            raise ShowerError(
                f"{file.path}: incident table: no column '{missing[0]}', only "
                f"{', '.join(file.incident_columns)}; use showers that have it"
            )

    @staticmethod
    def _check(file: ColumnFile, block: Block, room: Room, rows: slice) -> None:
        if not np.all(np.isfinite(room.condition[rows])):
            raise ShowerError(
                f"{file.path}: incident table: a value is NaN or infinite in showers "
                f"{block.start} to {block.stop - 1}; remove them"
            )
        first, last = room.first[rows], room.last[rows]
        n_cells = file.calorimeter.n_cells
        bad = int(first_bad_hit(first, last, room.cell, room.energy, n_cells))
        if bad < 0:
            return
        shower = block.start + int(np.searchsorted(last, bad, side="right"))
        raise ShowerError(
            f"{file.path}: shower {shower}: hit of {room.energy[bad]} MeV in cell "
            f"{room.cell[bad]}; cells must increase and exist, energies be finite and positive; "
            "make the file again"
        )

    def ranges(self, columns: Sequence[str]) -> dict[str, tuple[float, float]]:
        """The smallest and the largest value of incident columns, read once."""
        result: dict[str, tuple[float, float]] = {}
        for file in self._files:
            self._require(file, columns)
            for name in columns:
                values = self._column(file, name)
                low, high = result.get(name, (np.inf, -np.inf))
                result[name] = (min(low, float(values.min())), max(high, float(values.max())))
        return result

    def different(self, column: str) -> list[float] | None:
        """The different values of an incident column, rising; None where a file has no such one."""
        if any(column not in file.incident_columns for file in self._files):
            return None
        found = [np.unique(self._column(file, column)) for file in self._files]
        return [float(value) for value in np.unique(np.concatenate(found))]

    def _column(self, file: ColumnFile, name: str) -> NDArray[np.float64]:
        """All values of an incident column of a file."""
        n = sum(len(block) for block in self.blocks if self._files[block.file] is file)
        values = np.empty(n, np.float64)
        file.read({f"{schema.INCIDENT}/{name}": (0, n, values)})
        return values

    def sample(self, showers: int, seed: int) -> Showers:
        """Random blocks of about so many showers in all; everything if there are fewer."""
        parts = []
        for block in random_blocks(self.blocks, showers, seed):
            with ShowerFile(self._files[block.file].path) as file:
                parts.append(file.read(block.start, block.stop))
        return Showers.concatenate(parts)
