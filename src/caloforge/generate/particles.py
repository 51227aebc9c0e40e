"""Which particles to shoot: from a few words, or copied from another file.

Random values come from the shower's number (see :mod:`caloforge.runtime.noise`), so the particles
do not depend on how the work is split.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ConfigError
from caloforge.runtime.noise import INCIDENT_STREAM, uniform_noise
from caloforge.showers import Incident
from caloforge.store import open_showers

MEV_PER_GEV = 1000.0
KINEMATIC = ("energy", "pdg", "theta", "phi")
PDG = {"e-": 11, "e+": -11, "gamma": 22, "pi0": 111, "pi+": 211, "pi-": -211, "mu-": 13, "mu+": -13}


def values(text: str, uniform: NDArray[np.float64], flag: str) -> NDArray[np.float64]:
    """``value``, ``lo:hi`` (uniform), ``log:lo:hi`` (log-uniform) or ``a,b,c`` (in turn).

    Args:
        text: what the user wrote.
        uniform: (n,) numbers in (0, 1), one per shower.
        flag: named in errors.

    Raises:
        ConfigError: none of these forms.
    """
    words = text.split(":")
    logarithmic = words[0] == "log"
    bounds = words[1:] if logarithmic else words
    try:
        if len(bounds) == 2:
            low, high = (float(word) for word in bounds)
            if not (np.isfinite(high) and low < high) or (logarithmic and low <= 0):
                raise ValueError
            if logarithmic:
                return np.asarray(low * (high / low) ** uniform)
            return low + (high - low) * uniform
        if len(bounds) != 1 or logarithmic:
            raise ValueError
        each = np.array([float(word) for word in bounds[0].split(",")])
        if not np.isfinite(each).all():
            raise ValueError
    except ValueError:
        raise ConfigError(
            f"{flag} {text}: expected a value, lo:hi, log:lo:hi or a comma list, "
            f"as in {flag} 10:100"
        ) from None
    return each[np.arange(len(uniform)) % len(each)]


def particles(
    n: int,
    energy: str | float | Sequence[float],
    *,
    theta: str | float | None = None,
    particle: str | None = None,
    seed: int = 0,
    first: int = 0,
) -> Incident:
    """``n`` incident particles.

    Args:
        n: how many.
        energy: GeV, see :func:`values`; a number or a list of numbers works too.
        theta: degrees, 90 is normal incidence; absent when None.
        particle: a name such as ``e-`` or a PDG code; absent when None.
        seed: fixes the random values together with the shower's number.
        first: number of the first shower.

    Raises:
        ConfigError: a value makes no sense.
    """
    if n < 1:
        raise ConfigError(f"-n {n}: generate at least one shower")
    uniform = uniform_noise(seed, first, first + n, 2, INCIDENT_STREAM)
    gev = values(_text(energy), uniform[:, 0], "--energy")
    if np.any(gev <= 0):
        raise ConfigError(f"--energy {energy}: energies must be positive (GeV)")
    columns: dict[str, NDArray[np.float64]] = {"energy": gev * MEV_PER_GEV}
    if theta is not None:
        columns["theta"] = np.deg2rad(values(_text(theta), uniform[:, 1], "--theta"))
    if particle is not None:
        columns["pdg"] = np.full(n, _pdg(particle), dtype=np.float64)
    return Incident(columns)


def _text(value: str | float | Sequence[float]) -> str:
    if isinstance(value, str):
        return value
    if np.ndim(value) == 0:
        return repr(float(value))  # type: ignore[arg-type]
    assert not isinstance(value, int | float)
    return ",".join(repr(float(item)) for item in value)


def _pdg(particle: str) -> int:
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


def like(path: str | Path, n: int | None, condition: Sequence[str]) -> Incident:
    """The incident particles of another file: energies, angles, particle codes.

    Impact points are copied only when the model is conditioned on them: a model that does not
    know them places its showers by itself.

    Args:
        path: a store file.
        n: how many; all of them when None, from the start again when there are not enough.
        condition: the model's condition columns.
    """
    with open_showers(path) as reader:
        incident = reader.incident()
    kept = {name: incident[name] for name in incident if name in KINEMATIC or name in condition}
    if n is None:
        return Incident(kept)
    return Incident(kept).take(np.arange(n) % len(incident))
