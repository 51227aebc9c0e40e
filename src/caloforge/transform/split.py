"""Which part of a data set a shower belongs to, from its content alone."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ConfigError
from caloforge.showers import Showers
from caloforge.transform.fingerprint import fingerprint

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_TOUCH = 1e-9


@dataclass(frozen=True)
class Split:
    """Named parts and their fractions; what a sum below 1 leaves over belongs to no part.

    A shower's part follows from its fingerprint and the seed: it does not depend on the file, the
    order or the batch, and equal showers go to the same part.

    Args:
        fractions: from name to fraction, in order; the sum is at most 1.
        seed: another seed, another division; 0 to 2**64 - 1.

    Raises:
        ConfigError: no part, a name that is no plain file name or comes twice (in other letters),
            a fraction that is not in (0, 1], a sum above 1, or a wrong seed.
    """

    fractions: Mapping[str, float]
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.fractions:
            raise ConfigError("split: no parts; name at least one, as in train=0.8,test=0.2")
        seen: set[str] = set()
        for name, fraction in self.fractions.items():
            if not _PLAIN.fullmatch(name):
                raise ConfigError(
                    f"split: part '{name}' is no plain file name; use letters, digits, _, - and ."
                )
            if name.casefold() in seen:
                raise ConfigError(f"split: part '{name}' comes twice; give every part its own name")
            seen.add(name.casefold())
            if not 0.0 < fraction <= 1.0:
                raise ConfigError(
                    f"split: {name}={fraction:g} is no fraction; use a number above 0, at most 1"
                )
        if self._sum > 1.0 + _TOUCH:
            raise ConfigError(f"split: the parts sum to {self._sum:g}; make it at most 1")
        if not 0 <= self.seed < 2**64:
            raise ConfigError(f"split: seed {self.seed}; use a whole number from 0 to 2**64 - 1")

    @classmethod
    def parse(cls, text: str, seed: int = 0) -> Split:
        """From words such as ``train=0.8,validation=0.1,test=0.1``.

        Raises:
            ConfigError: see :class:`Split`; or an entry is not name=fraction.
        """
        fractions: dict[str, float] = {}
        for entry in text.split(","):
            name, equals, value = (part.strip() for part in entry.partition("="))
            try:
                fraction = float(value)
            except ValueError:
                fraction = math.nan
            if not equals or not name or math.isnan(fraction):
                raise ConfigError(
                    f"split: '{entry.strip()}' in '{text}'; write name=fraction, as in "
                    "train=0.8,validation=0.1,test=0.1"
                )
            if name in fractions:
                raise ConfigError(f"split: part '{name}' comes twice; give every part its own name")
            fractions[name] = fraction
        return cls(fractions, seed)

    @property
    def names(self) -> tuple[str, ...]:
        """The parts, in order."""
        return tuple(self.fractions)

    @property
    def left_out(self) -> float:
        """The fraction that belongs to no part."""
        return max(0.0, 1.0 - self._sum) if self._sum < 1.0 - _TOUCH else 0.0

    @property
    def _sum(self) -> float:
        return math.fsum(self.fractions.values())

    def note(self) -> str | None:
        """One sentence on what belongs to no part; None when every shower has one."""
        if self.left_out == 0.0:
            return None
        return (
            f"split: {100 * self.left_out:.4g} % of the showers belong to no part and are left out"
        )

    def assign(self, showers: Showers) -> NDArray[np.intp]:
        """Number of every shower's part, in the order of :attr:`names`; -1 for none. Shape (n,)."""
        seed = _mixed(np.array([self.seed], dtype=np.uint64))
        mixed = _mixed(fingerprint(showers) ^ seed)
        uniform = (mixed >> np.uint64(11)) * 2.0**-53  # [0, 1)
        ends = np.cumsum(list(self.fractions.values()))
        if self.left_out == 0.0:
            ends[-1] = 1.0
        part = np.searchsorted(ends, uniform, side="right")
        return np.where(part < len(ends), part, -1).astype(np.intp)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, for the provenance."""
        return {"parts": dict(self.fractions), "seed": self.seed}


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's scrambling (Steele, Lea and Flood, OOPSLA 2014): one to one, evenly spread."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(words ^ (words >> np.uint64(31)))
