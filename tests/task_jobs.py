"""Jobs for test_tasks: importable by worker processes, each with one way to misbehave."""

from __future__ import annotations

import ctypes
import itertools
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from caloforge.errors import CaloforgeError
from caloforge.geometry import Calorimeter
from caloforge.showers import Provenance, Showers
from caloforge.tasks import Shard
from helpers import random_showers, small_calorimeter

CALORIMETER = small_calorimeter(n=3, layers=2)


def make(shard: Shard, calorimeter: Calorimeter = CALORIMETER) -> Showers:
    """Shower k of seed k, whoever asks."""
    parts = [random_showers(1, calorimeter, seed=k) for k in range(shard.start, shard.stop)]
    provenance = Provenance(step="shard", geometry=calorimeter.hash, source={"engine": "fake"})
    return Showers.concatenate(parts).with_provenance(provenance)


@dataclass(frozen=True)
class Plain:
    """Makes showers."""

    calorimeter: Calorimeter = CALORIMETER

    def __call__(self, shard: Shard, advance: Callable[[int], None]) -> Showers:
        return make(shard, self.calorimeter)


@dataclass(frozen=True)
class Slow:
    """Takes a while for each shower, and leaves the number of its process in a folder.

    The first ``stuck_after`` shards that begin, in whatever process, go through; others do not.
    """

    pids: Path
    seconds: float = 0.0
    stuck_after: int = 1 << 30

    def __call__(self, shard: Shard, advance: Callable[[int], None]) -> Showers:
        (self.pids / str(os.getpid())).touch()
        if self._turn() >= self.stuck_after:
            ctypes.PyDLL(None).sleep(100)  # as C++ does: no other thread of the process runs
        for done in range(len(shard)):
            time.sleep(self.seconds)
            advance(done + 1)
        return make(shard)

    def _turn(self) -> int:
        for turn in itertools.count():
            try:
                (self.pids / f"turn-{turn}").open("x").close()
            except FileExistsError:
                continue
            return turn
        raise AssertionError


@dataclass(frozen=True)
class Dies:
    """In shard 2 sends a signal to itself, or to its parent; ``times`` times."""

    folder: Path
    number: int = signal.SIGKILL
    times: int = 1
    parent: bool = False

    def __call__(self, shard: Shard, advance: Callable[[int], None]) -> Showers:
        deaths = len(list(self.folder.glob("died-*")))
        advance(1)
        if shard.number == 2 and deaths < self.times:
            (self.folder / f"died-{deaths}").touch()
            os.write(1, b"G4Exception: the end is near\n")
            os.kill(os.getppid() if self.parent else os.getpid(), self.number)
            time.sleep(10)
        return make(shard)


@dataclass(frozen=True)
class Raises:
    """Raises in shard 1; the others take long."""

    error: Exception

    def __call__(self, shard: Shard, advance: Callable[[int], None]) -> Showers:
        if shard.number == 1:
            raise self.error
        time.sleep(60)
        return make(shard)


@dataclass(frozen=True)
class Chatty:
    """Prints a lot, from Python and from below it, reads stdin, and takes a Ctrl-C."""

    def __call__(self, shard: Shard, advance: Callable[[int], None]) -> Showers:
        print("a Python line", input if shard is None else "")
        os.write(1, b"\x00\xff not a pickle\n" * 20_000)
        os.write(2, b"an error line\n" * 20_000)
        assert os.read(0, 10) == b""
        os.kill(os.getpid(), signal.SIGINT)
        return make(shard)


@dataclass(frozen=True)
class Wrong:
    """Returns something else than it should in shard 1."""

    what: str

    def __call__(self, shard: Shard, advance: Callable[[int], None]) -> Showers:
        showers = make(shard)
        if shard.number != 1:
            return showers
        if self.what == "number":
            return showers[1:]
        if self.what == "calorimeter":
            return make(shard, small_calorimeter(n=4))
        if self.what == "type":
            return "showers"  # type: ignore[return-value]
        source = {"engine": "another"}
        return showers.with_provenance(replace(showers.provenance, source=source))


class OwnError(CaloforgeError):
    """An error class of a user."""
