"""Photons and neutral pions of 60 GeV in lcd-ecal.

A pi0 of energy E decays into photons of energies x E and (1 - x) E. At small angles their
distance at the flight length L is d = L m / (E sqrt(x (1 - x))), so that the energy-weighted
variance of their two positions around the pi0's line, x (1 - x) d^2, is (L m / E)^2 in every
decay. The second moment of a pi0's shower exceeds that of photons by just that.
"""

from __future__ import annotations

import numpy as np

from caloforge.showers import Showers
from simulated.electrons import samples as electrons
from simulated.estimators import Floats, Value, fit, mean, median, ratio_of_sums, share, straight
from simulated.shapes import (
    PI0_MASS,
    Depths,
    around,
    axis_moment,
    decays,
    images,
    layer_depths,
    mean_depth,
    shower_maximum,
    two_peaks,
    without_halo,
)
from simulated.tables import Samples, Table, gev

VERTEX = 2000.0
"""mm from the pi0's decay to the front face."""
PAIRS = (("pi0-60", "gamma-60"), ("pi0-60-spread", "gamma-60-spread"))
SEPARATION = 3
"""Cells between two peaks."""
SMALLEST = 0.02
"""Share of the energy in the 3 x 3 cells around a peak."""
CELL = 5.0
"""mm."""
TOY = 100_000
"""Decays of the toy."""


def photons(folder: Samples) -> list[Table]:
    """All tables of this section."""
    pairs = [(a, b) for a, b in PAIRS if a in folder and b in folder]
    if not pairs:
        folder.read(PAIRS[0][0] if PAIRS[0][0] not in folder else PAIRS[0][1])
    return [
        _moments(folder, pairs),
        _peaks(folder, pairs),
        _depth(folder, [name for pair in pairs for name in pair]),
    ]


# ------------------------------------------------------------------ second moment


def flight(showers: Showers) -> float:
    """Root mean square of the energy's distance from the vertex (mm)."""
    z = showers.calorimeter.cell_positions[showers.cell, 2]
    return float(np.sqrt(np.average((VERTEX + z) ** 2, weights=showers.energy)))


def widening(folder: Samples) -> Value:
    """Change of the second moment (mm^2) from one photon of E to two of x E and (1 - x) E.

    With a second moment that is linear in ln E with slope s: 2 s times the integral of x ln x
    from 0 to 1, -s / 2. The slope is that of electrons of 10 to 100 GeV.
    """
    found = [showers for showers in electrons(folder) if gev(showers) <= 100]
    if len(found) < 2:
        return Value(0.0, 0.0)
    points = [ratio_of_sums(*axis_moment(showers)) for showers in found]
    x = np.log([gev(showers) for showers in found])
    return fit(straight, x, points).first * -0.5


def _moments(folder: Samples, pairs: list[tuple[str, str]]) -> Table:
    columns = (
        "pi0",
        "second moment, mm^2",
        "photons",
        "photons of x E, (1 - x) E",
        "excess",
        "expected",
        "difference / error",
        "pi0 mass, MeV",
    )
    table = Table("Second moment of 60 GeV pi0 around their line", columns)
    for first, second in pairs:
        pions, single = folder.read(first), folder.read(second)
        moments = [ratio_of_sums(*axis_moment(showers)) for showers in (pions, single)]
        split = moments[1] + widening(folder)
        excess = moments[0] - split
        length, energy = flight(pions), gev(pions) * 1e3
        expected = (length * PI0_MASS / energy) ** 2
        root = float(np.sqrt(max(excess.value, 1e-9)))
        mass = Value(root, excess.error / (2 * root)) * (energy / length)
        pull = round(excess.pull(expected), 2)
        table.add(first, *moments, split, excess, round(expected, 2), pull, mass)
    table.note = (
        f"Vertex {VERTEX:g} mm before the front face. Energy-weighted mean of the squared distance "
        "from the line of flight, over all cells. Expected: (L m / E)^2, L^2 averaged over the "
        "deposits. The photons' own second moment is moved to the pi0's photon energies with the "
        "slope in ln E of electrons. -spread: impact points spread over a cell, which removes the "
        "effect of the cells' size; without it the photons hit the middle of a cell."
    )
    return table


# ---------------------------------------------------------------------- two peaks


def _peaks(folder: Samples, pairs: list[tuple[str, str]]) -> Table:
    columns = (
        "sample",
        "with two peaks, %",
        "expected, %",
        "median distance, mm",
        "expected, mm",
        "smallest distance of any decay, mm",
        "median mass, MeV",
    )
    table = Table(f"Two peaks at least {SEPARATION} cells apart, 60 GeV", columns)
    for first, second in pairs:
        pions, single = folder.read(first), folder.read(second)
        length, energy = flight(pions), gev(pions) * 1e3
        halo = images(single).mean(axis=0, keepdims=True)
        expected = ideal_pairs(pions, 2 * length * PI0_MASS / energy, halo)
        for showers, name in ((pions, first), (single, second)):
            found = two_peaks(images(showers), SEPARATION, SMALLEST)
            resolved = np.isin(np.arange(len(showers)), found.row)
            if name == second:
                table.add(name, share(resolved) * 100, 0.0, None, None, None, None)
                continue
            distance = found.distance * CELL
            part = without_halo(found, halo)
            mass = energy / length * distance * np.sqrt(np.clip(part * (1 - part), 0.0, None))
            table.add(
                name,
                share(resolved) * 100,
                round(100 * expected.size / TOY, 1),
                median(distance),
                round(float(np.median(expected)), 1),
                round(2 * length * PI0_MASS / energy, 2),
                median(mass),
            )
    table.note = (
        f"Local maxima of the energy summed over the layers, their 3 x 3 cells with {SMALLEST:.0%} "
        "of it. Expected: decays with x uniform whose photons hit cells that far apart, the "
        "weaker one strong enough. Mass: from both peaks' share of the energy and distance, less "
        "the halo of the other photon."
    )
    return table


def ideal_pairs(pions: Showers, smallest: float, halo: Floats) -> Floats:
    """Distances (mm) of those of :data:`TOY` decays that have two peaks, were showers points."""
    toy = decays(TOY, smallest)
    rng = np.random.default_rng(1)
    spread = np.ptp(pions.incident["x"]) > 0
    line = rng.uniform(-CELL / 2, CELL / 2, (TOY, 2)) if spread else np.zeros((TOY, 2))
    cells = [np.rint((line + place) / CELL) for place in (toy.first, toy.second)]
    apart = np.hypot(*(cells[0] - cells[1]).T) >= SEPARATION
    strong = np.minimum(toy.x, 1 - toy.x) * around(halo).max() / halo.sum() > SMALLEST
    return np.asarray(toy.distance[apart & strong])


# -------------------------------------------------------------------------- depth


def _depth(folder: Samples, names: list[str]) -> Table:
    columns = ("sample", "mean depth, X0", "minus electrons", "maximum, X0", "minus electrons")
    table = Table("Depth of photons against electrons of the same energy", columns)
    found = electrons(folder)
    if len(found) < 2:
        return table
    depths = layer_depths(found[0].calorimeter)
    x = np.log([gev(showers) for showers in found])

    def at(energy: float, points: list[Value]) -> Value:
        """Straight line through the two nearest energies."""
        k = int(np.clip(np.searchsorted(x, np.log(energy)), 1, len(x) - 1))
        weight = float((np.log(energy) - x[k - 1]) / (x[k] - x[k - 1]))
        return points[k - 1] * (1 - weight) + points[k] * weight

    centres = [mean(mean_depth(showers, depths)) for showers in found]
    peaks = [_peak(depths, showers) for showers in found]
    for name in names:
        showers = folder.read(name)
        centre, peak = mean(mean_depth(showers, depths)), _peak(depths, showers)
        energy = gev(showers)
        table.add(name, centre, centre - at(energy, centres), peak, peak - at(energy, peaks))
    table.note = (
        "Electrons: straight line in ln E between the neighbouring energies. A photon converts "
        "after 9/7 X0 on average, and two particles of lower energy go on: +1.0 X0 at the maximum "
        "(PDG), +0.8 X0 in the mean depth. A pi0 is two photons of lower energy, 0.5 X0 less deep "
        "than one."
    )
    return table


def _peak(depths: Depths, showers: Showers) -> Value:
    return shower_maximum(depths.middle, showers.layer_energy)
