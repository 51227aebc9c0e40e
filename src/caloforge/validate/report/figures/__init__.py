"""The figures of the report, in its order. Each module has TITLE, CAPTION and draw()."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from caloforge.validate.comparison import Comparison
from caloforge.validate.report.figures import (
    energy_response,
    etot,
    events,
    images,
    lateral,
    layer_energies,
    longitudinal,
    neighbours,
    spectrum,
    widths,
)
from caloforge.validate.report.figures.style import house_style

SUFFIXES = (".png", ".pdf")
ORDER: tuple[ModuleType, ...] = (
    etot,
    energy_response,
    longitudinal,
    lateral,
    spectrum,
    layer_energies,
    widths,
    images,
    events,
    neighbours,
)


def draw_all(folder: Path, comparison: Comparison) -> list[tuple[str, str, str]]:
    """Write every figure as PNG and PDF; returns (name, title, caption) of each."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for module in ORDER:
        if module is neighbours and not (
            comparison.near_generated and len(comparison.near_generated.distance)
        ):
            continue
        name = module.__name__.rpartition(".")[2]
        with house_style():
            figure = module.draw(comparison)
            for suffix in SUFFIXES:
                figure.savefig(folder / f"{name}{suffix}")
        drawn.append((name, module.TITLE, module.CAPTION))
    return drawn
