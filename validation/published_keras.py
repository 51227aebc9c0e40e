"""What the comparisons with published Keras models share."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

CLOSE = 2e-5
"""Largest difference of two images, in units of the largest cell."""


def trainable(model: Any) -> int:
    """Trainable parameters of a Keras model."""
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def randomise(model: Any, seed: int) -> None:
    """Other numbers than the initial ones everywhere, running statistics included."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if "seed" in variable.path:
            continue
        fresh = rng.normal(0.0, 0.05, tuple(variable.shape))
        variable.assign(0.5 + np.abs(fresh) if "variance" in variable.path else fresh)


def assert_same_images(theirs: Any, ours: Any, latent: NDArray[np.float32]) -> None:
    """A Keras generator's images, ours as in training, and ours as in inference."""
    image = np.asarray(theirs(latent, training=False).detach())
    expected = image.reshape(image.shape[:4])
    with torch.no_grad():
        found = ours(torch.from_numpy(latent))[:, 0].numpy()
        inferred = ours.infer(torch.from_numpy(latent).double())[:, 0].numpy()
    assert expected.max() > 0
    assert np.abs(found - expected).max() <= CLOSE * expected.max()
    assert np.abs(inferred - expected).max() <= CLOSE * expected.max()
