"""Columns of a store file, read past the HDF5 library: from any thread, without its lock.

The HDF5 library reads one chunk at a time in one thread. Here the positions of the chunks are asked
for once; then every thread reads, checks and decompresses on its own. A column that is not stored
as this version stores it (older files, other filters) is read through the library instead.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from caloforge.errors import FormatError
from caloforge.store import schema
from caloforge.store.checksum import fletcher32, same
from caloforge.store.damage import damage_errors
from caloforge.store.reader import ShowerFile, open_hdf5

_BLOSC2, _FLETCHER = 32026, 3
_FRAME = b"b2frame\x00"


_SCRATCH = threading.local()


def _scratch(size: int) -> memoryview:
    """``size`` bytes of this thread's own, good until it asks again."""
    if len(getattr(_SCRATCH, "bytes", b"")) < size:
        _SCRATCH.bytes = bytearray(size)
    return memoryview(_SCRATCH.bytes)[:size]


class Column:
    """One 1-D data set: how to find its chunks, ``table`` (chunks, 2) of position and size."""

    def __init__(self, path: Path, name: str, dataset: h5py.Dataset) -> None:
        self.path, self.name = path, name
        self.dtype: np.dtype[Any] = dataset.dtype
        self.length = int(dataset.shape[0])
        self.chunk = int(dataset.chunks[0]) if dataset.chunks else 0
        self.table = _chunk_table(dataset) if _is_ours(dataset) else None

    def read(self, file: int, start: int, stop: int, out: NDArray[Any]) -> None:
        """Put entries ``start:stop`` into ``out``.

        Args:
            file: descriptor of the open file.
            start: first entry.
            stop: behind the last one.
            out: (stop - start,) contiguous, of this column's type.

        Raises:
            FormatError: the file is damaged there.
        """
        if self.table is None:
            self._read_with_library(start, stop, out)
            return
        for number in range(start // self.chunk, -(-stop // self.chunk)):
            begin = number * self.chunk
            first, last = max(start, begin), min(stop, begin + self.chunk)
            target = out[first - start : last - start]
            if last - first == self.chunk:
                self._unpack(file, number, target)
            else:
                whole = np.empty(self.chunk, self.dtype)
                self._unpack(file, number, whole)
                target[:] = whole[first - begin : last - begin]

    def _read_with_library(self, start: int, stop: int, out: NDArray[Any]) -> None:
        what = f"data set '{self.name}' is damaged near entry {start}"
        with open_hdf5(self.path) as file, damage_errors(self.path, what):
            out[:] = file[self.name][start:stop]

    def _unpack(self, file: int, number: int, out: NDArray[Any]) -> None:
        import blosc2

        assert self.table is not None
        position, size = (int(value) for value in self.table[number])
        raw = _scratch(size)
        if os.preadv(file, [raw], position) != size:
            raise self._damaged(number * self.chunk, "the file ends before its data")
        if not same(int.from_bytes(raw[-4:], "little"), fletcher32(raw[:-4])):
            raise self._damaged(number * self.chunk, "its checksum is wrong")
        try:
            blosc2.decompress2(_packed(raw, out.nbytes), dst=out, nthreads=1)
        except (ValueError, RuntimeError, IndexError) as error:
            raise self._damaged(number * self.chunk, str(error)) from error

    def _damaged(self, entry: int, why: str) -> FormatError:
        return FormatError(
            f"{self.path}: data set '{self.name}' is damaged near entry {entry} ({why}); "
            "find what is lost with 'caloforge info --check'"
        )


def _is_ours(dataset: h5py.Dataset) -> bool:
    """Whether a column is Blosc2-compressed with a checksum, in this machine's byte order."""
    plist = dataset.id.get_create_plist()
    filters = [plist.get_filter(k)[0] for k in range(plist.get_nfilters())]
    return filters == [_BLOSC2, _FLETCHER] and dataset.dtype.isnative


def _chunk_table(dataset: h5py.Dataset) -> NDArray[np.int64] | None:
    """Position and size of every chunk; None when one is missing or skipped a filter."""
    size = dataset.chunks[0]
    table = np.zeros((-(-dataset.shape[0] // size), 2), dtype=np.int64)

    def enter(info: Any) -> None:
        if info.filter_mask == 0:
            table[info.chunk_offset[0] // size] = info.byte_offset, info.size

    dataset.id.chunk_iter(enter)
    return table if np.all(table[:, 1] > 4) else None


def _packed(raw: memoryview, expected: int) -> memoryview:
    """The Blosc2 chunk inside the contiguous frame that the HDF5 filter writes.

    Frame (c-blosc2, README_CFRAME_FORMAT): a header whose length stands at byte 11 (big-endian),
    then the chunk, whose unpacked and packed lengths stand at its bytes 4 and 12 (little-endian).
    """
    if bytes(raw[2:10]) != _FRAME:
        raise ValueError("not a Blosc2 frame")
    header = int.from_bytes(raw[11:15], "big")
    length = int.from_bytes(raw[header + 12 : header + 16], "little")
    unpacked = int.from_bytes(raw[header + 4 : header + 8], "little")
    if unpacked != expected or length <= 0 or header + length > len(raw):
        raise ValueError("a Blosc2 frame of impossible length")
    return raw[header : header + length]


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
            what = "the list of chunks is damaged"
            with open_hdf5(self.path) as file, damage_errors(self.path, what):
                names = [schema.OFFSET, schema.CELL, schema.ENERGY]
                names += [f"{schema.INCIDENT}/{name}" for name in shard.columns]
                self._columns = {name: Column(self.path, name, file[name]) for name in names}

    def forget_offset(self) -> None:
        """Give the memory of the offsets back, once the blocks are known."""
        self.offset = np.empty(0, np.int64)

    def read(self, spans: Mapping[str, tuple[int, int, NDArray[Any]]]) -> None:
        """Read several columns at once: name -> (start, stop, array of this length).

        Raises:
            FormatError: the file is damaged there, or has gone.
        """
        import blosc2

        blosc2.set_releasegil(True)
        try:
            file = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise FormatError(f"{self.path}: cannot read it any more ({error.strerror})") from error
        try:
            for name, (start, stop, out) in spans.items():
                column = self._columns[name]
                if out.dtype == column.dtype:
                    column.read(file, start, stop, out)
                else:
                    raw = np.empty(stop - start, column.dtype)
                    column.read(file, start, stop, raw)
                    out[:] = raw
        finally:
            os.close(file)
