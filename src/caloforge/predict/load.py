"""A trained predictor, ready to predict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import torch

from caloforge.artifact import load_predictor_artifact
from caloforge.geometry import Calorimeter
from caloforge.models import Predicted
from caloforge.showers import Provenance, Showers

BATCH = 128

Advance = Callable[[int, int], None]


class Source(Protocol):
    """What a shower file, a data set and a sample in memory have in common."""

    @property
    def calorimeter(self) -> Calorimeter:
        """The geometry."""

    @property
    def provenance(self) -> Provenance:
        """Where the showers come from."""

    def __len__(self) -> int: ...

    def batches(self, size: int) -> Iterator[Showers]:
        """Consecutive parts of ``size`` showers."""


class LoadedPredictor:
    """A trained predictor; see :func:`load_predictor`."""

    def __init__(self, path: str | Path, device: str | None = None) -> None:
        artifact = load_predictor_artifact(path)
        self.path = artifact.path
        self.description: dict[str, Any] = artifact.description
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = artifact.model
        if any(True for _ in self.model.parameters()):  # trees stay where they are
            self.model = self.model.to(self.device)

    def __repr__(self) -> str:
        told = ", ".join([*map(str, self.classes), *self.targets])
        return f"LoadedPredictor('{self.model.kind}' for '{self.calorimeter.name}': {told})"

    @property
    def calorimeter(self) -> Calorimeter:
        """The calorimeter whose showers it knows."""
        return self.model.calorimeter

    @property
    def classes(self) -> tuple[int, ...]:
        """PDG codes of the particles that it tells apart."""
        return self.model.classes

    @property
    def targets(self) -> tuple[str, ...]:
        """Incident columns that it predicts."""
        return self.model.targets

    def predict(self, showers: Source, *, batch_size: int = BATCH) -> Predicted:
        """The predictions for all showers of a sample or an open file.

        Raises:
            GeometryError: the showers belong to another calorimeter.
            FormatError: the file is damaged.
        """
        self.calorimeter.require_same(showers.calorimeter, "the sample")
        parts = [self.model.predict(batch) for batch in showers.batches(batch_size)]
        return Predicted.concatenate(parts)


def load_predictor(path: str | Path, device: str | None = None) -> LoadedPredictor:
    """A trained predictor from its artifact folder.

    Args:
        path: the folder.
        device: ``cpu``, ``cuda``; the GPU when there is one and nothing is said.

    Raises:
        ModelError: not an artifact, damaged, or a generator.
    """
    return LoadedPredictor(path, device)
