"""A whole beam from what was asked for: the particles, and where they fly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caloforge.beam.impact import aimed
from caloforge.beam.particles import listed, particles
from caloforge.showers import Incident


def shot(
    asked: Mapping[str, Any], n: int | None, *, spread: tuple[float, float], seed: int
) -> Incident:
    """The incident particles.

    Args:
        asked: ``particle`` and ``energy``, ``theta``, ``phi`` in words (see :func:`particles`);
            ``aim_depth`` and ``vertex`` in mm, None for 0.
        n: how many; one per listed energy when None.
        spread: full widths (mm) of the impact points.
        seed: same seed, same particles.

    Raises:
        ConfigError: a value makes no sense.
    """
    words = {name: asked[name] for name in ("energy", "theta", "phi", "particle")}
    number = listed(asked["energy"]) if n is None else n
    return aimed(
        particles(number, **words, seed=seed),
        spread=spread,
        depth=asked["aim_depth"] or 0.0,
        vertex=asked["vertex"] or 0.0,
        seed=seed,
    )
