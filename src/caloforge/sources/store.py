"""Our own store, as one format among the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from caloforge.errors import CaloforgeError
from caloforge.geometry import Calorimeter
from caloforge.showers import Incident, Provenance, Showers
from caloforge.sources.base import Source
from caloforge.sources.part_reader import PartReader
from caloforge.store import ShowerReader, StoreWriter, open_showers
from caloforge.store.damage import damage_errors
from caloforge.store.reader import open_hdf5


class StoreReader(PartReader):
    """A store file or a folder of shards."""

    def __init__(self, reader: ShowerReader) -> None:
        super().__init__(reader.path, reader.calorimeter, reader.provenance, len(reader))
        self._reader = reader

    def read(self, start: int, stop: int) -> Showers:
        """Showers ``start:stop``."""
        return self._reader.read(start, stop)

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


class Store(Source):
    """The Caloforge store: carries everything."""

    name = "caloforge"
    description = "Caloforge store: sparse HDF5, or a folder of shards with an index"

    def matches(self, path: Path) -> bool:
        """A ``schema`` and a ``geometry`` attribute, or a folder with an index."""
        if path.is_dir():
            return (path / "index.json").exists()
        try:
            with damage_errors(path), open_hdf5(path) as file:
                return {"schema", "geometry"} <= set(file.attrs)
        except CaloforgeError:
            return False

    def open(
        self, path: Path, calorimeter: Calorimeter | None = None, options: Any = None
    ) -> StoreReader:
        """Open for reading; a given calorimeter must be the file's own."""
        reader = open_showers(path)
        if calorimeter is not None:
            calorimeter.require_same(reader.calorimeter, str(path))
        return StoreReader(reader)

    def create(self, path: Path, calorimeter: Calorimeter, provenance: Provenance) -> StoreWriter:
        """Write a store file."""
        return StoreWriter(path, calorimeter, provenance)

    def losses(self, incident: Incident) -> list[str]:
        """Nothing is lost."""
        return []
