"""Markdown tables from metrics.json files: ``python docs/results_table.py NAME=FILE ...``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

SKIPPED = {"schema", "caloforge", "settings", "notes", "reference", "generated", "floor"}
PER_BIN = {"separation_by_layer", "response", "geometry"}


def scalars(metrics: dict[str, Any]) -> dict[str, float | None]:
    """Every single number, by its path in metrics.json."""
    found: dict[str, float | None] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                walk(item, f"{path}.{key}" if path else key)
        elif value is None or isinstance(value, int | float):
            found[path] = value

    walk({k: v for k, v in metrics.items() if k not in SKIPPED | PER_BIN}, "")
    return found


def cell(value: float | None) -> str:
    """A number for a table."""
    return "-" if value is None else f"{value:.3g}"


def main(arguments: list[str]) -> None:
    """Print one table of all numbers, and one of the response."""
    files = dict(argument.split("=", 1) for argument in arguments)
    metrics = {name: json.loads(Path(file).read_text()) for name, file in files.items()}
    columns = {name: scalars(one) for name, one in metrics.items()}
    first = next(iter(metrics.values()))
    floor = scalars(first["floor"])
    print(f"| metrics.json | floor | {' | '.join(files)} |")
    print("|---|---|" + "---|" * len(files))
    for key in next(iter(columns.values())):
        values = " | ".join(cell(column.get(key)) for column in columns.values())
        print(f"| {key} | {cell(floor.get(key))} | {values} |")
    print()
    print("| Einc, GeV | Geant4 mean, % | sigma/mean, % |", end="")
    print("".join(f" {name} mean, % | sigma/mean, % |" for name in files))
    print("|---|---|---|" + "---|---|" * len(files))
    for number, row in enumerate(first["response"]):
        line = f"| {row['low'] / 1e3:.0f}-{row['high'] / 1e3:.0f} |"
        for side in [
            row["reference"],
            *(m["response"][number]["generated"] for m in metrics.values()),
        ]:
            line += f" {100 * side['mean']:.3f} | {100 * side['resolution']:.2f} |"
        print(line)


if __name__ == "__main__":
    main(sys.argv[1:])
