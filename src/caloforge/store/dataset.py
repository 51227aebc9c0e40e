"""A folder of store files (shards) with an index: one data set, read like one file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from caloforge.atomic import atomic_file
from caloforge.errors import FormatError
from caloforge.geometry import Calorimeter
from caloforge.showers import Incident, Provenance, Showers
from caloforge.store import schema
from caloforge.store.reader import ShowerFile

INDEX = "index.json"


def write_index(folder: str | Path) -> Path:
    """List the shards of a folder, with their number of showers, in ``index.json``.

    Raises:
        FormatError: no shard, or an unreadable one.
        GeometryError: the shards have different geometries.
    """
    folder = Path(folder)
    shards = []
    first: Calorimeter | None = None
    for path in sorted(p for p in folder.iterdir() if p.suffix in schema.SUFFIXES):
        with ShowerFile(path) as shard:
            first = first or shard.calorimeter
            first.require_same(shard.calorimeter, str(path))
            shards.append({"file": path.name, "showers": len(shard)})
    if not shards:
        raise FormatError(f"{folder}: no .h5 shards to index; convert or simulate into it first")
    with atomic_file(folder / INDEX) as partial:
        partial.write_text(json.dumps({"schema": schema.SCHEMA, "shards": shards}, indent=1))
    return folder / INDEX


def shard_paths(path: str | Path) -> list[Path]:
    """The store files behind a name: the file itself, or the shards of a folder, in order.

    Raises:
        FormatError: a folder without a readable index.
    """
    path = Path(path)
    return [path] if not path.is_dir() else [file for file, _ in read_index(path)]


def read_index(folder: Path) -> list[tuple[Path, int]]:
    """The shards of a folder and how many showers each holds, by its index.

    Raises:
        FormatError: no index, or an unreadable one.
    """
    index = folder / INDEX
    try:
        raw = json.loads(index.read_text(encoding="utf-8"))
        shards = [(folder / shard["file"], int(shard["showers"])) for shard in raw["shards"]]
    except FileNotFoundError as error:
        raise FormatError(
            f"{folder}: no {INDEX} in this folder; write it with caloforge.store.write_index"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{index}: unreadable index ({error}); write it again") from error
    if not shards or any(showers < 0 for _, showers in shards):
        raise FormatError(f"{index}: lists no shards; write it again")
    return shards


class ShowerDataset:
    """The shards of a folder, in the order of its index, read like one :class:`ShowerFile`.

    Raises:
        FormatError: no index, or it does not match the shards.
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder)
        shards = read_index(self.path)
        self._files = [path for path, _ in shards]
        counts = [showers for _, showers in shards]
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        with ShowerFile(self._files[0]) as shard:
            self.calorimeter: Calorimeter = shard.calorimeter
            self.provenance: Provenance = shard.provenance
            self.columns: list[str] = shard.columns

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __enter__(self) -> ShowerDataset:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing stays open between reads."""

    def _pieces(self, start: int, stop: int) -> Iterator[tuple[ShowerFile, int, int]]:
        for number, path in enumerate(self._files):
            begin, end = int(self._starts[number]), int(self._starts[number + 1])
            if end <= start or begin >= stop:
                continue
            with ShowerFile(path) as shard:
                if len(shard) != end - begin:
                    raise FormatError(
                        f"{path}: holds {len(shard)} showers, the index says {end - begin}; "
                        "write the index again"
                    )
                self.calorimeter.require_same(shard.calorimeter, str(path))
                yield shard, max(start, begin) - begin, min(stop, end) - begin

    def incident(self, start: int = 0, stop: int | None = None) -> Incident:
        """The incident table of showers ``start:stop``."""
        stop = len(self) if stop is None else min(stop, len(self))
        return Incident.concatenate([s.incident(a, b) for s, a, b in self._pieces(start, stop)])

    def read(self, start: int = 0, stop: int | None = None) -> Showers:
        """Showers ``start:stop`` (all by default)."""
        stop = len(self) if stop is None else min(stop, len(self))
        return Showers.concatenate([s.read(a, b) for s, a, b in self._pieces(start, stop)])

    def batches(self, size: int) -> Iterator[Showers]:
        """Consecutive parts of ``size`` showers, read one by one."""
        for start in range(0, len(self), size):
            yield self.read(start, start + size)
