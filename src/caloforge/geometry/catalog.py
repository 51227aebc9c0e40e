"""The calorimeters that come with Caloforge (``caloforge/detectors/*.yaml``)."""

from __future__ import annotations

from functools import cache, reduce
from importlib.resources import files
from pathlib import Path

from caloforge.errors import GeometryError
from caloforge.geometry.binning import read_binning, same_cells
from caloforge.geometry.calorimeter import Calorimeter
from caloforge.geometry.join import behind


def detector_names() -> list[str]:
    """Names of the calorimeters that come with Caloforge."""
    folder = files("caloforge") / "detectors"
    names = (entry.name for entry in folder.iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


@cache
def _shipped(name: str) -> Calorimeter:
    text = (files("caloforge") / "detectors" / f"{name}.yaml").read_text(encoding="utf-8")
    return Calorimeter.from_yaml(text, origin=f"detector {name}")


def load_detector(name_or_file: str | Path) -> Calorimeter:
    """A calorimeter by its shipped name, from a file, or ``front+back`` of two of them.

    A file is our YAML, or a CaloChallenge binning ``FILE.xml`` (``FILE.xml#pion`` where it holds
    several particles); a binning with the cells of a shipped calorimeter gives that one, as the
    binning knows neither depths nor materials.

    Raises:
        GeometryError: neither a shipped name nor a readable file.
    """
    text = str(name_or_file)
    if "+" in text and not Path(text).exists():
        if not all(part.strip() for part in text.split("+")):
            raise GeometryError(f"detector '{text}': name two calorimeters, as in front+back")
        return reduce(behind, [load_detector(part.strip()) for part in text.split("+")])
    if text in detector_names():
        return _shipped(text)
    file, _, particle = (text, "", "") if Path(text).exists() else text.partition("#")
    if file.lower().endswith(".xml"):
        return _from_binning(Path(file), particle or None)
    if text.endswith((".yaml", ".yml")) or Path(text).exists():
        return Calorimeter.from_file(text)
    raise GeometryError(
        f"unknown detector '{text}'; choose one of {', '.join(detector_names())}, "
        "or give a YAML file or a CaloChallenge binning XML file"
    )


def _from_binning(path: Path, particle: str | None) -> Calorimeter:
    calorimeter = read_binning(path, particle)
    for name in detector_names():
        if same_cells(_shipped(name), calorimeter):
            return _shipped(name)
    return calorimeter
