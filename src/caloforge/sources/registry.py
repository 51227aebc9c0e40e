"""All formats, and which one a file has."""

from __future__ import annotations

from pathlib import Path

from caloforge.errors import ConfigError, FormatError
from caloforge.sources.base import Source
from caloforge.sources.calochallenge import CaloChallenge
from caloforge.sources.calogan import CaloGan
from caloforge.sources.edm4hep import Edm4hep
from caloforge.sources.lagan import Lagan
from caloforge.sources.lcd import LcdFixed
from caloforge.sources.lcd_angle import LcdAngle
from caloforge.sources.par04 import Par04
from caloforge.sources.parquet import Parquet
from caloforge.sources.root import Root
from caloforge.sources.showerdata import ShowerData
from caloforge.sources.step2point import Step2point
from caloforge.sources.store import Store
from caloforge.sources.triforce import Triforce
from caloforge.store.damage import damage_errors
from caloforge.store.reader import open_hdf5

_ALL = (
    Store(),
    LcdFixed(),
    LcdAngle(),
    Triforce(),
    CaloGan(),
    Lagan(),
    CaloChallenge(),
    Par04(),
    Edm4hep(),
    Step2point(),
    ShowerData(),
    Root(),
    Parquet(),
)
_SOURCES: dict[str, Source] = {source.name: source for source in _ALL}


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
    """The format of a file or a folder, from its content.

    Raises:
        FormatError: it is missing, unreadable, or holds no known layout.
    """
    for source in _SOURCES.values():
        if source.matches(path):
            return source
    raise FormatError(
        f"{path}: {_what_it_is(path)}; name the format with --from ({', '.join(_SOURCES)})"
    )


def _what_it_is(path: Path) -> str:
    """Why no format matches, as far as it can be said; raises where the file itself is bad."""
    head = b""
    if path.is_file():
        try:
            with path.open("rb") as stream:
                head = stream.read(8)
        except OSError as error:
            raise FormatError(f"{path}: cannot read it ({error}); check its mode") from error
    if head[:4] == b"root":
        return "a ROOT file of unknown layout, or a damaged one"
    if head[:4] == b"PAR1":
        return "a Parquet file of unknown layout, or a damaged one"
    if path.is_dir() and any(path.iterdir()):
        return "a folder without an index.json and without Parquet files"
    with open_hdf5(path) as file, damage_errors(path):
        keys = ", ".join(file) or "nothing"
    return f"unknown layout with data sets {keys}"
