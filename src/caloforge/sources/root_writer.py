"""Appends batches to the trees of a new ROOT file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from caloforge.errors import ShowerError
from caloforge.geometry import Calorimeter
from caloforge.showers import Provenance, Showers
from caloforge.sources.root_files import GEOMETRY, PROVENANCE, new_root

Branches = Mapping[str, Any]


class RootWriter(ABC):
    """Writes batches; a subclass says what a batch adds to every branch of every tree.

    Raises:
        OutputError: the folder is missing, or the disk is full.
        ShowerError: the batches do not all have the same branches.
    """

    def __init__(self, path: Path, calorimeter: Calorimeter, provenance: Provenance) -> None:
        self.path = path
        self.calorimeter = calorimeter
        self.provenance = provenance
        self._context = new_root(path)
        self._trees: dict[str, tuple[Any, set[str]]] = {}

    @abstractmethod
    def content(self, showers: Showers) -> Mapping[str, Branches]:
        """Branches (numpy, or awkward for lists) by tree, one entry per shower."""

    def __enter__(self) -> RootWriter:
        self._file = self._context.__enter__()
        try:
            self._file[PROVENANCE] = self.provenance.to_json()
            self._file[GEOMETRY] = self.calorimeter.to_yaml()
        except BaseException as error:
            self._context.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def append(self, showers: Showers) -> None:
        """Write a batch behind what is there."""
        self.calorimeter.require_same(showers.calorimeter, "a batch of showers")
        if not len(showers):
            return
        for name, branches in self.content(showers).items():
            if name not in self._trees:
                types = {key: _type(values) for key, values in branches.items()}
                self._trees[name] = self._file.mktree(name, types), set(branches)
            tree, known = self._trees[name]
            if set(branches) != known:
                raise ShowerError(
                    f"{self.path}: only some of the inputs have what "
                    f"'{', '.join(sorted(known ^ set(branches)))}' needs; convert them one by one"
                )
            tree.extend(dict(branches))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._context.__exit__(kind, error, trace)


def _type(values: Any) -> Any:
    return values.dtype if isinstance(values, np.ndarray) else values.type.content
