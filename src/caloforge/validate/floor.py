"""The floor: what the figures are when both samples are Geant4.

One half of the reference is judged against the other. A generator cannot be told from the
reference by a figure that lies near its floor.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

MIN_SHOWERS = 4


def paired(reference: ArrayLike, generated: ArrayLike) -> bool:
    """Whether the incident energies of one sample are those of the other, not only alike.

    True when the Wasserstein distance of the two sets of energies (MeV) is less than a quarter of
    sigma sqrt(1/n + 1/m), where independent samples of the same spectrum have about 0.8 of it.
    """
    from scipy.stats import wasserstein_distance

    ref, gen = (np.asarray(each, dtype=np.float64) for each in (reference, generated))
    spread = float(ref.std()) * np.sqrt(1 / len(ref) + 1 / len(gen))
    return bool(wasserstein_distance(ref, gen) <= 0.25 * spread)


def halves(energy: ArrayLike, seed: int = 0, *, pairs: bool = True) -> NDArray[np.bool_] | None:
    """A seeded random split into two halves, as a mask (n,).

    With ``pairs`` the halves have the same incident energies (MeV): showers are paired with their
    neighbours in energy, and a coin decides which of a pair goes where. That is the floor of
    showers generated with the reference's energies: no difference of the spectra hides what the
    showers do. Without, the halves are independent, as are samples with energies of their own.
    None when n < 4; an odd shower (with ``pairs`` the highest) goes into the first half (False).
    """
    values = np.asarray(energy, dtype=np.float64)
    n = len(values)
    if n < MIN_SHOWERS:
        return None
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    if pairs:
        order = order[np.argsort(values[order], kind="stable")]
    coin = rng.integers(0, 2, n // 2)
    mask = np.zeros(n, dtype=np.bool_)
    mask[order[2 * np.arange(n // 2) + coin]] = True
    return mask
