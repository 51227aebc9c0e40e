"""The scalar figure of merit of 3DGAN: moments, energy profiles and the angle per energy bin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from caloforge.errors import ShowerError
from caloforge.observables import Floats, Observables, observables
from caloforge.validate.profiles import shower_profiles
from caloforge.validate.response import MAX_DISCRETE
from caloforge.validate.summary import BATCH, Source

HALF_WIDTH = 5000.0
"""MeV: a bin holds the showers nearer than 5 GeV to its energy, as in 3DGAN."""
MAX_BINS = 10
PROFILES = ("x", "y", "longitudinal")


def metric_energies(energy: Floats, half_width: float = HALF_WIDTH) -> Floats:
    """The bins' energies (MeV) where none are given.

    The energies of the reference where it has at most 20; otherwise at most ten, evenly spread
    so that the outer bins end at the range's ends (10 to 100 GeV: 15, 25, .. 95 GeV).
    """
    distinct = np.unique(energy)
    if len(distinct) <= MAX_DISCRETE:
        return distinct
    low, high = float(distinct[0]), float(distinct[-1])
    bins = int(np.clip(round((high - low) / (2 * half_width)), 1, MAX_BINS))
    if bins == 1:
        return np.array([0.5 * (low + high)])
    return np.linspace(low + half_width, high - half_width, bins)


@dataclass
class Near:
    """The sums over the showers of one sample near one energy."""

    n: int = 0
    filled: int = 0
    moments: Floats = field(default_factory=lambda: np.zeros(6))
    profiles: dict[str, Floats] = field(default_factory=dict)
    theta: list[Floats] = field(default_factory=list)
    measured: list[Floats] = field(default_factory=list)

    def add(self, moments: Floats, profiles: dict[str, Floats], table: Observables) -> None:
        """Take in showers: per-shower moments (n, 6) and profiles (n, bins), their table."""
        self.n += len(table)
        self.filled += int(np.count_nonzero(table.filled))
        self.moments = self.moments + moments.sum(axis=0)
        for name, values in profiles.items():
            self.profiles[name] = self.profiles.get(name, 0.0) + values.sum(axis=0)
        known = table.measured_theta > 0
        self.theta.append(table.theta[known])
        self.measured.append(table.measured_theta[known])

    def __add__(self, other: Near) -> Near:
        if not self.n or not other.n:
            return self if self.n else other
        return Near(
            self.n + other.n,
            self.filled + other.filled,
            self.moments + other.moments,
            {name: values + other.profiles[name] for name, values in self.profiles.items()},
            self.theta + other.theta,
            self.measured + other.measured,
        )


def index_moments(profile: Floats) -> Floats:
    """Moments of per-shower profiles (n, bins): shape (n, 2), in bins and bins^2; empty: 0.

    First: sum(k E_k) / E, k the bin number from 0; second: sum((k - first)^2 E_k) / E.
    """
    number = np.arange(profile.shape[1], dtype=np.float64)
    total = profile.sum(axis=1)
    share = profile / np.where(total > 0, total, 1.0)[:, None]
    first = share @ number
    return np.column_stack([first, (share * (number - first[:, None]) ** 2).sum(axis=1)])


def near_energies(
    source: Source, energies: Floats, half_width: float = HALF_WIDTH, batch: int = BATCH
) -> list[Near]:
    """For each of the ``energies`` (MeV) the sums over the showers nearer than ``half_width``."""
    bins = [Near() for _ in energies]
    for part in source.batches(batch):
        showers = part.above_threshold()
        near = [np.abs(showers.incident.energy - energy) < half_width for energy in energies]
        if not np.any(near):
            continue
        table, shapes = observables(showers), shower_profiles(showers, PROFILES)
        moments = np.concatenate([index_moments(shapes[name]) for name in PROFILES], axis=1)
        for one, rows in zip(bins, near, strict=True):
            if rows.any():
                one.add(moments[rows], {k: v[rows] for k, v in shapes.items()}, table[rows])
    return bins


def _relative(reference: Floats, generated: Floats) -> tuple[float | None, int]:
    """Mean |generated / reference - 1| where there is a reference, and how many have none."""
    known = np.abs(reference) > 1e-12
    left_out = int(np.count_nonzero(~known))
    if not known.any():
        return None, left_out
    return float(np.abs(generated[known] / reference[known] - 1.0).mean()), left_out


def pair_by_angle(reference: Floats, generated: Floats) -> NDArray[np.int64]:
    """For every generated shower the reference shower with the nearest incident angle.

    Several reference showers of that angle are taken in turn, so samples with the same
    conditions, row by row, are paired row by row.
    """
    order = np.argsort(reference, kind="stable")
    values, start, count = np.unique(reference[order], return_index=True, return_counts=True)
    right = np.clip(np.searchsorted(values, generated), 1, max(len(values) - 1, 1))
    right = np.minimum(right, len(values) - 1)
    left = np.maximum(right - 1, 0)
    nearer_left = np.abs(generated - values[left]) <= np.abs(values[right] - generated)
    nearest = np.where(nearer_left, left, right)
    by_value = np.argsort(nearest, kind="stable")
    turn = np.empty(len(generated), dtype=np.int64)
    _, first, times = np.unique(nearest[by_value], return_index=True, return_counts=True)
    turn[by_value] = np.arange(len(generated)) - np.repeat(first, times)
    return np.asarray(order[start[nearest] + turn % count[nearest]], dtype=np.int64)


def _angle(reference: Near, generated: Near) -> float | None:
    theta, measured = np.concatenate(reference.theta), np.concatenate(reference.measured)
    if not len(theta) or not sum(map(len, generated.theta)):
        return None
    pairs = measured[pair_by_angle(theta, np.concatenate(generated.theta))]
    return float(np.abs(np.concatenate(generated.measured) / pairs - 1.0).mean())


def _compare(energy: float, reference: Near, generated: Near, angle: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "energy": energy,
        "n_reference": reference.n,
        "n_generated": generated.n,
        "moments": None,
        "profiles": None,
        "angle": None,
        "left_out": 0,
    }
    if not reference.filled or not generated.filled:
        return row
    row["moments"], row["left_out"] = _relative(
        reference.moments / reference.filled, generated.moments / generated.filled
    )
    errors = []
    for name in PROFILES:
        error, left_out = _relative(
            reference.profiles[name] / reference.n, generated.profiles[name] / generated.n
        )
        row["left_out"] += left_out
        errors.append(error)
    known = [error for error in errors if error is not None]
    row["profiles"] = float(np.mean(known)) if known else None
    if angle:
        row["angle"] = _angle(reference, generated)
    return row


def _mean(rows: Sequence[dict[str, Any]], key: str) -> float | None:
    values = [row[key] for row in rows if row[key] is not None]
    return float(np.mean(values)) if values else None


def conditions(source: Source, batch: int) -> tuple[Floats, bool]:
    """The incident energies, and whether there are incident angles that differ."""
    parts = [part.incident for part in source.batches(batch)]
    if not parts:
        raise ShowerError("the sample holds no showers; give at least one")
    energy = np.concatenate([part.energy for part in parts])
    if not all("theta" in part for part in parts):
        return energy, False
    theta = np.concatenate([part["theta"] for part in parts])
    return energy, float(np.ptp(theta)) > 1e-6


def threedgan_metric(
    reference: Source,
    generated: Source,
    energies: ArrayLike | None = None,
    *,
    half_width: float = HALF_WIDTH,
    batch: int = BATCH,
) -> dict[str, Any]:
    """3DGAN's figure of merit of two samples (showers in memory or files); 0: equal means.

    For every energy, over the showers with |Einc - energy| < ``half_width``:

    * ``moments``: mean of |generated / reference - 1| over six numbers, the sample means of the
      first moment sum(k E_k) / E and of the second, sum((k - first)^2 E_k) / E, along x, y and
      the layers; k is the number of the profile's bin (of the cell), from 0. Showers with hits.
    * ``profiles``: the same of the mean energy in every bin of the x, y and longitudinal profile,
      averaged over the bins of an axis, then over the three axes. All showers.
    * ``angle``: mean over the generated showers of |theta / theta_ref - 1| of the measured angles,
      theta_ref being that of the reference shower with the nearest incident angle
      (:func:`pair_by_angle`). Only where the incident angle varies in both samples.

    Each is averaged over the energies; ``total`` is their sum, ``total_moments_twice`` the same
    with the moments counted twice, as 3DGAN's summed figure does. Numbers whose reference is
    0 (below 1e-12) are left out of their mean; ``left_out`` counts them.

    Args:
        reference: the reference sample.
        generated: the sample to judge.
        energies: MeV; by default those of :func:`metric_energies` for the reference.
        half_width: MeV.
        batch: showers in memory at a time.

    Returns:
        ``moments``, ``profiles``, ``angle``, ``total``, ``total_moments_twice`` (None where no
        energy has showers with hits of both samples; ``angle`` also without varying angles, and
        then not in the totals), ``left_out``, ``bins``: per energy the same figures with
        ``energy`` (MeV), ``n_reference`` and ``n_generated``.

    Source: 3DGAN's optimisation metric, where generated showers have the conditions of the
    reference showers, row by row; so they are paired here too when they have.
    """
    energy, angle = conditions(reference, batch)
    angle = angle and conditions(generated, batch)[1]
    chosen = metric_energies(energy, half_width) if energies is None else energies
    centres = np.atleast_1d(np.asarray(chosen, dtype=np.float64))
    read = [near_energies(sample, centres, half_width, batch) for sample in (reference, generated)]
    return figure_of_merit(read[0], read[1], centres, angle=angle)


def figure_of_merit(
    reference: Sequence[Near], generated: Sequence[Near], centres: Floats, *, angle: bool
) -> dict[str, Any]:
    """:func:`threedgan_metric` of the sums near the energies ``centres`` (MeV) of two samples."""
    rows = [
        _compare(float(centre), ref, gen, angle)
        for centre, ref, gen in zip(centres, reference, generated, strict=True)
    ]
    result: dict[str, Any] = {key: _mean(rows, key) for key in ("moments", "profiles", "angle")}
    total = twice = None
    if result["moments"] is not None and result["profiles"] is not None:
        total = result["moments"] + result["profiles"] + (result["angle"] or 0.0)
        twice = total + result["moments"]
    result |= {"total": total, "total_moments_twice": twice}
    return result | {"left_out": sum(row["left_out"] for row in rows), "bins": rows}
