"""What a reader of hits in the laboratory's frame lets the user choose."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, FiniteFloat, NonNegativeInt, PositiveFloat, field_validator

from caloforge.errors import ConfigError
from caloforge.sources.base import ReadOptions

Axis = Literal["particle", "normal"]

DEPTH = "depth"
"""``layers`` that come from the position."""


class LabOptions(ReadOptions):
    """Choices of the formats with hits in the laboratory's frame (see :mod:`.frame`)."""

    collections: tuple[str, ...] | None = Field(None, min_length=1)
    """Names or patterns (``ECal*``) of the collections to read; all when None."""

    axis: Axis | None = None
    """Depth along the particle or along the calorimeter's normal; when None, along the particle
    for cylindrical layers and along the normal otherwise."""

    front: PositiveFloat | None = None
    """Radius (mm) of the barrel's front face."""

    front_z: FiniteFloat | None = None
    """|z| (mm) of the front faces of the endcaps, or of a plane across the beam."""

    layers: str = DEPTH
    """``depth``, or the cellID field that numbers the layers."""

    first_layer: NonNegativeInt | None = None
    """The value of that field in the first layer; the smallest one found when None."""

    encoding: str | None = None
    """The cellID encoding, where the file does not say it."""

    time_max: PositiveFloat | None = None
    """Deposits later than this (ns) are left out."""

    @field_validator("collections", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


def chosen(options: LabOptions, present: list[str], path: Path) -> list[str]:
    """The collections to read, in the file's order.

    Raises:
        ConfigError: a name or pattern that fits none of them.
    """
    if options.collections is None:
        return present
    for pattern in options.collections:
        if not any(fnmatchcase(name, pattern) for name in present):
            raise ConfigError(
                f"{path}: no collection '{pattern}', only {', '.join(present)}; "
                "choose among them with --option collections=NAME"
            )
    return [n for n in present if any(fnmatchcase(n, p) for p in options.collections)]
