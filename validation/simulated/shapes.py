"""Where showers deposit their energy: depth, second moment around the axis, two peaks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Calorimeter, slabs_of
from caloforge.showers import Showers
from caloforge.validate import layer_energy
from simulated.estimators import Floats, Value

PI0_MASS = 134.977
"""MeV, PDG."""
RADIATION_LENGTH = {
    "G4_W": 3.504,
    "G4_Si": 93.70,
    "G4_AIR": 3.039e5,
    "G4_Pb": 5.612,
    "G4_lAr": 140.0,
    "G4_STAINLESS-STEEL": 17.4,
    "G4_POLYSTYRENE": 413.1,
}
"""mm, PDG."""

# ------------------------------------------------------------------- longitudinal


@dataclass(frozen=True)
class Depths:
    """Radiation lengths: the middle of every layer's active material, and the layer's thickness.

    A layer is what lies between the end of the active material before and its own.
    """

    middle: Floats
    thickness: Floats


def layer_depths(calorimeter: Calorimeter) -> Depths:
    """The layers of a calorimeter with stacks."""
    n = calorimeter.n_layers
    active, sums, end = np.zeros(n), np.zeros(n), np.zeros(n)
    depth = 0.0
    for slab in slabs_of(calorimeter):
        thickness = slab.thickness / RADIATION_LENGTH[slab.material]
        if slab.layer is not None:
            active[slab.layer] += slab.thickness
            sums[slab.layer] += slab.thickness * (depth + thickness / 2)
            end[slab.layer] = depth + thickness
        depth += thickness
    return Depths(np.asarray(sums / active), np.diff(end, prepend=0.0))


def peak(depth: Floats, profile: Floats, above: float = 0.5) -> Floats:
    """Position of the maximum of profiles (..., layers) by a fit of t^(a-1) exp(-b t).

    A linear fit of the logarithm to the layers that hold more than ``above`` of the largest of
    the mean profile; the maximum lies at (a - 1) / b.
    """
    rows = np.atleast_2d(profile)
    total = rows.mean(axis=0)
    chosen = total > above * total.max()
    t = depth[chosen]
    columns = np.column_stack([np.ones_like(t), np.log(t), -t])
    parameters = np.linalg.lstsq(columns, np.log(rows[:, chosen]).T, rcond=None)[0]
    return np.asarray(parameters[1] / parameters[2])


def shower_maximum(
    depth: Floats, energy: Floats, above: float = 0.5, seed: int = 0, resamples: int = 200
) -> Value:
    """Maximum of the mean longitudinal profile of showers (n, layers), with a bootstrap error."""
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(energy), np.full(len(energy), 1 / len(energy)), resamples)
    found = peak(depth, counts @ energy / len(energy), above)
    return Value(float(peak(depth, energy.mean(axis=0), above)[0]), float(found.std()))


def weighted_energy(showers: Showers, depths: Depths) -> Floats:
    """Visible energy (MeV) with every layer times its thickness over that of the first one."""
    return np.asarray(layer_energy(showers) @ (depths.thickness / depths.thickness[0]))


def mean_depth(showers: Showers, depths: Depths) -> Floats:
    """Mean depth of every shower, layers weighted by energy and thickness (radiation lengths)."""
    energy = layer_energy(showers) * depths.thickness
    return np.asarray(energy @ depths.middle / energy.sum(axis=1))


# ------------------------------------------------------------------------ lateral


def axis_moment(showers: Showers) -> tuple[Floats, Floats]:
    """Sum of e * (squared distance from the particle's line) and sum of e, per shower.

    For particles at normal incidence. MeV mm^2 and MeV.
    """
    position = showers.calorimeter.cell_positions[showers.cell]
    row, n = showers.hit_shower, len(showers)
    weights = showers.energy.astype(np.float64)
    squared = np.zeros(len(weights))
    for column, name in enumerate("xy"):
        centre = showers.incident[name] if name in showers.incident else np.zeros(n)
        squared += (position[:, column] - centre[row]) ** 2
    sums = np.bincount(row, weights * squared, minlength=n), np.bincount(row, weights, minlength=n)
    return sums[0].astype(np.float64), sums[1].astype(np.float64)


def images(showers: Showers) -> Floats:
    """Energies summed over the layers: (n, nx, ny), for a grid that is the same in all layers."""
    shape = showers.calorimeter.grid_shape
    if shape is None:
        raise ValueError(f"{showers.calorimeter.name}: the layers have different cells")
    _, nx, ny = shape
    _, i, j = showers.calorimeter.cell_coordinates(showers.cell)
    keys = (showers.hit_shower * nx + i) * ny + j
    flat = np.bincount(keys, showers.energy.astype(np.float64), minlength=len(showers) * nx * ny)
    return flat.reshape(len(showers), nx, ny).astype(np.float64)


@dataclass(frozen=True)
class Pairs:
    """Resolved showers: row, distance of the peaks (cells), the second one's share of both."""

    row: NDArray[np.int64]
    distance: Floats
    share: Floats


def two_peaks(image: Floats, separation: float = 3.0, smallest: float = 0.02) -> Pairs:
    """Showers with two local maxima at least ``separation`` cells apart.

    A maximum exceeds its eight neighbours, and the 3 x 3 cells around it hold at least
    ``smallest`` of the shower. The second maximum is the one with the largest such sum far enough
    from the first; distances are those of the centres of the 3 x 3 cells.
    """
    blocks = _blocks(image)
    highest = blocks.max(axis=-1) <= blocks[..., 4]
    sums = around(image)
    total = image.sum(axis=(1, 2))
    found: list[tuple[int, float, float]] = []
    for row in range(len(image)):
        i, j = np.nonzero(highest[row] & (sums[row] > smallest * total[row]))
        order = np.argsort(sums[row, i, j])[::-1]
        i, j = i[order], j[order]
        far = np.hypot(i - i[:1], j - j[:1]) >= separation
        if not far.any():
            continue
        second = int(np.argmax(far))
        places = [_centre(blocks[row, i[k], j[k]], i[k], j[k]) for k in (0, second)]
        parts = [float(sums[row, i[k], j[k]]) for k in (0, second)]
        distance = float(np.hypot(*(places[1] - places[0])))
        found.append((row, distance, parts[1] / sum(parts)))
    table = np.array(found, dtype=np.float64).reshape(-1, 3)
    return Pairs(table[:, 0].astype(np.int64), table[:, 1], table[:, 2])


def without_halo(pairs: Pairs, single: Floats) -> Floats:
    """The second peak's share, less what each shower leaves in the other's 3 x 3 cells.

    ``single`` (1, nx, ny) is the mean image of one shower in the middle.
    """
    sums = around(single)[0]
    i, j = np.indices(sums.shape)
    middle = (np.array(sums.shape) - 1) / 2
    ring = np.rint(np.hypot(i - middle[0], j - middle[1])).astype(np.int64).ravel()
    mean = np.bincount(ring, sums.ravel()) / np.maximum(np.bincount(ring), 1)
    near = np.interp(pairs.distance, np.arange(len(mean)), mean)
    return np.asarray((mean[0] * pairs.share - near * (1 - pairs.share)) / (mean[0] - near))


def around(image: Floats) -> Floats:
    """Energy in the 3 x 3 cells around every cell."""
    return np.asarray(_blocks(image).sum(axis=-1))


def _blocks(image: Floats) -> Floats:
    """The 3 x 3 cells around every cell: (n, nx, ny, 9), the cell itself in the middle."""
    wide = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    nx, ny = image.shape[1:]
    return np.stack([wide[:, a : a + nx, b : b + ny] for a in range(3) for b in range(3)], axis=-1)


def _centre(block: Floats, i: int, j: int) -> Floats:
    steps = np.array([(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)], dtype=np.float64)
    return np.asarray(np.array([i, j]) + block @ steps / block.sum())


@dataclass(frozen=True)
class Decays:
    """pi0 -> 2 gamma: the first photon's energy share, both positions (n, 2) around the line."""

    x: Floats
    first: Floats
    second: Floats

    @property
    def distance(self) -> Floats:
        """Distance of the photons."""
        return np.asarray(np.hypot(*(self.first - self.second).T))


def decays(n: int, smallest: float, seed: int = 0) -> Decays:
    """Isotropic decays at high energy, ``smallest`` the photons' distance when they share evenly.

    The share x is uniform and the distance smallest / (2 sqrt(x (1 - x))); the centre of energy
    flies on along the pi0's line.
    """
    rng = np.random.default_rng(seed)
    x = rng.uniform(1e-6, 1 - 1e-6, n)
    angle = rng.uniform(0, 2 * np.pi, n)
    distance = smallest / (2 * np.sqrt(x * (1 - x)))
    across = distance[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return Decays(x, (1 - x)[:, None] * across, -x[:, None] * across)
