"""HDF5's Fletcher-32 checksum (H5_checksum_fletcher32), compiled, callable from any thread.

HDF5 adds big-endian 16-bit words. Reading them in the machine's little-endian order multiplies both
sums by 256 modulo 65535, so the words are added as they are and the sums are turned at the end.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from caloforge.compiled import compiled

_BLOCK = 128  # words: their weighted sum stays below 2**32, so it is added in vectors
_BLOCKS = 1 << 13  # until the sums are reduced: the second one stays below 2**57
_TURN = 256 if sys.byteorder == "little" else 1


@compiled
def _sums(words: NDArray[np.uint16]) -> tuple[int, int]:
    first, second = np.uint64(0), np.uint64(0)
    whole = len(words) // _BLOCK
    for number in range(whole):
        block = words[number * _BLOCK : (number + 1) * _BLOCK]
        plain, weighted = np.uint32(0), np.uint32(0)
        for k in range(_BLOCK):
            plain += np.uint32(block[k])
            weighted += np.uint32(_BLOCK - k) * np.uint32(block[k])
        second += np.uint64(_BLOCK) * first + np.uint64(weighted)
        first += np.uint64(plain)
        if number % _BLOCKS == _BLOCKS - 1:
            first %= np.uint64(65535)
            second %= np.uint64(65535)
    for word in words[whole * _BLOCK :]:
        first += np.uint64(word)
        second += first
    return int(first % np.uint64(65535)), int(second % np.uint64(65535))


@compiled
def _checksum(data: NDArray[np.uint8]) -> int:
    half = len(data) // 2
    first, second = _sums(data[: 2 * half].view(np.uint16))
    first, second = first * _TURN % 65535, second * _TURN % 65535
    if len(data) > 2 * half:
        first = (first + int(data[-1]) * 256) % 65535
        second = (second + first) % 65535
    return second << 16 | first


@compiled
def _same(stored: int, computed: int) -> bool:
    return (stored >> 16) % 65535 == (computed >> 16) % 65535 and (stored & 0xFFFF) % 65535 == (
        computed & 0xFFFF
    ) % 65535


@compiled
def first_damaged(
    data: NDArray[np.uint8], starts: NDArray[np.int64], sizes: NDArray[np.int64]
) -> int:
    """The first chunk whose last four bytes are not the checksum of the others; -1 without one.

    Args:
        data: (bytes,) in which chunk k is ``data[starts[k] : starts[k] + sizes[k]]``.
        starts: (chunks,) even.
        sizes: (chunks,) at least 4.
    """
    for number in range(len(starts)):
        chunk = data[starts[number] : starts[number] + sizes[number]]
        stored = 0
        for k in range(4):
            stored |= int(chunk[len(chunk) - 4 + k]) << (8 * k)
        if not _same(stored, _checksum(chunk[: len(chunk) - 4])):
            return number
    return -1


def fletcher32(data: memoryview) -> int:
    """The checksum of some bytes, as HDF5 stores it.

    HDF5 keeps a sum that is a multiple of 65535 as 65535 unless all bytes are zero; here such sums
    are 0: compare with :func:`same`.
    """
    return int(_checksum(np.frombuffer(data, dtype=np.uint8)))


def same(stored: int, computed: int) -> bool:
    """Whether two checksums agree; 0 and 65535 are the same sum."""
    return bool(_same(stored, computed))
