"""Data set 1: Etot / Einc at each of its incident energies."""

from __future__ import annotations

from typing import Any

import numpy as np

from caloforge.observables import Floats, Observables
from caloforge.validate.calochallenge.data_sets import calochallenge_data_set
from caloforge.validate.separation import separation_power
from caloforge.validate.summary import Summary

ENERGIES = 2.0 ** np.arange(8, 23)
"""The 15 incident energies (MeV): 256 MeV to 4.2 TeV, in factors of two."""

FIRST_NARROW = 4
"""Place of the first photon energy with the narrow range."""


def _edges(photons: bool, place: int) -> Floats:
    low, high = (0.9, 1.1) if photons and place >= FIRST_NARROW else (0.4, 1.4)
    return np.linspace(low, high, 21)


def _responses(table: Observables, energy: float) -> Floats:
    chosen = (table.energy >= energy) & (table.energy < 2 * energy)
    return table.response[chosen]


def energy_separation(reference: Summary, generated: Summary) -> list[dict[str, Any]] | None:
    """Separation power of Etot / Einc at each incident energy of data set 1.

    20 bins over 0.4..1.4; for photons over 0.9..1.1 from the fifth energy (4096 MeV) on. An energy
    E holds the showers with E <= Einc < 2 E.

    Returns:
        For each of the 15 energies ``energy`` (MeV), the number of showers ``n_reference`` and
        ``n_generated``, the separation power ``value`` (None without entries of either sample) and
        ``out_of_range``, the share of the generated entries outside the bins (None without any).
        None for other calorimeters than those of data set 1.

    Source: CaloChallenge evaluation code.
    """
    found = calochallenge_data_set(reference.calorimeter)
    if found is None or found.electrons:
        return None
    rows = []
    for place, energy in enumerate(ENERGIES):
        edges = _edges(found.name == "1-photons", place)
        ref, gen = (_responses(s.observables, energy) for s in (reference, generated))
        counts = [np.histogram(values, bins=edges)[0] for values in (ref, gen)]
        value = separation_power(*counts) if len(ref) and len(gen) else None
        rows.append(
            {
                "energy": float(energy),
                "n_reference": len(ref),
                "n_generated": len(gen),
                "value": value,
                "out_of_range": float(1 - counts[1].sum() / len(gen)) if len(gen) else None,
            }
        )
    return rows
