"""Read everything of a file or a data set and name what is damaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from caloforge.conversion.salvage import Damage, readable
from caloforge.errors import DataError, FormatError, one_line
from caloforge.geometry import Calorimeter
from caloforge.sources import detect, get_source
from caloforge.store.dataset import INDEX, read_index

_BATCH = 200


@dataclass(frozen=True)
class FileCheck:
    """One file: its showers ``first:first + showers`` of the whole, and its damage.

    The numbers in ``damage`` are those of the whole data set.
    """

    path: Path
    first: int
    showers: int
    damage: tuple[Damage, ...]

    @property
    def lost(self) -> int:
        """Showers that cannot be read."""
        return sum(item.stop - item.start for item in self.damage)


def check(
    path: str | Path,
    *,
    from_: str | None = None,
    detector: Calorimeter | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[FileCheck]:
    """Read every shower once; a folder of shards gives one result per shard.

    Args:
        path: a file of any format, or a folder of shards.
        from_: its format; found from the content when None.
        detector: its calorimeter, where the format does not say.
        progress: called with (files done, files in all).

    Raises:
        FormatError: nothing there, an unknown format, or a folder without a readable index.
    """
    path = Path(path)
    sharded = (path / INDEX).exists()
    files: list[tuple[Path, int | None]] = [*read_index(path)] if sharded else [(path, None)]
    results: list[FileCheck] = []
    first = 0
    for number, (file, expected) in enumerate(files):
        result = _check_file(file, expected, from_, detector)
        moved = tuple(Damage(d.start + first, d.stop + first, d.reason) for d in result.damage)
        results.append(replace(result, first=first, damage=moved))
        first += result.showers
        if progress:
            progress(number + 1, len(files))
    return results


def _check_file(
    path: Path, expected: int | None, from_: str | None, detector: Calorimeter | None
) -> FileCheck:
    """One file; when it cannot even be opened, what the index says it held is lost."""
    try:
        source = get_source(from_) if from_ else detect(path)
        with source.open(path, detector) as reader:
            found = len(reader)
            pieces = readable(reader, 0, found, _BATCH)
            damage = [piece for piece in pieces if isinstance(piece, Damage)]
    except DataError as error:
        if expected is None and not path.exists():
            raise
        lost = Damage(0, expected or 0, one_line(error))
        return FileCheck(path, 0, expected or 0, (lost,))
    if expected is not None and found != expected:
        what = FormatError(f"{path}: holds {found} showers, the index says {expected}")
        damage.append(Damage(min(found, expected), max(found, expected), one_line(what)))
    return FileCheck(path, 0, max(found, expected or 0), tuple(damage))
