"""The best recipes as YAML files that ``caloforge train`` takes."""

from __future__ import annotations

from pathlib import Path

import yaml

from caloforge.atomic import atomic_file
from caloforge.tune.report.words import figures
from caloforge.tune.results import Results


def recipe_name(results: Results, number: int) -> str:
    """The file of a trial's recipe."""
    return f"best-{number:04d}.yaml" if results.several else "best.yaml"


def write_recipes(folder: Path, results: Results) -> list[Path]:
    """Write the recipe of every best trial; those of an earlier report are removed."""
    written = []
    for number in results.best:
        path = folder / recipe_name(results, number)
        text = yaml.safe_dump(results.recipes[number].to_dict(), sort_keys=False)
        with atomic_file(path) as partial:
            partial.write_text(_comment(results, number) + text, encoding="utf-8")
        written.append(path)
    for path in folder.glob("best*.yaml"):
        if path not in written:
            path.unlink()
    return written


def _comment(results: Results, number: int) -> str:
    row = results.row(number)
    lines = [
        f"Found by caloforge tune from recipe {results.recipe_name}: trial {number} of "
        f"{len(results.trials)}.",
        f"On {results.data['validation']['showers']} validation showers: {figures(results, row)}.",
    ]
    if results.default is not None and not row.default:
        lines.append(f"The recipe as it is: {figures(results, results.default)}.")
    lines += [f"Trials trained for at most {limit}." for limit in _limits(results)]
    return "".join(f"# {' '.join(line.split())}\n" for line in lines)


def _limits(results: Results) -> list[str]:
    steps, minutes = results.settings.get("max_steps"), results.settings.get("max_minutes")
    return [
        *([f"{steps} steps"] if steps is not None else []),
        *([f"{minutes:g} minutes"] if minutes is not None else []),
    ]
