"""Energies from a spectrum times a Gaussian, which is what the layer's moments still want of a hit.

Energies of the spectrum are drawn and refused by the Gaussian: where it is wide, from all of it;
where it is narrower, from the bins near; where even that takes too long, step by step of the bins.
Each is exact, and so is one after the other (but for energies further than NEAR widths away).
"""

from __future__ import annotations

import numpy as np

from caloforge.sampling.arrays import Doubles, Words
from caloforge.sampling.compiled import compiled, inlined
from caloforge.sampling.functions import exp
from caloforge.sampling.random import bits, lower, share, uniform, upper
from caloforge.sampling.spectra import Spectra, draw_energy, energy_in_bin

PAIRS = 4
"""Pairs of refused energies of a hit before only those near the wanted one are drawn."""

NEAR = 5.0
"""Energies further from the wanted one, in its widths, are not drawn where that one is exact."""

LEAST_MASS = 1e-9
"""Bins near the wanted energy with less probability are not drawn from."""

REFUSALS = 24
"""Refused energies before steps of the spectrum are weighted one by one."""

PATIENCE = 1000
"""Refused energies before the last one is taken all the same."""


@inlined
def draw_tilted(spectra: Spectra, node: int, centre: float, weight: float, words: Words) -> float:
    """An energy from a spectrum times exp(-weight (e - centre)^2 / 2)."""
    half = np.float32(-0.5 * weight)
    for _ in range(PAIRS):
        one, other = draw_energy(spectra, node, words), draw_energy(spectra, node, words)
        from_one, from_other = np.float32(one - centre), np.float32(other - centre)
        word = bits(words)
        take_one = share(upper(word)) < exp(half * from_one * from_one)
        take_other = share(lower(word)) < exp(half * from_other * from_other)
        if take_one | take_other:
            return one if take_one else other
    return draw_energy_near(spectra, node, centre, weight, words)


@inlined
def _first_above(inner: Doubles, step: int, energy: float) -> int:
    """The first bin whose energy at a step exceeds ``energy``, at most the last bin."""
    low, high = 0, inner.shape[0] - 1
    while low < high:
        middle = (low + high) >> 1
        if inner[middle, step] > energy:
            high = middle
        else:
            low = middle + 1
    return low


@inlined
def _away(low: float, high: float, centre: float) -> float:
    """Distance from the range low .. high."""
    return max(low - centre, centre - high, 0.0)


@compiled
def draw_energy_near(
    spectra: Spectra, node: int, centre: float, weight: float, words: Words
) -> float:
    """An energy from a node's spectrum times exp(-weight (e - centre)^2 / 2), by refusing.

    Only from bins within NEAR times the width of that Gaussian, counted from where the spectrum is
    nearest to ``centre``.
    """
    inner, rising = spectra.inner, spectra.rising[node]
    apart = _away(inner[0, 0], inner[-1, -1], centre)
    reach = np.sqrt(apart**2 + NEAR**2 / weight)
    begin = _first_above(inner, inner.shape[1] - 1, centre - reach)
    end = _first_above(inner, 0, centre + reach)  # where the next bins begin, or the last one
    below = rising[begin - 1] if begin > 0 else 0.0
    mass = rising[end] - below
    if mass <= LEAST_MASS:
        return _draw_by_steps(inner, rising, 0, inner.shape[0] - 1, centre, weight, words)
    for _ in range(REFUSALS):
        word = bits(words)
        value = below + mass * np.float64(share(upper(word)))
        number = begin
        while number < end and rising[number] <= value:
            number += 1
        drawn = energy_in_bin(inner, number, lower(word))
        away = (drawn - centre) ** 2 - apart**2
        if share(upper(bits(words))) < exp(np.float32(-0.5 * weight * away)):
            return drawn
    return _draw_by_steps(inner, rising, begin, end, centre, weight, words)


@compiled
def _draw_by_steps(
    inner: Doubles,
    rising: Doubles,
    begin: int,
    end: int,
    centre: float,
    weight: float,
    words: Words,
) -> float:
    """An energy from some bins of a spectrum times exp(-weight (e - centre)^2 / 2).

    The steps inside the bins are drawn by the greatest value of the Gaussian in them, and refused
    by its value at the energy; slower, but refuses seldom where the Gaussian is steep.
    """
    steps = inner.shape[1] - 1
    least = np.inf
    for number in range(begin, end + 1):
        least = min(least, _away(inner[number, 0], inner[number, steps], centre))
    greatest = np.empty((end + 1 - begin) * steps)
    total = 0.0
    for number in range(begin, end + 1):
        own = rising[number] - (rising[number - 1] if number > 0 else 0.0)
        for step in range(steps):
            away = _away(inner[number, step], inner[number, step + 1], centre)
            total += own * exp(np.float32(-0.5 * weight * (away**2 - least**2)))
            greatest[(number - begin) * steps + step] = total
    drawn = 0.0
    for _ in range(PATIENCE):
        place = np.searchsorted(greatest, uniform(words) * total, side="right")
        number, step = begin + place // steps, place % steps
        low, high = inner[number, step], inner[number, step + 1]
        drawn = low + uniform(words) * (high - low)
        away = (drawn - centre) ** 2 - _away(low, high, centre) ** 2
        if uniform(words) < exp(np.float32(-0.5 * weight * away)):
            break
    return float(drawn)
