"""Our own store, as one format among the others."""

from __future__ import annotations

from pathlib import Path

from caloforge.errors import CaloforgeError
from caloforge.geometry import Calorimeter
from caloforge.showers import Incident, Provenance
from caloforge.sources.base import Source, SourceReader
from caloforge.store import StoreWriter, open_showers
from caloforge.store.reader import open_hdf5


class Store(Source):
    """The Caloforge store: carries everything."""

    name = "caloforge"
    description = "Caloforge store: sparse HDF5, or a folder of shards with an index"

    def matches(self, path: Path) -> bool:
        """A ``schema`` and a ``geometry`` attribute, or a folder with an index."""
        if path.is_dir():
            return (path / "index.json").exists()
        try:
            with open_hdf5(path) as file:
                return {"schema", "geometry"} <= set(file.attrs)
        except CaloforgeError:
            return False

    def open(self, path: Path, calorimeter: Calorimeter | None = None) -> SourceReader:
        """Open for reading; a given calorimeter must be the file's own."""
        reader = open_showers(path)
        if calorimeter is not None:
            calorimeter.require_same(reader.calorimeter, str(path))
        return reader

    def create(self, path: Path, calorimeter: Calorimeter, provenance: Provenance) -> StoreWriter:
        """Write a store file."""
        return StoreWriter(path, calorimeter, provenance)

    def losses(self, incident: Incident) -> list[str]:
        """Nothing is lost."""
        return []
