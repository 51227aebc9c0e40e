"""Samples cut into folds: the sums that the figures of any mixture of folds follow from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from caloforge.observables import Floats, Observables
from caloforge.validate.binning import Binning
from caloforge.validate.histograms import Histograms, histograms
from caloforge.validate.profiles import Profiles
from caloforge.validate.summary import Summary
from caloforge.validate.threedgan import Near, near_energies

Choice = NDArray[np.bool_]


@dataclass(frozen=True)
class Sums:
    """Some showers of a sample.

    ``table`` has no observables of single layers; ``near`` holds 3DGAN's sums over the whole
    showers that were kept.
    """

    table: Observables
    profiles: Profiles
    histograms: Histograms
    near: Sequence[Near]

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            Observables.concatenate([self.table, other.table]),
            self.profiles + other.profiles,
            self.histograms + other.histograms,
            [mine + theirs for mine, theirs in zip(self.near, other.near, strict=True)],
        )


@dataclass(frozen=True)
class Folded:
    """A sample in K folds; ``fold`` (n,) is that of each row of ``table``."""

    table: Observables
    fold: NDArray[np.int64]
    folds: Sequence[tuple[Profiles, Histograms, list[Near]]]

    def __len__(self) -> int:
        return len(self.folds)

    def sums(self, chosen: Choice | None = None) -> Sums:
        """The sums over the folds of a mask (K,), which chooses at least one; by default all."""
        chosen = np.ones(len(self), dtype=np.bool_) if chosen is None else chosen
        mine = [fold for fold, keep in zip(self.folds, chosen, strict=True) if keep]
        return Sums(
            self.table if chosen.all() else self.table[chosen[self.fold]],
            reduce(add, [profiles for profiles, _, _ in mine]),
            reduce(add, [counts for _, counts, _ in mine]),
            [reduce(add, each) for each in zip(*(near for _, _, near in mine), strict=True)],
        )


def folded(sample: Summary, bins: Binning, energies: Floats) -> Folded:
    """A sample in its folds.

    Args:
        sample: the sample.
        bins: of the histograms.
        energies: MeV, those of 3DGAN's figure of merit.
    """
    parts = []
    for number, fold in enumerate(sample.folds):
        near = near_energies(sample.kept[sample.kept_fold == number], energies)
        parts.append((fold.profiles, histograms(sample.part(number), bins), near))
    return Folded(sample.observables.without_layers(), sample.fold, parts)
