"""The GFlash simulator: incident electrons, positrons and photons in, showers out.

Electrons and positrons start to shower at the front face. A photon first flies an exponentially
distributed depth of mean 9/7 radiation lengths and then showers as an electron of its energy, as
Geant4's GFlash classes provide for; one that leaves the calorimeter unconverted leaves no hits.

Every random number of shower k comes from a Philox counter generator of its own, keyed by the seed
and counting from k x 2^128: a shower does not depend on the batch, the order or the process.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Calorimeter
from caloforge.runtime.noise import SIMULATION_STREAM
from caloforge.showers import Incident, Provenance, Showers
from caloforge.simulate.base import Advance, Simulator
from caloforge.simulate.gflash import lateral, longitudinal, medium, sampling
from caloforge.simulate.gflash.axis import Axes, axes
from caloforge.simulate.gflash.depth import STEP, THICK_UNIT, Depth, build_depth
from caloforge.simulate.gflash.limits import PHOTON, check
from caloforge.simulate.gflash.materials import SCATTERING_ENERGY
from caloforge.simulate.gflash.spots import Readout, Spots, inclined, radii
from caloforge.simulate.gflash.tuning import Tuning, tuning_for
from caloforge.simulate.readout import check_readout

Floats = NDArray[np.float64]

CONVERSION = 9.0 / 7.0
"""Mean conversion depth of a photon (radiation lengths)."""
_BLOCK = 256


@dataclass(frozen=True)
class _Block:
    """Showers on their way: parameters of n showers, and the mean deposits per step or piece."""

    axes: Axes
    deposit: Floats
    """(n, steps) GeV."""
    spots: Floats
    """(n, pieces) expected number."""
    rings: lateral.Rings
    visible: Floats
    """(n, pieces) visible energy per deposit."""


def _generator(seed: int, number: int) -> np.random.Generator:
    key = (seed % 2**64) | (SIMULATION_STREAM << 64)
    return np.random.Generator(np.random.Philox(key=key, counter=int(number) << 128))


def _draw(generators: list[np.random.Generator], incident: Incident) -> tuple[Floats, Floats]:
    """Two normal numbers per shower (n, 2), and the depths at which they start (n,)."""
    normal = np.array([random.standard_normal(2) for random in generators])
    flight = np.array([random.standard_exponential() for random in generators])
    return normal, np.where(incident["pdg"] == PHOTON, CONVERSION * flight, 0.0)


class GFlash(Simulator):
    """The Grindhammer-Peters parameterisation in the stacks of one calorimeter.

    Args:
        calorimeter: it must say its materials (``stacks``).
        tuning: factors on the published constants; by default those that come with Caloforge for
            these stacks (see :func:`tuning_for`), else the published ones.

    Raises:
        GeometryError: no stacks, nothing active in them, or an unknown material.
    """

    name = "gflash"

    def __init__(self, calorimeter: Calorimeter, tuning: Tuning | None = None) -> None:
        check_readout(calorimeter)
        self.calorimeter = calorimeter
        self.tuning = tuning_for(calorimeter) if tuning is None else tuning
        self.depth: Depth = build_depth(calorimeter)

    @cached_property
    def _variance(self) -> Floats:
        """c^2 (GeV) of every step at normal incidence; 0 where nothing is sampled."""
        c = np.array([one.resolution for one in self.depth.media]) * self.tuning.resolution
        return np.asarray((c**2)[self.depth.step_medium])

    @cached_property
    def _backscattering(self) -> Floats:
        return longitudinal.backscattering(self.depth, self.tuning)

    @cached_property
    def _piece_medium(self) -> NDArray[np.int64]:
        return np.asarray(self.depth.step_medium[self.depth.piece_step])

    @cached_property
    def _readout(self) -> Readout:
        return Readout(self.calorimeter, self.depth)

    # ---------------------------------------------------------------- contract

    def check(self, incident: Incident) -> None:
        """Electrons, positrons and photons of 1 GeV to 1 TeV, not too flat; see ``limits``.

        Raises:
            ConfigError: naming the flag, the particle and what is possible.
        """
        check(self.calorimeter, incident)

    def settings(self) -> dict[str, Any]:
        """Constants, tuning and media: everything that decides what comes out."""
        return {
            "engine": self.name,
            "parameterisation": "Grindhammer-Peters, hep-ex/0001020",
            "tuning": self.tuning.to_dict(),
            "media": [vars(one) for one in self.depth.media],
            "constants": {
                "longitudinal": longitudinal.HOMOGENEOUS,
                "longitudinal_sampling": longitudinal.SAMPLING,
                "core": lateral.CORE,
                "tail": lateral.TAIL,
                "core_weight": lateral.WEIGHT,
                "lateral_sampling": lateral.SAMPLED,
                "spots": sampling.HOMOGENEOUS_SPOTS,
                "spots_sampling": sampling.SAMPLING_SPOTS,
                "e_over_mip_slope": medium.E_OVER_MIP_SLOPE,
                "resolution_per_root": medium.RESOLUTION_PER_ROOT,
                "scattering_energy_mev": SCATTERING_ENERGY,
                "photon_conversion_x0": CONVERSION,
                "step_x0": STEP,
                "thick_unit_x0": THICK_UNIT,
            },
        }

    def cost(self, incident: Incident) -> Floats:
        """About 0.1 ms and 3 us per GeV."""
        return np.asarray(1e-4 + 3e-9 * incident.energy)

    def simulate(
        self, incident: Incident, *, seed: int, first: int = 0, advance: Advance | None = None
    ) -> Showers:
        """One shower per incident particle; raw deposits, without the cell threshold."""
        self.check(incident)
        counts: list[int] = []
        cells: list[NDArray[np.int64]] = []
        energies: list[NDArray[np.float32]] = []
        for start in range(0, len(incident), _BLOCK):
            block = incident.take(slice(start, start + _BLOCK))
            for cell, energy in self._showers(block, seed, first + start):
                counts.append(len(cell))
                cells.append(cell)
                energies.append(energy)
            if advance is not None:
                advance(len(counts))
        provenance = Provenance(
            step="simulate",
            geometry=self.calorimeter.hash,
            config=self.settings(),
            seed=seed,
            source={"generator": "Caloforge gflash"},
        )
        return Showers(
            self.calorimeter,
            incident,
            np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]),
            np.concatenate(cells) if cells else [],
            np.concatenate(energies) if energies else [],
            provenance,
        )

    def expected_layer_energy(self, incident: Incident, *, seed: int, first: int = 0) -> Floats:
        """Visible energy (MeV) per layer, shape (n, layers), of the showers that the seed gives.

        At normal incidence, before sampling fluctuations and what leaves the cells sideways: smooth
        in the tuning.
        """
        self.check(incident)
        depth = self.depth
        generators = [_generator(seed, first + k) for k in range(len(incident))]
        block = self._block(incident, *_draw(generators, incident))
        pieces = block.deposit[:, depth.piece_step] * depth.piece_share * 1e3 * block.visible
        layers = [pieces[:, depth.piece_layer == k] for k in range(self.calorimeter.n_layers)]
        return np.column_stack([longitudinal.row_sums(layer) for layer in layers])

    # ------------------------------------------------------------------ making

    def _showers(
        self, incident: Incident, seed: int, first: int
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Cells and energies of the showers ``first``, ``first + 1``, ..."""
        generators = [_generator(seed, first + k) for k in range(len(incident))]
        block = self._block(incident, *_draw(generators, incident))
        showers = []
        for k, random in enumerate(generators):
            cell, energy = self._readout.cells(self._spots(block, k, random))
            single = energy.astype(np.float32)
            kept = single > 0
            showers.append((cell[kept], single[kept]))
        return showers

    def _block(self, incident: Incident, normal: Floats, flight: Floats) -> _Block:
        """Everything that is computed for many showers at once."""
        depth, tuning, energy = self.depth, self.tuning, incident.energy
        lines = axes(incident, centred=self.calorimeter.inner_radius is not None)
        path = lines.path
        mixture = longitudinal.mixtures(depth, energy, path)
        shape = longitudinal.shapes(mixture, energy, normal, tuning)
        edges = depth.edge_x0 * path[:, None] - flight[:, None]
        fractions = longitudinal.step_fractions(edges, shape.t, shape.alpha)
        if tuning.backscatter > 0:
            fractions = longitudinal.scattered(fractions, self._backscattering)
        deposit = fractions * energy[:, None] / 1e3
        total = np.maximum(longitudinal.row_sums(deposit), 1e-12)
        mean_c = np.sqrt(path * longitudinal.row_sums(deposit * self._variance) / total)
        numbers = sampling.spot_numbers(mixture, energy, mean_c)
        per_step = longitudinal.step_fractions(edges, *sampling.spot_shape(mixture, shape))
        spots = (numbers[:, None] * per_step)[:, depth.piece_step] * depth.piece_share
        t = depth.piece_x0 * path[:, None] - flight[:, None]
        media = [depth.media[number] for number in self._piece_medium]
        tau = lateral.relative_depth(t, shape)
        return _Block(
            axes=lines,
            deposit=deposit,
            spots=spots,
            rings=lateral.rings(tau, energy, path, media, tuning),
            visible=self._visible(path),
        )

    def _visible(self, path: Floats) -> Floats:
        """Visible energy per deposited energy of every piece, shape (n, pieces)."""
        tuning, media = self.tuning, self.depth.media
        published = np.array([one.e_over_mip for one in media])
        cell = np.array([one.cell_x0 for one in media])
        factor = tuning.e_over_mip + tuning.e_over_mip_cell * (path[:, None] * cell - 1.0)
        response = np.where(cell > 0, published * np.maximum(factor, 0.0), 1.0)
        return np.asarray(response[:, self._piece_medium] * self.depth.piece_visible)

    def _spots(self, block: _Block, k: int, random: np.random.Generator) -> Spots:
        """The spots of shower k of a block."""
        depth, ring, line = self.depth, block.rings, block.axes
        variance = self._variance / line.direction[k, 2]
        deposit = sampling.fluctuated(block.deposit[k], variance, random)
        energy = deposit[depth.piece_step] * depth.piece_share * 1e3
        straight = line.direction[k, 2] == 1.0
        used = (energy > 0) & ((depth.piece_visible > 0) | (not straight))
        numbers = np.where(used, np.maximum(np.ceil(block.spots[k]), 1.0), 0.0).astype(np.int64)
        piece = np.repeat(np.arange(len(numbers)), numbers)
        radius = radii(piece, ring.core[k], ring.tail[k], ring.weight[k], random)
        angle = random.random(len(piece), dtype=np.float32) * np.float32(2 * np.pi)
        along, across = radius * np.cos(angle), radius * np.sin(angle)
        per_spot = energy / np.maximum(numbers, 1)
        if straight:
            weight = (per_spot * block.visible[k])[piece]
            return Spots(
                along + np.float32(line.x[k]), across + np.float32(line.y[k]), piece, weight
            )
        start = random.random(len(piece))
        x, y, found = inclined(depth, piece, along, across, line, k, start)
        weight = np.where(found >= 0, per_spot[piece] * block.visible[k][found], 0.0)
        return Spots(x, y, found, weight)
