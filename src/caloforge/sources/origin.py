"""Geometry and provenance of files that carry ours as text, or none."""

from __future__ import annotations

from pathlib import Path

from caloforge.errors import FormatError
from caloforge.geometry import Calorimeter
from caloforge.showers import Provenance


def own_geometry(path: Path, given: Calorimeter | None, text: str | None) -> Calorimeter:
    """The calorimeter whose cells the numbers of a file mean: the one that we wrote into it, else
    the given one.

    Raises:
        FormatError: the file says none and none is given.
        GeometryError: the given one is not the file's own.
    """
    if text is None:
        if given is None:
            raise FormatError(f"{path}: says nothing of its calorimeter; name it with --detector")
        return given
    own = Calorimeter.from_yaml(text, f"{path}: geometry")
    if given is not None:
        given.require_same(own, str(path))
    return own


def own_provenance(path: Path, calorimeter: Calorimeter, text: str | None) -> Provenance:
    """The provenance of what is read: our own text becomes its parent."""
    if text is None:
        return Provenance(step="read", geometry=calorimeter.hash)
    own = Provenance.from_json(text, str(path))
    return Provenance(
        step="read", geometry=calorimeter.hash, source=own.source, parents=(own.to_dict(),)
    )
