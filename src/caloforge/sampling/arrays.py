"""Names of the arrays that the sampler passes around."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Doubles = NDArray[np.float64]
Integers = NDArray[np.integer[Any]]
Flags = NDArray[np.uint8]
Unsigned = NDArray[np.uint32]
"""Places in arrays; without a sign the compiler need not ask whether they count from the end."""

Words = NDArray[np.uint64]
"""Keys or states of random generators, two words each."""

Index = int | np.integer[Any]
"""A place in an array; unsigned ones need no look whether they count from the end."""

State = Mapping[str, NDArray[Any]]
"""The weights of a model by name."""
