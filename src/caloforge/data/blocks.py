"""A sample as blocks of consecutive showers: the pieces that are read, shuffled and dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Calorimeter
from caloforge.showers import Provenance, Showers

BLOCK_HITS = 1 << 18
"""Hits of a block: 8 chunks of the store, 2 MiB, about 350 showers of lcd-ecal."""


@dataclass(frozen=True)
class Block:
    """Showers ``start:stop`` of file number ``file``, with ``hits`` hits."""

    file: int
    start: int
    stop: int
    hits: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Room:
    """Where the content of blocks goes: arrays with one entry per shower or per hit.

    ``first`` and ``last`` (showers,) point into ``cell`` and ``energy`` (hits,); ``condition`` is
    (showers, columns), in MeV, rad and mm.
    """

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    condition: NDArray[np.float64]
    cell: NDArray[np.uint32]
    energy: NDArray[np.float32]

    @staticmethod
    def empty(showers: int, hits: int, columns: int) -> Room:
        """Room for so much."""
        return Room(
            np.empty(showers, np.int64),
            np.empty(showers, np.int64),
            np.empty((showers, columns), np.float64),
            np.empty(hits, np.uint32),
            np.empty(hits, np.float32),
        )


class BlockSource(Protocol):
    """A sample that is read block by block, from any thread."""

    calorimeter: Calorimeter
    provenance: Provenance
    blocks: Sequence[Block]

    def __len__(self) -> int: ...

    def load(self, block: Block, columns: Sequence[str], room: Room, row: int, hit: int) -> None:
        """Put a block into ``room``: its showers from ``row`` on, its hits from ``hit`` on.

        Raises:
            FormatError: the file is damaged there.
            ShowerError: it holds impossible values, or lacks a column.
        """

    def ranges(self, columns: Sequence[str]) -> dict[str, tuple[float, float]]:
        """The smallest and the largest value of incident columns."""

    def different(self, column: str) -> list[float] | None:
        """The different values of an incident column, rising; None where a file has no such one."""

    def sample(self, showers: int, seed: int) -> Showers:
        """Random blocks of about so many showers in all; everything if there are fewer."""


def cut_blocks(offset: NDArray[Any], file: int, hits: int = BLOCK_HITS) -> list[Block]:
    """Cut the showers of a file where their hits reach multiples of ``hits``.

    Args:
        offset: (n + 1,) first hit of every shower, then the number of hits.
        file: number of the file.
        hits: aimed size of a block.
    """
    n = len(offset) - 1
    edges = np.searchsorted(offset, np.arange(0, int(offset[-1]), hits))
    edges = np.unique(np.concatenate([[0], np.minimum(edges, n), [n]]))
    return [Block(file, a, b, int(offset[b] - offset[a])) for a, b in pairwise(edges.tolist())]


def random_blocks(blocks: Sequence[Block], showers: int, seed: int) -> list[Block]:
    """Random blocks, in the sample's order, until they hold ``showers``."""
    order = np.random.default_rng(seed).permutation(len(blocks))
    sizes = np.cumsum([len(blocks[number]) for number in order])
    enough = int(np.searchsorted(sizes, showers)) + 1
    return [blocks[number] for number in sorted(order[:enough].tolist())]


class MemoryBlocks:
    """The showers of a sample in memory as blocks."""

    def __init__(self, showers: Showers, block_hits: int = BLOCK_HITS) -> None:
        self.calorimeter = showers.calorimeter
        self.provenance = showers.provenance
        self.blocks: Sequence[Block] = cut_blocks(showers.offset.astype(np.int64), 0, block_hits)
        self._showers = showers

    def __len__(self) -> int:
        return len(self._showers)

    def load(self, block: Block, columns: Sequence[str], room: Room, row: int, hit: int) -> None:
        """Copy a block."""
        offset = self._showers.offset[block.start : block.stop + 1].astype(np.int64)
        rows, hits = slice(row, row + len(block)), slice(hit, hit + block.hits)
        room.first[rows] = offset[:-1] - offset[0] + hit
        room.last[rows] = offset[1:] - offset[0] + hit
        for number, name in enumerate(columns):
            room.condition[rows, number] = self._showers.incident[name][block.start : block.stop]
        room.cell[hits] = self._showers.cell[offset[0] : offset[-1]]
        room.energy[hits] = self._showers.energy[offset[0] : offset[-1]]

    def ranges(self, columns: Sequence[str]) -> dict[str, tuple[float, float]]:
        """The smallest and the largest value of incident columns."""
        incident = self._showers.incident
        return {
            name: (float(incident[name].min()), float(incident[name].max())) for name in columns
        }

    def different(self, column: str) -> list[float] | None:
        """The different values of an incident column."""
        incident = self._showers.incident
        if column not in incident:
            return None
        return [float(value) for value in np.unique(incident[column])]

    def sample(self, showers: int, seed: int) -> Showers:
        """Random blocks of about so many showers in all; everything if there are fewer."""
        if len(self) <= showers:
            return self._showers
        chosen = random_blocks(self.blocks, showers, seed)
        return Showers.concatenate([self._showers[block.start : block.stop] for block in chosen])
