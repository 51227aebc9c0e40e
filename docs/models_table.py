"""Markdown table with a row for every model: ``python docs/models_table.py NAME=FILE ...``.

FILE is the metrics.json of that model's validation, all against the same reference sample.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

Metrics = dict[str, Any]

SEPARATIONS = {
    "etot_over_einc": "total",
    "layer_energy": "layers",
    "hits": "hits",
    "width_x": "width",
    "cell_energy": "cells",
}
"""Separation powers in the table, as multiples of their floors."""


def auc(metrics: Metrics, name: str) -> str:
    """Mean and error over the seeds of one classifier."""
    one = metrics["auc"][name]
    return f"{one['mean']:.3f} ± {one['std']:.3f}"


def over_floor(metrics: Metrics, name: str) -> str:
    """A separation power in units of that between two Geant4 samples."""
    ratio = metrics["separation"][name] / metrics["floor"]["separation"][name]
    return f"{ratio:.1f}" if ratio < 100 else f"{ratio:.0f}"


def worst(metrics: Metrics, name: str) -> str:
    """The largest error in any bin of the incident energy, in percent."""
    return f"{100 * max(abs(row[name]) for row in metrics['response']):.1f}"


def row(metrics: Metrics) -> list[str]:
    """One model's cells."""
    fpd, cells = metrics["fpd"], metrics["cells"]
    memory = metrics["memorisation"]
    return [
        auc(metrics, "high"),
        auc(metrics, "high_trees"),
        auc(metrics, "low"),
        auc(metrics, "low_normed"),
        *(over_floor(metrics, name) for name in SEPARATIONS),
        f"{1e3 * fpd['value']:.0f} ± {1e3 * fpd['error']:.0f}",
        worst(metrics, "mean_rel_error"),
        worst(metrics, "resolution_rel_error"),
        f"{100 * cells['mean_rel_error']:.1f}; {100 * cells['sigma_rel_error']:.1f}",
        "-" if memory is None else f"{memory['p_value']:.2g}",
        f"{metrics['diversity']['ratio']:.3f}",
    ]


HEAD = [
    "model",
    "AUC high, network",
    "trees",
    "AUC low",
    "low-normed",
    *(f"{word} / floor" for word in SEPARATIONS.values()),
    "FPD x 1e3",
    "response, worst bin, %",
    "resolution, worst bin, %",
    "single cells, mean; sigma, %",
    "memorisation p",
    "diversity",
]


def main(arguments: list[str]) -> None:
    """Print the table, the most faithful model (by AUC low, then high) first."""
    files = dict(argument.split("=", 1) for argument in arguments)
    found = {name: json.loads(Path(file).read_text()) for name, file in files.items()}
    order = sorted(found, key=lambda n: [found[n]["auc"][k]["mean"] for k in ("low", "high")])
    print(f"| {' | '.join(HEAD)} |")
    print("|" + "---|" * len(HEAD))
    for name in order:
        print(f"| {' | '.join([name, *row(found[name])])} |")


if __name__ == "__main__":
    main(sys.argv[1:])
