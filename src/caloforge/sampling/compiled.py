"""How the loops of the sampler are compiled: cached, without Python's lock and division checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")

FAST = {"contract", "reassoc", "arcp", "nsz"}
"""Arithmetic that may be rearranged; NaN and infinity keep their meaning."""


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function; threads run it at the same time."""
    compiler = njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
    made: Callable[P, R] = compiler(function)
    return made


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function into those that call it."""
    compiler = njit(inline="always", nogil=True, cache=True, fastmath=FAST, error_model="numpy")
    made: Callable[P, R] = compiler(function)
    return made
