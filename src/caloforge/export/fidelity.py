"""What a smaller graph costs in physics: both against the same Geant4 showers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caloforge.errors import ModelError
from caloforge.runtime import Engine, shower_batches
from caloforge.showers import Showers, file_digest
from caloforge.store import open_showers
from caloforge.validate import validate

ALLOWED = 0.1
"""Largest allowed growth of the mean separation power, as a share of it."""


@dataclass(frozen=True)
class Fidelity:
    """Mean separation power from the reference, of the full graph and of the smaller one."""

    reference: str
    showers: int
    full: float
    smaller: float

    @property
    def loss(self) -> float:
        """Growth of the mean separation power, as a share of it."""
        return self.smaller / self.full - 1.0

    def to_dict(self) -> dict[str, Any]:
        """For the metadata."""
        return {
            "reference_sha256": self.reference,
            "showers": self.showers,
            "mean_separation": {"full": self.full, "smaller": self.smaller},
            "loss": self.loss,
        }


def measure(full: Engine, smaller: Engine, reference: Path, seed: int = 0) -> Fidelity:
    """Generate like the reference with both, from the same noise, and compare each with it.

    Raises:
        FormatError, GeometryError: the reference is not readable, or of another calorimeter.
    """
    with open_showers(reference) as reader:
        full.calorimeter.require_same(reader.calorimeter, f"{reference}")
        count = len(reader)
    found = [_separation(engine, reference, seed) for engine in (full, smaller)]
    return Fidelity(file_digest(reference), count, *found)


def _separation(engine: Engine, reference: Path, seed: int) -> float:
    """Mean over all separation powers of the validation suite."""
    with open_showers(reference) as reader:
        incident = reader.read().incident
    generated = Showers.concatenate(list(shower_batches(engine, incident, seed=seed)))
    metrics = validate(reference, generated, seed=seed, quick=True, classifiers=False).metrics
    return float(np.mean([value for value in metrics["separation"].values() if value is not None]))


def require_fidelity(found: Fidelity, allowed: float, what: str) -> None:
    """Raise ModelError if the smaller graph is too far from the reference.

    Raises:
        ModelError: says by how much.
    """
    if not found.loss <= allowed:
        raise ModelError(
            f"{what}: the mean separation power from {found.showers} reference showers grows from "
            f"{found.full:.4g} to {found.smaller:.4g}, by {100 * found.loss:.3g} % (allowed "
            f"{100 * allowed:.3g} %); use a higher --precision, or allow more with --max-loss"
        )
