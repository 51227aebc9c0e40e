"""What runs on the workers of a dask cluster.

The job itself runs in worker processes under the dask worker, one job per process: a simulator
like Geant4 can be set up only once in a process, and its death must not be the dask worker's.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from caloforge._version import __version__
from caloforge.errors import SimulationError
from caloforge.showers import Showers
from caloforge.tasks.plan import Shard
from caloforge.tasks.station import Station, Stopped

IDLE_SECONDS = 60.0
"""A process without work ends after this time, should its client have died."""


def begin_run(run: str, packed: bytes) -> None:
    """Get to know a run and its job."""
    _POOL.begin(run, packed)


def make_shard(run: str, shard: Shard, version: str) -> Showers:
    """The dask task: the showers of one shard.

    Args:
        run: token of the run, see :func:`begin_run`.
        shard: what to make.
        version: caloforge of the client.

    Raises:
        SimulationError: another version here, the run has ended, or the process died too often.
        CaloforgeError: the job raised it.
    """
    if version != __version__:
        raise SimulationError(
            f"a dask worker has caloforge {__version__}, you have {version}; "
            "install the same version everywhere"
        )
    try:
        with _POOL.borrow(run) as station:
            return station.call(shard, lambda _: None)
    except Stopped:
        raise SimulationError(f"{shard}: the run has ended; start it again") from None


def end_run(run: str) -> None:
    """Kill the processes that work for a run, or did last, and forget it."""
    _POOL.end(run)


@dataclass(eq=False)
class _Place:
    """A station, the digest of its job, and the run that it works (or last worked) for."""

    station: Station
    digest: str
    run: str
    expiry: threading.Timer | None = None


class _Pool:
    """The stations of this dask worker: as many as it has threads, all for the latest job."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, bytes] = {}
        self._idle: list[_Place] = []
        self._busy: list[_Place] = []

    def begin(self, run: str, packed: bytes) -> None:
        """Get to know a run."""
        with self._lock:
            self._jobs[run] = packed

    @contextmanager
    def borrow(self, run: str) -> Iterator[Station]:
        """A station for the job of a run; idle ones of other jobs are closed.

        Raises:
            Stopped: the run is not known any more.
        """
        place = self._take(run)
        try:
            yield place.station
        finally:
            self._give_back(place)

    def _take(self, run: str) -> _Place:
        with self._lock:
            if run not in self._jobs:
                raise Stopped
            packed = self._jobs[run]
            digest = hashlib.sha256(packed).hexdigest()
            self._close([place for place in self._idle if place.digest != digest])
            place = self._idle.pop() if self._idle else _Place(Station(packed), digest, run)
            if place.expiry is not None:
                place.expiry.cancel()
            place.run = run
            self._busy.append(place)
            return place

    def _give_back(self, place: _Place) -> None:
        with self._lock:
            self._busy.remove(place)
            self._idle.append(place)
            if place.run not in self._jobs:
                self._close([place])
                return
            place.expiry = threading.Timer(IDLE_SECONDS, self._expire, (place,))
            place.expiry.daemon = True
            place.expiry.start()

    def _expire(self, place: _Place) -> None:
        with self._lock:  # a timer that was cancelled too late finds its place taken
            if place in self._idle and place.expiry is threading.current_thread():
                self._close([place])

    def end(self, run: str) -> None:
        """Stop the busy stations of a run and close its idle ones."""
        with self._lock:
            self._jobs.pop(run, None)
            for place in self._busy:
                if place.run == run:
                    place.station.stop()
            self._close([place for place in self._idle if place.run == run])

    def _close(self, places: list[_Place]) -> None:
        for place in places:
            self._idle.remove(place)
            place.station.close()


_POOL = _Pool()
