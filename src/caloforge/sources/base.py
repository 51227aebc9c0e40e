"""The contract of a format: detect it, read it, write it, say what it cannot carry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar, Protocol

from caloforge.geometry import Calorimeter
from caloforge.showers import Incident, Provenance, Showers


class SourceReader(Protocol):
    """An open file of some format."""

    calorimeter: Calorimeter
    provenance: Provenance

    def __len__(self) -> int: ...
    def __enter__(self) -> SourceReader: ...
    def __exit__(self, *_: object) -> None: ...
    def batches(self, size: int) -> Iterator[Showers]:
        """Consecutive parts of ``size`` showers, in MeV, mm and radians."""


class ShowerWriter(Protocol):
    """A file of some format being written."""

    def append(self, showers: Showers) -> None:
        """Write a batch behind what is there."""


class Source(ABC):
    """One file format."""

    name: ClassVar[str]
    """The word that ``--from`` and ``--to`` take."""

    description: ClassVar[str]

    @abstractmethod
    def matches(self, path: Path) -> bool:
        """Whether the content of ``path`` looks like this format (never raises)."""

    @abstractmethod
    def open(self, path: Path, calorimeter: Calorimeter | None = None) -> SourceReader:
        """Open for reading; ``calorimeter`` replaces the format's usual detector.

        Raises:
            FormatError: foreign, truncated, or a data set is missing or of the wrong shape.
        """

    @abstractmethod
    def create(
        self, path: Path, calorimeter: Calorimeter, provenance: Provenance
    ) -> AbstractContextManager[ShowerWriter]:
        """A context that writes ``path``; the file appears when the block ends well.

        Raises:
            FormatError: the format cannot hold this calorimeter.
            OutputError: the folder is missing or the disk is full.
        """

    @abstractmethod
    def losses(self, incident: Incident) -> list[str]:
        """What of these incident particles the format cannot carry, one sentence each."""
