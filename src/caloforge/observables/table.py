"""The table of observables of a sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.observables import layers
from caloforge.observables.axes import TINY, Floats

CENTRES_AND_WIDTHS = tuple(f"{kind}_{axis}" for kind in ("centre", "width") for axis in "xyr")
LAYER_FIELDS = ("layer_energy", "sparsity", "e_ratio", *CENTRES_AND_WIDTHS)
"""The observables of single layers, in the order in which the compiled loops fill them."""


@dataclass(frozen=True)
class Observables:
    """The observables of n showers, one row each; units MeV, mm, rad.

    An empty shower has 0 everywhere (and a sparsity of 1), never NaN; :attr:`filled` tells it.

    Attributes:
        energy: incident energy Einc.
        total: visible energy Etot.
        hits: number of cells with energy.
        hit_pairs: pairs of hits that share a side, per hit.
        moments: (n, 6) mean x, y, z, then widths sqrt(<x^2> - <x>^2) along x, y, z.
        thirds: (n, 3) energy share of each third of the depth.
        layer_energy: (n, n_layers), as all that follow with a layer:
        sparsity: share of the layer's empty cells (CaloChallenge; CaloGAN's is 1 minus it).
        centre_x: centre of energy of the layer; centre_y, centre_r alike.
        width_x: width of the layer; width_y, width_r alike.
        e_ratio: (top1 - top2) / (top1 + top2) of the layer's two most energetic cells; 1 where
            it has one hit, 0 where it has none.
        theta: incident angle; 0 where the sample has none.
        hits_above: number of cells above 0.3 MeV (3DGAN: 3e-4 GeV).
        peak_energy: energy of the most energetic cell (the first of equals).
        peak_layer: its layer number.
        peak_position: (n, 3) its centre x, y, z.
        skewness: (n, 3) <(x - <x>)^3> / width^3 along x, y, z; 0 without a width.
        kurtosis: (n, 3) <(x - <x>)^4> / width^4 - 3 (a Gaussian: 0); 0 without a width.
        slope: (n, 2) dx/dz and dy/dz of the shower's axis, see :attr:`radius_90`.
        radius_50: as radius_90, for half of the energy.
        radius_90: R90, the smallest radius around the shower's axis within which cell centres
            hold 90 % of the energy. The axis is the energy-weighted straight line through the
            hits, x = <x> + cov(x, z) / var(z) (z - <z>), y alike; distances are perpendicular
            to it. Rings that are not cut in phi count with their own radius.
        depth_50: depth before which half of the energy lies.
        depth_90: the same for 90 %.
        measured_angle: (n, 2) measured angle to the x axis and to the y axis (3DGAN); 0 where
            there is none.
        sparsity_curve: (n, 14) share of the calorimeter's cells above 10^t GeV, t = -13..0
            (3DGAN).
    """

    energy: Floats
    total: Floats
    hits: Floats
    hit_pairs: Floats
    moments: Floats
    thirds: Floats
    layer_energy: Floats
    sparsity: Floats
    centre_x: Floats
    centre_y: Floats
    centre_r: Floats
    width_x: Floats
    width_y: Floats
    width_r: Floats
    e_ratio: Floats
    theta: Floats
    hits_above: Floats
    peak_energy: Floats
    peak_layer: Floats
    peak_position: Floats
    skewness: Floats
    kurtosis: Floats
    slope: Floats
    radius_50: Floats
    radius_90: Floats
    depth_50: Floats
    depth_90: Floats
    measured_angle: Floats
    sparsity_curve: Floats

    def __len__(self) -> int:
        return len(self.energy)

    def __getitem__(self, rows: Any) -> Observables:
        return Observables(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def without_layers(self) -> Observables:
        """The same showers without the observables of single layers, which take most memory."""
        narrow = {name: getattr(self, name)[:, :0] for name in LAYER_FIELDS}
        return replace(self, **narrow)

    @property
    def response(self) -> Floats:
        """Etot / Einc of every shower."""
        return np.asarray(self.total / self.energy)

    @property
    def depth(self) -> Floats:
        """Energy-weighted mean depth (mm)."""
        return np.asarray(self.moments[:, 2])

    @property
    def filled(self) -> NDArray[np.bool_]:
        """Showers that hold at least one hit."""
        return np.asarray(self.hits > 0)

    @property
    def has_theta(self) -> bool:
        """Whether every shower has an incident angle."""
        return bool(len(self) and np.all(self.theta > 0))

    @property
    def measured_theta(self) -> Floats:
        """Measured angle to the x axis in the x-z plane (rad), as ``theta``; 0: none."""
        return np.asarray(self.measured_angle[:, 0])

    @property
    def peak_share(self) -> Floats:
        """Share of the energy in the most energetic cell."""
        return np.asarray(self.peak_energy / (self.total + TINY))

    @property
    def occupied(self) -> Floats:
        """Share of each layer's cells with energy, 1 - sparsity (what CaloGAN calls sparsity)."""
        return np.asarray(1.0 - self.sparsity)

    @property
    def layer_share(self) -> Floats:
        """Share of the energy in every layer: :func:`layers.layer_shares`."""
        return layers.layer_shares(self.layer_energy)

    @property
    def roughness(self) -> Floats:
        """Roughness of the longitudinal profile: :func:`layers.roughness`."""
        return layers.roughness(self.layer_energy)

    @property
    def depth_layer(self) -> Floats:
        """Deepest layer with energy: :func:`layers.deepest_layer`."""
        return layers.deepest_layer(self.layer_energy)

    @property
    def start_layer(self) -> Floats:
        """First layer with at least 1 % of the energy: :func:`layers.first_layer`."""
        return layers.first_layer(self.layer_energy)

    @property
    def maximum_layer(self) -> Floats:
        """Layer with most energy: :func:`layers.maximum_layer`."""
        return layers.maximum_layer(self.layer_energy)

    @property
    def lateral_depth(self) -> Floats:
        """l_d = sum(i E_i) of CaloGAN (MeV): :func:`layers.lateral_depth`."""
        return layers.lateral_depth(self.layer_energy)

    @property
    def shower_depth(self) -> Floats:
        """s_d = l_d / Etot of CaloGAN: :func:`layers.shower_depth`."""
        return layers.shower_depth(self.layer_energy)

    @property
    def shower_depth_width(self) -> Floats:
        """sigma_sd of CaloGAN: :func:`layers.shower_depth_width`."""
        return layers.shower_depth_width(self.layer_energy)

    @staticmethod
    def concatenate(parts: Sequence[Observables]) -> Observables:
        """One table from many, in order."""
        rows = Rows(sum(len(part) for part in parts))
        for part in parts:
            rows.add(part)
        return rows.table()


class Rows:
    """A table of ``n`` showers that is filled part by part, without a second copy."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._filled = 0
        self._columns: dict[str, Floats] = {}

    def add(self, part: Observables) -> None:
        """Put the next rows in."""
        stop = self._filled + len(part)
        for field in fields(Observables):
            values = getattr(part, field.name)
            if field.name not in self._columns:
                self._columns[field.name] = np.zeros((self._n, *values.shape[1:]))
            self._columns[field.name][self._filled : stop] = values
        self._filled = stop

    def table(self) -> Observables:
        """The table, once all its rows are in."""
        return Observables(**self._columns)
