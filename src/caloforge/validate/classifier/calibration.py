"""Classifier scores as probabilities: isotonic calibration, and the divergence that follows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from caloforge.observables import Floats

EDGE = 1e-6
"""Calibrated probabilities lie within [EDGE, 1 - EDGE]: no infinite logarithm (CaloChallenge)."""


def calibrated(score: ArrayLike, label: ArrayLike, test: ArrayLike) -> Floats:
    """Probabilities of the scores ``test``, after a fit to other scores with known labels.

    Isotonic regression of ``label`` (0 or 1) on ``score``, clipped to [1e-6, 1 - 1e-6] and outside
    the range of the fitted scores to its ends. ``label`` and ``score`` belong to showers that
    neither trained the classifier nor are tested.

    Source: CaloChallenge, classifier test.
    """
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(y_min=EDGE, y_max=1 - EDGE, out_of_bounds="clip")
    fitted = model.fit(np.asarray(score, dtype=np.float64), np.asarray(label, dtype=np.float64))
    return np.asarray(fitted.predict(np.asarray(test, dtype=np.float64)), dtype=np.float64)


def cross_entropy(probability: ArrayLike, label: ArrayLike) -> float:
    """Mean binary cross entropy in bits: -mean(y log2 p + (1 - y) log2(1 - p)); 1 for p = 1/2."""
    p = np.clip(np.asarray(probability, dtype=np.float64), EDGE, 1 - EDGE)
    y = np.asarray(label, dtype=np.float64)
    return float(-np.mean(y * np.log2(p) + (1 - y) * np.log2(1 - p)))


def divergence(probability: ArrayLike, label: ArrayLike) -> float:
    """Jensen-Shannon divergence in bits from calibrated probabilities: max(1 - BCE, 0).

    0: the classifier knows nothing, 1: it always knows. With equal numbers of both samples and the
    best classifier, 1 bit minus the binary cross entropy is the divergence of the two samples; a
    worse classifier gives less. Statistics can make it negative: it is then 0.

    Source: CaloFlow (arXiv:2106.05285), CaloChallenge.
    """
    return max(1.0 - cross_entropy(probability, label), 0.0)


def reliability(
    probability: ArrayLike, label: ArrayLike, bins: int = 10
) -> tuple[Floats, Floats, Floats]:
    """Mean predicted probability, share of label 1 and number of showers per bin of probability.

    Equal bins over 0..1, those with showers only. The first two are equal, within sqrt(p(1-p)/n),
    where a probability can be taken at its word.
    """
    p = np.asarray(probability, dtype=np.float64)
    where = np.minimum((p * bins).astype(np.int64), bins - 1)
    n = np.bincount(where, minlength=bins).astype(np.float64)
    used = n > 0
    sums = [np.bincount(where, weights=w, minlength=bins)[used] for w in (p, np.asarray(label))]
    return np.asarray(sums[0] / n[used]), np.asarray(sums[1] / n[used]), n[used]
