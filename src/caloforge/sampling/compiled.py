"""How the loops of the sampler are compiled: arithmetic rearranged, no checks of divisions."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from caloforge.compiled import compile_with

P = ParamSpec("P")
R = TypeVar("R")

FAST = {"contract", "reassoc", "arcp", "nsz"}
"""Arithmetic that may be rearranged; NaN and infinity keep their meaning."""


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function; threads run it at the same time."""
    return compile_with(function, nogil=True, fastmath=FAST, error_model="numpy")


def in_order(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function whose sums keep their order: the same bits wherever it is called."""
    return compile_with(function, nogil=True, fastmath={"contract"}, error_model="numpy")


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function into those that call it."""
    return compile_with(function, inline="always", nogil=True, fastmath=FAST, error_model="numpy")
