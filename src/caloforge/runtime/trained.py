"""What a model was trained on: impact points that nobody gave, and a warning outside its range."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import CaloforgeWarning
from caloforge.runtime.engine import NORMAL_INCIDENCE, Engine
from caloforge.runtime.noise import IMPACT_STREAM, uniform_noise
from caloforge.showers import Incident

IMPACT = ("x", "y")
SHOWN = {
    "energy": (1e-3, "GeV"),
    "theta": (180 / np.pi, "degrees"),
    "phi": (180 / np.pi, "degrees"),
}
"""How ranges are written: factor and unit; mm otherwise."""

SLACK = 1e-3
"""Part of the trained range by which a value may lie outside without a warning."""

GAPS = 5.0
"""The same in mean distances of the training sample's values: its extremes lie about one distance
inside the range that it was drawn from, rarely more than five (probability exp(-5))."""


def trained_ranges(engine: Engine) -> dict[str, tuple[float, float]]:
    """Lowest and highest value of the condition columns in the training sample, where known."""
    source = engine.description["provenance"].get("source", {})
    return {name: (low, high) for name, (low, high) in source.get("training_ranges", {}).items()}


def accepted_ranges(engine: Engine) -> dict[str, tuple[float, float]]:
    """The trained ranges with what lies so close to them that it passes for inside."""
    showers = engine.description["provenance"].get("source", {}).get("training_showers", np.inf)
    part = SLACK + GAPS / showers
    accepted = {}
    for name, (low, high) in trained_ranges(engine).items():
        slack = part * (high - low) + 1e-6 * abs(high)
        accepted[name] = (low - slack, high + slack)
    return accepted


def with_impact(engine: Engine, incident: Incident, seed: int, first: int) -> Incident:
    """Particles with impact points, where the model wants them and none are given.

    They are spread evenly over the range of the training sample (as in its beam), at its depth;
    shower ``first`` + k always gets the same point. Points given without a depth lie on the front
    face.
    """
    ranges = trained_ranges(engine)
    wanted = [name for name in IMPACT if name in engine.description["condition"]]
    missing = [name for name in wanted if name not in incident and name in ranges]
    columns: dict[str, NDArray[Any]] = dict(incident.columns)
    if "z" in engine.description["condition"] and "z" not in incident:
        depth = sum(ranges["z"]) / 2 if missing and "z" in ranges else 0.0
        columns["z"] = np.full(len(incident), depth)
    if not missing:
        return Incident(columns)
    uniform = uniform_noise(seed, first, first + len(incident), len(IMPACT), IMPACT_STREAM)
    for name in missing:
        low, high = ranges[name]
        columns[name] = low + (high - low) * uniform[:, IMPACT.index(name)]
    return Incident(columns)


def warn_outside(engine: Engine, incident: Incident) -> None:
    """One warning for every condition column that leaves the range of the training sample."""
    for text in outside(engine, incident):
        warnings.warn(text, CaloforgeWarning, stacklevel=2)


def outside(engine: Engine, incident: Incident) -> list[str]:
    """What to say of every condition column that leaves the range of the training sample."""
    texts = []
    ranges, accepted = trained_ranges(engine), accepted_ranges(engine)
    for name, (low, high) in ranges.items():
        if name in ("z", "pdg"):
            continue  # z only says where x and y are; particles have no range
        if name in incident:
            values = _at_depth(incident, name, ranges)
        elif name == "theta":
            values = np.full(1, NORMAL_INCIDENCE)
        else:
            continue
        beyond = values[(values < accepted[name][0]) | (values > accepted[name][1])]
        if len(beyond):
            factor, unit = SHOWN.get(name, (1.0, "mm"))
            found = f"{beyond.min() * factor:.4g} to {beyond.max() * factor:.4g}"
            texts.append(
                f"{name}: {len(beyond)} of {len(incident)} showers at {found} {unit}, outside the "
                f"{low * factor:.4g} to {high * factor:.4g} {unit} that the model was trained on; "
                "they are extrapolated, validate such showers before use"
            )
    return texts


def _at_depth(
    incident: Incident, name: str, ranges: dict[str, tuple[float, float]]
) -> NDArray[np.float64]:
    """A column of particles; x at the depth of the training sample's points, where it has one."""
    values = np.asarray(incident[name], dtype=np.float64)
    if name != "x" or "z" not in ranges or "z" not in incident or "theta" not in incident:
        return values
    theta = np.asarray(incident["theta"], dtype=np.float64)
    slope = np.cos(theta) / np.maximum(np.sin(theta), 1e-3)
    return np.asarray(values + (sum(ranges["z"]) / 2 - incident["z"]) * slope)
