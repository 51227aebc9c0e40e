"""The figures of the report, in its order. Each module has TITLE, CAPTION and draw().

``draw(table, metrics)`` gives a figure, or None where there is nothing to show.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from caloforge.predict.report.figures import (
    angles,
    confusion,
    energy_resolution,
    energy_spread,
    opening_angle,
    roc,
)
from caloforge.predict.table import Table
from caloforge.validate.report.figures import SUFFIXES, Drawn
from caloforge.validate.report.figures.style import house_style

MODULES: tuple[ModuleType, ...] = (
    confusion,
    roc,
    opening_angle,
    energy_resolution,
    energy_spread,
    angles,
)


def draw_all(folder: Path, table: Table, metrics: dict[str, Any]) -> list[Drawn]:
    """Write every figure as PNG and PDF."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for module in MODULES:
        with house_style():
            figure = module.draw(table, metrics)
            if figure is None:
                continue
            name = module.__name__.rpartition(".")[2]
            for ending in SUFFIXES:
                figure.savefig(folder / f"{name}{ending}")
            drawn.append(Drawn(name, module.TITLE, module.CAPTION))
    return drawn
