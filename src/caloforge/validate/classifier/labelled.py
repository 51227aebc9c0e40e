"""What a classifier learns from and gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.observables import Floats

Features = NDArray[Any]
Score = Callable[[Features], Floats]
"""Probability of 'generated' of every row."""


@dataclass(frozen=True)
class Labelled:
    """Features (n, d) and labels (n,): 0 for a reference shower, 1 for a generated one."""

    x: Features
    y: NDArray[np.int64]


Fit = Callable[[Labelled, Labelled, int], Score]
"""A classifier: training showers, early-stopping showers and a seed give a score."""
