"""All formats, and which one a file has."""

from __future__ import annotations

from pathlib import Path

from caloforge.errors import ConfigError, FormatError
from caloforge.sources.base import Source
from caloforge.sources.lcd import LcdFixed
from caloforge.sources.lcd_angle import LcdAngle
from caloforge.sources.store import Store
from caloforge.store.reader import open_hdf5

_SOURCES: dict[str, Source] = {s.name: s for s in (Store(), LcdFixed(), LcdAngle())}


def source_names() -> list[str]:
    """The words that ``--from`` and ``--to`` take."""
    return list(_SOURCES)


def get_source(name: str) -> Source:
    """A format by its name.

    Raises:
        ConfigError: no such format.
    """
    try:
        return _SOURCES[name]
    except KeyError:
        raise ConfigError(f"unknown format '{name}'; choose one of {', '.join(_SOURCES)}") from None


def detect(path: Path) -> Source:
    """The format of a file, from its content.

    Raises:
        FormatError: the file is missing, not HDF5, or holds no known layout.
    """
    for source in _SOURCES.values():
        if source.matches(path):
            return source
    with open_hdf5(path) as file:
        keys = ", ".join(file) or "nothing"
    raise FormatError(
        f"{path}: unknown layout with data sets {keys}; "
        f"name the format with --from ({', '.join(_SOURCES)})"
    )
