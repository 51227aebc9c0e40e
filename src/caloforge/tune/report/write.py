"""Write everything that a study leaves: page, figures, numbers, recipes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caloforge.atomic import atomic_file, atomic_folder, output_error
from caloforge.tune.report.figures import draw_study
from caloforge.tune.report.page import render
from caloforge.tune.report.recipes import write_recipes
from caloforge.tune.report.words import counts, headline
from caloforge.tune.results import Results, TrialRow

NUMBERS = "tune.json"
PAGE = "index.html"
FIGURES = "figures"


@dataclass(frozen=True)
class Tuning:
    """A study: its folder, the recipe files of the best trials, and the models that were kept."""

    path: Path
    results: Results
    recipes: list[Path]
    models: list[Path]

    @property
    def best(self) -> list[TrialRow]:
        """The best trial, or the Pareto front by its first objective."""
        return [self.results.row(number) for number in self.results.best]

    @property
    def summary(self) -> str:
        """The outcome in a line."""
        said = headline(self.results)
        return said if self.results.several else f"{counts(self.results)}. {said}"

    def to_dict(self) -> dict[str, Any]:
        """``tune.json`` and where the files are."""
        return {
            "path": str(self.path),
            "recipes": [str(path) for path in self.recipes],
            "models": [str(path) for path in self.models],
            **self.results.to_dict(),
        }


def write_tuning(folder: Path, results: Results, models: Path) -> Tuning:
    """Write the report into the folder of the study, over an earlier one.

    Args:
        folder: of the study.
        results: what it found.
        models: where the trials' models are.

    Raises:
        OutputError: it cannot be written.
    """
    names = [f"{name}{ending}" for name in _NAMES for ending in (".png", ".pdf")]
    try:
        with atomic_folder(folder / FIGURES, replaces=names) as figures:
            drawn = draw_study(figures, results)
        recipes = write_recipes(folder, results)
        with atomic_file(folder / NUMBERS) as partial:
            text = json.dumps(results.to_dict(), indent=1, allow_nan=False)
            partial.write_text(text + "\n", encoding="utf-8")
        with atomic_file(folder / PAGE) as partial:
            page = render(folder / FIGURES, results, drawn)
            partial.write_text(page, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise output_error(folder, error) from error
    kept = [models / results.row(number).folder for number in results.best]
    return Tuning(folder, results, recipes, [path for path in kept if path.is_dir()])


_NAMES = ("front", "history", "importances", "slices")
