"""Markdown tables, a row per predictor: ``python docs/predictors_table.py NAME=FILE ...``.

FILE is the predictions.json of that predictor's report, all on the same showers.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

Report = dict[str, Any]

PARTICLES = {11: "e", 22: "γ", 111: "π⁰", 211: "π±"}


def name_of(code: int | str) -> str:
    """A particle as it is written, by its PDG code without sign."""
    return PARTICLES.get(abs(int(code)), str(code))


def auc(entry: dict[str, Any]) -> str:
    """Area under one ROC curve and its statistical error."""
    return f"{entry['auc']:.3f} ± {entry['auc_error']:.3f}"


def resolution(entry: dict[str, Any]) -> str:
    """Width of predicted / true energy over its mean, in percent."""
    return f"{100 * entry['resolution']:.2f} ± {100 * entry['resolution_error']:.2f}"


def told_apart(report: Report) -> dict[str, str]:
    """Accuracy, and the area under the curve of every pair of particles."""
    found = report["classification"]
    right = found["accuracy"]
    row = {"accuracy, %": f"{100 * right['value']:.1f} ± {100 * right['error']:.1f}"}
    for pair in found["pairs"]:
        row[f"AUC {name_of(pair['signal'])}, {name_of(pair['background'])}"] = auc(pair)
    return row


def measured(report: Report, which: str = "predicted") -> dict[str, str]:
    """Resolution of the energy of each particle, over all energies."""
    row = {}
    for code, group in report["energy"]["groups"].items():
        row[f"{name_of(code)}: sigma/E, %"] = resolution(group[which])
    return row


def by_opening_angle(report: Report) -> dict[str, str]:
    """Photons against neutral pions in bins of the pions' opening angle."""
    rows = report["classification"]["opening_angle"] or []
    return {f"{1e3 * r['low']:.1f} to {1e3 * r['high']:.1f} mrad": auc(r) for r in rows}


def table(rows: dict[str, dict[str, str]]) -> str:
    """The rows under the columns of the first of them."""
    head = ["predictor", *next(iter(rows.values()))]
    lines = [head, ["---"] * len(head), *([name, *row.values()] for name, row in rows.items())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: list[str]) -> None:
    """Print the tables: particles, energies, opening angles."""
    files = dict(argument.split("=", 1) for argument in arguments)
    found: dict[str, Report] = {n: json.loads(Path(f).read_text()) for n, f in files.items()}
    energies = {name: measured(report) for name, report in found.items()}
    energies["sum of all cells"] = measured(next(iter(found.values())), "visible")
    print(table({name: told_apart(report) for name, report in found.items()}), end="\n\n")
    print(table(energies), end="\n\n")
    print(table({name: by_opening_angle(report) for name, report in found.items()}))


if __name__ == "__main__":
    main(sys.argv[1:])
