"""Cell numbers in bits: the encodings of DD4hep, such as ``system:8,layer:6,x:32:-16,y:-16``.

A field is ``name:width`` (right behind the one before it) or ``name:offset:width``; a negative
width makes it signed (two's complement).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from caloforge.errors import FormatError, ShowerError

BITS = 64


@dataclass(frozen=True)
class Field:
    """One field: ``width`` bits from ``offset`` on."""

    name: str
    offset: int
    width: int
    signed: bool

    @property
    def limits(self) -> tuple[int, int]:
        """The smallest and the largest value."""
        if self.signed:
            return -(1 << (self.width - 1)), (1 << (self.width - 1)) - 1
        return 0, (1 << self.width) - 1

    def decode(self, cell_id: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The field's values."""
        up = np.uint64(BITS - self.offset - self.width)
        left = cell_id << up
        down = BITS - self.width
        if self.signed:
            return left.view(np.int64) >> np.int64(down)
        return (left >> np.uint64(down)).view(np.int64)


@dataclass(frozen=True)
class CellId:
    """An encoding: its fields in the order of the text."""

    fields: tuple[Field, ...]

    @classmethod
    def parse(cls, text: str, origin: str = "cellID encoding") -> CellId:
        """Read an encoding; ``origin`` names it in errors.

        Raises:
            FormatError: not of this form, or fields overlap or exceed 64 bits.
        """
        fields: list[Field] = []
        offset = 0
        for word in text.split(","):
            field = _field(word.strip(), offset, f"{origin} '{text}'")
            fields.append(field)
            offset = field.offset + field.width
        _check(fields, f"{origin} '{text}'")
        return cls(tuple(fields))

    def names(self) -> list[str]:
        """The fields' names."""
        return [field.name for field in self.fields]

    def decode(self, cell_id: ArrayLike, name: str) -> NDArray[np.int64]:
        """The values of one field.

        Raises:
            FormatError: there is no such field.
        """
        ids = np.ascontiguousarray(cell_id, dtype=np.uint64)
        for field in self.fields:
            if field.name == name:
                return field.decode(ids)
        raise FormatError(
            f"cellID has no field '{name}', only {', '.join(self.names())}; choose one of them"
        )

    def encode(self, values: Mapping[str, ArrayLike]) -> NDArray[np.uint64]:
        """Cell numbers from fields; those left out are 0.

        Raises:
            ShowerError: a value that does not fit into its field.
        """
        arrays = {name: np.asarray(value, dtype=np.int64) for name, value in values.items()}
        ids = np.zeros(np.broadcast_shapes(*(a.shape for a in arrays.values())), dtype=np.uint64)
        for field in self.fields:
            if field.name not in arrays:
                continue
            value = arrays[field.name]
            low, high = field.limits
            if value.size and (int(value.min()) < low or int(value.max()) > high):
                raise ShowerError(
                    f"cellID field '{field.name}' holds {low} to {high}, not "
                    f"{value.min()} to {value.max()}; use another format"
                )
            bits = value.astype(np.uint64) & np.uint64((1 << field.width) - 1)
            ids = ids | (bits << np.uint64(field.offset))
        return ids


def _field(word: str, next_offset: int, what: str) -> Field:
    name, *numbers = (part.strip() for part in word.split(":"))
    try:
        values = [int(number) for number in numbers]
    except ValueError:
        values = []
    if not name or len(values) not in (1, 2):
        raise FormatError(
            f"{what}: '{word}' is neither name:width nor name:offset:width; correct it"
        )
    offset = values[0] if len(values) == 2 else next_offset
    width = values[-1]
    if width == 0 or offset < 0 or offset + abs(width) > BITS:
        raise FormatError(f"{what}: '{word}' does not lie within {BITS} bits; correct it")
    return Field(name, offset, abs(width), width < 0)


def _check(fields: list[Field], what: str) -> None:
    taken = 0
    seen: set[str] = set()
    for field in fields:
        if field.name in seen:
            raise FormatError(f"{what}: field '{field.name}' appears twice; correct it")
        bits = ((1 << field.width) - 1) << field.offset
        if bits & taken:
            raise FormatError(f"{what}: field '{field.name}' overlaps another one; correct it")
        taken |= bits
        seen.add(field.name)
