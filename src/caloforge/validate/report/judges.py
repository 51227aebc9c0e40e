"""The rules of the verdict: what makes a figure near its floor, visibly off, far off."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from caloforge.validate.lookup import Figure

NEAR, VISIBLE, LARGE, UNKNOWN = "near the floor", "visible", "large", "not computed"
STATES = (NEAR, VISIBLE, LARGE, UNKNOWN)

SIGMAS = 5.0
"""Standard deviations off the floor that are still near: they come from ten to twenty parts."""
LARGE_SIGMAS = 20.0
SPARSE_BINS = 0.1
"""How far equal samples may lie above the floor of a separation power, as a share of it: how many
bins twice the showers fill is an estimate."""
RATIO = 2.0
"""Near is up to so many times a floor whose standard deviation is not known."""
LARGE_RATIO = 10.0
LARGE_AUC = 0.75


@dataclass(frozen=True)
class Judgement:
    """The word for a figure; where it is compared by ratio, that to the floor and the limit."""

    state: str
    over: float | None = None
    limit: float | None = None


NOTHING = Judgement(UNKNOWN)
Judge = Callable[[Figure, Figure], Judgement]


def _size(found: Figure, floor: Figure, allowed: float) -> Judgement:
    if found.value is None or floor.value is None:
        return NOTHING
    size, base = abs(found.value), abs(floor.value)
    if base == 0:
        return Judgement(NEAR, 1.0) if size == 0 else Judgement(LARGE, math.inf)
    limit = RATIO if floor.error is None else 1 + allowed + SIGMAS * floor.error / base
    over = size / base
    if over <= limit:
        return Judgement(NEAR, over, limit)
    return Judgement(VISIBLE if over <= max(limit, LARGE_RATIO) else LARGE, over, limit)


def ratio(found: Figure, floor: Figure) -> Judgement:
    """For a figure that is 0 for a perfect generator with any number of showers."""
    return _size(found, floor, 0.0)


def separation(found: Figure, floor: Figure) -> Judgement:
    """The same for separation powers."""
    return _size(found, floor, SPARSE_BINS)


def auc(found: Figure, floor: Figure) -> Judgement:
    """Near: within two standard deviations of 0.5 or of the floor; large: above 0.75."""
    if found.value is None:
        return NOTHING
    limit = max(0.5, floor.value or 0.5) + 2 * (found.error or 0.0)
    if found.value <= limit:
        return Judgement(NEAR)
    return Judgement(VISIBLE if found.value < LARGE_AUC else LARGE)


def p_value(found: Figure, floor: Figure) -> Judgement:
    """Near above 1e-3, large below 1e-6."""
    if found.value is None:
        return NOTHING
    return Judgement(NEAR if found.value > 1e-3 else VISIBLE if found.value > 1e-6 else LARGE)


def copies(found: Figure, floor: Figure) -> Judgement:
    """The share of near copies: 0.001 by chance."""
    if found.value is None:
        return NOTHING
    return Judgement(NEAR if found.value <= 0.005 else VISIBLE if found.value <= 0.02 else LARGE)


def _sigmas(gap: float, found: Figure, floor: Figure) -> float:
    error = math.hypot(found.error or 0.0, floor.error or 0.0)
    return gap / error if error > 0 else (0.0 if gap <= 0 else math.inf)


def _by_sigmas(sigmas: float) -> Judgement:
    return Judgement(NEAR if sigmas <= SIGMAS else VISIBLE if sigmas <= LARGE_SIGMAS else LARGE)


def excess(found: Figure, floor: Figure) -> Judgement:
    """For an unbiased distance, around 0 for equal samples: how far above the floor."""
    if found.value is None:
        return NOTHING
    return _by_sigmas(_sigmas(found.value - max(0.0, floor.value or 0.0), found, floor))


def lack(found: Figure, floor: Figure) -> Judgement:
    """For a figure that equal samples have as high as the floor; large also below half of it."""
    if found.value is None or floor.value is None:
        return NOTHING
    judged = _by_sigmas(_sigmas(floor.value - found.value, found, floor))
    halved = judged.state == VISIBLE and found.value < 0.5 * floor.value
    return Judgement(LARGE) if halved else judged


def zero(found: Figure, floor: Figure) -> Judgement:
    """For a difference, around 0 for equal samples."""
    if found.value is None:
        return NOTHING
    return _by_sigmas(_sigmas(abs(found.value), found, Figure(None)))


def one(found: Figure, floor: Figure) -> Judgement:
    """For a ratio that is 1 for equal samples; large from 10 % off."""
    if found.value is None:
        return NOTHING
    gap = abs(found.value - 1)
    if _sigmas(gap, found, Figure(None)) <= SIGMAS:
        return Judgement(NEAR)
    return Judgement(VISIBLE if gap < 0.1 else LARGE)


JUDGES: Mapping[str, Judge] = {
    "auc": auc,
    "copies": copies,
    "excess": excess,
    "lack": lack,
    "one": one,
    "p": p_value,
    "ratio": ratio,
    "separation": separation,
    "zero": zero,
}
