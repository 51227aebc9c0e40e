"""Observables that follow from the layer energies alone: tables (n, n_layers) in MeV."""

from __future__ import annotations

import numpy as np

from caloforge.geometry import Calorimeter
from caloforge.observables.axes import TINY, Floats, layer_middles

START_SHARE = 0.01


def layer_shares(layer_energy: Floats) -> Floats:
    """Layer fractions f_i = E_i / Etot; 0 for an empty shower; shape (n, n_layers). CaloGAN."""
    return np.asarray(layer_energy / (layer_energy.sum(axis=1, keepdims=True) + TINY))


def deepest_layer(layer_energy: Floats) -> Floats:
    """Number of the deepest layer with energy (0 for an empty shower); shape (n,). CaloGAN d."""
    number = np.arange(layer_energy.shape[1])
    return np.asarray(np.where(layer_energy > 0, number, 0).max(axis=1), dtype=np.float64)


def first_layer(layer_energy: Floats, share: float = START_SHARE) -> Floats:
    """Start of the shower: the first layer that holds ``share`` of the energy or more; (n,).

    Where no layer holds so much: the layer with most energy. 0 for an empty shower.
    """
    shares = layer_shares(layer_energy)
    reached = (shares >= share) & (shares > 0)
    first = np.where(reached.any(axis=1), reached.argmax(axis=1), shares.argmax(axis=1))
    return np.asarray(first, dtype=np.float64)


def maximum_layer(layer_energy: Floats) -> Floats:
    """Shower maximum: number of the layer with most energy (the first of equals); shape (n,)."""
    return np.asarray(layer_energy.argmax(axis=1), dtype=np.float64)


def lateral_depth(layer_energy: Floats) -> Floats:
    """l_d = sum(i E_i), i the layer number from 0, MeV; shape (n,). CaloGAN."""
    return np.asarray(layer_energy @ np.arange(layer_energy.shape[1], dtype=np.float64))


def shower_depth(layer_energy: Floats) -> Floats:
    """s_d = l_d / Etot, the mean layer number; shape (n,). CaloGAN."""
    return np.asarray(lateral_depth(layer_energy) / (layer_energy.sum(axis=1) + TINY))


def shower_depth_width(layer_energy: Floats) -> Floats:
    """sigma_sd = sqrt(sum(i^2 E_i) / Etot - s_d^2), in layers; shape (n,). CaloGAN.

    Summed as sum((i - s_d)^2 E_i) / Etot, the same number with less rounding.
    """
    number = np.arange(layer_energy.shape[1], dtype=np.float64)
    from_mean = number - shower_depth(layer_energy)[:, None]
    variance = (layer_energy * from_mean**2).sum(axis=1) / (layer_energy.sum(axis=1) + TINY)
    return np.asarray(np.sqrt(variance))


def containment_depth(layer_energy: Floats, calorimeter: Calorimeter, share: float) -> Floats:
    """Depth (mm from the front face) before which ``share`` of the energy lies; shape (n,).

    A layer's energy counts as spread evenly over its thickness. 0 for an empty shower.
    """
    total = layer_energy.sum(axis=1)
    goal = share * total
    until = np.cumsum(layer_energy, axis=1)
    reached = (until >= goal[:, None] * (1 - 1e-12)) & (layer_energy > 0)
    last = reached.argmax(axis=1)
    rows = np.arange(len(layer_energy))
    energy = layer_energy[rows, last]
    inside = 1.0 - (until[rows, last] - goal) / (energy + TINY)
    front = np.array([layer.z for layer in calorimeter.layers])[last]
    thickness = np.array([layer.thickness for layer in calorimeter.layers])[last]
    depth = front + thickness * np.clip(inside, 0.0, 1.0)
    return np.where(total > 0, depth, 0.0)


def thirds(layer_energy: Floats, calorimeter: Calorimeter) -> Floats:
    """Share of the energy in the first, middle and last third of the depth; shape (n, 3). 3DGAN.

    A layer belongs to the third in which its middle lies; depth from the front of the first
    layer to the back of the last one.
    """
    layers = calorimeter.layers
    front = layers[0].z
    length = layers[-1].z + layers[-1].thickness - front
    third = np.minimum((3 * (layer_middles(calorimeter) - front) / length).astype(np.int64), 2)
    parts = np.stack([layer_energy[:, third == k].sum(axis=1) for k in range(3)], axis=1)
    return np.asarray(parts / (layer_energy.sum(axis=1, keepdims=True) + TINY))


def roughness(layer_energy: Floats) -> Floats:
    """Roughness of the longitudinal profile, sum |f(k-1) - 2 f(k) + f(k+1)| of the layer fractions.

    Shape (n,), no unit; 0 for an empty shower or fewer than three layers. Fluctuations of single
    layers, which a generator may have too large or too small, add up in it. Source: this project.
    """
    return np.asarray(np.abs(np.diff(layer_shares(layer_energy), 2, axis=1)).sum(axis=1))
