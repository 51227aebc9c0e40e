"""The derived columns of Triforce files: sums, their ratio, moments of the images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ORDERS = 6


def features(images: Mapping[str, Floats]) -> dict[str, NDArray[np.float32]]:
    """``NAME_E``, ``NAMEmomentX1..6`` (also Y and Z) of every image, and the ratio of the sums.

    Args:
        images: ``ECAL`` and perhaps ``HCAL``, (n, x, y, depth), in the unit of the file.
    """
    columns: dict[str, Floats] = {}
    for name, image in images.items():
        columns[f"{name}_E"] = image.sum(axis=(1, 2, 3))
        others = {"X": (2, 3), "Y": (1, 3), "Z": (1, 2)}
        for axis, summed in others.items():
            for order, values in enumerate(moments(image.sum(axis=summed)).T, start=1):
                columns[f"{name}moment{axis}{order}"] = values
    if "HCAL" in images:
        columns["HCAL_ECAL_ERatio"] = ratio(columns["HCAL_E"], columns["ECAL_E"])
    return {name: values.astype(np.float32) for name, values in columns.items()}


def moments(profile: Floats) -> Floats:
    """Moments 1 to 6 (n, 6) of energy profiles (n, bins), in bins.

    The first is the barycentre, counted from the first bin (0); the others are taken about it. An
    empty profile has zeros.
    """
    total = profile.sum(axis=1)
    weight = profile / np.where(total > 0, total, 1.0)[:, None]
    bins = np.arange(profile.shape[1])
    centre = weight @ bins
    distance = bins - centre[:, None]
    central = [np.sum(weight * distance**order, axis=1) for order in range(2, ORDERS + 1)]
    result = np.column_stack([centre, *central])
    result[total <= 0] = 0.0
    return result


def ratio(above: Floats, below: Floats) -> Floats:
    """``above / below``: infinite where only ``below`` is 0, 0 where both are."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(above > 0, above / below, 0.0)
