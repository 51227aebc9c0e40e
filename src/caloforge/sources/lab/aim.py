"""Showers of a calorimeter placed into the laboratory: the way back, for writing."""

from __future__ import annotations

import numpy as np

from caloforge.errors import ShowerError
from caloforge.geometry import Calorimeter
from caloforge.showers import Incident
from caloforge.sources.lab.frame import Frames, normal_frames, particle_frames
from caloforge.sources.lab.hits import Floats, Particles
from caloforge.sources.lab.masses import masses
from caloforge.sources.lab.place import usual_axis

RADIUS = 1500.0
"""Radius (mm) at which the front face of a calorimeter without ``inner_radius`` is put."""


def placed(calorimeter: Calorimeter, incident: Incident) -> tuple[Frames, Particles]:
    """Frames of the showers in a barrel around the beam, and the particles that fly into them.

    Layers along the normal lie at azimuth 0: depth along the laboratory's x, the front face at
    x = radius. Layers around the particle lie along it where it crosses the radius. The vertex is
    the incident table's where z < 0; otherwise the particle comes from the plane of the beam, from
    the laboratory's origin if it is aimed at the middle of the front face at normal incidence.

    Raises:
        ShowerError: a particle that flies along the front face or away from it.
    """
    radius = calorimeter.inner_radius or RADIUS
    theta, phi, x, y, z = (_column(incident, name) for name in ("theta", "phi", "x", "y", "z"))
    if "theta" not in incident:
        theta = np.full(len(incident), np.pi / 2)
    flat = np.flatnonzero(np.sin(theta) < 1e-3)
    if len(flat):
        raise ShowerError(
            f"shower {int(flat[0])} of the batch: a particle at theta {theta[flat[0]]:g} rad never "
            "enters a barrel; use another format"
        )
    rows = np.arange(len(incident))
    if usual_axis(calorimeter) == "particle":
        direction = np.column_stack([np.sin(theta), np.zeros_like(theta), np.cos(theta)])
        point = radius * direction / np.sin(theta)[:, None]
        frames = particle_frames(point, direction)
        start = np.column_stack([x, y, np.where(z < 0, z, -radius / np.sin(theta))])
    else:
        normal = np.tile([1.0, 0.0, 0.0], (len(incident), 1))
        frames = normal_frames(radius * normal, normal)
        flight = np.column_stack(
            [np.cos(theta) * np.cos(phi), np.cos(theta) * np.sin(phi), np.sin(theta)]
        )
        direction = np.asarray(np.einsum("nij,ni->nj", frames.axes, flight))
        back = np.where(z < 0, 0.0, (z + radius) / flight[:, 2])
        start = np.column_stack([x, y, z]) - back[:, None] * flight
    pdg = incident["pdg"] if "pdg" in incident else np.zeros(len(incident), dtype=np.int32)
    mass = masses(pdg)
    momentum = np.sqrt(incident.energy * (incident.energy + 2 * mass))
    vertex = frames.lab(rows, start)
    return frames, Particles(vertex, momentum[:, None] * direction, mass, pdg)


def _column(incident: Incident, name: str) -> Floats:
    return np.asarray(incident[name]) if name in incident else np.zeros(len(incident))
