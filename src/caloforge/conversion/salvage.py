"""Reading what is left of a damaged file, and naming what is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from caloforge.errors import DataError, one_line
from caloforge.showers import Showers
from caloforge.sources import SourceReader


@dataclass(frozen=True)
class Damage:
    """Showers ``start:stop`` of a file cannot be read, and why."""

    start: int
    stop: int
    reason: str

    def __str__(self) -> str:
        one = self.stop == self.start + 1
        where = f"shower {self.start}" if one else f"showers {self.start} to {self.stop - 1}"
        return f"{where}: {self.reason}"


def readable(
    reader: SourceReader, start: int, stop: int, size: int
) -> Iterator[tuple[int, Showers] | Damage]:
    """What can be read of the showers ``start:stop`` in parts of at most ``size``, and the damage.

    A part that fails is halved until the bad showers are alone. Neighbouring ones are one damage.
    """
    pending: Damage | None = None
    for first in range(start, stop, size):
        for piece in _pieces(reader, first, min(first + size, stop)):
            if isinstance(piece, Damage):
                if pending is not None and pending.stop == piece.start:
                    piece = Damage(pending.start, piece.stop, pending.reason)
                elif pending is not None:
                    yield pending
                pending = piece
                continue
            if pending is not None:
                yield pending
                pending = None
            yield piece
    if pending is not None:
        yield pending


def _pieces(reader: SourceReader, start: int, stop: int) -> Iterator[tuple[int, Showers] | Damage]:
    try:
        (showers,) = reader.batches(stop - start, start, stop)
    except DataError as error:
        if stop == start + 1:
            yield Damage(start, stop, one_line(error))
            return
        middle = (start + stop) // 2
        yield from _pieces(reader, start, middle)
        yield from _pieces(reader, middle, stop)
    else:
        yield start, showers
