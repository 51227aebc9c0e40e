"""The store: showers on disk (HDF5, schema version 1), one file or a folder of shards."""

from caloforge.store.dataset import ShowerDataset, shard_paths, write_index
from caloforge.store.open import ShowerReader, open_showers
from caloforge.store.reader import ShowerFile
from caloforge.store.schema import SCHEMA
from caloforge.store.writer import StoreWriter, write_showers

__all__ = [
    "SCHEMA",
    "ShowerDataset",
    "ShowerFile",
    "ShowerReader",
    "StoreWriter",
    "open_showers",
    "shard_paths",
    "write_index",
    "write_showers",
]
