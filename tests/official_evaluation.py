"""The CaloChallenge's evaluation in plain numpy, on dense voxels in the order of its files.

Written from its description alone, without Caloforge's calorimeters and observables.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RINGS_2 = "0,4.65,9.3,13.95,18.6,23.25,27.9,32.55,37.2,41.85"
RINGS_3 = (
    "0,2.325,4.65,6.975,9.3,11.625,13.95,16.275,18.6,20.925,23.25,25.575,27.9,30.225,32.55,"
    "34.875,37.2,39.525,41.85"
)
COARSE, STRIPS = "0,5,10,30,50,100,200,400,600", "0,50,100,200,400,600"


@dataclass(frozen=True)
class Official:
    """A binning file (layer number, ring edges, sectors) and what the evaluation fixes for it."""

    file: str
    detector: str
    layers: tuple[tuple[int, str, int], ...]
    min_energy: float
    n: int

    @property
    def parts(self) -> list[tuple[int, Floats, int, slice]]:
        """Layer number, ring edges, sectors and voxels of every layer."""
        result, start = [], 0
        for number, text, sectors in self.layers:
            edges = np.array([float(edge) for edge in text.split(",")])
            stop = start + (len(edges) - 1) * sectors
            result.append((number, edges, sectors, slice(start, stop)))
            start = stop
        return result

    @property
    def voxels(self) -> int:
        return int(self.parts[-1][3].stop)


OFFICIAL = {
    "1-photons": Official(
        "dataset_1_photons",
        "calochallenge-1-photons",
        (
            (0, COARSE, 1),
            (1, "0,2,4,6,8,10,12,15,20,30,40,50,70,90,120,150,200", 10),
            (2, "0,2,5,10,15,20,25,30,40,50,60,80,100,130,160,200,250,300,350,400", 10),
            (3, STRIPS, 1),
            (12, "0,100,200,400,1000,2000", 1),
        ),
        1.0,
        300,
    ),
    "1-pions": Official(
        "dataset_1_pions",
        "calochallenge-1-pions",
        (
            (0, COARSE, 1),
            (1, "0,1,4,7,10,15,30,50,90,150,200", 10),
            (2, "0,5,10,20,30,50,80,130,200,300,400", 10),
            (3, STRIPS, 1),
            (12, "0,10,20,30,50,80,100,130,160,200,250,300,350,400,1000,2000", 10),
            (13, "0,10,20,30,50,80,100,130,160,200,250,300,350,400,600,1000,2000", 10),
            (14, "0,50,100,150,200,250,300,400,600,1000,2000", 1),
        ),
        1.0,
        300,
    ),
    "2": Official(
        "dataset_2", "par04-siw", tuple((k, RINGS_2, 16) for k in range(45)), 0.5e-3 / 0.033, 60
    ),
    "3": Official(
        "dataset_3",
        "par04-siw-fine",
        tuple((k, RINGS_3, 50) for k in range(45)),
        0.5e-3 / 0.033,
        24,
    ),
}
NAMES = list(OFFICIAL)


def features(name: str, voxels: Floats) -> dict[str, dict[int, Floats]]:
    """All layer features of dense voxels, by name and layer number; radius runs fastest."""
    result: dict[str, dict[int, Floats]] = {
        key: {}
        for key in ("energy", "sparsity", "ec_r", "width_r", "ec_eta", "ec_phi", "w_eta", "w_phi")
    }
    for number, edges, sectors, where in OFFICIAL[name].parts:
        energy = voxels[:, where]
        total = energy.sum(axis=1) + 1e-16
        middle = edges[:-1] + (edges[1:] - edges[:-1]) / 2
        border = np.linspace(-np.pi, np.pi, sectors + 1)
        alpha = np.repeat(border[:-1] + (border[1:] - border[:-1]) / 2, len(middle))
        radius = np.tile(middle, sectors)
        result["energy"][number] = energy.sum(axis=1)
        result["sparsity"][number] = 1 - (energy > 0).mean(axis=1)
        axes = {"r": radius}
        if sectors > 1:
            axes |= {"eta": radius * np.cos(alpha), "phi": radius * np.sin(alpha)}
        for axis, x in axes.items():
            mean = (x * energy).sum(axis=1) / total
            square = (x * x * energy).sum(axis=1) / total
            result[f"ec_{axis}"][number] = mean
            width = "width_r" if axis == "r" else f"w_{axis}"
            result[width][number] = np.sqrt((square - mean**2).clip(min=0))
    return result


def power(reference: Floats, generated: Floats, edges: Floats) -> float | None:
    """The separation power by densities; None where the evaluation gives NaN for both."""
    if not np.histogram(reference, edges)[0].any():
        return None
    with np.errstate(invalid="ignore"):
        p, q = (
            np.histogram(values, edges, density=True)[0] * np.diff(edges)
            for values in (reference, generated)
        )
    return float(0.5 * ((p - q) ** 2 / (p + q + 1e-16)).sum())


def limits(name: str, key: str, layer: int) -> tuple[float, float]:
    """The ranges of the evaluation's table."""
    if name in ("2", "3"):
        return {
            "ec_r": (0, 42),
            "width_r": (0, 20),
            "ec_eta": (-30, 30),
            "ec_phi": (-30, 30),
        }.get(key, (0, 30))
    if key in ("ec_r", "width_r"):
        return (0, 1500) if layer >= 12 else (0, 500)
    if key in ("ec_eta", "ec_phi"):
        return (-500, 500) if layer >= 12 else (-100, 100)
    return (0, 400) if layer >= 12 else (0, 100)


KEYS = {
    "ec_eta": "centre_x",
    "ec_phi": "centre_y",
    "ec_r": "centre_r",
    "w_eta": "width_x",
    "w_phi": "width_y",
    "width_r": "width_r",
}


def expected_by_layer(name: str, ref: Floats, gen: Floats) -> dict[str, dict[int, float | None]]:
    """Separation powers of every layer feature, by our key and the official layer number."""
    first, second = features(name, ref), features(name, gen)
    result: dict[str, dict[int, float | None]] = {"sparsity": {}, "layer_energy": {}}
    for layer in first["energy"]:
        result["sparsity"][layer] = power(
            first["sparsity"][layer], second["sparsity"][layer], np.linspace(0, 1, 21)
        )
        top = first["energy"][layer].max()
        edges = np.logspace(np.log10(OFFICIAL[name].min_energy), np.log10(max(top, 1e-9)), 40)
        result["layer_energy"][layer] = (
            power(first["energy"][layer], second["energy"][layer], edges)
            if top > OFFICIAL[name].min_energy
            else None
        )
    for key, ours in KEYS.items():
        result[ours] = {
            layer: power(values, second[key][layer], np.linspace(*limits(name, key, layer), 101))
            for layer, values in first[key].items()
        }
    return result


def random_voxels(name: str, n: int, seed: int, width: float = 1.0) -> tuple[Floats, Floats]:
    """Incident energies and voxels above the threshold, with empty layers and empty showers."""
    rng = np.random.default_rng(seed)
    official = OFFICIAL[name]
    if name.startswith("1"):
        energy = np.asarray(2.0 ** rng.integers(8, 23, n), dtype=np.float64)
    else:
        energy = np.exp(rng.uniform(np.log(1e3), np.log(1e6), n))
    voxels = np.zeros((n, official.voxels))
    for number, edges, sectors, where in official.parts:
        middle = np.tile((edges[1:] + edges[:-1]) / 2, sectors)
        shape = rng.gamma(0.2, size=(n, len(middle))) * np.exp(-middle / (20 * width))
        voxels[:, where] = shape * np.exp(-(((number % 12) - 4) ** 2) / 8)
        voxels[rng.random(n) < 0.1, where] = 0
    share = energy * rng.normal(0.95, 0.08, n).clip(0.6, 1.3)
    voxels *= (share / voxels.sum(axis=1).clip(min=1e-9))[:, None]
    voxels[:: n // 4] = 0
    return energy, voxels.astype(np.float32).astype(np.float64)


def cut(name: str, voxels: Floats) -> Floats:
    return np.where(voxels < np.float32(OFFICIAL[name].min_energy), 0, voxels)
