"""Hits of the laboratory become showers in a calorimeter's cells."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from caloforge.errors import ConfigError, ShowerError
from caloforge.geometry import Calorimeter, CylindricalGrid
from caloforge.showers import Incident, Provenance, Showers
from caloforge.sources.lab.frame import (
    Frames,
    Front,
    entry,
    incident_angles,
    normal_frames,
    particle_frames,
    polar_angle,
)
from caloforge.sources.lab.hits import Floats, Hits, Particles, Whole
from caloforge.sources.lab.options import DEPTH, Axis, LabOptions
from caloforge.transform import Tally, voxelise

SCANNED = 500
"""Events that are looked at to find a front face or a first layer that is not given."""


def needed(calorimeter: Calorimeter | None, path: Path) -> Calorimeter:
    """The calorimeter, which these formats cannot do without.

    Raises:
        ConfigError: none is given.
    """
    if calorimeter is None:
        raise ConfigError(
            f"{path}: the file holds hits in the detector's own frame; name the cells they are to "
            "be put into with --detector NAME or FILE.yaml"
        )
    return calorimeter


def usual_axis(calorimeter: Calorimeter) -> Axis:
    """Along the particle when all layers are cylindrical, else along the normal."""
    round_ = all(isinstance(layer.segmentation, CylindricalGrid) for layer in calorimeter.layers)
    return "particle" if round_ else "normal"


class Placement:
    """Where the showers of one file lie: found once, then the same for every event.

    Args:
        path: the file, for errors.
        calorimeter: the cells.
        options: what the user chose.
        barrel: whether a collection lies around the beam.
        endcap: whether a collection lies across it.
        sample: the hits of the first :data:`SCANNED` events; only read if something is to be found.

    Raises:
        ConfigError: the sample has no hits to find the front or the first layer with.
    """

    def __init__(
        self,
        path: Path,
        calorimeter: Calorimeter,
        options: LabOptions,
        *,
        barrel: bool,
        endcap: bool,
        sample: Iterable[Hits],
    ) -> None:
        self.path = path
        self.calorimeter = calorimeter
        self.axis: Axis = options.axis or usual_axis(calorimeter)
        self.first_layer = options.first_layer
        self.notes: list[str] = []
        self.late = 0.0
        radius, z = options.front, options.front_z
        nothing_given = radius is None and z is None
        if nothing_given and barrel:
            radius = calorimeter.inner_radius
        self.front = Front(radius, z)
        find_radius = nothing_given and barrel and radius is None
        find_z = nothing_given and endcap
        find_layer = options.layers != DEPTH and self.first_layer is None
        if find_radius or find_z or find_layer:
            near = _Nearest(sample)
            if find_radius or find_z:
                self._find_front(near, find_radius, find_z)
            if find_layer:
                self._find_layer(near, options.layers)

    def _find_front(self, near: _Nearest, radius: bool, z: bool) -> None:
        """Half a layer before the nearest hit: hits are given at the middle of their cells."""
        half = self.calorimeter.layers[0].z + self.calorimeter.layers[0].thickness / 2
        found_radius = near.radius - half if radius and near.radius is not None else None
        found_z = near.z - half if z and near.z is not None else None
        known = self.front.radius if found_radius is None else found_radius
        if (known is None and found_z is None) or (known is not None and known <= 0):
            raise ConfigError(
                f"{self.path}: the hits of the first {SCANNED} events do not tell where the front "
                "face lies; give its radius with --option front=MM or its |z| with front_z=MM"
            )
        found = [f"r = {found_radius:.6g} mm"] if found_radius is not None else []
        found += [f"|z| = {found_z:.6g} mm"] if found_z is not None else []
        if found:
            self.notes.append(
                f"{self.path}: the front face is taken at {' and '.join(found)}, half a layer "
                f"before the nearest hit of the first {SCANNED} events; if it lies elsewhere, "
                "give --option front=MM (radius) or front_z=MM"
            )
        self.front = Front(known, found_z)

    def _find_layer(self, near: _Nearest, field: str) -> None:
        if near.layer is None:
            raise ConfigError(
                f"{self.path}: no hits in the first {SCANNED} events to find the first layer with; "
                "give it with --option first_layer=NUMBER"
            )
        self.first_layer = near.layer
        self.notes.append(
            f"{self.path}: the first layer is taken to be {near.layer}, the smallest '{field}' of "
            f"the first {SCANNED} events; if it is another one, give --option first_layer=NUMBER"
        )

    def description(self) -> dict[str, Any]:
        """What provenance keeps."""
        return {
            "axis": self.axis,
            "front": self.front.radius,
            "front_z": self.front.z,
            "first_layer": self.first_layer,
        }

    def showers(
        self, hits: Hits, particles: Particles, start: int, tally: Tally, provenance: Provenance
    ) -> Showers:
        """The showers of consecutive events.

        Args:
            hits: of these events, counted from 0.
            particles: one for every event.
            start: the first event's number in the file.
            tally: counts what lies outside the cells.
            provenance: of the showers.

        Raises:
            ShowerError: a particle that misses the front, or values that are impossible.
        """
        particles.check(start)
        direction = particles.direction
        point, normal, reached = entry(particles.vertex, direction, self.front)
        if not reached.all():
            row = int(np.flatnonzero(~reached)[0])
            raise ShowerError(
                f"event {start + row}: the particle from {particles.vertex[row].tolist()} mm along "
                f"{direction[row].round(4).tolist()} never enters the front face; set it with "
                "--option front=MM or front_z=MM"
            )
        columns = {"energy": particles.kinetic_energy, "pdg": particles.pdg.astype(np.float64)}
        if self.axis == "particle":
            frames = particle_frames(point, direction)
            columns["theta"] = polar_angle(direction)
        else:
            frames = normal_frames(point, normal)
            columns["theta"], columns["phi"] = incident_angles(frames, direction)
        columns |= {name: np.zeros(len(point)) for name in "xyz"}
        position = self._position(frames, hits, start)
        self.late += hits.late
        return voxelise(
            self.calorimeter,
            Incident(columns),
            hits.event,
            position,
            hits.energy,
            tally,
            provenance,
        )

    def _position(self, frames: Frames, hits: Hits, start: int) -> Floats:
        local = frames.local(hits.event, hits.position)
        if hits.layer is not None:
            assert self.first_layer is not None
            number = hits.layer - self.first_layer
            if number.size and number.min() < 0:
                event = start + int(hits.event[np.argmin(number)])
                raise ShowerError(
                    f"event {event}: layer {int(hits.layer.min())} lies before the first layer "
                    f"{self.first_layer}; give the first one with --option first_layer=NUMBER"
                )
            local[:, 2] = self._depth(number)
        return local

    def _depth(self, layer: Whole) -> Floats:
        """The middle of every layer; beyond the last one, a place outside."""
        layers = self.calorimeter.layers
        middle = [item.z + item.thickness / 2 for item in layers]
        outside = layers[-1].z + 2 * layers[-1].thickness
        return np.array([*middle, outside])[np.minimum(layer, len(layers))]


class _Nearest:
    """The smallest radius, |z| and layer of some hits."""

    def __init__(self, sample: Iterable[Hits]) -> None:
        self.radius: float | None = None
        self.z: float | None = None
        self.layer: int | None = None
        for hits in sample:
            across = np.hypot(hits.position[:, 0], hits.position[:, 1])[~hits.endcap]
            self.radius = _smaller(self.radius, across)
            self.z = _smaller(self.z, np.abs(hits.position[:, 2])[hits.endcap])
            if hits.layer is not None and len(hits.layer):
                least = int(hits.layer.min())
                self.layer = least if self.layer is None else min(self.layer, least)


def _smaller(known: float | None, values: Floats) -> float | None:
    values = values[np.isfinite(values)]
    if not len(values):
        return known
    return float(values.min()) if known is None else min(known, float(values.min()))
