"""Writing a store file, shower by shower or batch by batch, with bounded memory."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import hdf5plugin
import numpy as np

from caloforge._version import __version__
from caloforge.errors import ShowerError
from caloforge.geometry import Calorimeter
from caloforge.showers import Incident, Provenance, Showers
from caloforge.store import schema
from caloforge.store.attributes import write_text
from caloforge.store.guarded import NewHdf5, new_hdf5, uninterrupted


class StoreWriter:
    """Append showers to a new store file; the file appears when the ``with`` block ends well.

    Raises:
        OutputError: the folder is missing, or the disk is full.
        ShowerError: a batch lacks a column of the first one, or nothing was written.
        GeometryError: a batch belongs to another calorimeter.
    """

    def __init__(self, path: str | Path, calorimeter: Calorimeter, provenance: Provenance) -> None:
        self.path = Path(path)
        self.calorimeter = calorimeter
        self.provenance = provenance
        self._n = 0
        self._hits = 0
        self._new: NewHdf5 | None = None
        self._context = new_hdf5(self.path)

    def __len__(self) -> int:
        return self._n

    def __enter__(self) -> StoreWriter:
        self._new = self._context.__enter__()
        return self

    @property
    def _file(self) -> Any:
        if self._new is None:
            raise ShowerError(f"{self.path}: not open; use 'with StoreWriter(...) as writer'")
        return self._new.file

    def _create(self, name: str, dtype: str, chunk: int) -> None:
        self._file.create_dataset(
            name,
            shape=(0,),
            maxshape=(None,),
            dtype=dtype,
            chunks=(chunk,),
            fletcher32=True,
            **hdf5plugin.Blosc2(cname="lz4hc", clevel=5, filters=hdf5plugin.Blosc2.SHUFFLE),
        )

    def _start(self, incident: Incident) -> None:
        self._create(schema.OFFSET, "u8", schema.ROW_CHUNK)
        self._create(schema.CELL, "u4", schema.HIT_CHUNK)
        self._create(schema.ENERGY, "f4", schema.HIT_CHUNK)
        for name in incident:
            dtype = "i4" if name == "pdg" else "f8"
            self._create(f"{schema.INCIDENT}/{name}", dtype, schema.ROW_CHUNK)
        self._extend(schema.OFFSET, np.zeros(1, np.uint64))

    def _extend(self, name: str, values: np.ndarray) -> None:
        dataset = self._file[name]
        old = dataset.shape[0]
        dataset.resize(old + len(values), axis=0)
        dataset[old:] = values

    def append(self, showers: Showers) -> None:
        """Write a batch behind what is there."""
        self.calorimeter.require_same(showers.calorimeter, "a batch of showers")
        if len(showers):
            with uninterrupted():
                self._append(showers)

    def _append(self, showers: Showers) -> None:
        file = self._file
        if self._n == 0:
            self._start(showers.incident)
        columns = list(file[schema.INCIDENT])
        extra = [name for name in showers.incident if name not in columns]
        if extra:
            raise ShowerError(
                f"{self.path}: only some of the batches have the incident column '{extra[0]}'; "
                "write showers with the same columns"
            )
        for name in columns:
            self._extend(f"{schema.INCIDENT}/{name}", showers.incident[name])
        self._extend(schema.OFFSET, showers.offset[1:] + np.uint64(self._hits))
        self._extend(schema.CELL, showers.cell)
        self._extend(schema.ENERGY, showers.energy)
        assert self._new is not None
        self._new.check()
        self._n += len(showers)
        self._hits += showers.n_hits

    def _finish(self) -> None:
        if self._n == 0:
            raise ShowerError(f"{self.path}: no showers to write; check the selection or the input")
        self._file.attrs["schema"] = schema.SCHEMA
        said = {
            "geometry": self.calorimeter.to_yaml(),
            "provenance": self.provenance.to_json(),
            "caloforge": __version__,
        }
        write_text(self._file, said)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            try:
                self._finish()
            except BaseException as failure:
                self._context.__exit__(type(failure), failure, failure.__traceback__)
                raise
        self._context.__exit__(kind, error, trace)


def write_showers(path: str | Path, showers: Showers) -> Path:
    """Write a whole sample to a store file and return its path.

    Raises:
        OutputError: the folder is missing, or the disk is full.
        ShowerError: the sample is empty.
    """
    with StoreWriter(path, showers.calorimeter, showers.provenance) as writer:
        writer.append(showers)
    return Path(path)
