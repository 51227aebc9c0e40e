"""Where converted showers go: one file, a folder of shards, and each of them shuffled or not.

Sink                 append batches, then it is there
+-- file             one file of the target format
+-- shards           a folder of files of the target format
+-- shuffled         in random order into another sink
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from caloforge.atomic import atomic_folder, check_folder, remove_leftovers
from caloforge.errors import ShowerError
from caloforge.geometry import Calorimeter
from caloforge.showers import Provenance, Showers
from caloforge.sources import ShowerWriter, Source
from caloforge.store import ShowerFile, StoreWriter, write_index
from caloforge.store.dataset import INDEX

BUCKET = 4000
"""Showers that are shuffled in memory at once."""

MOST_BUCKETS = 256

_BATCH = 200


class Sink(Protocol):
    """Takes showers of one geometry, batch by batch."""

    def append(self, showers: Showers) -> None:
        """Take a batch."""


@dataclass(frozen=True)
class Target:
    """What is written: format, cells, provenance; files of ``shard_size`` showers if given."""

    source: Source
    calorimeter: Calorimeter
    provenance: Provenance
    shard_size: int | None = None
    shuffle: int | None = None
    """Seed of the random order; the order of the inputs when None."""

    def of_part(self, name: str) -> Target:
        """The same for a part of a split, which knows its name; for no part when it is empty."""
        if not name:
            return self
        config = {**self.provenance.config, "part": name}
        return replace(self, provenance=replace(self.provenance, config=config))

    def check(self, path: Path) -> None:
        """Raise OutputError unless the folder that will hold ``path`` can be written."""
        check_folder(path)

    @contextmanager
    def open(self, path: Path, showers: int) -> Iterator[Sink]:
        """A sink for about ``showers`` showers; ``path`` appears when the block ends well.

        Raises:
            FormatError: the format cannot hold this calorimeter.
            OutputError: it cannot be written.
        """
        with ExitStack() as stack:
            sink: Sink
            if self.shard_size is None:
                sink = stack.enter_context(self._file(path))
            else:
                sink = stack.enter_context(self._shards(path, self.shard_size))
            if self.shuffle is not None:
                sink = stack.enter_context(self._shuffled(path, sink, showers, self.shuffle))
            yield sink

    @contextmanager
    def _file(self, path: Path) -> Iterator[Sink]:
        remove_leftovers(path)
        with self.source.create(path, self.calorimeter, self.provenance) as writer:
            counted = _Counted(writer)
            yield counted
            if counted.showers == 0:
                raise ShowerError(f"{path}: no showers are left to write; check cuts and inputs")

    @contextmanager
    def _shards(self, path: Path, size: int) -> Iterator[Sink]:
        remove_leftovers(path)
        suffix = self.source.suffixes[0]
        old = [item.name for item in path.glob(f"shard-*{suffix}")] if path.is_dir() else []
        with atomic_folder(path, replaces=[INDEX, *old]) as folder:
            shards = _Shards(self, folder, size)
            with shards:
                yield shards
            if shards.showers == 0:
                raise ShowerError(f"{path}: no showers are left to write; check cuts and inputs")
            if self.source.name == "caloforge":
                write_index(folder)

    @contextmanager
    def _shuffled(self, path: Path, sink: Sink, showers: int, seed: int) -> Iterator[Sink]:
        """A uniform permutation: random buckets on disk, then a random order in every bucket."""
        absolute = path.absolute()
        folder = absolute.with_name(f".{absolute.name}.buckets.{os.getpid()}.partial")
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir()
            buckets = _Buckets(self, folder, showers, seed)
            with buckets:
                yield buckets
            buckets.empty_into(sink)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class _Counted:
    """A writer that knows how much it has written."""

    def __init__(self, writer: ShowerWriter) -> None:
        self._writer = writer
        self.showers = 0

    def append(self, showers: Showers) -> None:
        """Take a batch."""
        if len(showers):
            self._writer.append(showers)
            self.showers += len(showers)


class _Shards:
    """Files of ``size`` showers, one after the other."""

    def __init__(self, target: Target, folder: Path, size: int) -> None:
        self._target, self._folder, self._size = target, folder, size
        self._stack = ExitStack()
        self._writer: ShowerWriter | None = None
        self._files = self._filled = 0
        self.showers = 0

    def __enter__(self) -> _Shards:
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.__exit__(*details)  # type: ignore[arg-type]

    def append(self, showers: Showers) -> None:
        """Take a batch; begin new files as the old ones are full."""
        while len(showers):
            if self._writer is None or self._filled == self._size:
                self._next_file()
            assert self._writer is not None
            room = self._size - self._filled
            self._writer.append(showers[:room])
            taken = min(room, len(showers))
            self._filled += taken
            self.showers += taken
            showers = showers[taken:]

    def _next_file(self) -> None:
        self._stack.close()
        target = self._target
        name = f"shard-{self._files:05d}{target.source.suffixes[0]}"
        context = target.source.create(self._folder / name, target.calorimeter, target.provenance)
        self._writer = self._stack.enter_context(context)
        self._files += 1
        self._filled = 0


class _Buckets:
    """Store files that random showers go to."""

    def __init__(self, target: Target, folder: Path, showers: int, seed: int) -> None:
        number = int(np.clip(-(-showers // BUCKET), 1, MOST_BUCKETS))
        self._paths = [folder / f"bucket-{k:03d}.h5" for k in range(number)]
        self._target = target
        self._rng = np.random.default_rng([seed, 0])
        self._seed = seed
        self._stack = ExitStack()
        self._writers: dict[int, StoreWriter] = {}

    def __enter__(self) -> _Buckets:
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.__exit__(*details)  # type: ignore[arg-type]

    def append(self, showers: Showers) -> None:
        """Deal a batch out."""
        chosen = self._rng.integers(len(self._paths), size=len(showers))
        for number in np.unique(chosen).tolist():
            if number not in self._writers:
                writer = StoreWriter(
                    self._paths[number], self._target.calorimeter, self._target.provenance
                )
                self._writers[number] = self._stack.enter_context(writer)
            self._writers[number].append(showers[chosen == number])

    def empty_into(self, sink: Sink) -> None:
        """Pass everything on, in random order."""
        for number in sorted(self._writers):
            with ShowerFile(self._paths[number]) as bucket:
                showers = bucket.read()
            self._paths[number].unlink()
            order = np.random.default_rng([self._seed, 1, number]).permutation(len(showers))
            for start in range(0, len(order), _BATCH):
                sink.append(showers[order[start : start + _BATCH]])
