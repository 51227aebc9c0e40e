"""The page of a report: one self-contained HTML file."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from caloforge._version import __version__
from caloforge.validate.comparison import Comparison
from caloforge.validate.report.display import display
from caloforge.validate.report.figures import Drawn
from caloforge.validate.report.lines import LINES
from caloforge.validate.report.notes import plain_notes
from caloforge.validate.report.verdict import Row, headline, verdict
from caloforge.validate.requirements import shown


def data_uri(path: Path) -> str:
    """A PNG file as a link that holds it."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _facts(comparison: Comparison) -> list[tuple[str, str]]:
    """The lines under the title: samples, calorimeter, speed."""
    metrics = comparison.judged[0].metrics
    facts = [("Calorimeter", f"{metrics['geometry']['name']} ({metrics['geometry']['hash']})")]
    facts.append(("Reference showers", _count(metrics["reference"])))
    seconds = metrics["reference"].get("seconds_per_shower")
    if isinstance(seconds, int | float):
        facts.append(("Full simulation", f"{1000 * seconds:.4g} ms per shower"))
    several = len(comparison.judged) > 1
    for sample in comparison.judged:
        of = f", {sample.name}" if several else ""
        facts.append((f"Generated showers{of}", _count(sample.metrics["generated"])))
        time = sample.metrics["generation_ms"]
        if isinstance(time, int | float):
            facts.append((f"Generation{of}", f"{time:.4g} ms per shower"))
    return facts


def _count(entry: Mapping[str, Any]) -> str:
    return f"{entry['n']}{', ' + str(entry['empty']) + ' empty' if entry['empty'] else ''}"


@dataclass(frozen=True)
class TableLine:
    """One figure of the verdict: a cell per sample, and its floor."""

    label: str
    hint: str
    floor: str
    cells: list[Row | None]


def _groups(comparison: Comparison) -> list[tuple[str, list[TableLine]]]:
    tables = [{row.name: row for row in verdict(each.metrics)} for each in comparison.judged]
    groups: dict[str, list[TableLine]] = {}
    for line in LINES:
        cells = [table.get(line.name) for table in tables]
        row = next((cell for cell in cells if cell), None)
        if row is not None:
            shown = TableLine(row.label, row.hint, row.floor, cells)
            groups.setdefault(row.group, []).append(shown)
    return list(groups.items())


def energy_lines(comparison: Comparison) -> list[tuple[str, list[str], str]]:
    """The response at the energies of CaloChallenge data set 1: the separation powers."""
    tables = [sample.metrics["energy_separation"] or [] for sample in comparison.judged]
    floor = comparison.judged[0].metrics["floor"] or {}
    base = [row["value"] for row in floor.get("energy_separation") or []]
    lines = []
    for number, row in enumerate(tables[0]):
        cells = [_number(table[number]["value"]) for table in tables]
        below = _number(base[number]) if base else "-"
        lines.append((f"{row['energy'] / 1e3:.4g} GeV", cells, below))
    return lines


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _notes(comparison: Comparison) -> list[tuple[str, str]]:
    several = len(comparison.judged) > 1
    notes: dict[tuple[str, str], list[str]] = {}
    for sample in comparison.judged:
        for note in plain_notes(sample.metrics):
            notes.setdefault(note, []).append(sample.name)
    all_of_them = len(comparison.judged)
    return [
        (label if not several or len(who) == all_of_them else f"{label} ({', '.join(who)})", text)
        for (label, text), who in notes.items()
    ]


def _requirements(comparison: Comparison) -> list[dict[str, Any]]:
    """Every requirement of every sample, with the sample's name where there are several."""
    several = len(comparison.judged) > 1
    return [
        rule | {"who": sample.name if several else "", "shown": shown(rule["value"])}
        for sample in comparison.judged
        for rule in sample.metrics["requirements"]
    ]


def _provenance(comparison: Comparison) -> dict[str, str]:
    entries = {"the reference sample": comparison.judged[0].metrics["reference"]}
    for sample in comparison.judged:
        what = f"{sample.name}" if len(comparison.judged) > 1 else "the generated sample"
        entries[what] = sample.metrics["generated"]
    return {k: json.dumps(v, indent=2, ensure_ascii=False) for k, v in entries.items()}


def _text(name: str) -> str:
    return (files("caloforge.validate.report") / name).read_text(encoding="utf-8")


def page_style() -> str:
    """The look of all reports (CSS)."""
    return _text("page.css")


def _context(folder: Path, comparison: Comparison, drawn: Sequence[Drawn]) -> dict[str, Any]:
    first = comparison.judged[0].metrics
    return {
        "name": ", ".join(sample.name for sample in comparison.judged),
        "samples": [sample.name for sample in comparison.judged],
        "reference_name": comparison.reference_name,
        "headlines": [
            (sample.name, headline(sample.metrics, verdict(sample.metrics)))
            for sample in comparison.judged
        ],
        "requirements": _requirements(comparison),
        "facts": _facts(comparison),
        "groups": _groups(comparison),
        "energies": energy_lines(comparison),
        "notes": _notes(comparison),
        "floor_notes": plain_notes(first["floor"]) if first["floor"] else [],
        "settings": first["settings"],
        "figures": [(each, data_uri(folder / "figures" / f"{each.name}.png")) for each in drawn],
        "provenance": _provenance(comparison),
        "version": __version__,
    }


def write_page(folder: Path, comparison: Comparison, drawn: Sequence[Drawn]) -> Path:
    """Write ``index.html`` from the figures already drawn into ``folder/figures``."""
    from jinja2 import Environment, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.from_string(_text("report.html.j2")).render(
        **_context(folder, comparison, drawn),
        css=page_style(),
        plotly=get_plotlyjs(),
        display_script=_text("display.js"),
        display_data=json.dumps(display(comparison)).replace("<", "\\u003c"),
    )
    path = folder / "index.html"
    path.write_text(page, encoding="utf-8", errors="backslashreplace")  # file names may not be text
    return path
