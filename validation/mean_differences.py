"""Means and spreads of two samples: ``python validation/mean_differences.py REFERENCE GENERATED``.

A Markdown table of what differs, in per cent of the reference, with statistical errors: a short
look at samples at one energy, as where a model must extrapolate.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caloforge.store import open_showers
from caloforge.validate.observables import observables

Floats = NDArray[np.float64]


def looked_at(path: Path) -> dict[str, Floats]:
    """Observables of the showers of a file (n,)."""
    table = observables(open_showers(path).read())
    return {
        "response": table.total / table.energy,
        "hits": table.hits,
        "energy of a hit": table.total / np.maximum(table.hits, 1.0),
        "depth": table.moments[:, 2],
        "width": table.moments[:, 3],
        "energy share of the last layer": table.layer_energy[:, -1] / table.total,
    }


def rows(reference: Path, generated: Path) -> list[tuple[str, float, float, float, float]]:
    """Name, difference of the means (per cent), ratio of the spreads, each with its error."""
    found = []
    other = looked_at(generated)
    for name, one in looked_at(reference).items():
        two = other[name]
        error = np.sqrt(one.var() / len(one) + two.var() / len(two))
        ratio = two.std() / one.std() if one.std() > 0.0 else np.nan
        of_ratio = ratio * np.sqrt(0.5 / len(one) + 0.5 / len(two))
        off = 100.0 * (two.mean() / one.mean() - 1.0)
        found.append((name, float(off), float(100.0 * error / one.mean()), ratio, of_ratio))
    return found


def main(reference: str, generated: str) -> None:
    """Print the table."""
    print("| | mean, % off | ratio of the spreads |")
    print("|---|---|---|")
    for name, off, error, ratio, of_ratio in rows(Path(reference), Path(generated)):
        print(f"| {name} | {off:+.2f} ± {error:.2f} | {ratio:.3f} ± {of_ratio:.3f} |")


if __name__ == "__main__":
    main(*sys.argv[1:3])
