"""All observables of a sample, in one compiled pass over its hits."""

from __future__ import annotations

import numpy as np

from caloforge.observables.angle import measured_angle
from caloforge.observables.axes import Floats, cell_table
from caloforge.observables.layers import containment_depth, thirds
from caloforge.observables.neighbours import hit_pairs
from caloforge.observables.table import LAYER_FIELDS, Observables
from caloforge.showers import Showers

HIT_CUT = 0.3
"""MeV: the cut of 3DGAN's hit count."""
DECADES = tuple(range(-13, 1))
"""Powers of ten, in GeV, of 3DGAN's sparsity curve."""


def _cuts() -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """In float32 like the cells: a cell that holds just a cut is not above it."""
    return np.array([HIT_CUT, *(10.0**t * 1e3 for t in DECADES)], dtype=np.float32)


def observables(showers: Showers) -> Observables:
    """All observables of a sample: see :class:`Observables` and the function of each name."""
    from caloforge.observables.kernels import FIELDS, fill_tables

    calorimeter, n = showers.calorimeter, len(showers)
    table = cell_table(calorimeter)
    out = np.zeros((len(FIELDS), n))
    by_layer = np.zeros((len(LAYER_FIELDS), n, calorimeter.n_layers))
    curve = np.zeros((n, len(DECADES)))
    fill_tables(
        showers.offset.astype(np.int64),
        showers.cell,
        showers.energy,
        table,
        _cuts(),
        out,
        by_layer,
        curve,
    )
    value = dict(zip(FIELDS, out, strict=True))
    layer = dict(zip(LAYER_FIELDS, by_layer, strict=True))

    def stack(*names: str, axes: str = "xyz") -> Floats:
        return np.column_stack([value[f"{name}_{axis}"] for name in names for axis in axes])

    moments, energy = stack("mean", "width"), layer["layer_energy"]
    x, y = layer["centre_x"], layer["centre_y"]
    angles = [
        measured_angle(energy, x, y, moments[:, [0, 1, 2]], calorimeter),
        measured_angle(energy, y, x, moments[:, [1, 0, 2]], calorimeter),
    ]
    incident = showers.incident
    return Observables(
        energy=incident.energy,
        theta=incident["theta"] if "theta" in incident else np.zeros(n),
        moments=moments,
        thirds=thirds(energy, calorimeter),
        peak_position=stack("peak"),
        skewness=stack("skewness"),
        kurtosis=stack("kurtosis"),
        slope=stack("slope", axes="xy"),
        depth_50=containment_depth(energy, calorimeter, 0.5),
        depth_90=containment_depth(energy, calorimeter, 0.9),
        measured_angle=np.column_stack(angles),
        hit_pairs=hit_pairs(showers),
        sparsity_curve=curve / calorimeter.n_cells,
        **layer,
        **{
            name: value[name]
            for name in ("total", "hits", "hits_above", "peak_energy", "peak_layer")
        },
        radius_50=value["radius_50"],
        radius_90=value["radius_90"],
    )
