"""Means and spreads of two samples: ``python validation/mean_differences.py REFERENCE GENERATED``.

A Markdown table of what differs, in per cent of the reference, with statistical errors: a short
look at samples at one energy, as where a model must extrapolate.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from caloforge.observables import observables
from caloforge.store import open_showers
from simulated.estimators import Floats, Value, mean


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


def spread(values: Floats) -> Value:
    """Standard deviation and its error, that of a Gaussian."""
    found = float(values.std())
    return Value(found, found / np.sqrt(2.0 * len(values)))


def rows(reference: Path, generated: Path) -> list[tuple[str, Value, Value]]:
    """Name, difference of the means (per cent), ratio of the spreads; NaN where there is none."""
    found = []
    other = looked_at(generated)
    for name, one in looked_at(reference).items():
        ratio = mean(other[name]) / mean(one)
        off = Value(100.0 * (ratio.value - 1.0), 100.0 * ratio.error)
        wide = spread(one)
        none = Value(np.nan, np.nan)
        found.append((name, off, spread(other[name]) / wide if wide.value > 0.0 else none))
    return found


def main(reference: str, generated: str) -> None:
    """Print the table."""
    print("| | mean, % off | ratio of the spreads |")
    print("|---|---|---|")
    for name, off, wide in rows(Path(reference), Path(generated)):
        print(
            f"| {name} | {off.value:+.2f} ± {off.error:.2f} | {wide.value:.3f} ± {wide.error:.3f} |"
        )


if __name__ == "__main__":
    main(*sys.argv[1:3])
