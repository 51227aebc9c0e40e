"""The inputs of a conversion: which files, which formats, how many showers, one geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from caloforge.conversion.job import InputFile
from caloforge.errors import ConfigError, DataError, ShowerError, one_line
from caloforge.geometry import Calorimeter
from caloforge.showers import Provenance
from caloforge.sources import ReadOptions, Source, detect, get_source
from caloforge.store.dataset import INDEX, read_index


@dataclass(frozen=True)
class Inputs:
    """All input files, in order; ``lost`` showers are in files that cannot be opened at all."""

    files: tuple[InputFile, ...]
    calorimeter: Calorimeter
    first: Provenance
    options: ReadOptions | None
    lost: int
    damage: tuple[str, ...]

    @property
    def showers(self) -> int:
        """Showers in all files that can be opened."""
        return sum(file.showers for file in self.files)


def look_at(
    paths: Sequence[Path],
    from_: str | None,
    detector: Calorimeter | None,
    options: dict[str, Any],
    salvage: bool,
) -> Inputs:
    """Open every input once.

    Raises:
        ShowerError: no inputs, or nothing that can be read.
        FormatError, GeometryError, ConfigError: see :func:`caloforge.conversion.convert`.
    """
    if not paths:
        raise ShowerError("no input files to convert; name at least one")
    files: list[InputFile] = []
    damage: list[str] = []
    lost = 0
    calorimeter: Calorimeter | None = None
    first: Provenance | None = None
    chosen: ReadOptions | None = None
    for path, known in _expanded(paths, salvage):
        try:
            source = get_source(from_) if from_ else detect(path)
            chosen = _options(source, options)
            with source.open(path, detector, chosen) as reader:
                calorimeter, first = calorimeter or reader.calorimeter, first or reader.provenance
                calorimeter.require_same(reader.calorimeter, str(path))
                number = files[-1].first + files[-1].showers if files else 0
                files.append(InputFile(path, source.name, number, len(reader)))
        except DataError as error:
            if not salvage:
                raise
            lost += known or 0
            damage.append(one_line(error))
    if calorimeter is None or first is None:
        raise ShowerError(f"{paths[0]}: nothing can be read; {damage[0]}")
    return Inputs(tuple(files), calorimeter, first, chosen, lost, tuple(damage))


def _expanded(paths: Sequence[Path], salvage: bool) -> list[tuple[Path, int | None]]:
    """The inputs; a folder of shards is taken shard by shard when some may be damaged."""
    result: list[tuple[Path, int | None]] = []
    for path in paths:
        if salvage and (path / INDEX).exists():
            result += read_index(path)
        else:
            result.append((path, None))
    return result


def _options(source: Source, options: dict[str, Any]) -> ReadOptions | None:
    """The options as the format understands them.

    Raises:
        ConfigError: the format has no such option, or not with this value.
    """
    if not options:
        return None
    known = list(source.options_class.model_fields)
    try:
        return source.options_class.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "--option"
        raise ConfigError(
            f"--option {key}: {first['msg']}; format '{source.name}' knows "
            f"{', '.join(known) or 'no options'}"
        ) from error
