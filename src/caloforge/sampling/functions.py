"""Elementary functions of float32 that the compiler can do for many numbers at once."""

from __future__ import annotations

import numpy as np

from caloforge.sampling.compiled import inlined

_LOG2_E = np.float32(1.44269504)
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)


@inlined
def exp(x: np.float32) -> np.float32:
    """e^x to 2e-7 (Cephes' expf, S. Moshier): a power of two times a polynomial."""
    x = min(max(x, np.float32(-87.0)), np.float32(88.0))
    power = np.floor(x * _LOG2_E + np.float32(0.5))
    r = x - power * _LN2_HIGH - power * _LN2_LOW
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1.0)
    bits = (np.int32(power) + np.int32(127)) << np.int32(23)
    return np.float32(p * np.int32(bits).view(np.float32))


@inlined
def sigmoid(x: np.float32) -> np.float32:
    """1 / (1 + e^-x)."""
    return np.float32(1.0) / (np.float32(1.0) + exp(-x))


@inlined
def tanh(x: np.float32) -> np.float32:
    """The hyperbolic tangent, to 2e-7 of its range."""
    return np.float32(2.0) * sigmoid(np.float32(2.0) * x) - np.float32(1.0)
