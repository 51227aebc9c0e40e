"""Training samples: one or many store files of one geometry, sparse in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from caloforge.errors import FormatError, ShowerError
from caloforge.geometry import Calorimeter
from caloforge.showers import Showers
from caloforge.store import open_showers


def load_sample(paths: Sequence[str | Path], calorimeter: Calorimeter | None = None) -> Showers:
    """All showers of the files, sparse (about 6 kB per lcd-ecal electron).

    Raises:
        FormatError: a file is missing, foreign or damaged.
        ShowerError: no showers, or an empty one.
        GeometryError: the geometries differ, or are not ``calorimeter``.
    """
    if not paths:
        raise FormatError("no training data; name at least one store file with --data")
    parts = []
    for path in paths:
        with open_showers(path) as reader:
            if calorimeter is not None:
                calorimeter.require_same(reader.calorimeter, str(path))
            part = reader.read()
        if not part.hits_per_shower.all():
            number = int(np.flatnonzero(part.hits_per_shower == 0)[0])
            raise ShowerError(f"{path}: shower {number} is empty; convert again with --drop-empty")
        parts.append(part)
    return Showers.concatenate(parts)
