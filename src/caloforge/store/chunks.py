"""The chunks of a column, read past the HDF5 library, many at a time.

Every call that leaves Python's lock costs a thread that works beside others a wait for it. So the
chunks that lie one behind the other come in one read, all checksums are one compiled call, and only
the unpacking is a call per chunk.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from caloforge.errors import FormatError
from caloforge.store.checksum import first_damaged

_BLOSC2, _FLETCHER = 32026, 3
_FRAME = b"b2frame\x00"
_ZEROS = bytes(7) + b"\x81"
"""What stands for a chunk of zeros among the offsets of a frame, in place of an offset."""

_TOGETHER = 32
"""Chunks read at a time: they bound the memory and stay in the cache."""

_SCRATCH = threading.local()


def _scratch(name: str, size: int) -> NDArray[np.uint8]:
    """``size`` bytes of this thread's own, good until it asks for this name again."""
    known: NDArray[np.uint8] | None = getattr(_SCRATCH, name, None)
    if known is None or len(known) < size:
        known = np.empty(size, np.uint8)
        setattr(_SCRATCH, name, known)
    return known[:size]


@dataclass(frozen=True)
class ChunkTable:
    """Where the chunks of one column are: ``places`` (chunks, 2) of position and size in bytes."""

    path: Path
    name: str
    dtype: np.dtype[Any]
    length: int
    places: NDArray[np.int64]

    def pieces(self, start: int, stop: int, out: NDArray[Any]) -> Iterator[Piece]:
        """What puts entries ``start:stop`` into ``out`` (stop - start,)."""
        for number in range(start // self.length, -(-stop // self.length)):
            begin = number * self.length
            first, last = max(start, begin), min(stop, begin + self.length)
            yield Piece(self, number, first - begin, out[first - start : last - start])

    def damaged(self, number: int, why: str) -> FormatError:
        """The error for a chunk."""
        return FormatError(
            f"{self.path}: data set '{self.name}' is damaged near entry {number * self.length} "
            f"({why}); find what is lost with 'caloforge info --check'"
        )


@dataclass(frozen=True)
class Piece:
    """The entries of a chunk from ``skip`` on, as many as fit into ``out``."""

    table: ChunkTable
    number: int
    skip: int
    out: NDArray[Any]

    @property
    def position(self) -> int:
        """First byte in the file."""
        return int(self.table.places[self.number, 0])

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return int(self.table.places[self.number, 1])

    def unpack(self, raw: memoryview) -> None:
        """Decompress the chunk's bytes, whose checksum is good."""
        import blosc2

        whole = self.table.length * self.table.dtype.itemsize
        all_wanted = self.out.nbytes == whole
        target = self.out if all_wanted else _scratch("whole", whole).view(self.table.dtype)
        try:
            packed = _packed(raw, whole)
            if packed is None:
                target.fill(0)
            else:
                blosc2.decompress2(packed, dst=target, nthreads=1)
        except (ValueError, RuntimeError, IndexError) as error:
            raise self.table.damaged(self.number, str(error)) from error
        if not all_wanted:
            self.out[:] = target[self.skip : self.skip + len(self.out)]


def chunk_table(path: Path, name: str, dataset: h5py.Dataset) -> ChunkTable | None:
    """Where a column's chunks are; None unless it is stored as this version stores it.

    That is Blosc2 and a checksum, in this machine's byte order, every chunk there and filtered.
    """
    plist = dataset.id.get_create_plist()
    filters = [plist.get_filter(k)[0] for k in range(plist.get_nfilters())]
    if filters != [_BLOSC2, _FLETCHER] or not dataset.dtype.isnative:
        return None
    length = int(dataset.chunks[0])
    places = np.zeros((-(-dataset.shape[0] // length), 2), dtype=np.int64)

    def enter(info: Any) -> None:
        if info.filter_mask == 0:
            places[info.chunk_offset[0] // length] = info.byte_offset, info.size

    dataset.id.chunk_iter(enter)
    if np.any(places[:, 1] <= 4):
        return None
    return ChunkTable(path, name, dataset.dtype, length, places)


def read_pieces(file: int, pieces: Sequence[Piece]) -> None:
    """Read, check and unpack chunks.

    Args:
        file: descriptor of the open file.
        pieces: in any order.

    Raises:
        FormatError: the file is damaged in one of them.
    """
    ordered = sorted(pieces, key=lambda piece: piece.position)
    for start in range(0, len(ordered), _TOGETHER):
        _read_together(file, ordered[start : start + _TOGETHER])


def _read_together(file: int, pieces: Sequence[Piece]) -> None:
    sizes = np.array([piece.size for piece in pieces], np.int64)
    ends = np.cumsum(sizes + sizes % 2)  # every chunk starts at an even byte
    starts = ends - (sizes + sizes % 2)
    data = _scratch("packed", int(ends[-1]))
    raw = [data[a : a + size].data for a, size in zip(starts.tolist(), sizes.tolist(), strict=True)]
    begin = 0
    while begin < len(pieces):
        begin = _read_run(file, pieces, raw, begin)
    bad = int(first_damaged(data, starts, sizes))
    if bad >= 0:
        raise pieces[bad].table.damaged(pieces[bad].number, "its checksum is wrong")
    for piece, packed in zip(pieces, raw, strict=True):
        piece.unpack(packed)


def _read_run(file: int, pieces: Sequence[Piece], raw: Sequence[memoryview], begin: int) -> int:
    """Read from ``begin`` on what lies side by side in the file; where the next run begins."""
    end, place = begin, pieces[begin].position
    while end < len(pieces) and pieces[end].position == place:
        place += pieces[end].size
        end += 1
    got = os.preadv(file, raw[begin:end], pieces[begin].position)
    if got != place - pieces[begin].position:
        for piece in pieces[begin:end]:
            got -= piece.size
            if got < 0:
                raise piece.table.damaged(piece.number, "the file ends before its data")
    return end


def _packed(raw: memoryview, expected: int) -> memoryview | None:
    """The Blosc2 chunk inside the contiguous frame that the HDF5 filter writes; None for zeros.

    Frame (c-blosc2, README_CFRAME_FORMAT): a header whose length stands at byte 11 (big-endian),
    then the chunk, whose unpacked and packed lengths stand at its bytes 4 and 12 (little-endian).
    A chunk of zeros is left out: the header says at bytes 30 and 39 (big-endian) that it unpacks
    to so many bytes and takes none, and the chunk behind it ends with a mark in place of an offset.
    """
    if bytes(raw[2:10]) != _FRAME:
        raise ValueError("not a Blosc2 frame")
    header = int.from_bytes(raw[11:15], "big")
    length = int.from_bytes(raw[header + 12 : header + 16], "little")
    sizes = int.from_bytes(raw[30:38], "big"), int.from_bytes(raw[39:47], "big")
    if sizes == (expected, 0) and bytes(raw[header + length - 8 : header + length]) == _ZEROS:
        return None
    unpacked = int.from_bytes(raw[header + 4 : header + 8], "little")
    if unpacked != expected or length <= 0 or header + length > len(raw):
        raise ValueError("a Blosc2 frame of impossible length")
    return raw[header : header + length]
