"""The contract of a format: detect it, read it, write it, say what it cannot carry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from caloforge.geometry import Calorimeter
from caloforge.showers import Incident, Provenance, Showers
from caloforge.transform import Tally


class ReadOptions(BaseModel):
    """Base of what a format lets the user choose when reading; most have nothing to choose."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceReader(Protocol):
    """An open file of some format."""

    calorimeter: Calorimeter
    provenance: Provenance
    tally: Tally
    """Energy outside the calorimeter's cells in what was read so far."""

    @property
    def notes(self) -> list[str]:
        """What else to know of how the file was understood so far, one sentence each."""

    def __len__(self) -> int: ...
    def __enter__(self) -> SourceReader: ...
    def __exit__(self, *_: object) -> None: ...
    def batches(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[Showers]:
        """Consecutive parts of ``size`` of the showers ``start:stop``, in MeV, mm and radians."""


class ShowerWriter(Protocol):
    """A file of some format being written."""

    def append(self, showers: Showers) -> None:
        """Write a batch behind what is there."""


class Source(ABC):
    """One file format."""

    name: ClassVar[str]
    """The word that ``--from`` and ``--to`` take."""

    description: ClassVar[str]

    suffixes: ClassVar[tuple[str, ...]] = (".h5", ".hdf5")
    """How the names of its files end, the usual one first."""

    options_class: ClassVar[type[ReadOptions]] = ReadOptions
    """What ``--option KEY=VALUE`` may say when reading this format."""

    @abstractmethod
    def matches(self, path: Path) -> bool:
        """Whether the content of ``path`` looks like this format (never raises)."""

    @abstractmethod
    def open(
        self, path: Path, calorimeter: Calorimeter | None = None, options: Any = None
    ) -> SourceReader:
        """Open for reading.

        Args:
            path: the file.
            calorimeter: replaces the format's usual detector.
            options: an instance of :attr:`options_class`; its defaults when None.

        Raises:
            FormatError: foreign, truncated, or a data set is missing or of the wrong shape.
            ShowerError: no showers, or impossible values.
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
