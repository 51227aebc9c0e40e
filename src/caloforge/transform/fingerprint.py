"""A number that a shower carries with it: the same for equal content, wherever it is stored."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from caloforge.showers import Showers


def fingerprint(showers: Showers) -> NDArray[np.uint64]:
    """A 64-bit hash (BLAKE2b) of every shower's content, shape (n,).

    The content: the incident row by column name (float64; pdg int32), the cells (uint32) and their
    energies (float32), all little-endian. The same on every machine, in any file, order and batch.
    The calorimeter and the provenance do not take part.
    """
    names = sorted(showers.incident)
    head = ",".join(names).encode()
    rows = np.empty(
        len(showers), dtype=[(name, "<i4" if name == "pdg" else "<f8") for name in names]
    )
    for name in names:
        rows[name] = showers.incident[name] + 0  # -0.0 becomes 0.0
    row_bytes, size = rows.tobytes(), rows.dtype.itemsize
    cell_bytes = showers.cell.astype("<u4", copy=False).tobytes()
    energy_bytes = showers.energy.astype("<f4", copy=False).tobytes()
    ends = 4 * showers.offset.astype(np.int64)
    digests = []
    for k in range(len(showers)):
        digest = blake2b(head, digest_size=8, person=b"caloforge")
        digest.update(row_bytes[k * size : (k + 1) * size])
        digest.update(cell_bytes[ends[k] : ends[k + 1]])
        digest.update(energy_bytes[ends[k] : ends[k + 1]])
        digests.append(digest.digest())
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)
