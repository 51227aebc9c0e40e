"""What a model may know of the incident particle."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator

Column = Literal["energy", "theta", "phi", "x", "y", "z"]

Names = TypeVar("Names", bound=tuple[str, ...])


def energy_first(value: Names) -> Names:
    """Check the columns of a condition: the energy first, each one once.

    Raises:
        ValueError: they are not.
    """
    if value[:1] != ("energy",) or len(set(value)) != len(value):
        raise ValueError("the condition begins with energy and names every column once")
    return value


Columns = Annotated[tuple[Column, ...], AfterValidator(energy_first)]
"""Columns of the incident particle, see :func:`energy_first`."""
