"""Synthetic jet images: two prongs for a W boson, one for a gluon."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import load_detector
from caloforge.showers import Incident, Showers

TOWERS = (np.arange(25) - 12) * 0.1


def prong(image: NDArray[np.float64], momentum: float, place: tuple[float, float]) -> None:
    """Add a round Gaussian of width 0.06 in eta and phi."""
    eta, phi = np.meshgrid(TOWERS - place[0], TOWERS - place[1], indexing="ij")
    shape = np.exp(-(eta**2 + phi**2) / (2 * 0.06**2))
    image += momentum * np.where(shape > 1e-4, shape, 0.0) / shape.sum()


def jet_images(n: int, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Images (n, 25, 25) in GeV of 250 to 300 GeV each, and whether they are signal (n,)."""
    rng = np.random.default_rng(seed)
    images, signal = np.zeros((n, 25, 25)), (np.arange(n) % 2).astype(np.float64)
    for image, two in zip(images, signal, strict=True):
        momentum, share = rng.uniform(250, 300), rng.uniform(0.2, 0.5) if two else 0.0
        prong(image, (1 - share) * momentum, (0.0, 0.0))
        if two:
            prong(image, share * momentum, (0.0, -0.6 + 0.1 * rng.normal()))
    return images, signal


def jets(n: int, seed: int = 0) -> Showers:
    """The same as showers of ``jet-image-25``."""
    images, signal = jet_images(n, seed)
    energy = 1000.0 * images.sum(axis=(1, 2))
    incident = Incident({"energy": energy, "pdg": np.where(signal == 1.0, 24, 21)})
    dense = 1000.0 * images.reshape(n, -1)
    return Showers.from_dense(load_detector("jet-image-25"), incident, dense)
