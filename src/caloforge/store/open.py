"""Open whatever holds showers in our schema: a file or a folder of shards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from caloforge.errors import ShowerError
from caloforge.geometry import Calorimeter
from caloforge.showers import Incident, Provenance, Showers
from caloforge.store.dataset import ShowerDataset
from caloforge.store.reader import ShowerFile


class ShowerReader(Protocol):
    """What :class:`ShowerFile` and :class:`ShowerDataset` have in common."""

    path: Path
    calorimeter: Calorimeter
    provenance: Provenance

    def __len__(self) -> int: ...
    def __enter__(self) -> ShowerReader: ...
    def __exit__(self, *_: object) -> None: ...
    def close(self) -> None:
        """Release the file."""

    def incident(self, start: int = 0, stop: int | None = None) -> Incident:
        """The incident table of showers ``start:stop``."""

    def read(self, start: int = 0, stop: int | None = None) -> Showers:
        """Showers ``start:stop``."""

    def batches(self, size: int) -> Iterator[Showers]:
        """Consecutive parts of ``size`` showers."""


def open_showers(path: str | Path) -> ShowerReader:
    """Open a store file, or a folder of shards with its index.

    Raises:
        FormatError: missing, foreign, truncated or damaged.
        ShowerError: it holds no showers.
    """
    path = Path(path)
    reader: ShowerReader = ShowerDataset(path) if path.is_dir() else ShowerFile(path)
    if len(reader) == 0:
        reader.close()
        raise ShowerError(f"{path}: holds no showers; make it again with at least one")
    return reader
