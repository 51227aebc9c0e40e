"""The contract of an engine: something that turns condition and noise into cell energies."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ModelError
from caloforge.geometry import Calorimeter
from caloforge.sampling import Hits
from caloforge.showers import Incident

NORMAL_INCIDENCE = np.pi / 2


class Engine(Protocol):
    """One way to run a model."""

    name: str
    calorimeter: Calorimeter
    description: dict[str, Any]
    """The content of the model's ``artifact.json``."""
    inputs: dict[str, str]
    """Name and sha256 of what was loaded, for the provenance."""

    def run(
        self, condition: NDArray[np.float32], noise: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(B, C) conditions and (B, latent) noise -> (B, n_cells) MeV."""


@runtime_checkable
class SparseEngine(Protocol):
    """An engine that also gives hits, without an array of all cells in between."""

    def hits(self, condition: NDArray[np.float32], noise: NDArray[np.float32]) -> Hits:
        """(B, C) conditions and (B, latent) noise -> hits in MeV."""


def condition_of(engine: Engine, incident: Incident) -> NDArray[np.float32]:
    """The model's condition columns (n, C); a missing theta means normal incidence.

    Raises:
        ModelError: the model needs a column that the particles do not have, or does not know one of
            the particles.
    """
    columns = []
    for name in engine.description["condition"]:
        if name in incident:
            columns.append(incident[name])
        elif name == "theta":
            columns.append(np.full(len(incident), NORMAL_INCIDENCE))
        else:
            raise ModelError(
                f"this model needs the incident column '{name}', the particles have only "
                f"{', '.join(incident)}; give it on the command line or with --like"
            )
        if name == "pdg":
            _check_particles(engine, incident)
    return np.column_stack(columns).astype(np.float32)


def _check_particles(engine: Engine, incident: Incident) -> None:
    """Refuse particles that the model was not made for, where it says for which."""
    known = engine.description.get("particles", [])
    unknown = np.setdiff1d(incident["pdg"], known)
    if known and len(unknown):
        raise ModelError(
            f"this model knows the particles {', '.join(map(str, known))} (PDG codes), not "
            f"{unknown[0]:.0f}; ask for one of them with --particle, or give them with --like"
        )
