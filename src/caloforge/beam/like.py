"""The incident particles of another file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from caloforge.showers import Incident
from caloforge.store import open_showers

KINEMATIC = ("energy", "pdg", "theta", "phi")
"""The columns that say which particle it is; the others say where it enters."""

IMPACT = ("x", "y", "z")
"""The columns that say where it enters."""


def like(path: str | Path, n: int | None, condition: Sequence[str]) -> Incident:
    """The incident particles of another file: energies, angles, particle codes.

    Impact points are copied only when the model is conditioned on them: a model that does not
    know them places its showers by itself.

    Args:
        path: a store file.
        n: how many; all of them when None, from the start again when there are not enough.
        condition: the model's condition columns.
    """
    with open_showers(path) as reader:
        incident = reader.incident()
    kept = {name: incident[name] for name in incident if name in KINEMATIC or name in condition}
    if n is None:
        return Incident(kept)
    return Incident(kept).take(np.arange(n) % len(incident))
