"""From deposits to what the electronics report: once per event, since it does not add up.

In this order: cross-talk shares a cell's energy with the cells beside it, noise is added to every
cell, the converter saturates, counts whole steps, and cells below the threshold are not read out.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, ValidationError
from scipy.special import ndtr, ndtri

from caloforge.errors import ConfigError
from caloforge.geometry import Calorimeter
from caloforge.runtime.noise import DIGITISATION_STREAM
from caloforge.showers import Provenance, Showers

Values = NDArray[np.float64]
Cells = NDArray[np.int64]


class Digitisation(BaseModel):
    """What the electronics do; every part is off by default.

    Args:
        crosstalk: share of a cell's energy that its side neighbours get, a quarter for each side;
            at an edge the cell keeps the quarters that have nowhere to go.
        noise: standard deviation (MeV) of the noise of every cell, hit or not.
        saturation: largest energy (MeV) that the converter reports; with ``step``, the largest
            number of whole counts up to it.
        step: MeV per count.
        threshold: MeV; cells that report less are not read out.

    Raises:
        ConfigError: a value that makes no sense, or noise without a threshold: then every cell of
            the calorimeter would be read out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    crosstalk: float = Field(0.0, ge=0.0, lt=1.0)
    noise: NonNegativeFloat = 0.0
    saturation: PositiveFloat | None = None
    step: PositiveFloat | None = None
    threshold: NonNegativeFloat = 0.0

    def __init__(self, **values: object) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            first = error.errors()[0]
            raise ConfigError(
                f"--{first['loc'][0]} {first['input']}: {first['msg']}; correct this value"
            ) from None
        if self.noise and not self.lowest > 0.0:
            raise ConfigError(
                f"--noise {self.noise:g}: every cell has noise; give a --threshold above 0"
            )
        if self.saturation is not None and self.most < self.lowest:
            raise ConfigError(
                f"--saturation {self.saturation:g}: no cell could reach the threshold of "
                f"{self.threshold:g} MeV"
            )

    @property
    def lowest(self) -> float:
        """The smallest energy (MeV) before counting that is read out."""
        if self.step is None:
            return self.threshold
        counts = math.ceil(self.threshold / self.step - 1e-9)
        return (max(counts, 1) - 0.5) * self.step

    @property
    def most(self) -> float:
        """The largest energy (MeV) that is reported."""
        if self.saturation is None:
            return math.inf
        if self.step is None:
            return self.saturation
        return self.step * math.floor(self.saturation / self.step + 1e-9)

    def reported(self, energy: Values) -> Values:
        """What the converter makes of energies (MeV); zero where nothing is read out."""
        read = energy >= self.lowest
        if self.step is not None:
            energy = self.step * np.floor(energy / self.step + 0.5)
        energy = np.minimum(energy, self.most)
        return np.where(read & (energy > 0.0), energy, 0.0)


def digitise(showers: Showers, how: Digitisation, *, seed: int = 0, first: int = 0) -> Showers:
    """Digitised events.

    Args:
        showers: deposits of whole events; row k is number ``first + k``.
        how: what the electronics do.
        seed: with the event's number it fixes the noise, whatever the batch.
        first: number of the first event.

    Returns:
        The same incident particles; the provenance is that of the input, see :func:`described`.
    """
    parts = []
    for number in range(len(showers)):
        begin, end = (int(showers.offset[number + k]) for k in (0, 1))
        cell = showers.cell[begin:end].astype(np.int64)
        energy = showers.energy[begin:end].astype(np.float64)
        parts.append(_event(showers.calorimeter, cell, energy, how, _random(seed, first + number)))
    counts = [len(cell) for cell, _ in parts]
    cells = np.concatenate([cell for cell, _ in parts]) if parts else np.zeros(0, np.int64)
    values = np.concatenate([energy for _, energy in parts]) if parts else np.zeros(0)
    rows = np.repeat(np.arange(len(showers)), counts)
    return Showers.from_hits(
        showers.calorimeter, showers.incident, rows, cells, values, showers.provenance
    )


def described(before: Provenance, how: Digitisation, seed: int) -> Provenance:
    """The provenance of digitised events, from that of their deposits."""
    return Provenance(
        step="digitise",
        geometry=before.geometry,
        config=how.model_dump(exclude_defaults=True),
        seed=seed,
        parents=(before.to_dict(),),
    )


def _random(seed: int, number: int) -> np.random.Generator:
    key = (seed % 2**64) | (DIGITISATION_STREAM << 64)
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, number, 0]))


def _event(
    calorimeter: Calorimeter,
    cell: Cells,
    energy: Values,
    how: Digitisation,
    random: np.random.Generator,
) -> tuple[Cells, Values]:
    """Cells that are read out and what they report; input cells rise."""
    if how.crosstalk:
        cell, energy = _shared(calorimeter, cell, energy, how.crosstalk)
    if how.noise:
        energy = energy + how.noise * random.standard_normal(len(energy))
        others, noise = _only_noise(calorimeter.n_cells, cell, how, random)
        cell, energy = np.concatenate([cell, others]), np.concatenate([energy, noise])
    energy = how.reported(energy)
    read = energy > 0.0
    return cell[read], energy[read]


def _shared(
    calorimeter: Calorimeter, cell: Cells, energy: Values, share: float
) -> tuple[Cells, Values]:
    """Cross-talk: a quarter of the share goes to each side."""
    beside = calorimeter.cells_beside[cell]
    there = beside >= 0
    given = 0.25 * share * energy
    kept = energy - given * there.sum(axis=1)
    where = np.concatenate([cell, beside[there]])
    values = np.concatenate([kept, np.broadcast_to(given[:, None], beside.shape)[there]])
    found, inverse = np.unique(where, return_inverse=True)
    sums = np.bincount(inverse, weights=values, minlength=len(found))
    return found, np.asarray(sums, dtype=np.float64)


def _only_noise(
    cells: int, hit: Cells, how: Digitisation, random: np.random.Generator
) -> tuple[Cells, Values]:
    """Cells without deposits whose noise is read out; only these are drawn."""
    chance = float(ndtr(-how.lowest / how.noise))
    empty = cells - len(hit)
    number = int(random.binomial(empty, chance))
    place = np.sort(random.choice(empty, number, replace=False)) if number else np.zeros(0, int)
    # the k-th empty cell: as many cells further as there are hit ones before it
    cell = place + np.searchsorted(hit - np.arange(len(hit)), place, side="right")
    tail = chance * random.random(number)
    return cell, np.maximum(-how.noise * ndtri(np.maximum(tail, 1e-300)), how.lowest)
