"""Geant4 against Geant4: how far figures lie above their floor when nothing differs.

    python validation/equal_samples.py lcd_electrons_fixed.h5 --cuts 4

The store file is cut at random into three parts with the same energies; the first is judged against
the others. On average every figure over its floor should be 1.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caloforge.showers import Showers
from caloforge.validate import validate
from caloforge.validate.report.verdict import verdict
from metric_power import thirds


def over_floor(parts: list[Showers], seed: int) -> list[dict[str, float]]:
    """Figure over floor, by name, of the first part against each of the others."""
    report = validate(parts[0], parts[1:], seed=seed, classifiers=False)
    return [
        {row.name: row.over for row in verdict(entry) if row.over is not None}
        for entry in report.comparisons
    ]


def table(found: list[dict[str, float]]) -> str:
    """Mean and standard deviation of every figure."""
    lines = []
    for name in found[0]:
        values: NDArray[np.float64] = np.array([each[name] for each in found if name in each])
        lines.append(f"{name:42s} {values.mean():.3f} +- {values.std():.3f}")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path, help="store file of Geant4 showers")
    parser.add_argument("--cuts", type=int, default=4, help="random cuts into three parts")
    parser.add_argument("--most", type=int, default=10_000, help="showers of each part at most")
    arguments = parser.parse_args()
    found: list[dict[str, float]] = []
    for seed in range(arguments.cuts):
        found += over_floor(thirds(arguments.file, seed, arguments.most), seed)
        print(f"cut {seed + 1} of {arguments.cuts}", flush=True)
    print(table(found))


if __name__ == "__main__":
    main()
