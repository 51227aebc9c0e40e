"""Checksums inside the ROOT files that we write.

ROOT stores small or incompressible baskets as they are, without any checksum, so a flipped bit
would be read as another number. Our trees have a branch with the crc32 of every entry.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import FormatError

CHECK = "caloforge_crc32"
"""Branch with the crc32 of every entry; also the key of the texts' crc32."""

NAMES = "caloforge_branches_"
"""Key (with the tree's name behind it) of the branches that the crc32 covers, by name."""


def entry_checksums(branches: Mapping[str, Any]) -> NDArray[np.uint32]:
    """crc32 of every entry, over the branches by name: numbers first, then lists.

    Args:
        branches: one-dimensional arrays, or awkward arrays of one list of numbers per entry.
    """
    import awkward as ak

    arrays = {name: ak.Array(branches[name]) for name in sorted(branches)}
    flat = [_bytes(ak.to_numpy(array)) for array in arrays.values() if array.ndim == 1]
    n = len(next(iter(arrays.values())))
    sums = [0] * n
    if flat:
        rows = np.ascontiguousarray(np.hstack(flat))
        sums = [zlib.crc32(row.tobytes()) for row in rows]
    for array in arrays.values():
        if array.ndim == 1:
            continue
        ends = np.concatenate([[0], np.cumsum(ak.to_numpy(ak.num(array)))]).tolist()
        content = np.ascontiguousarray(ak.to_numpy(ak.flatten(array)))
        raw = _bytes(content).tobytes()
        size = content.dtype.itemsize
        for k in range(n):
            sums[k] = zlib.crc32(raw[ends[k] * size : ends[k + 1] * size], sums[k])
    return np.array(sums, dtype=np.uint32)


def _bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Every number as little-endian bytes: (n, size)."""
    little = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False))
    return little.view(np.uint8).reshape(len(values), -1)


def verify(path: Path, tree: Any, names: str | None, start: int, stop: int) -> None:
    """Compare the entries ``start:stop`` with their checksums, where the tree has them.

    Args:
        path: the file, for the error.
        tree: an open tree.
        names: the text :data:`NAMES` of this tree; None in foreign files.
        start: first entry.
        stop: behind the last one.

    Raises:
        FormatError: an entry is not what was written.
    """
    if names is None or CHECK not in tree.keys(recursive=False):
        return
    chosen = names.split(",")
    arrays = tree.arrays([*chosen, CHECK], entry_start=start, entry_stop=stop, library="ak")
    stored = np.asarray(arrays[CHECK])
    wrong = np.flatnonzero(entry_checksums({name: arrays[name] for name in chosen}) != stored)
    if len(wrong):
        raise FormatError(
            f"{path}: shower {start + int(wrong[0])} of tree '{tree.name}' is damaged (its "
            "checksum is wrong); copy or make the file again"
        )
