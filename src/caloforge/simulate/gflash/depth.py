"""The stacks of a calorimeter as a shower meets them, front to back.

A *step* is what the longitudinal profile is integrated over: one sampling unit, or a fraction of a
radiation length of a thick slab. A *piece* is the part of a step that one readout layer sees; the
pieces tile the whole depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Calorimeter, Material, Stack
from caloforge.simulate.gflash.medium import (
    Medium,
    effective_medium,
    radiation_lengths,
    seen_loss,
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

THICK_UNIT = 3.0
"""A repeated unit of more radiation lengths does not sample a shower: every slab counts alone."""

STEP = 0.2
"""Largest step (radiation lengths) inside a slab that counts alone."""


@dataclass(frozen=True)
class Piece:
    """Part of a step: tile [low, high) mm, read out at depth ``z`` by ``layer`` (-1: none)."""

    low: float
    high: float
    z: float
    layer: int
    visible: float
    """Visible energy per energy deposited in the tile, without e/mip."""


@dataclass(frozen=True)
class Depth:
    """All steps and pieces; arrays over steps, over edges (steps + 1) or over pieces."""

    media: tuple[Medium, ...]
    edge_x0: Floats
    """Depth of the step edges (radiation lengths)."""
    step_medium: Integers
    piece_step: Integers
    piece_share: Floats
    """Share of its step's deposit."""
    piece_x0: Floats
    """Depth of the middle of the tile (radiation lengths)."""
    piece_low: Floats
    piece_high: Floats
    piece_z: Floats
    piece_layer: Integers
    piece_visible: Floats


class _Group(NamedTuple):
    """Active matter of one sampling unit in one layer."""

    low: float
    high: float
    z: float
    """Mean depth."""
    loss: float
    """Of a minimum-ionising particle, as reported (MeV)."""
    layer: int

    def joined(self, other: _Group) -> _Group:
        loss = self.loss + other.loss
        z = (self.z * self.loss + other.z * other.loss) / loss
        return _Group(self.low, other.high, z, loss, self.layer)


class _Builder:
    """Collects steps front to back."""

    def __init__(self, calorimeter: Calorimeter) -> None:
        self._fronts = np.array([layer.z for layer in calorimeter.layers])
        self._backs = self._fronts + [layer.thickness for layer in calorimeter.layers]
        self._borders = np.unique(np.concatenate([self._fronts, self._backs]))
        self.media: list[Medium] = []
        self.z = 0.0
        self.edge_z = [0.0]
        self.edge_x0 = [0.0]
        self.step_medium: list[int] = []
        self.pieces: list[Piece] = []
        self.piece_step: list[int] = []

    def layer_at(self, z: float) -> int:
        """Layer that holds depth z, -1 between the layers."""
        number = int(np.searchsorted(self._fronts, z, side="right")) - 1
        return number if number >= 0 and z < self._backs[number] else -1

    def cut(self, low: float, high: float) -> list[float]:
        """The borders of [low, high] and those of the layers inside it."""
        inside = self._borders[(self._borders > low + 1e-6) & (self._borders < high - 1e-6)]
        return [low, *inside.tolist(), high]

    def medium_number(self, medium: Medium) -> int:
        if medium not in self.media:
            self.media.append(medium)
        return self.media.index(medium)

    def step(self, thickness: float, x0: float, medium: int, pieces: list[Piece]) -> None:
        self.piece_step += [len(self.step_medium)] * len(pieces)
        self.pieces += pieces
        self.step_medium.append(medium)
        self.z += thickness
        self.edge_z.append(self.z)
        self.edge_x0.append(self.edge_x0[-1] + x0)

    def slab(self, slab: Material) -> None:
        """A slab that counts alone: what is deposited in it is seen, or lost if it is passive."""
        medium = self.medium_number(effective_medium([slab]))
        per_mm = radiation_lengths(slab) / slab.thickness
        borders = self.cut(self.z, self.z + slab.thickness)
        for low, high in pairwise(borders):
            parts = max(1, int(np.ceil((high - low) * per_mm / STEP)))
            edges = np.linspace(low, high, parts + 1).tolist()
            for a, b in pairwise(edges):
                middle = (a + b) / 2
                layer = self.layer_at(middle) if slab.active else -1
                seen = self.media[medium].mip_fraction if layer >= 0 else 0.0
                piece = Piece(a, b, middle, layer, seen)
                self.step(b - a, (b - a) * per_mm, medium, [piece])

    def unit(self, slabs: Sequence[Material], medium: int, x0: float) -> None:
        """One sampling unit: seen is the mip fraction, split over the layers by ionisation."""
        front, thickness = self.z, sum(slab.thickness for slab in slabs)
        groups = self._groups(slabs)
        if not groups:
            piece = Piece(front, front + thickness, front + thickness / 2, -1, 0.0)
            self.step(thickness, x0, medium, [piece])
            return
        borders = [front]
        borders += [(a.high + b.low) / 2 for a, b in pairwise(groups)]
        borders.append(front + thickness)
        total = sum(group.loss for group in groups)
        pieces = []
        for group, (low, high) in zip(groups, pairwise(borders), strict=True):
            seen = self.media[medium].mip_fraction * group.loss / total
            visible = seen * thickness / (high - low) if group.layer >= 0 else 0.0
            pieces.append(Piece(low, high, group.z, group.layer, visible))
        self.step(thickness, x0, medium, pieces)

    def _groups(self, slabs: Sequence[Material]) -> list[_Group]:
        found: list[_Group] = []
        z = self.z
        for slab in slabs:
            borders = self.cut(z, z + slab.thickness) if slab.active else []
            for low, high in pairwise(borders):
                loss = seen_loss(slab) * (high - low) / slab.thickness
                middle = (low + high) / 2
                one = _Group(low, high, middle, loss, self.layer_at(middle))
                if found and found[-1].layer == one.layer:
                    one = found.pop().joined(one)
                found.append(one)
            z += slab.thickness
        return found

    def stack(self, stack: Stack) -> None:
        x0 = sum(radiation_lengths(slab) for slab in stack.slabs)
        alone = len(stack.slabs) == 1 or x0 > THICK_UNIT
        medium = -1 if alone else self.medium_number(effective_medium(stack.slabs))
        for _ in range(stack.repeat):
            if alone:
                for slab in stack.slabs:
                    self.slab(slab)
            else:
                self.unit(stack.slabs, medium, x0)


def build_depth(calorimeter: Calorimeter) -> Depth:
    """Cut the stacks of a calorimeter into steps and pieces.

    Raises:
        GeometryError: an unknown material.
    """
    builder = _Builder(calorimeter)
    for stack in calorimeter.stacks:
        builder.stack(stack)
    pieces = builder.pieces
    low = np.array([piece.low for piece in pieces])
    high = np.array([piece.high for piece in pieces])
    step = np.array(builder.piece_step, dtype=np.int64)
    edge_x0 = np.array(builder.edge_x0)
    return Depth(
        media=tuple(builder.media),
        edge_x0=edge_x0,
        step_medium=np.array(builder.step_medium, dtype=np.int64),
        piece_step=step,
        piece_share=(high - low) / np.diff(builder.edge_z)[step],
        piece_x0=np.interp((low + high) / 2, builder.edge_z, edge_x0),
        piece_low=low,
        piece_high=high,
        piece_z=np.array([piece.z for piece in pieces]),
        piece_layer=np.array([piece.layer for piece in pieces], dtype=np.int64),
        piece_visible=np.array([piece.visible for piece in pieces]),
    )
