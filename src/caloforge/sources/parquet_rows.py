"""Rows of one or many Parquet files, in order, with the memory of a few hundred rows."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from caloforge.errors import FormatError
from caloforge.store.damage import damage_errors

STEP = 256
"""Rows that are decoded at a time."""


def parquet_files(path: Path) -> list[Path]:
    """The Parquet files of a data set: the file itself, or those in the folder, in name order.

    Names that begin with '.' or '_' are notes of Spark and others.
    """
    if not path.is_dir():
        return [path]
    found = (*path.glob("*.parquet"), *path.glob("*.pq"))
    return sorted(part for part in found if part.name[0] not in "._" and part.is_file())


def looks_like_parquet(path: Path) -> bool:
    """Whether a file begins as Parquet files do (never raises)."""
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"PAR1"
    except OSError:
        return False


def open_parquet(path: Path) -> Any:
    """Open one Parquet file (a ``pyarrow.parquet.ParquetFile``).

    Raises:
        FormatError: missing, not Parquet, or truncated.
    """
    from pyarrow import parquet

    if not path.exists():
        raise FormatError(f"{path}: no such file; check the path")
    if not looks_like_parquet(path):
        raise FormatError(f"{path}: not a Parquet file, or no permission to read it; give another")
    with damage_errors(path, "truncated or damaged Parquet file"):
        file = parquet.ParquetFile(str(path), page_checksum_verification=True)
        try:
            _check_footer(path, file)
        except BaseException:
            file.close()
            raise
        return file


def _check_footer(path: Path, file: Any) -> None:
    """The footer has no checksum, but says the same twice: names of columns, numbers of rows."""
    from pyarrow import ipc, py_buffer

    metadata = file.metadata
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    same = metadata.num_rows == sum(group.num_rows for group in groups)
    text = (metadata.metadata or {}).get(b"ARROW:schema")
    if same and text is not None:  # written with Arrow
        schema = ipc.read_schema(py_buffer(base64.b64decode(text)))
        same = schema.names == file.schema_arrow.names
    if not same:
        raise FormatError(f"{path}: damaged Parquet file (its footer); copy or make it again")


class Rows:
    """Some columns of files that follow each other.

    Reading on from where the last part ended is cheap; going elsewhere starts again at the
    beginning of a row group.
    """

    def __init__(self, path: Path, files: list[Any], columns: list[str]) -> None:
        self._path = path
        self._files = files
        self._columns = columns
        self._ends = np.cumsum([0] + [file.metadata.num_rows for file in files])
        self._position = 0
        self._left: Any = None
        self._batches: Iterator[Any] = iter(())

    def __len__(self) -> int:
        return int(self._ends[-1])

    def read(self, start: int, stop: int) -> Any:
        """Rows ``start:stop`` as a ``pyarrow.Table``.

        Raises:
            FormatError: a file is damaged there.
        """
        import pyarrow

        with damage_errors(self._path, f"damaged near row {start}"):
            try:
                if start != self._position or self._left is None:
                    self._seek(start)
                return pyarrow.Table.from_batches(list(self._take(stop - start)))
            except BaseException:
                self._left = None
                raise

    def _seek(self, row: int) -> None:
        first = int(np.searchsorted(self._ends, row, side="right")) - 1
        inside = row - int(self._ends[first])
        group = 0
        while inside >= (rows := self._files[first].metadata.row_group(group).num_rows):
            inside -= rows
            group += 1
        self._batches = self._decode(first, group)
        self._left = next(self._batches)
        for _ in self._take(inside):
            pass
        self._position = row

    def _decode(self, first: int, group: int) -> Iterator[Any]:
        for number in range(first, len(self._files)):
            file = self._files[number]
            groups = range(group if number == first else 0, file.metadata.num_row_groups)
            yield from file.iter_batches(
                batch_size=STEP, row_groups=list(groups), columns=self._columns
            )

    def _take(self, rows: int) -> Iterator[Any]:
        """The next rows in pieces."""
        while rows:
            while self._left.num_rows == 0:
                self._left = next(self._batches)
            piece = self._left.slice(0, rows)
            self._left = self._left.slice(piece.num_rows)
            self._position += piece.num_rows
            rows -= piece.num_rows
            yield piece
