"""A sample read once, in batches: observables, profiles, cell spectrum and a few whole showers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ShowerError
from caloforge.geometry import Calorimeter
from caloforge.observables import Floats, Observables, Rows, observables
from caloforge.showers import Provenance, Showers
from caloforge.validate.calochallenge.data_sets import (
    calochallenge_data_set,
    edges_threshold,
    reference_threshold,
)
from caloforge.validate.calochallenge.edges import VOXEL_EDGES, log_edges
from caloforge.validate.floor import folds
from caloforge.validate.profiles import Profiles, cell_spectrum, profiles

BATCH = 500
KEEP = 10_000
SPECTRUM_EDGES = 50


class Source(Protocol):
    """What a shower file, a data set and an in-memory sample have in common."""

    @property
    def calorimeter(self) -> Calorimeter:
        """The geometry."""

    @property
    def provenance(self) -> Provenance:
        """Where the showers come from."""

    @property
    def incident(self) -> Any:
        """The incident table, or a function that reads it."""

    def __len__(self) -> int: ...

    def batches(self, size: int) -> Iterator[Showers]:
        """Consecutive parts of ``size`` showers."""


def incident_energy(source: Source) -> Floats:
    """Incident energies (MeV) of a sample, shape (n,), without reading its hits."""
    incident = source.incident
    table = incident() if callable(incident) else incident
    return np.asarray(table.energy, dtype=np.float64)


@dataclass(frozen=True)
class Fold:
    """The shapes of a tenth of the sample, for the uncertainties."""

    profiles: Profiles
    spectrum: Floats


@dataclass(frozen=True)
class Summary:
    """What the metrics need of a sample.

    ``spectrum`` counts hits per bin of ``spectrum_edges`` (with under- and overflow); ``kept``
    holds a random subsample of whole showers, at most :data:`KEEP`. Hits below ``threshold`` (MeV)
    do not count. ``folds`` are the same sums over the parts of the sample that ``fold`` (n,) tells
    for each shower, ``kept_fold`` for each of the kept ones.
    """

    calorimeter: Calorimeter
    observables: Observables
    profiles: Profiles
    spectrum: Floats
    spectrum_edges: Floats
    kept: Showers
    threshold: float = 0.0
    folds: tuple[Fold, ...] = ()
    fold: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    kept_fold: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def __len__(self) -> int:
        return len(self.observables)

    @property
    def empty(self) -> int:
        """Number of showers without a hit above the threshold."""
        return int(np.count_nonzero(~self.observables.filled))

    def part(self, number: int) -> Summary:
        """The summary of one fold; no whole showers are kept."""
        return replace(
            self,
            observables=self.observables[self.fold == number],
            profiles=self.folds[number].profiles,
            spectrum=self.folds[number].spectrum,
            kept=self.kept[:0],
            folds=(),
            fold=self.fold[:0],
            kept_fold=self.kept_fold[:0],
        )


def spectrum_edges(source: Source, batch: int = BATCH) -> Floats:
    """50 edges for the cell energy (MeV), equally spaced in its logarithm.

    From the larger of the cell threshold and the smallest hit of the sample to its largest hit; in
    the geometries of the CaloChallenge from the threshold of
    :func:`~caloforge.validate.calochallenge.data_sets.reference_threshold` to the largest hit.
    """
    low, high, response, n = np.inf, 0.0, 0.0, 0
    for part in source.batches(batch):
        clean = part.above_threshold()
        n += len(clean)
        response += float(np.sum(clean.total_energy / clean.incident.energy))
        if len(clean.energy):
            low, high = min(low, float(clean.energy.min())), max(high, float(clean.energy.max()))
    if high == 0.0:
        return np.geomspace(1e-3, 1.0, SPECTRUM_EDGES)
    if calochallenge_data_set(source.calorimeter) is not None:
        cut = reference_threshold(source.calorimeter, response / n)
        official = log_edges(cut, high, VOXEL_EDGES)
        if official is not None:
            return official
    low = max(low, source.calorimeter.cell_threshold)
    if high <= low * (1 + 1e-6):
        low, high = low / 2, high * 2
    return np.geomspace(low, high, SPECTRUM_EDGES)


def _total(parts: Sequence[Profiles]) -> Profiles:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


class _Growing:
    """The summary of n showers while they are read, part by part."""

    def __init__(
        self,
        calorimeter: Calorimeter,
        edges: Floats,
        threshold: float,
        fold: NDArray[np.int64],
        n_folds: int,
    ) -> None:
        self.calorimeter, self.edges, self.threshold = calorimeter, edges, threshold
        self.rows, self.seen = Rows(len(fold)), 0
        self.profiles: list[Profiles | None] = [None] * n_folds
        self.spectrum = np.zeros((n_folds, len(edges) + 1))
        self.kept: list[Showers] = []
        self.kept_fold: list[NDArray[np.int64]] = []
        self.fold = fold

    def add(self, showers: Showers, keep: NDArray[np.bool_]) -> None:
        """Take in the next showers; those of ``keep`` stay whole."""
        self.rows.add(observables(showers))
        fold = self.fold[self.seen : self.seen + len(showers)]
        self.seen += len(showers)
        for number in np.unique(fold).tolist():
            part = showers[fold == number]
            shapes, before = profiles(part), self.profiles[number]
            self.profiles[number] = shapes if before is None else before + shapes
            self.spectrum[number] += cell_spectrum(part, self.edges)
        if keep.any() or not self.kept:
            self.kept.append(showers if keep.all() else showers[keep])
            self.kept_fold.append(fold[keep])

    def summary(self) -> Summary:
        """The summary of all of them."""
        if not self.seen:
            raise ShowerError("a part of the sample holds no showers; give more showers")
        nothing = profiles(self.kept[0][:0])
        parts = tuple(
            Fold(shapes or nothing, counts)
            for shapes, counts in zip(self.profiles, self.spectrum, strict=True)
        )
        return Summary(
            self.calorimeter,
            self.rows.table(),
            _total([part.profiles for part in parts]),
            self.spectrum.sum(axis=0),
            self.edges,
            Showers.concatenate(self.kept),
            self.threshold,
            parts,
            self.fold,
            np.concatenate(self.kept_fold),
        )


def keep_rows(
    n: int, limit: int, seed: int, group: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """A seeded choice of at most ``limit`` of ``n`` rows, as a mask.

    Each part of ``group`` gives half of them, or more where the other part is too small. The
    choice is independent of :func:`caloforge.validate.floor.halves` with the same seed.
    """
    order = np.random.default_rng([seed, 1]).permutation(n)
    mask = np.zeros(n, dtype=np.bool_)
    if group is None:
        mask[order[:limit]] = True
        return mask
    first, second = order[~group[order]], order[group[order]]
    share = min(len(first), max(limit - limit // 2, limit - len(second)))
    mask[first[:share]] = True
    mask[second[: limit - share]] = True
    return mask


def summarise(
    source: Source,
    edges: Floats | None = None,
    *,
    group: NDArray[np.bool_] | None = None,
    fold: NDArray[np.int64] | None = None,
    seed: int = 0,
    keep: int = KEEP,
    batch: int = BATCH,
) -> list[Summary]:
    """Read a sample in batches, above the cell threshold.

    The threshold is the calorimeter's; in the geometries of the CaloChallenge the one that belongs
    to ``edges`` (:func:`~caloforge.validate.calochallenge.data_sets.edges_threshold`).

    Args:
        source: a shower file, a data set, or showers in memory.
        edges: edges (MeV) of the cell spectrum; the sample's own by default.
        group: a mask (n,): the sample is then summarised in two parts, False first.
        fold: (n,) which part of the sample a shower belongs to, for the uncertainties; by default
            :func:`~caloforge.validate.floor.folds`.
        seed: chooses the whole showers that are kept.
        keep: how many of them at most, in both parts together; each part gives half.
        batch: showers in memory at a time.

    Returns:
        One summary, or the two of ``group``.

    Raises:
        ShowerError: the sample, or a part of it, holds no showers.
    """
    n = len(source)
    if n == 0:
        raise ShowerError("the sample holds no showers; give at least one")
    edges = spectrum_edges(source, batch) if edges is None else edges
    threshold = edges_threshold(source.calorimeter, float(edges[0]))
    kept = keep_rows(n, keep, seed, group)
    fold = folds(incident_energy(source), seed) if fold is None else fold
    labels = np.zeros(n, dtype=np.int64) if group is None else group.astype(np.int64)
    n_folds = int(fold.max()) + 1
    parts = [
        _Growing(source.calorimeter, edges, threshold, fold[labels == label], n_folds)
        for label in range(1 if group is None else 2)
    ]
    start = 0
    for showers in source.batches(batch):
        stop = start + len(showers)
        clean = showers.above_threshold(threshold)
        for label, part in enumerate(parts):
            mine = labels[start:stop] == label
            if mine.any():
                part.add(clean if mine.all() else clean[mine], kept[start:stop][mine])
        start = stop
    return [part.summary() for part in parts]


def _join_folds(parts: Sequence[Summary], number: int) -> Fold:
    mine = [part.folds[number] for part in parts]
    return Fold(
        _total([fold.profiles for fold in mine]), np.sum([f.spectrum for f in mine], axis=0)
    )


def join(parts: list[Summary]) -> Summary:
    """One summary of several parts of a sample, in order."""
    first = parts[0]
    return Summary(
        first.calorimeter,
        Observables.concatenate([part.observables for part in parts]),
        _total([part.profiles for part in parts]),
        np.sum([part.spectrum for part in parts], axis=0),
        first.spectrum_edges,
        Showers.concatenate([part.kept for part in parts]),
        first.threshold,
        tuple(_join_folds(parts, k) for k in range(len(first.folds))),
        np.concatenate([part.fold for part in parts]),
        np.concatenate([part.kept_fold for part in parts]),
    )


def collect(
    source: Source, threshold: float, limit: int = KEEP, seed: int = 0, batch: int = BATCH
) -> Showers:
    """A seeded subsample of whole showers, at most ``limit``, in file order.

    ``threshold`` (MeV): hits below it do not count.
    """
    kept = keep_rows(len(source), limit, seed)
    parts, start = [], 0
    for showers in source.batches(batch):
        stop = start + len(showers)
        if kept[start:stop].any():
            parts.append(showers.above_threshold(threshold)[kept[start:stop]])
        start = stop
    return Showers.concatenate(parts)
