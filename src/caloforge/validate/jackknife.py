"""Uncertainties of figures that are no plain means: the delete-a-group jackknife."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.validate.folded import Folded, Sums
from caloforge.validate.lookup import nested, scalars

Figures = Callable[[Sums, Sums], Mapping[str, Any]]
MIN_FOLDS = 4


def jackknife(reference: Folded, generated: Folded, figures: Figures) -> dict[str, Any]:
    """Statistical errors of all figures of two samples, in a dictionary of the same shape.

    Both samples are cut into K = 10 disjoint folds (fewer of small samples). The figures are
    computed K times without the k-th fold of both, theta_k; then

        error^2 = (K - 1) / K sum_k (theta_k - mean theta)^2

    It holds the statistics of both samples. With 10 folds an error is itself known to about 24 %.
    A figure that is None without some fold has no error, nor has any with fewer than 4 folds.

    Source: J. W. Tukey, Ann. Math. Statist. 29 (1958) 614; J. Shao, D. Tu, The Jackknife and
    Bootstrap (1995), section 2.3.
    """
    folds = min(len(reference), len(generated))
    if folds < MIN_FOLDS:
        return {}
    tables = [
        figures(reference.sums(_all_but(k, reference)), generated.sums(_all_but(k, generated)))
        for k in range(folds)
    ]
    return nested(
        {
            name: float(np.sqrt((folds - 1) * np.mean((values - values.mean()) ** 2)))
            for name, values in scalars(tables).items()
        }
    )


def _all_but(number: int, sample: Folded) -> NDArray[np.bool_]:
    chosen = np.ones(len(sample), dtype=np.bool_)
    chosen[number] = False
    return chosen
