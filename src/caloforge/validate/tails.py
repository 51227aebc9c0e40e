"""Tails of distributions: extreme quantiles, and how many generated showers lie beyond them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from caloforge.observables import Floats
from caloforge.showers import Showers
from caloforge.validate.distributions import holm, shower_columns
from caloforge.validate.summary import Summary

TAILS = (1e-4, 1e-3, 1e-2)
"""Tail probabilities, looked at below and above."""

MIN_BEYOND = 10
"""Showers that a sample must hold beyond a quantile for it to be known."""

ONE_SIGMA = 0.6826894921370859


def clopper_pearson(
    count: int, total: int, confidence: float = ONE_SIGMA
) -> tuple[float, float] | None:
    """Exact binomial interval of a share ``count`` / ``total``; None when ``total`` is 0.

    Source: C. J. Clopper, E. S. Pearson, Biometrika 26 (1934) 404.
    """
    from scipy.stats import beta

    if total == 0:
        return None
    edge = (1 - confidence) / 2
    low = float(beta.ppf(edge, count, total - count + 1)) if count else 0.0
    high = float(beta.ppf(1 - edge, count + 1, total - count)) if count < total else 1.0
    return low, high


def quantile(values: ArrayLike, probability: float) -> tuple[float, float]:
    """A quantile, an order statistic of the sample, and its statistical error.

    The number of entries below the true quantile is binomial: the error is half of the distance
    between the order statistics at its 16 % and 84 % points, whatever the distribution.
    """
    from scipy.stats import binom

    ordered = np.sort(np.ravel(np.asarray(values, dtype=np.float64)))
    n = len(ordered)
    edge = (1 - ONE_SIGMA) / 2
    low, high = (int(binom.ppf(p, n, probability)) for p in (edge, 1 - edge))
    error = ordered[min(high, n - 1)] - ordered[min(max(low - 1, 0), n - 1)]
    value = np.quantile(ordered, probability, method="inverted_cdf")
    return float(value), float(error) / 2


def _beyond(values: Floats, limit: float, side: str) -> int:
    return int(np.count_nonzero(values < limit if side == "low" else values > limit))


def tail(reference: ArrayLike, generated: ArrayLike, probability: float, side: str) -> Any:
    """One tail of two samples of one number per shower; see :func:`tails` for the keys."""
    from scipy.stats import fisher_exact

    ref = np.ravel(np.asarray(reference, dtype=np.float64))
    gen = np.ravel(np.asarray(generated, dtype=np.float64))
    if len(ref) * probability < MIN_BEYOND * (1 - 1e-9) or not len(gen):
        return None
    at = probability if side == "low" else 1 - probability
    limit, error = quantile(ref, at)
    counts = _beyond(ref, limit, side), _beyond(gen, limit, side)
    result: dict[str, Any] = {"side": side, "probability": probability, "reference": limit}
    result |= {"reference_error": error, "generated": None, "generated_error": None}
    result |= {"rel_difference": None, "rel_difference_error": None}
    if len(gen) * probability >= MIN_BEYOND * (1 - 1e-9):
        value, spread = quantile(gen, at)
        result |= {"generated": value, "generated_error": spread}
        if limit > 0:
            combined = float(np.hypot(spread / limit, value * error / limit**2))
            result |= {"rel_difference": value / limit - 1, "rel_difference_error": combined}
    table = [[counts[1], len(gen) - counts[1]], [counts[0], len(ref) - counts[0]]]
    return result | {
        "share": counts[1] / len(gen),
        "share_interval": list(clopper_pearson(counts[1], len(gen)) or ()),
        "share_expected": counts[0] / len(ref),
        "p_value": float(fisher_exact(table).pvalue),
    }


def highest_cell(showers: Showers) -> Floats:
    """Energy of the most energetic cell over the incident energy; 0 for an empty shower."""
    highest = np.zeros(len(showers))
    np.maximum.at(highest, showers.hit_shower, showers.energy)
    return np.asarray(highest / showers.incident.energy)


def _columns(sample: Summary) -> dict[str, Floats]:
    columns = shower_columns(sample)
    chosen = {key: columns[key] for key in ("etot_over_einc", "hits", "depth")}
    chosen |= {key: columns[key] for key in columns if key.startswith("width")}
    return chosen | {"highest_cell": highest_cell(sample.kept)}


def tails(reference: Summary, generated: Summary) -> dict[str, Any]:
    """Extreme quantiles of the main observables, and the share of generated showers beyond them.

    Observables: ``etot_over_einc``, ``hits``, ``depth``, the widths of the whole shower, and
    ``highest_cell``, the most energetic cell over Einc (of the whole showers that a summary keeps,
    at most 10,000). Tails of 1e-4, 1e-3 and 1e-2, below and above.

    Returns:
        Per observable ``reach``: the smallest tail probability for which the reference holds ten
        showers, 10 / n (None when it holds none); ``tails``: six entries, None beyond the reach:
        ``side`` ('low' or 'high'), ``probability``, the quantiles ``reference`` and ``generated``
        (MeV, mm or no unit) with their errors ``_error`` from order statistics (:func:`quantile`),
        ``rel_difference`` = generated / reference - 1 with ``rel_difference_error`` (None where the
        generated sample reaches less far, or the reference's quantile is 0);
        ``share``: generated showers strictly beyond the reference's quantile, with its 68.3 %
        :func:`clopper_pearson` ``share_interval``; ``share_expected``: the same share of the
        reference itself, less than the probability where many showers have the same number;
        ``p_value``: Fisher's exact test that both shares are the same. ``smallest_p_holm``: the
        smallest p value over all tails, after Holm for their number; None without tails.

    Source: this project. Order statistics: H. A. David, H. N. Nagaraja, Order Statistics (2003).
    """
    ref, gen = _columns(reference), _columns(generated)
    result: dict[str, Any] = {}
    p_values = []
    for key, values in ref.items():
        entries = [
            tail(values, gen[key], probability, side)
            for side, order in (("low", TAILS), ("high", TAILS[::-1]))
            for probability in order
        ]
        p_values += [entry["p_value"] for entry in entries if entry is not None]
        n = len(values)
        result[key] = {"reach": min(1.0, MIN_BEYOND / n) if n else None, "tails": entries}
    return {
        "observables": result,
        "smallest_p_holm": min(holm(p_values)) if p_values else None,
    }
