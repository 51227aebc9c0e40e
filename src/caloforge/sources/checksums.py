"""A checksum of every shower, in the files that we write in formats that have none."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import FormatError

CHECKSUM = "caloforge_checksum"
"""Name of the column, branch or data set."""


def checksums(
    offset: NDArray[Any], hits: Sequence[NDArray[Any]], rows: NDArray[Any]
) -> NDArray[np.uint32]:
    """crc32 of every shower, as stored.

    Args:
        offset: (n + 1,) first hit of every shower, then the number of hits.
        hits: arrays with one entry (or row) per hit, of the type that the file holds.
        rows: (n, columns) what the file holds once per shower.
    """
    lists = [np.ascontiguousarray(values, values.dtype.newbyteorder("<")) for values in hits]
    table = np.ascontiguousarray(rows, dtype="<f8")
    sums = np.empty(len(table), dtype=np.uint32)
    for k, (a, b) in enumerate(zip(offset[:-1].tolist(), offset[1:].tolist(), strict=True)):
        value = 0
        for values in (*(column[a:b] for column in lists), table[k]):
            value = zlib.crc32(values.tobytes(), value)
        sums[k] = value
    return sums


def require_checksums(
    path: Path, start: int, found: NDArray[np.uint32], kept: NDArray[Any]
) -> None:
    """Refuse showers that are not what was written.

    Args:
        path: the file, named in errors.
        start: number of the first shower.
        found: their checksums.
        kept: the checksums in the file.

    Raises:
        FormatError: names the first such shower.
    """
    differing = np.flatnonzero(found != kept)
    if len(differing):
        raise FormatError(
            f"{path}: shower {start + int(differing[0])} is not what was written (checksum); "
            "copy or make the file again"
        )
