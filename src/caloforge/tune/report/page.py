"""The page of a study: one self-contained HTML file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from caloforge._version import __version__
from caloforge.tune.report.recipes import recipe_name
from caloforge.tune.report.words import counts, gain, headline, number, setting
from caloforge.tune.results import Results, TrialRow
from caloforge.validate.report.figures import Drawn
from caloforge.validate.report.html import data_uri, page_style


def render(figures: Path, results: Results, drawn: Sequence[Drawn]) -> str:
    """The HTML, with the figures of the folder ``figures`` inside."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = (files("caloforge.tune.report") / "tune.html.j2").read_text(encoding="utf-8")
    return environment.from_string(text).render(
        name=results.recipe_name,
        css=page_style(),
        headline=headline(results),
        facts=_facts(results),
        notes=_notes(results),
        objectives=[each.name for each in results.objectives],
        keys=list(results.search),
        best=[_best(results, number) for number in results.best],
        trials=[_line(results, row) for row in results.trials],
        figures=[(each, data_uri(figures / f"{each.name}.png")) for each in drawn],
        everything=json.dumps(
            {k: v for k, v in results.to_dict().items() if k != "trials"}, indent=2
        ),
        version=__version__,
    )


def _facts(results: Results) -> list[tuple[str, str]]:
    data, settings = results.data, results.settings
    facts = [
        ("Trials", counts(results)),
        ("Showers to train on", str(data["train"]["showers"])),
        ("Showers to judge by", str(data["validation"]["showers"])),
        ("Showers in both", str(data["common"])),
        ("Seed", str(settings["seed"])),
        ("Storage", results.storage),
    ]
    for key, words in (("max_steps", "steps"), ("max_minutes", "minutes")):
        if settings.get(key) is not None:
            facts.append(("A trial trains at most", f"{settings[key]:g} {words}"))
    for objective, floor in zip(results.objectives, results.floor, strict=True):
        direction = "larger" if objective.maximise else "smaller"
        facts.append((f"{objective.name} ({direction} is better)", f"floor {number(floor)}"))
    return facts


def _notes(results: Results) -> list[str]:
    notes = [
        "The best of many trials looks a little better on the showers that chose it than it is. "
        "Judge its model on test showers that no study has seen: caloforge validate."
    ]
    best = results.row(results.best[0]) if results.best else None
    difference = gain(results, best) if best and not results.several else None
    if best and not best.default and difference:
        value, error = difference
        if error is not None and value < 2 * error:
            notes.append(
                "The gain over the recipe as it is is below twice its uncertainty: more "
                "validation showers would tell."
            )
    if results.several:
        notes.append("With several objectives no trial is given up early.")
    if results.lost:
        notes.append(f"{results.lost} trials lost their process and were tried again.")
    return notes


def _best(results: Results, which: int) -> dict[str, Any]:
    row = results.row(which)
    return {
        "file": recipe_name(results, which),
        "number": which,
        "values": _values(row),
        "settings": [(key, setting(value)) for key, value in row.params.items()],
    }


def _values(row: TrialRow) -> list[str]:
    return [number(value, error) for value, error in zip(row.values, row.errors, strict=True)]


def _line(results: Results, row: TrialRow) -> dict[str, Any]:
    css = {"complete": "near", "pruned": "unknown", "failed": "large", "running": "visible"}
    remarks = [
        "the recipe as it is" if row.default else "",
        "best" if row.number in results.best else "",
        f"same recipe as trial {row.same_as}" if row.same_as is not None else "",
        row.reason,
    ]
    return {
        "number": row.number,
        "state": row.state,
        "css": css[row.state],
        "settings": [setting(row.params[k]) if k in row.params else "-" for k in results.search],
        "values": _values(row),
        "steps": "-" if row.steps is None else str(row.steps),
        "seconds": "-" if row.seconds is None else f"{row.seconds:.0f}",
        "remark": "; ".join(filter(None, remarks)),
    }
