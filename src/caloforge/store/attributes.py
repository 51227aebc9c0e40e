"""Attributes of HDF5 files: text of fixed length, which the library's checksums cover.

Text of variable length is kept in heaps without a checksum. Worse, the library never returns from
reading a heap that was overwritten with zeros; :func:`require_sound_heaps` looks at them first.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from caloforge.errors import FormatError

_HEAP = b"GCOL\x01\x00\x00\x00"
_HEADER = 16
"""Bytes before the first object of a heap, and of the header of every object."""


def write_text(file: h5py.File, texts: Mapping[str, str]) -> None:
    """Put attributes of fixed length on a file; h5py reads them back as bytes."""
    for name, text in texts.items():
        raw = text.encode()
        kind = h5py.string_dtype("utf-8", max(1, len(raw)))
        file.attrs.create(name, np.array(raw, dtype=kind))


def text_of(value: Any) -> str:
    """An attribute as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def require_readable_attributes(file: h5py.File, path: Path) -> None:
    """Check the heaps of a file that needs them for its attributes.

    Raises:
        FormatError: one is damaged.
    """
    for name in file.attrs:
        identifier = h5py.h5a.open(file.id, name.encode())
        if identifier.get_type().detect_class(h5py.h5t.VLEN) or _is_text_of_any_length(identifier):
            require_sound_heaps(path)
            return


def _is_text_of_any_length(identifier: Any) -> bool:
    kind = identifier.get_type()
    return bool(isinstance(kind, h5py.h5t.TypeStringID) and kind.is_variable_str())


def require_sound_heaps(path: Path) -> None:
    """Refuse a file with a heap that the HDF5 library would read for ever.

    Raises:
        FormatError: it has one.
    """
    status = path.stat()
    place = _endless_heap(path, status.st_size, status.st_mtime_ns)
    if place is not None:
        raise FormatError(
            f"{path}: damaged: the heap at byte {place} is overwritten; copy or make it again"
        )


@lru_cache(maxsize=64)
def _endless_heap(path: Path, _size: int, _time: int) -> int | None:
    """Where the first such heap is; a file is searched once, as long as it does not change."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        place = data.find(_HEAP)
        while place >= 0:
            if _endless(data, place):
                return place
            place = data.find(_HEAP, place + 8)
    return None


def _endless(data: mmap.mmap, start: int) -> bool:
    """Whether the objects of a heap lead to one that is free and of no size."""
    if start + _HEADER > len(data):
        return False
    (size,) = struct.unpack_from("<Q", data, start + 8)
    place, end = start + _HEADER, min(start + size, len(data))
    while place + _HEADER <= end:
        number, _, _, length = struct.unpack_from("<HHIQ", data, place)
        step = length if number == 0 else _HEADER + (length + 7) // 8 * 8
        if step == 0:
            return True
        place += step
    return False
