"""The page of a report: one self-contained HTML file."""

from __future__ import annotations

import base64
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from caloforge._version import __version__
from caloforge.validate.comparison import Comparison
from caloforge.validate.report.notes import plain_notes
from caloforge.validate.report.verdict import Row, headline, verdict


def _data_uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _facts(metrics: dict[str, Any]) -> list[tuple[str, str]]:
    """The lines under the title: samples, calorimeter, speed."""
    facts = [("Calorimeter", f"{metrics['geometry']['name']} ({metrics['geometry']['hash']})")]
    for who in ("reference", "generated"):
        entry = metrics[who]
        empty = f", {entry['empty']} empty" if entry["empty"] else ""
        facts.append((f"{who.capitalize()} showers", f"{entry['n']}{empty}"))
    seconds = metrics["reference"].get("seconds_per_shower")
    if isinstance(seconds, int | float):
        facts.append(("Full simulation", f"{1000 * seconds:.4g} ms per shower"))
    if isinstance(metrics["generation_ms"], int | float):
        facts.append(("Generation", f"{metrics['generation_ms']:.4g} ms per shower"))
    return facts


def _groups(rows: list[Row]) -> list[tuple[str, list[Row]]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    return list(groups.items())


def write_page(folder: Path, comparison: Comparison, drawn: list[tuple[str, str, str]]) -> Path:
    """Write ``index.html`` from the figures already drawn into ``folder/figures``."""
    from jinja2 import Environment, StrictUndefined

    metrics = comparison.metrics
    rows = verdict(metrics)
    source = files("caloforge.validate.report") / "report.html.j2"
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.from_string(source.read_text(encoding="utf-8")).render(
        name=comparison.name,
        reference_name=comparison.reference_name,
        headline=headline(metrics, rows),
        facts=_facts(metrics),
        groups=_groups(rows),
        notes=plain_notes(metrics),
        floor_notes=plain_notes(metrics["floor"]) if metrics["floor"] else [],
        settings=metrics["settings"],
        figures=[
            (name, title, caption, _data_uri(folder / "figures" / f"{name}.png"))
            for name, title, caption in drawn
        ],
        provenance={
            who: json.dumps(metrics[who], indent=2, ensure_ascii=False)
            for who in ("reference", "generated")
        },
        version=__version__,
    )
    path = folder / "index.html"
    path.write_text(page, encoding="utf-8", errors="backslashreplace")  # file names may not be text
    return path
