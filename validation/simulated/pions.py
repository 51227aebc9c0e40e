"""Pions: response against electrons, resolution, leakage, and the start of their showers."""

from __future__ import annotations

import numpy as np

from caloforge.geometry import Calorimeter
from caloforge.showers import Showers
from caloforge.validate import etot_over_einc
from simulated.electrons import resolution_tables, window
from simulated.estimators import (
    Floats,
    Value,
    mean,
    plain_resolution,
    ratio_of_sums,
    robust_resolution,
    share,
)
from simulated.tables import Entry, Samples, Table, gev

ENERGIES = (10, 20, 50)
KINDS = {"raw": "", "Birks": "birks-"}
EXPECTED = {"raw": (1.12, 1.12, 1.07), "Birks": (0.90, 0.90, 0.90)}
"""pi / e of other code with the same geometry, read out over its full width."""
ECAL_FRACTION = Value(0.0202, 0.0)
"""Of electrons of 100 GeV in lcd-ecal, published; where lcd-E.h5 is not there."""
TUNGSTEN = 79.2
"""mm in lcd-ecal: 17 x 2.4 + 8 x 4.8."""
SILICON = 10.5
"""mm in lcd-ecal."""
INTERACTION = {"pions": (113.3, 591.4), "nucleons": (99.46, 465.2)}
"""Interaction lengths (mm) in tungsten and silicon, PDG."""
TAIL = 5
"""Layers of the HCAL."""

Shelf = dict[str, list[tuple[Showers, Showers]]]


def pions(folder: Samples) -> list[Table]:
    """All tables of this section."""
    alone = [name for kind in KINDS.values() for name in _names(kind, "pi")]
    together = [f"pi-{kind}{energy}" for kind in KINDS.values() for energy in ENERGIES]
    folder.present([*alone, *together])
    wide = _pairs(folder)
    narrow = {
        kind: [(window(pion, 11), window(electron, 11)) for pion, electron in pairs]
        for kind, pairs in wide.items()
    }
    tables = [_response(narrow, wide), *_resolution(narrow, "11x11"), *_resolution(wide, "33x33")]
    tables += [_leakage(narrow), _containment(wide), *_combined(folder, narrow)]
    return [*tables, _interactions(folder)]


def _names(kind: str, particle: str) -> list[str]:
    """Names of the files of the HCAL alone, 33x33 cells: hcal-pi-birks-10."""
    return [f"hcal-{particle}-{kind}{energy}" for energy in ENERGIES]


def _pairs(folder: Samples) -> Shelf:
    """Pions and electrons of the same energy in the HCAL alone, by kind."""
    shelf: Shelf = {}
    for label, kind in KINDS.items():
        names = zip(_names(kind, "pi"), _names(kind, "e"), strict=True)
        shelf[label] = [
            (folder.read(pion), folder.read(electron))
            for pion, electron in names
            if pion in folder and electron in folder
        ]
    return shelf


def response_ratio(pair: tuple[Showers, Showers]) -> Value:
    """Visible fraction of pions over that of electrons."""
    first, second = (mean(etot_over_einc(showers)) for showers in pair)
    return first / second


def _response(alone: Shelf, wide: Shelf) -> Table:
    columns = (
        "deposits",
        "cells",
        "E, GeV",
        "electrons: visible / incident, %",
        "pions, %",
        "pi / e",
        "expected at full width",
        "difference / error",
    )
    table = Table("Response of the HCAL alone to pions and electrons", columns)
    for shelf in (alone, wide):
        for kind, pairs in shelf.items():
            for pair in pairs:
                energy, shape = gev(pair[0]), pair[0].calorimeter.grid_shape
                assert shape is not None
                values = [mean(etot_over_einc(showers)) * 100 for showers in pair]
                ratio = response_ratio(pair)
                expected = EXPECTED[kind][ENERGIES.index(int(energy))]
                pull = round(ratio.pull(expected), 1) if shelf is wide else None
                grid = f"{shape[1]}x{shape[2]}"
                table.add(kind, grid, energy, values[1], values[0], ratio, expected, pull)
    table.note = (
        "Expected: another simulation of this sampling structure, read out over its full width. "
        "lcd-hcal reads 11x11 cells of 30 mm of a calorimeter 1 m wide: less of a pion shower "
        "than of an electron's. 33x33 cells read nearly all of it."
    )
    return table


def _resolution(shelf: Shelf, cells: str) -> list[Table]:
    tables = []
    for kind, pairs in shelf.items():
        if not pairs:
            continue
        kinds = {}
        for number, particle in ((1, "electrons"), (0, "pions")):
            fractions = [etot_over_einc(pair[number]) for pair in pairs]
            kinds[f"{particle}, truncated"] = [robust_resolution(v) * 100 for v in fractions]
            kinds[f"{particle}, rms"] = [plain_resolution(v) * 100 for v in fractions]
        title = f"Resolution of the HCAL alone, {cells} cells ({kind})"
        made = resolution_tables(title, [pair[0] for pair in pairs], kinds)
        made[0].note = "Expected: electrons 15-19 %, pions 30-37 % times 1 / sqrt(E / GeV)."
        tables += made
    return tables


def _leakage(shelf: Shelf) -> Table:
    columns = (
        "deposits",
        "E, GeV",
        f"pions: in the last {TAIL} layers, %",
        "showers with more than 5 % there, %",
        "layer that holds 90 %",
        "layer that holds 99 %",
        "in the outermost cells, %",
        "electrons: in the outermost cells, %",
    )
    table = Table("Leakage from the HCAL alone", columns)
    for kind, pairs in shelf.items():
        for pair in pairs:
            layers = pair[0].layer_energy
            last = layers[:, -TAIL:].sum(axis=1)
            total = layers.sum(axis=1)
            reached = np.cumsum(layers.mean(axis=0)) / layers.mean(axis=0).sum()
            table.add(
                kind,
                gev(pair[0]),
                ratio_of_sums(last, total) * 100,
                share(last > 0.05 * total) * 100,
                int(np.searchsorted(reached, 0.90)) + 1,
                int(np.searchsorted(reached, 0.99)) + 1,
                *(ratio_of_sums(inside(s, -1), s.total_energy) * 100 for s in pair),
            )
    table.note = "Of the visible energy; 60 layers, counted from 1. One layer: 0.12 lambda."
    return table


def inside(showers: Showers, reach: int) -> Floats:
    """Visible energy (MeV) within ``reach`` cells of the middle one; -1: in the outermost cells."""
    _, i, j = showers.calorimeter.cell_coordinates(showers.cell)
    shape = showers.calorimeter.grid_shape
    assert shape is not None
    far = np.maximum(np.abs(i - shape[1] // 2), np.abs(j - shape[2] // 2))
    chosen = far == shape[1] // 2 if reach < 0 else far <= reach
    weights = showers.energy.astype(np.float64) * chosen
    return np.bincount(showers.hit_shower, weights, minlength=len(showers)).astype(np.float64)


def _containment(wide: Shelf) -> Table:
    columns = ("deposits", "E, GeV", "pions: in 11x11 of 33x33 cells, %", "electrons, %")
    table = Table("Lateral containment of the HCAL", columns)
    for kind, pairs in wide.items():
        for pair in pairs:
            parts = [ratio_of_sums(inside(s, 5), s.total_energy) * 100 for s in pair]
            table.add(kind, gev(pair[0]), *parts)
    return table


# ----------------------------------------------------------------------- combined


def _front(calorimeter: Calorimeter) -> int:
    """Number of the first layer of the HCAL: 60 layers from the back."""
    return calorimeter.n_layers - 60


def reconstructed(showers: Showers, ecal: Value, hcal: Value) -> Floats:
    """Energy over incident energy, both parts on the scale of electrons."""
    layers, first = showers.layer_energy, _front(showers.calorimeter)
    energy = layers[:, :first].sum(axis=1) / ecal.value + layers[:, first:].sum(axis=1) / hcal.value
    return np.asarray(energy / showers.incident.energy)


def _combined(folder: Samples, alone: Shelf) -> list[Table]:
    columns = (
        "deposits",
        "E, GeV",
        "visible ECAL / incident, %",
        "visible HCAL / incident, %",
        "reconstructed / incident",
        "late showers (ECAL < 3 MIP)",
        "share of the last 5 layers, %",
    )
    title = "Pions in lcd-ecal+lcd-hcal on the scale of electrons"
    table, tables = Table(title, columns), []
    for kind, prefix in KINDS.items():
        names = [f"pi-{prefix}{energy}" for energy in ENERGIES]
        found = [folder.read(name) for name in names if name in folder]
        scale = {gev(pair[1]): mean(etot_over_einc(pair[1])) for pair in alone[kind]}
        energies: list[Floats] = []
        kept: list[Showers] = []
        for showers in found:
            if gev(showers) not in scale:
                continue
            ecal = _ecal_fraction(folder, gev(showers))
            energies.append(reconstructed(showers, ecal, scale[gev(showers)]))
            kept.append(showers)
            table.add(kind, gev(showers), *_shares(showers, energies[-1]))
        if kept:
            kinds = {
                "truncated": [robust_resolution(values) * 100 for values in energies],
                "rms": [plain_resolution(values) * 100 for values in energies],
            }
            tables += resolution_tables(f"Resolution of lcd-ecal+lcd-hcal ({kind})", kept, kinds)
    table.note = (
        "ECAL deposits over the visible fraction of electrons in lcd-ecal, HCAL deposits over "
        "that of electrons in the HCAL, both at the same energy. 11x11 cells of 30 mm."
    )
    return [table, *tables]


def _ecal_fraction(folder: Samples, energy: float) -> Value:
    name = f"lcd-{energy:g}"
    return mean(etot_over_einc(folder.read(name))) if name in folder else ECAL_FRACTION


def _shares(showers: Showers, energy: Floats) -> list[Entry]:
    layers, first = showers.layer_energy, _front(showers.calorimeter)
    incident = showers.incident.energy
    ecal, hcal = layers[:, :first].sum(axis=1), layers[:, first:].sum(axis=1)
    late = ~started(ecal)
    tail = ratio_of_sums(layers[:, -TAIL:].sum(axis=1), layers.sum(axis=1))
    parts = [mean(part / incident) * 100 for part in (ecal, hcal)]
    return [*parts, mean(energy), mean(energy[late]), tail * 100]


# -------------------------------------------------------------------- interaction


def started(ecal: Floats) -> np.ndarray:
    """Showers with more than three times the deposit of a pion that crosses the ECAL."""
    return np.asarray(ecal > 3 * crossing(ecal))


def crossing(ecal: Floats) -> float:
    """Most likely deposit (MeV) of a pion that crosses: the middle of the narrowest third."""
    low = np.sort(ecal)
    width = max(len(low) // 3, 2)
    k = int(np.argmin(low[width:] - low[:-width]))
    return float(0.5 * (low[k] + low[k + width]))


def _interactions(folder: Samples) -> Table:
    columns = (
        "E, GeV",
        "crossing pion in the ECAL, MeV",
        "started in the ECAL",
        "expected for pions",
        "for nucleons",
        "tungsten per interaction, mm",
    )
    table = Table("Pions that start to shower in lcd-ecal", columns)
    expected = [
        round(float(1 - np.exp(-TUNGSTEN / w - SILICON / si)), 3) for w, si in INTERACTION.values()
    ]
    for name in (f"pi-{energy}" for energy in ENERGIES):
        if name not in folder:
            continue
        showers = folder.read(name)
        ecal = showers.layer_energy[:, : _front(showers.calorimeter)].sum(axis=1)
        part = share(started(ecal))
        survived = 1 - part.value
        length = -TUNGSTEN / np.log(survived)
        error = part.error * length**2 / (TUNGSTEN * survived)
        most = round(crossing(ecal), 2)
        table.add(gev(showers), most, part, *expected, Value(float(length), float(error)))
    table.note = (
        "Started: more than three times the most likely deposit of a crossing pion. Expected: 1 - "
        "exp(-79.2 mm / lambda) with the PDG's interaction lengths of pions (113.3 mm) and "
        "nucleons (99.5 mm) in tungsten, and the silicon."
    )
    return table
