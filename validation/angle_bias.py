"""Angles measured from showers: ``python validation/angle_bias.py REFERENCE GENERATED``.

A Markdown table of what the showers of both files, with the same incident particles row by row,
measure less their incident angle, in bins of 10 degrees, and of the difference of both.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from caloforge.observables import observables
from caloforge.store import open_showers

BIN = 10.0
"""Width of the bins in degrees."""


def rows(reference: Path, generated: Path) -> list[tuple[float, float, int, float, float, float]]:
    """Per bin: its ends, showers, mean error of both samples, statistical error of the difference.

    Angles in degrees; the last row is for all.
    """
    samples = [open_showers(path).read() for path in (reference, generated)]
    incident, other = (np.degrees(sample.incident["theta"]) for sample in samples)
    if not np.allclose(incident, other):
        raise SystemExit("the samples have different particles; generate with --like")
    errors = [np.degrees(observables(one).measured_theta) - incident for one in samples]
    low, high = np.floor(incident.min() / BIN) * BIN, np.ceil(incident.max() / BIN) * BIN
    edges = [(edge, edge + BIN) for edge in np.arange(low, high, BIN)]
    found = []
    for first, last in [*edges, (low, high)]:
        here = (incident >= first) & (incident <= last)
        one, two = (error[here] for error in errors)
        spread = float((two - one).std() / np.sqrt(max(here.sum(), 1)))
        found.append((first, last, int(here.sum()), float(one.mean()), float(two.mean()), spread))
    return found


def main(reference: str, generated: str) -> None:
    """Print the table."""
    print("| degrees | showers | reference | generated | difference |")
    print("|---|---|---|---|---|")
    for first, last, count, one, two, spread in rows(Path(reference), Path(generated)):
        difference = f"{two - one:+.2f} ± {spread:.2f}"
        print(f"| {first:.0f}-{last:.0f} | {count} | {one:+.2f} | {two:+.2f} | {difference} |")


if __name__ == "__main__":
    main(*sys.argv[1:3])
