"""The data sets of a step2point file, read in parts of whole events."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from caloforge.errors import FormatError, ShowerError
from caloforge.sources.hdf5 import require
from caloforge.sources.lab.hits import Particles, Whole
from caloforge.sources.lab.masses import MASSES, masses
from caloforge.store.attributes import require_sound_heaps

GEV = 1000.0
NAMES = "metadata/subdetector_names"
PRIMARY = ("primary/event_id", "primary/momentum", "primary/pdg", "primary/vertex")
STEPS = (
    "steps/cell_id",
    "steps/energy",
    "steps/event_id",
    "steps/pdg",
    "steps/position",
    "steps/subdetector",
    "steps/time",
)
_VECTORS = ("primary/momentum", "primary/vertex", "steps/position")
_WHOLE = ("primary/event_id", "primary/pdg", STEPS[0], "steps/event_id", "steps/subdetector")
_BLOCK = 1 << 20


def check_layout(file: h5py.File, path: Path) -> None:
    """Refuse a file whose data sets are missing or do not fit together.

    Raises:
        FormatError: naming the data set.
        ShowerError: no events.
    """
    require(file, path, (*PRIMARY, *STEPS))
    for names in (PRIMARY, STEPS):
        rows = len(file[names[0]]) if file[names[0]].ndim else 0
        for name in names:
            shape = (rows, 3) if name in _VECTORS else (rows,)
            if file[name].shape != shape:
                raise FormatError(
                    f"{path}: '{name}' has shape {file[name].shape}, '{names[0]}' asks for "
                    f"{shape}; make the file again"
                )
    for name in _WHOLE:
        if file[name].dtype.kind not in "iu":
            raise FormatError(f"{path}: '{name}' holds {file[name].dtype}, not whole numbers")
    if len(file[PRIMARY[0]]) == 0:
        raise ShowerError(f"{path}: '{PRIMARY[0]}' holds no events; give a file with events")


def subdetectors(file: h5py.File, path: Path) -> list[str]:
    """The names of the subdetectors, by their number.

    Raises:
        FormatError: they are missing or not text.
    """
    names = file.get(NAMES)
    if not isinstance(names, h5py.Dataset) or names.ndim != 1 or names.dtype.kind not in "SO":
        raise FormatError(f"{path}: '{NAMES}' is not a list of names; make the file again")
    if names.dtype.kind == "O":
        require_sound_heaps(path)
    return [n.decode("utf-8", "replace") if isinstance(n, bytes) else str(n) for n in names[:]]


def event_bounds(file: h5py.File, path: Path) -> Whole:
    """First step of every event of ``primary``, then the number of steps: (events + 1,).

    Raises:
        FormatError: the steps are not sorted like the events, or belong to none.
    """
    events = np.asarray(file["primary/event_id"][:], dtype=np.int64)
    if np.any(np.diff(events) <= 0):
        raise FormatError(f"{path}: 'primary/event_id' must increase; sort the file by event")
    steps = file["steps/event_id"]
    counts = np.zeros(len(events), dtype=np.int64)
    last = 0
    for start in range(0, len(steps), _BLOCK):
        numbers = np.asarray(steps[start : start + _BLOCK], dtype=np.int64)
        row = np.searchsorted(events, numbers)
        if np.any(row == len(events)) or np.any(
            events[np.minimum(row, len(events) - 1)] != numbers
        ):
            raise FormatError(
                f"{path}: 'steps/event_id' names an event that 'primary/event_id' does not have; "
                "make the file again"
            )
        if row[0] < last or np.any(np.diff(row) < 0):
            raise FormatError(f"{path}: 'steps/event_id' must not fall; sort the steps by event")
        last = int(row[-1])
        counts += np.bincount(row, minlength=len(events))
    return np.concatenate([[0], np.cumsum(counts)])


def read_primaries(file: h5py.File, start: int, stop: int) -> tuple[Particles, NDArray[np.bool_]]:
    """The incident particles of the events ``start:stop``, and whose mass is not known (0 then)."""
    rows = slice(start, stop)
    pdg = np.asarray(file["primary/pdg"][rows], dtype=np.int64)
    momentum = np.asarray(file["primary/momentum"][rows], dtype=np.float64) * GEV
    vertex = np.asarray(file["primary/vertex"][rows], dtype=np.float64)
    unknown = ~np.isin(np.abs(pdg), list(MASSES))
    return Particles(vertex, momentum, masses(pdg), pdg), unknown
