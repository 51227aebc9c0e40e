"""What the figures of equal samples are, and how much they vary: the halves of the floor."""

from __future__ import annotations

import numpy as np

from caloforge.validate.folded import Folded
from caloforge.validate.jackknife import MIN_FOLDS, Figures
from caloforge.validate.lookup import scalars

ROUNDS = 20


def exchange(
    first: Folded, second: Folded, figures: Figures, *, seed: int = 0, rounds: int = ROUNDS
) -> tuple[dict[str, float], dict[str, float]]:
    """Means and standard deviations of all figures of two halves of a sample.

    In every round a coin decides for each of the K = 10 folds whether the two halves exchange it.
    The halves stay equal in number and (of :func:`~caloforge.validate.floor.halves` in pairs) in
    incident energies; so this is the permutation distribution of the figures of equal samples.

    Returns:
        Means and standard deviations by the figures' names. Empty with fewer than 4 folds; a
        figure that is None in some round is left out.

    Source: P. Good, Permutation, Parametric and Bootstrap Tests of Hypotheses (2005), chapter 3.
    """
    folds = min(len(first), len(second))
    if folds < MIN_FOLDS:
        return {}, {}
    rng = np.random.default_rng(seed)
    tables = []
    for _ in range(rounds):
        swap = np.zeros(folds, dtype=np.bool_)
        while not 0 < np.count_nonzero(swap) < folds:
            swap = rng.integers(0, 2, folds).astype(np.bool_)
        tables.append(
            figures(first.sums(~swap) + second.sums(swap), second.sums(~swap) + first.sums(swap))
        )
    values = scalars(tables)
    means = {name: float(each.mean()) for name, each in values.items()}
    return means, {name: float(each.std(ddof=1)) for name, each in values.items()}
