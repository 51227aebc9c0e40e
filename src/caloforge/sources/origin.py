"""Geometry and provenance of files that carry ours as text, or none."""

from __future__ import annotations

from pathlib import Path

from caloforge.errors import FormatError, GeometryError, one_line
from caloforge.geometry import Calorimeter
from caloforge.showers import Provenance


def written_calorimeter(path: Path, geometry: str, provenance: str | None) -> Calorimeter:
    """The calorimeter that we wrote into a file as YAML.

    Raises:
        FormatError: it cannot be read, or is not the one that the file's provenance names.
    """
    try:
        calorimeter = Calorimeter.from_yaml(geometry, f"{path}: geometry")
    except GeometryError as error:
        raise FormatError(one_line(error)) from error
    named = Provenance.from_json(provenance, str(path)).geometry if provenance else ""
    if named and named != calorimeter.hash:
        raise FormatError(
            f"{path}: holds calorimeter {calorimeter.hash}, written was {named}; "
            "copy or make the file again"
        )
    return calorimeter


def own_geometry(
    path: Path, given: Calorimeter | None, text: str | None, provenance: str | None
) -> Calorimeter:
    """The calorimeter whose cells the numbers of a file mean: the one that we wrote into it, else
    the given one.

    Raises:
        FormatError: the file says none and none is given, or what it says is damaged.
        GeometryError: the given one is not the file's own.
    """
    if text is None:
        if given is None:
            raise FormatError(f"{path}: says nothing of its calorimeter; name it with --detector")
        return given
    own = written_calorimeter(path, text, provenance)
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
