"""What particles are called, on the page and in figures."""

from __future__ import annotations

_NAMES = {
    11: ("e±", r"$e^\pm$"),
    13: ("μ±", r"$\mu^\pm$"),
    22: ("γ", r"$\gamma$"),
    111: ("π⁰", r"$\pi^0$"),
    211: ("π±", r"$\pi^\pm$"),
}


def particle(code: int | str) -> str:
    """A particle's name as text; the PDG code of the unusual ones."""
    return _NAMES.get(int(code), (str(code), ""))[0]


def symbol(code: int | str) -> str:
    """A particle's name as matplotlib shows it."""
    return _NAMES.get(int(code), ("", str(code)))[1]
