"""HDF5's Fletcher-32 checksum (H5_checksum_fletcher32), compiled, callable from any thread.

HDF5 adds big-endian 16-bit words. Reading them in the machine's little-endian order multiplies both
sums by 256 modulo 65535, so the words are added as they are and the sums are turned at the end.
"""

from __future__ import annotations

import sys

import numba
import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 20  # words: the second sum stays below 2**57


@numba.njit(nogil=True, cache=True)
def _sums(words: NDArray[np.uint16]) -> tuple[int, int]:
    first = np.uint64(0)
    second = np.uint64(0)
    for start in range(0, len(words), _BLOCK):
        for word in words[start : start + _BLOCK]:
            first += np.uint64(word)
            second += first
        first %= np.uint64(65535)
        second %= np.uint64(65535)
    return int(first), int(second)


def fletcher32(data: memoryview) -> int:
    """The checksum of some bytes, as HDF5 stores it.

    HDF5 keeps a sum that is a multiple of 65535 as 65535 unless all bytes are zero; here such sums
    are 0: compare with :func:`same`.
    """
    even = len(data) // 2 * 2
    words = np.frombuffer(data[:even], dtype=np.uint16)
    first, second = _sums(words)
    if sys.byteorder == "little":
        first, second = first * 256 % 65535, second * 256 % 65535
    if len(data) > even:
        first = (first + (data[-1] << 8)) % 65535
        second = (second + first) % 65535
    return second << 16 | first


def same(stored: int, computed: int) -> bool:
    """Whether two checksums agree; 0 and 65535 are the same sum."""
    pairs = zip(divmod(stored, 1 << 16), divmod(computed, 1 << 16), strict=True)
    return all(a % 65535 == b % 65535 for a, b in pairs)
