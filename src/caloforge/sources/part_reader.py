"""What the readers of all foreign formats share: parts, damage, the numbers of bad showers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import CaloforgeError, FormatError, ShowerError
from caloforge.geometry import Calorimeter
from caloforge.showers import Provenance, Showers
from caloforge.store.damage import damage_errors
from caloforge.transform import Tally


class PartReader(ABC):
    """An open file of ``len(self)`` showers; a subclass reads ``start:stop`` of them.

    Whatever a file library raises while a part is read becomes one clear :class:`FormatError`.
    """

    def __init__(
        self, path: Path, calorimeter: Calorimeter, provenance: Provenance, showers: int
    ) -> None:
        self.path = path
        self.calorimeter = calorimeter
        self.provenance = provenance
        self.tally = Tally()
        self._showers = showers

    @abstractmethod
    def read(self, start: int, stop: int) -> Showers:
        """Showers ``start:stop``, 0 <= start < stop <= len(self)."""

    @abstractmethod
    def close(self) -> None:
        """Release the file."""

    @property
    def notes(self) -> list[str]:
        """What else to know of how the file was understood so far; usually nothing."""
        return []

    def __len__(self) -> int:
        return self._showers

    def __enter__(self) -> PartReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def batches(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[Showers]:
        """Consecutive parts of ``size`` of the showers ``start:stop``.

        Raises:
            FormatError: the file is damaged there.
            ShowerError: it holds impossible values.
        """
        end = len(self) if stop is None else min(stop, len(self))
        for first in range(start, end, size):
            yield self._guarded(first, min(first + size, end))

    def _guarded(self, start: int, stop: int) -> Showers:
        try:
            with damage_errors(self.path, f"damaged near shower {start}"):
                showers = self.read(start, stop)
            if len(showers) != stop - start:  # a damaged number of entries, perhaps a huge one
                raise FormatError(
                    f"{self.path}: says it holds {len(self)} showers, but ends after "
                    f"{start + len(showers)}; copy or make it again"
                )
            return showers
        except CaloforgeError as error:
            if str(self.path) in str(error):
                raise
            text = f"{self.path} (showers from {start}): {error}"
            raise type(error)(text) from error


def check_energies(path: Path, name: str, values: NDArray[Any], start: int) -> None:
    """Refuse NaN, infinite and negative cell energies; ``values`` (n, ...) begin at ``start``.

    Raises:
        ShowerError: names the first bad shower and cell.
    """
    good = np.isfinite(values) & (values >= 0)
    if good.all():
        return
    shower, *cell = (int(v[0]) for v in np.nonzero(~good))
    raise ShowerError(
        f"{path}: '{name}' shower {start + shower}, cell {tuple(cell)} holds "
        f"{values[~good][0]}; energies must be finite and not negative"
    )
