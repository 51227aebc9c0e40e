"""Which particles to shoot, from a few words.

Random values come from the shower's number (see :mod:`caloforge.runtime.noise`), so the particles
do not depend on how the work is split.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from caloforge.beam.values import values
from caloforge.errors import ConfigError
from caloforge.runtime.noise import INCIDENT_STREAM, uniform_noise
from caloforge.showers import Incident

MEV_PER_GEV = 1000.0
LARGEST_GEV = 1e12
"""Beyond every accelerator and cosmic ray."""
Words = str | float | Sequence[float] | NDArray[np.float64]
"""How values are asked for: in words (see :func:`values`), or as they are."""

PDG = {"e-": 11, "e+": -11, "gamma": 22, "pi0": 111, "pi+": 211, "pi-": -211, "mu-": 13, "mu+": -13}


def particles(
    n: int,
    energy: Words,
    *,
    theta: Words | None = None,
    phi: Words | None = None,
    particle: str | None = None,
    seed: int = 0,
    first: int = 0,
) -> Incident:
    """``n`` incident particles.

    Args:
        n: how many.
        energy: GeV, see :func:`values`; a number or a list of numbers works too.
        theta: degrees, 90 is normal incidence; absent when None.
        phi: degrees around the z axis; absent when None.
        particle: a name such as ``e-`` or a PDG code; absent when None.
        seed: fixes the random values together with the shower's number.
        first: number of the first shower.

    Raises:
        ConfigError: a value makes no sense.
    """
    if n < 1:
        raise ConfigError(f"-n {n}: generate at least one shower")
    uniform = uniform_noise(seed, first, first + n, 3, INCIDENT_STREAM)
    gev = values(as_words(energy), uniform[:, 0], "--energy")
    ends = values(as_words(energy), np.array([0.0, 1.0]), "--energy")
    if np.any(gev <= 0) or np.any(ends <= 0):
        raise ConfigError(f"--energy {energy}: energies must be positive (GeV)")
    if np.any(ends > LARGEST_GEV) or np.any(gev > LARGEST_GEV):
        raise ConfigError(f"--energy {energy}: at most {LARGEST_GEV:g} GeV")
    columns: dict[str, NDArray[np.float64]] = {"energy": gev * MEV_PER_GEV}
    if theta is not None:
        columns["theta"] = np.deg2rad(values(as_words(theta), uniform[:, 1], "--theta"))
    if phi is not None:
        columns["phi"] = np.deg2rad(values(as_words(phi), uniform[:, 2], "--phi"))
    if particle is not None:
        columns["pdg"] = np.full(n, pdg_code(particle), dtype=np.float64)
    return Incident(columns)


def as_words(value: Words) -> str:
    """Numbers as the command line writes them, such as ``10.0,20.0``; a text stays as it is."""
    if isinstance(value, str):
        return value
    if np.ndim(value) == 0:
        return repr(float(value))  # type: ignore[arg-type]
    assert not isinstance(value, int | float)
    return ",".join(repr(float(item)) for item in value)


def listed(words: str) -> int:
    """How many values a comma list names; 1 for ``10:100`` and the like."""
    return 1 if ":" in words else words.count(",") + 1


def pdg_code(particle: str) -> int:
    """The PDG code of a name such as ``e-``, or of a number in words.

    Raises:
        ConfigError: neither.
    """
    if particle in PDG:
        return PDG[particle]
    try:
        code = int(particle)
        if abs(code) >= 2**31:
            raise ValueError
        return code
    except ValueError:
        raise ConfigError(
            f"--particle {particle}: unknown; use a PDG code or one of {', '.join(PDG)}"
        ) from None
