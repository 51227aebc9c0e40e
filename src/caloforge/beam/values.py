"""The little language of ``--energy`` and ``--theta``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ConfigError


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
