"""Writes showers with the branch names of a podio file of EDM4hep."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ShowerError
from caloforge.geometry import Calorimeter
from caloforge.showers import COLUMNS, Provenance, Showers
from caloforge.sources.edm4hep.events import ENCODING, EVENTS, GEOMETRY, PROVENANCE
from caloforge.sources.edm4hep.hits import GEV, XYZ
from caloforge.sources.edm4hep.own import HITS, INCIDENT
from caloforge.sources.edm4hep.particles import FINAL
from caloforge.sources.lab import own
from caloforge.sources.lab.aim import placed
from caloforge.sources.lab.hits import Particles
from caloforge.sources.root_files import new_root

PARTICLES = "MCParticles"

Fields = dict[str, NDArray[Any]]


class Edm4hepWriter:
    """A tree ``events``: the hits, the incident particle, and the incident table as it is.

    Raises:
        FormatError: the calorimeter has too many cells for the cellID.
        OutputError: the folder is missing, or the disk is full.
        ShowerError: the batches do not all have the same columns.
    """

    def __init__(self, path: Path, calorimeter: Calorimeter, provenance: Provenance) -> None:
        own.check_fits(calorimeter, path)
        self.path = path
        self.calorimeter = calorimeter
        self.provenance = provenance
        self._context = new_root(path)
        self._tree: Any = None
        self._columns: list[str] = []

    def __enter__(self) -> Edm4hepWriter:
        self._file = self._context.__enter__()
        self._file[GEOMETRY] = self.calorimeter.to_yaml()
        self._file[PROVENANCE] = self.provenance.to_json()
        self._file[HITS + ENCODING] = own.ENCODING
        return self

    def append(self, showers: Showers) -> None:
        """Write a batch behind what is there."""
        self.calorimeter.require_same(showers.calorimeter, "a batch of showers")
        columns = [name for name in COLUMNS if name in showers.incident]
        if self._tree is not None and columns != self._columns:
            differing = ", ".join(sorted(set(columns) ^ set(self._columns)))
            raise ShowerError(
                f"{self.path}: only some of the inputs have the column '{differing}'; "
                "convert them one by one"
            )
        frames, particles = placed(self.calorimeter, showers.incident)
        ids = own.cell_ids(showers)
        energy = own.gev(showers)
        centre = self.calorimeter.cell_positions[showers.cell.astype(np.int64)]
        position = frames.lab(showers.hit_shower, centre).astype(np.float32)
        hits: Fields = {"cellID": ids, "energy": energy}
        hits |= {f"position.{a}": position[:, k] for k, a in enumerate(XYZ)}
        table = own.table(showers, ids, energy)
        content = {
            HITS: _lists(showers.offset, hits),
            PARTICLES: _lists(np.arange(len(showers) + 1), _particle_fields(particles)),
            **{INCIDENT + name: values for name, values in table.items()},
        }
        if self._tree is None:
            self._columns = columns
            self._tree = self._new_tree(content)
        self._tree.extend(content)

    def _new_tree(self, content: dict[str, Any]) -> Any:
        kinds = {
            name: values.dtype if isinstance(values, np.ndarray) else values.type.content
            for name, values in content.items()
        }
        return self._file.mktree(EVENTS, kinds, field_name=_branch)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._context.__exit__(kind, error, trace)


def _branch(collection: str, field: str) -> str:
    """The branch of a field, as podio splits it: ``Collection.field``."""
    return f"{collection}.{field}" if collection else field


def _particle_fields(particles: Particles) -> Fields:
    n = len(particles.mass)
    fields: Fields = {
        "PDG": np.asarray(particles.pdg, dtype=np.int32),
        "generatorStatus": np.full(n, FINAL, dtype=np.int32),
        "mass": particles.mass / GEV,
    }
    for k, a in enumerate(XYZ):
        fields[f"vertex.{a}"] = particles.vertex[:, k]
        fields[f"momentum.{a}"] = particles.momentum[:, k] / GEV
    return fields


def _lists(offset: NDArray[Any], fields: Fields) -> Any:
    """Records in lists, one list per event, as awkward has them."""
    import awkward

    contents = [awkward.contents.NumpyArray(np.ascontiguousarray(v)) for v in fields.values()]
    records = awkward.contents.RecordArray(contents, list(fields))
    index = awkward.index.Index64(np.asarray(offset, dtype=np.int64))
    return awkward.Array(awkward.contents.ListOffsetArray(index, records))
