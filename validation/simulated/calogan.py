"""CaloGAN's liquid-argon calorimeter: its shower shapes for positrons and photons."""

from __future__ import annotations

import numpy as np

from caloforge.showers import Showers
from caloforge.validate import etot_over_einc, layer_energy, layer_width, sparsity
from simulated.estimators import Floats, Value, mean, median, share
from simulated.tables import Entry, Samples, Table

PARTICLES = {"e+": "calogan-e+", "gamma": "calogan-gamma"}
ANCHORS = {
    "E2 / E": "plotted from 0 to 0.008",
    "shower depth s_d": "plotted from 0.4 to 2",
    "E0 / E at 40-60 GeV, median": "0.175 for photons of 50 GeV, argon deposits only",
}
"""What is published: axis ranges of figures, and one number of a variant of the data."""


def calogan(folder: Samples) -> list[Table]:
    """All tables of this section."""
    names = {key: name for key, name in PARTICLES.items() if name in folder}
    folder.present(PARTICLES.values())
    found = {key: folder.read(name) for key, name in names.items()}
    columns = ("quantity", *(f"{key}, {len(s)} showers" for key, s in found.items()), "published")
    table = Table("Shower shapes, 1-100 GeV", columns)
    rows = {key: shapes(showers) for key, showers in found.items()}
    for quantity in next(iter(rows.values())):
        values: list[Entry] = [row[quantity] for row in rows.values()]
        table.add(quantity, *values, ANCHORS.get(quantity, "-"))
    table.note = (
        "E: deposits in lead and argon inside 480 x 480 x 480 mm. s_d = sum(i E_i) / E over the "
        "layers i = 0, 1, 2; sigma_sd its spread inside a shower. Widths and E2 / E: mean over "
        "showers with energy in the layer; x has 3, 12, 12 cells of 160, 40, 40 mm. The layers "
        "hold 5.8, 22.3 and 2.7 radiation lengths."
    )
    return [table, *(_photons_deeper(found["gamma"], found["e+"]) if len(found) == 2 else ())]


def shower_depth(showers: Showers) -> Floats:
    """CaloGAN's s_d, in layers."""
    energy = layer_energy(showers)
    return np.asarray(energy @ np.arange(3) / energy.sum(axis=1))


def shapes(showers: Showers) -> dict[str, Value]:
    """CaloGAN's shower-shape features, averaged."""
    energy = layer_energy(showers)
    fractions = energy / energy.sum(axis=1, keepdims=True)
    depth = shower_depth(showers)
    spread = np.sqrt(np.clip(fractions @ np.arange(3) ** 2 - depth**2, 0.0, None))
    gev = showers.incident.energy / 1e3
    middle = (gev > 40) & (gev < 60)
    found = {"E / incident": mean(etot_over_einc(showers))}
    found["E / incident, rms"] = _rms(etot_over_einc(showers))
    for k in range(3):
        found[f"E{k} / E"] = mean(fractions[:, k])
    found["E0 / E at 40-60 GeV, median"] = median(fractions[middle, 0])
    found["share of showers with E2 / E < 0.008"] = share(fractions[:, 2] < 0.008)
    found["shower depth s_d"] = mean(depth)
    found["share of showers with s_d in 0.4-2"] = share((depth > 0.4) & (depth < 2))
    found["sigma_sd"] = mean(spread)
    for axis in "xy":
        for k in range(3):
            filled = energy[:, k] > 0
            width = layer_width(showers, axis)[filled, k]
            found[f"width of layer {k} along {axis}, mm"] = mean(width)
    for k, cells in enumerate((1 - sparsity(showers)).T):
        found[f"cells with energy in layer {k}"] = mean(cells)
    return found


def _rms(values: Floats) -> Value:
    sigma = float(values.std(ddof=1))
    return Value(sigma, sigma / float(np.sqrt(2 * (len(values) - 1))))


def _photons_deeper(gamma: Showers, positron: Showers) -> list[Table]:
    columns = ("quantity", "gamma - e+", "difference / error", "expected sign")
    table = Table("Photons start later than positrons", columns)
    for name, sign in (("shower depth s_d", "+"), ("E0 / E", "-")):
        difference = shapes(gamma)[name] - shapes(positron)[name]
        table.add(name, difference, round(difference.pull(0.0), 1), sign)
    return [table]
