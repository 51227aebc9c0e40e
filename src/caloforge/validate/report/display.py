"""Single showers in three dimensions, to turn in the browser: data for Plotly."""

from __future__ import annotations

from typing import Any

import numpy as np

from caloforge.showers import Showers
from caloforge.validate.comparison import Comparison
from caloforge.validate.profiles import extent
from caloforge.validate.report.figures.events import chosen_showers, nearest_in_energy

MOST_HITS = 2000
"""Hits shown of a shower, those of the highest energy: a phone must turn it."""


def shower_points(shower: Showers) -> dict[str, Any]:
    """Positions (mm), energies (MeV) and what to say of one shower."""
    order = np.argsort(shower.energy, kind="stable")[::-1][:MOST_HITS]
    energy = shower.energy[order].astype(np.float64)
    x, y, z = np.round(shower.calorimeter.cell_positions[shower.cell[order]].T, 2)
    hits, shown = len(shower.energy), len(order)
    text = f"{shower.incident.energy[0] / 1e3:.1f} GeV, {hits} hits"
    return {
        "x": x.tolist(),
        "y": y.tolist(),
        "z": z.tolist(),
        "energy": [float(f"{value:.4g}") for value in energy],
        "text": text + (f", the {shown} highest shown" if shown < hits else ""),
    }


def display(comparison: Comparison) -> dict[str, Any]:
    """All that the page draws: per choice of energy one shower of every sample.

    ``range``: limits of x, y and z (mm); ``colours``: of the energies, log10 of MeV; ``choices``:
    a ``label`` and the ``showers``, the reference first.
    """
    reference = comparison.reference.kept
    geometry = comparison.reference.calorimeter
    choices, low, high = [], np.inf, -np.inf
    for pick in chosen_showers(reference):
        energy = float(reference.incident.energy[pick])
        showers = [reference[[pick]]]
        for sample in comparison.judged:
            kept = sample.summary.kept
            showers.append(kept[[nearest_in_energy(kept, energy)]])
        points = []
        for shower, name in zip(
            showers,
            [comparison.reference_name, *(s.name for s in comparison.judged)],
            strict=True,
        ):
            points.append({"name": name, **shower_points(shower)})
            if len(shower.energy):
                low = min(low, float(shower.energy.min()))
                high = max(high, float(shower.energy.max()))
        choices.append({"label": f"{energy / 1e3:.1f} GeV", "showers": points})
    if not np.isfinite(low):
        low, high = 1e-3, 1.0
    top = max(float(np.log10(high)), float(np.log10(low)) + 0.1)
    last = geometry.layers[-1]
    return {
        "range": {
            "x": list(extent(geometry, "x")),
            "y": list(extent(geometry, "y")),
            "z": [geometry.layers[0].z, last.z + last.thickness],
        },
        "colours": [max(float(np.log10(low)), top - 4.0), top],
        "choices": choices,
    }
