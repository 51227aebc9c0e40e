"""Which figure sees which distortion: Geant4 showers against distorted Geant4 showers.

    python validation/metric_power.py lcd_electrons_fixed.h5 --json power.json --table power.md

The store file is cut at random into a reference, a sample to distort and a training sample. Every
distortion is applied to the second one at 1, 3 and 10 %, and judged with all figures. ``same`` is
the undistorted sample: there every figure must stay at its floor.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from caloforge.showers import Incident, Showers
from caloforge.store import open_showers
from caloforge.validate import validate
from caloforge.validate.report.judges import LARGE, NEAR, UNKNOWN, VISIBLE
from caloforge.validate.report.verdict import verdict

SIZES = (0.01, 0.03, 0.10)
MARKS = {NEAR: ".", VISIBLE: "o", LARGE: "X", UNKNOWN: "-"}

Distortion = Callable[[Showers, Showers, float, np.random.Generator], Showers]


def with_energy(showers: Showers, energy: Any) -> Showers:
    """The same hits with other energies; those that lose theirs are dropped."""
    keep = energy > 0
    offset = np.concatenate([[0], np.cumsum(keep)])[showers.offset.astype(np.int64)]
    return Showers(showers.calorimeter, showers.incident, offset, showers.cell[keep], energy[keep])


def scale(showers: Showers, _: Showers, size: float, rng: np.random.Generator) -> Showers:
    """All energies higher."""
    return with_energy(showers, showers.energy * (1 + size))


def one_layer(showers: Showers, _: Showers, size: float, rng: np.random.Generator) -> Showers:
    """The middle layer too high."""
    middle = showers.calorimeter.n_layers // 2
    mine = showers.calorimeter.cell_layer[showers.cell] == middle
    return with_energy(showers, np.where(mine, showers.energy * (1 + size), showers.energy))


def noise(showers: Showers, _: Showers, size: float, rng: np.random.Generator) -> Showers:
    """Every cell wrong by a random factor."""
    return with_energy(
        showers, showers.energy * np.exp(size * rng.standard_normal(len(showers.energy)))
    )


def dead_cells(showers: Showers, _: Showers, size: float, rng: np.random.Generator) -> Showers:
    """A share of the cells never fires."""
    dead = rng.random(showers.calorimeter.n_cells) < size
    return with_energy(showers, np.where(dead[showers.cell], 0, showers.energy))


def shuffled_layers(showers: Showers, _: Showers, size: float, rng: np.random.Generator) -> Showers:
    """In a share of the showers the contents of two neighbouring layers change places."""
    dense = showers.dense()
    offset = showers.calorimeter.layer_offset
    for row in np.flatnonzero(rng.random(len(showers)) < size):
        k = int(rng.integers(0, showers.calorimeter.n_layers - 1))
        a, b = slice(offset[k], offset[k + 1]), slice(offset[k + 1], offset[k + 2])
        dense[row, a], dense[row, b] = dense[row, b].copy(), dense[row, a].copy()
    return Showers.from_dense(showers.calorimeter, showers.incident, dense)


def soft_hits_lost(showers: Showers, _: Showers, size: float, rng: np.random.Generator) -> Showers:
    """A share of the hits, those of the lowest energy, is missing."""
    limit = np.quantile(showers.energy, size)
    return with_energy(showers, np.where(showers.energy > limit, showers.energy, 0))


def _images(showers: Showers) -> Any:
    """Dense cells (n, layers, x, y) of a regular grid."""
    return showers.dense().reshape(len(showers), *(showers.calorimeter.grid_shape or ()))


def _from_images(showers: Showers, images: Any) -> Showers:
    return Showers.from_dense(
        showers.calorimeter, showers.incident, images.reshape(len(showers), -1)
    )


def smeared(showers: Showers, _: Showers, size: float, rng: np.random.Generator) -> Showers:
    """A share of every cell's energy goes to its two neighbours along the second axis."""
    images = _images(showers)
    aside = np.zeros_like(images)
    aside[:, :, 1:] += images[:, :, :-1] / 2
    aside[:, :, :-1] += images[:, :, 1:] / 2
    return _from_images(showers, (1 - size) * images + size * aside)


def shifted(showers: Showers, _: Showers, size: float, rng: np.random.Generator) -> Showers:
    """A share of the showers stands one cell aside."""
    images = _images(showers)
    rows = rng.random(len(showers)) < size
    images[rows, :, 1:] = images[rows, :, :-1]
    images[rows, :, 0] = 0
    return _from_images(showers, images)


def late_start(showers: Showers, _: Showers, size: float, rng: np.random.Generator) -> Showers:
    """A share of the showers starts one layer later."""
    images = _images(showers)
    rows = rng.random(len(showers)) < size
    images[rows, 1:] = images[rows, :-1]
    images[rows, 0] = 0
    return _from_images(showers, images)


def copies(showers: Showers, training: Showers, size: float, rng: np.random.Generator) -> Showers:
    """A share of the showers are training showers."""
    rows = np.flatnonzero(rng.random(len(showers)) < size)
    energy = training.incident.energy
    order = np.argsort(energy)
    place = np.searchsorted(energy[order], showers.incident.energy[rows])
    return _replace(showers, rows, training, order[np.clip(place, 0, len(order) - 1)])


def collapsed(showers: Showers, _: Showers, size: float, rng: np.random.Generator) -> Showers:
    """A share of the showers repeats ten others, scaled to the energy that was asked for."""
    rows = np.flatnonzero(rng.random(len(showers)) < size)
    few = rng.choice(len(showers), 10, replace=False)
    near = np.abs(showers.incident.energy[rows][:, None] - showers.incident.energy[few][None, :])
    return _replace(showers, rows, showers, few[near.argmin(axis=1)])


def dropped_mode(showers: Showers, _: Showers, size: float, rng: np.random.Generator) -> Showers:
    """The deepest showers are missing; others of the same energy stand in for them."""
    weights = showers.energy * showers.calorimeter.cell_layer[showers.cell]
    depth = np.bincount(showers.hit_shower, weights, len(showers)) / showers.total_energy
    depth -= np.polyval(
        np.polyfit(np.log(showers.incident.energy), depth, 1), np.log(showers.incident.energy)
    )
    late = depth > np.quantile(depth, 1 - size)
    rows, others = np.flatnonzero(late), np.flatnonzero(~late)
    near = np.abs(showers.incident.energy[rows][:, None] - showers.incident.energy[others])
    return _replace(showers, rows, showers, others[near.argmin(axis=1)])


def _replace(showers: Showers, rows: Any, source: Showers, chosen: Any) -> Showers:
    """Rows of showers replaced by rows of ``source``, scaled to the incident energy."""
    if not len(rows):
        return showers
    factor = showers.incident.energy[rows] / source.incident.energy[chosen]
    other = source[chosen]
    other = with_energy(other, other.energy * factor[other.hit_shower].astype(np.float32))
    other = Showers(
        other.calorimeter, showers[rows].incident, other.offset, other.cell, other.energy
    )
    rest = np.setdiff1d(np.arange(len(showers)), rows)
    joined = Showers.concatenate([showers[rest], other])
    return joined[np.argsort(np.concatenate([rest, rows]), kind="stable")]


DISTORTIONS: dict[str, Distortion] = {
    "scale": scale,
    "one layer": one_layer,
    "cell noise": noise,
    "dead cells": dead_cells,
    "shuffled layers": shuffled_layers,
    "soft hits lost": soft_hits_lost,
    "smeared": smeared,
    "shifted": shifted,
    "late start": late_start,
    "copies of training": copies,
    "collapsed modes": collapsed,
    "dropped mode": dropped_mode,
}


def thirds(path: Path, seed: int, most: int) -> list[Showers]:
    """Three disjoint random parts with the same number of showers and the same energies."""
    with open_showers(path) as reader:
        showers = reader.read(0, min(len(reader), 3 * most))
    plain = Showers(
        showers.calorimeter,
        Incident({"energy": showers.incident.energy}),
        showers.offset,
        showers.cell,
        showers.energy,
        showers.provenance,
    )
    size = len(plain) // 3
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(plain))[: 3 * size]
    order = order[np.argsort(plain.incident.energy[order])].reshape(size, 3)
    order = rng.permuted(order, axis=1)  # each part gets one of three neighbours in energy
    return [plain[np.sort(part)] for part in order.T]


def measure(
    parts: list[Showers], seed: int, quick: bool, classifiers: bool
) -> dict[str, dict[str, dict[str, Any]]]:
    """For every distortion and size the words and numbers of every line of the verdict."""
    reference, sample, training = parts
    jobs: list[tuple[str, Showers]] = [("same", sample)]
    for name, distort in DISTORTIONS.items():
        for size in SIZES:
            rng = np.random.default_rng([seed, round(1000 * size)])
            jobs.append((f"{name} {100 * size:.0f} %", distort(sample, training, size, rng)))
    report = validate(
        reference,
        [showers for _, showers in jobs],
        training=training,
        name=[name for name, _ in jobs],
        seed=seed,
        quick=quick,
        classifiers=classifiers,
        progress=lambda text: print(text, flush=True) if text.startswith("reading") else None,
    )
    return {
        entry["name"]: {
            row.name: {
                "label": row.label,
                "value": row.value,
                "floor": row.floor,
                "state": row.state,
                "over": row.over,
            }
            for row in verdict(entry)
        }
        for entry in report.comparisons
    }


def table(result: dict[str, dict[str, dict[str, Any]]]) -> str:
    """A line per figure, a column per distortion; in a cell the three sizes."""
    heads = ["same", *DISTORTIONS]
    lines = ["| figure | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for name, row in result["same"].items():
        cells = [MARKS[row["state"]]]
        for kind in DISTORTIONS:
            sizes = [f"{kind} {100 * size:.0f} %" for size in SIZES]
            cells.append("".join(MARKS[result[key][name]["state"]] for key in sizes))
        label = row["label"].replace("|", r"\|")
        lines.append(f"| {label} (`{name}`) | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path, help="store file of Geant4 showers")
    parser.add_argument("--most", type=int, default=10_000, help="showers of each part at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="two classifier seeds")
    parser.add_argument("--no-classifiers", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", type=Path)
    arguments = parser.parse_args()
    parts = thirds(arguments.file, arguments.seed, arguments.most)
    result = measure(parts, arguments.seed, arguments.quick, not arguments.no_classifiers)
    text = table(result)
    print(text)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    if arguments.table:
        arguments.table.write_text(text + "\n")


if __name__ == "__main__":
    main()
