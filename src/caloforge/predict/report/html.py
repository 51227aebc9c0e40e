"""The page of the report: one self-contained HTML file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from caloforge.predict.report.names import particle
from caloforge.validate.lookup import Figure
from caloforge.validate.report.figures import Drawn
from caloforge.validate.report.html import data_uri, page_style
from caloforge.validate.report.verdict import text

Line = tuple[str, str, str]
"""What it is, its value, a hint."""

PERCENT, MRAD = 100.0, 1e3


def _scaled(entry: Mapping[str, Any], key: str, factor: float, unit: str, less: float = 0) -> str:
    """A figure with its error, as text; ``less`` is taken off first."""
    value, error = entry[key], entry[f"{key}_error"]
    if value is None:
        return "-"
    return f"{text(Figure((value - less) * factor, error and error * factor))} {unit}"


def _classes(found: Mapping[str, Any]) -> list[Line]:
    value = found["accuracy"]
    hint = f"{value['n']} showers"
    lines = [("Accuracy", text(Figure(value["value"], value["error"])), hint)]
    for row in found["pairs"]:
        if row["auc"] is None:
            continue
        name = f"AUC, {particle(row['signal'])} against {particle(row['background'])}"
        numbers = f"{row['signal_showers']} and {row['background_showers']} showers"
        passed = f"{100 * row['background_at_90']:.2g} % of the second pass with 90 % of the first"
        lines.append((name, text(Figure(row["auc"], row["auc_error"])), f"{numbers}; {passed}"))
    return lines


def _energies(found: Mapping[str, Any]) -> list[Line]:
    return [line for _, lines in _energy_groups(found) for line in lines]


def _energy_groups(found: Mapping[str, Any]) -> list[tuple[str, list[Line]]]:
    parts = [("", found)]
    if len(found["groups"]) > 1:
        parts += [(f", {particle(code)}", group) for code, group in found["groups"].items()]
    return [(name, _energy_lines(name, part)) for name, part in parts]


def _energy_lines(of: str, part: Mapping[str, Any]) -> list[Line]:
    told, summed = part["predicted"], part["visible"]
    against = f"sum of all cells: {_scaled(summed, 'mean', PERCENT, '%', less=1)}"
    lines = [(f"Energy, bias{of}", _scaled(told, "mean", PERCENT, "%", less=1), against)]
    against = f"sum of all cells: {_scaled(summed, 'resolution', PERCENT, '%')}"
    lines.append((f"Energy, resolution{of}", _scaled(told, "resolution", PERCENT, "%"), against))
    fit = part["fit"]["predicted"]["resolution"]
    if fit is not None:
        terms = [
            text(Figure(PERCENT * fit[name]["value"], PERCENT * fit[name]["error"]))
            for name in ("stochastic", "constant")
        ]
        shape = f"({terms[0]}) % / √E ⊕ ({terms[1]}) %"
        lines.append((f"Energy, resolution fitted{of}", shape, "E in GeV"))
    return lines


def _angles(name: str, found: Mapping[str, Any]) -> list[Line]:
    title = {"theta": "Theta", "phi": "Phi"}[name]
    return [
        (f"{title}, bias", _scaled(found, "bias", MRAD, "mrad"), f"{found['n']} showers"),
        (f"{title}, resolution", _scaled(found, "resolution", MRAD, "mrad"), ""),
    ]


def groups(metrics: Mapping[str, Any]) -> list[tuple[str, list[Line]]]:
    """The table of the page: groups of lines."""
    result = []
    if metrics["classification"] is not None:
        result.append(("Particles", _classes(metrics["classification"])))
    if metrics["energy"] is not None:
        result.append(("Energy", _energies(metrics["energy"])))
    angles = [
        line for name in ("theta", "phi") if metrics[name] for line in _angles(name, metrics[name])
    ]
    if angles:
        result.append(("Angles", angles))
    return result


def headline(metrics: Mapping[str, Any]) -> str:
    """The result in a sentence or two."""
    said = []
    found = metrics["classification"]
    if found is not None:
        n = sum(1 for row in found["confusion"] if sum(row))
        said.append(
            f"{100 * found['accuracy']['value']:.1f} % of {found['accuracy']['n']} showers of "
            f"{n} particle{'s' * (n != 1)} are named right"
        )
    energy = metrics["energy"]
    if energy is not None and energy["predicted"]["resolution"] is not None:
        told, summed = (PERCENT * energy[k]["resolution"] for k in ("predicted", "visible"))
        said.append(
            f"the energy is {told:.2g} % wide, where the sum of all cells gives {summed:.2g} %"
        )
    if not said:
        return f"{metrics['n']} showers; nothing to compare the predictions with."
    sentence = "; ".join(said)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _facts(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    model, geometry = metrics["model"], metrics["geometry"]
    facts = [
        ("Model", f"{model['name']} ({model['kind']})"),
        ("Calorimeter", f"{geometry['name']} ({geometry['hash']})"),
    ]
    for number, sample in enumerate(metrics["samples"]):
        file = Path(sample["file"]).name if sample["file"] else "in memory"
        facts.append((f"Showers {number + 1}", f"{file}, {sample['n']}, by {sample['step']}"))
    return facts


def write_page(folder: Path, metrics: dict[str, Any], drawn: Sequence[Drawn]) -> Path:
    """Write ``index.html`` from the figures already drawn into ``folder/figures``."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = (files("caloforge.predict.report") / "report.html.j2").read_text(encoding="utf-8")
    provenance = {"the model": metrics["model"]["provenance"]}
    for number, sample in enumerate(metrics["samples"]):
        provenance[f"showers {number + 1}"] = sample
    page = environment.from_string(template).render(
        css=page_style(),
        name=metrics["model"]["name"],
        headline=headline(metrics),
        facts=_facts(metrics),
        notes=list(metrics["notes"].items()),
        groups=groups(metrics),
        figures=[(each, data_uri(folder / "figures" / f"{each.name}.png")) for each in drawn],
        provenance={k: json.dumps(v, indent=2, ensure_ascii=False) for k, v in provenance.items()},
        version=metrics["caloforge"],
    )
    path = folder / "index.html"
    path.write_text(page, encoding="utf-8", errors="backslashreplace")  # file names may not be text
    return path
