"""All figures of a set of predictions: the dictionary of ``predictions.json``."""

from __future__ import annotations

from typing import Any

import numpy as np

from caloforge.models.predictors import class_numbers
from caloforge.predict.classification import classification
from caloforge.predict.regression import angle_figures, energy_figures
from caloforge.predict.table import Floats, Table

ANGLES = ("theta", "phi")


def figures(table: Table) -> dict[str, Any]:
    """``classification``, ``energy``, ``theta``, ``phi`` and ``notes``.

    What was not predicted, or has no truth to compare with, is None; ``notes`` says why.
    """
    notes: dict[str, str] = {}
    result: dict[str, Any] = {"classification": _classification(table, notes)}
    energy = np.asarray(table.truth["energy"], dtype=np.float64)
    result["energy"] = None
    if "energy" in table.predicted.targets:
        predicted = table.predicted.targets["energy"]
        result["energy"] = energy_figures(energy, predicted, table.visible, _groups(table))
    for name in ANGLES:
        result[name] = _angle(name, table, energy, notes)
    empty = int(np.count_nonzero(table.visible <= 0))
    if empty:
        notes["empty"] = f"{empty} of {len(table)} showers are empty; they count like all others"
    return result | {"notes": notes}


def _classification(table: Table, notes: dict[str, str]) -> dict[str, Any] | None:
    told = table.predicted
    if not told.classes:
        return None
    if "pdg" not in table.truth:
        notes["classification"] = "not all showers say their particle ('pdg'); nothing to compare"
        return None
    angle = table.truth.get("opening_angle")
    found = classification(
        table.truth["pdg"], told.probability, told.classes, table.truth["energy"], angle
    )
    if found is None:
        notes["classification"] = "no shower is of a class that the model knows"
    elif found["ignored"]:
        others = ", ".join(f"{n} of particle {code}" for code, n in found["ignored"].items())
        notes["classification"] = f"showers of no class are left out: {others}"
    return found


def _groups(table: Table) -> dict[str, Any]:
    """The particles in the sample by their PDG codes without sign."""
    if "pdg" not in table.truth:
        return {}
    code = np.abs(table.truth["pdg"])
    known = [c for c in table.predicted.classes if c in code]
    others = sorted(set(code.tolist()) - set(known))
    return {str(c): class_numbers(code, [c]) == 0 for c in (*known, *others)}


def _angle(name: str, table: Table, energy: Floats, notes: dict[str, str]) -> dict[str, Any] | None:
    if name not in table.predicted.targets:
        return None
    if name not in table.truth:
        notes[name] = f"not all showers have the incident column '{name}'; nothing to compare"
        return None
    truth = np.asarray(table.truth[name], dtype=np.float64)
    return angle_figures(truth, table.predicted.targets[name], energy)
