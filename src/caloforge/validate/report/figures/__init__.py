"""The figures of the report, in its order. Each module has TITLE, CAPTION and draw()."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from matplotlib.figure import Figure

from caloforge.validate.comparison import Comparison
from caloforge.validate.report.figures import (
    energy_response,
    etot,
    events,
    hits_by_energy,
    images,
    lateral,
    layer_energies,
    longitudinal,
    neighbours,
    overview,
    profile_by_energy,
    response_by_energy,
    spectrum,
    widths,
)
from caloforge.validate.report.figures.style import house_style

SUFFIXES = (".png", ".pdf")
TOGETHER: tuple[ModuleType, ...] = (
    overview,
    etot,
    energy_response,
    longitudinal,
    lateral,
    spectrum,
    layer_energies,
    widths,
    response_by_energy,
    hits_by_energy,
    profile_by_energy,
)
"""All samples in one figure."""

APART: tuple[ModuleType, ...] = (images, events, neighbours)
"""A figure per generated sample."""


@dataclass(frozen=True)
class Drawn:
    """A figure on disk: ``name`` of its files without the suffix."""

    name: str
    title: str
    caption: str


def draw_all(folder: Path, comparison: Comparison) -> list[Drawn]:
    """Write every figure as PNG and PDF."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for module in TOGETHER:
        with house_style():
            drawn.append(_save(folder, module, module.draw(comparison), "", ""))
    for module in APART:
        for number, judged in enumerate(comparison.judged):
            if module is neighbours and not (judged.near and len(judged.near.distance)):
                continue
            several = len(comparison.judged) > 1
            suffix, of = (f"-{number + 1}", f": {judged.name}") if several else ("", "")
            with house_style():
                figure = module.draw(comparison, judged)
                drawn.append(_save(folder, module, figure, suffix, of))
    return drawn


def _save(folder: Path, module: ModuleType, figure: Figure, suffix: str, of: str) -> Drawn:
    name = module.__name__.rpartition(".")[2] + suffix
    for ending in SUFFIXES:
        figure.savefig(folder / f"{name}{ending}")
    return Drawn(name, module.TITLE + of, module.CAPTION)
