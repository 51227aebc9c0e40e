"""What the two LCD/3DGAN HDF5 layouts share: dense images ``ECAL`` (N, x, y, depth)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from caloforge.errors import CaloforgeError, FormatError, ShowerError
from caloforge.geometry import Calorimeter
from caloforge.showers import Incident, Provenance, Showers
from caloforge.store.guarded import new_hdf5
from caloforge.store.reader import open_hdf5

IMAGE = "ECAL"
IMPACT = "impact_mm"
OPTIONAL = (IMPACT, "pdgID")
CHUNK = 50

Columns = dict[str, NDArray[Any]]


def holds(path: Path, wanted: set[str], absent: set[str]) -> bool:
    """Whether ``path`` is an HDF5 file with the ``wanted`` data sets and none ``absent``."""
    try:
        with open_hdf5(path) as file:
            return wanted <= set(file) and not absent & set(file)
    except CaloforgeError:
        return False


def grid_of(calorimeter: Calorimeter, path: Path) -> tuple[int, int, int]:
    """(depth, x, y) of a calorimeter whose layers all have the same cells.

    Raises:
        FormatError: the layers differ, so no single image can hold them.
    """
    if calorimeter.grid_shape is None:
        raise FormatError(
            f"{path}: an LCD image needs the same cells in every layer, '{calorimeter.name}' has "
            "different ones; write another format with --to"
        )
    return calorimeter.grid_shape


class LcdReader:
    """Reads ``ECAL`` images: value x ``to_mev`` is MeV; ``columns`` reads the incident table.

    Raises:
        FormatError: a data set is missing or has the wrong shape.
    """

    def __init__(
        self,
        path: Path,
        calorimeter: Calorimeter,
        to_mev: float,
        columns: Callable[[h5py.File, slice], Columns],
        required: tuple[str, ...],
    ) -> None:
        self.path = path
        self.calorimeter = calorimeter
        self._to_mev = to_mev
        self._columns = columns
        depth, n_x, n_y = grid_of(calorimeter, path)
        self._file = open_hdf5(path)
        try:
            self._check((n_x, n_y, depth), required)
            self.provenance = self._read_provenance()
        except BaseException:
            self._file.close()
            raise

    def _check(self, shape: tuple[int, int, int], required: tuple[str, ...]) -> None:
        for name in (IMAGE, *required):
            if not isinstance(self._file.get(name), h5py.Dataset):
                raise FormatError(
                    f"{self.path}: data set '{name}' is missing, only {', '.join(self._file)}; "
                    "choose the right format with --from"
                )
        images = self._file[IMAGE]
        if images.shape[1:] != shape:
            raise FormatError(
                f"{self.path}: '{IMAGE}' has shape {images.shape}, '{self.calorimeter.name}' needs "
                f"(N, {', '.join(map(str, shape))}); choose another --detector"
            )
        for name in (*required, *(name for name in OPTIONAL if name in self._file)):
            if self._file[name].shape[:1] != images.shape[:1]:
                raise FormatError(
                    f"{self.path}: '{name}' has shape {self._file[name].shape} for "
                    f"{len(images)} images in '{IMAGE}'; make the file again"
                )
        if len(images) == 0:
            raise ShowerError(f"{self.path}: '{IMAGE}' holds no showers; give a file with events")

    def _read_provenance(self) -> Provenance:
        source = {key: _plain(value) for key, value in self._file.attrs.items()}
        own = source.pop("provenance", None)
        parents = (Provenance.from_json(own, str(self.path)).to_dict(),) if own else ()
        return Provenance(
            step="read", geometry=self.calorimeter.hash, source=source, parents=parents
        )

    def __len__(self) -> int:
        return len(self._file[IMAGE])

    def __enter__(self) -> LcdReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def batches(self, size: int) -> Iterator[Showers]:
        """Consecutive parts of ``size`` showers."""
        for start in range(0, len(self), size):
            yield self._batch(slice(start, min(start + size, len(self))))

    def _batch(self, rows: slice) -> Showers:
        try:
            images = np.asarray(self._file[IMAGE][rows], dtype=np.float64)
            columns = self._columns(self._file, rows)
        except (OSError, RuntimeError, ValueError) as error:
            raise FormatError(
                f"{self.path}: damaged near shower {rows.start} ({error}); copy or make it again"
            ) from error
        wrong = ~(np.isfinite(images) & (images >= 0))
        if wrong.any():
            shower, *cell = (int(v[0]) for v in np.nonzero(wrong))
            raise ShowerError(
                f"{self.path}: '{IMAGE}' shower {rows.start + shower}, cell {tuple(cell)} holds "
                f"{images[wrong][0]}; energies must be finite and not negative"
            )
        layered = (images * self._to_mev).transpose(0, 3, 1, 2).reshape(len(images), -1)
        try:
            return Showers.from_dense(self.calorimeter, Incident(columns), layered, self.provenance)
        except CaloforgeError as error:
            text = f"{self.path} (showers from {rows.start}): {error}"
            raise type(error)(text) from error


class LcdWriter:
    """Writes ``ECAL`` images of MeV / ``to_mev`` and what ``rows`` makes of the incident table."""

    def __init__(
        self,
        path: Path,
        calorimeter: Calorimeter,
        provenance: Provenance,
        to_mev: float,
        rows: Callable[[Incident], Mapping[str, NDArray[Any]]],
    ) -> None:
        self.path = path
        self._depth, self._n_x, self._n_y = grid_of(calorimeter, path)
        self._calorimeter = calorimeter
        self._provenance = provenance
        self._to_mev = to_mev
        self._rows = rows
        self._context = new_hdf5(path)

    def __enter__(self) -> LcdWriter:
        self._new = self._context.__enter__()
        self._file = self._new.file
        self._file.attrs["provenance"] = self._provenance.to_json()
        for key, value in self._provenance.source.items():
            self._file.attrs[key] = value
        return self

    def append(self, showers: Showers) -> None:
        """Write a batch behind what is there."""
        self._calorimeter.require_same(showers.calorimeter, "a batch of showers")
        dense = showers.dense().astype(np.float64) / self._to_mev
        images = dense.reshape(-1, self._depth, self._n_x, self._n_y).transpose(0, 2, 3, 1)
        content = {IMAGE: images.astype(np.float32), **self._rows(showers.incident)}
        if len(self._file) and set(self._file) != set(content):
            differing = ", ".join(sorted(set(self._file) ^ set(content)))
            raise ShowerError(
                f"{self.path}: only some of the inputs have what '{differing}' needs; "
                "convert them one by one"
            )
        for name, values in content.items():
            self._extend(name, values)
        self._new.check()

    def _extend(self, name: str, values: NDArray[Any]) -> None:
        if name not in self._file:
            chunk = (CHUNK if name == IMAGE else 1024, *values.shape[1:])
            self._file.create_dataset(
                name,
                shape=(0, *values.shape[1:]),
                maxshape=(None, *values.shape[1:]),
                dtype=values.dtype,
                chunks=chunk,
                compression="gzip",
            )
        dataset = self._file[name]
        dataset.resize(len(dataset) + len(values), axis=0)
        dataset[-len(values) :] = values

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._context.__exit__(kind, error, trace)


def _plain(value: Any) -> Any:
    """An HDF5 attribute as a JSON-ready value."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool) else str(value)


def float32_column(values: NDArray[Any]) -> NDArray[np.float32]:
    """A column as the layouts store it."""
    return np.asarray(values, dtype=np.float32)


def impact(file: h5py.File, rows: slice, depth: float) -> Columns:
    """x, y, z of a point on the particle's line, from the optional ``impact_mm`` data set."""
    if IMPACT not in file:
        return {}
    point = np.asarray(file[IMPACT][rows], dtype=np.float64)
    if point.ndim != 2 or point.shape[1] != 2:
        raise ValueError(f"'{IMPACT}' has shape {file[IMPACT].shape}, expected (N, 2)")
    return {"x": point[:, 0], "y": point[:, 1], "z": np.full(len(point), depth)}


def impact_rows(incident: Incident) -> dict[str, NDArray[Any]]:
    """The ``impact_mm`` data set of an incident table that has x and y."""
    if "x" not in incident or "y" not in incident:
        return {}
    return {IMPACT: float32_column(np.column_stack([incident["x"], incident["y"]]))}
