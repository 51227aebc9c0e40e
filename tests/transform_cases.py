"""Calorimeters and showers on which the tests of the preprocessing run."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from caloforge.geometry import Calorimeter, CartesianGrid, CylindricalGrid, Layer
from caloforge.geometry.segmentation import Segmentation
from caloforge.showers import Incident, Showers
from helpers import random_showers


def stack_of(*layers: tuple[Segmentation, float], name: str = "case") -> Calorimeter:
    """Layers (cells, thickness in mm) one behind the other."""
    z = np.concatenate([[0.0], np.cumsum([thickness for _, thickness in layers])])
    made = [
        Layer(z=float(front), thickness=thickness, segmentation=grid)
        for front, (grid, thickness) in zip(z, layers, strict=False)
    ]
    return Calorimeter(name=name, cell_threshold=0.01, layers=tuple(made))


def square(n: int, size: float = 10.0, centre: tuple[float, float] = (0.0, 0.0)) -> CartesianGrid:
    """``n`` x ``n`` square cells."""
    return CartesianGrid(nx=n, ny=n, dx=size, dy=size, centre=centre)


def two_blocks() -> Calorimeter:
    """Four layers of 12 x 12 small cells, then three of 5 x 5 large ones."""
    fine, coarse = (square(12, 5.0), 4.0), (square(5, 15.0), 20.0)
    return stack_of(fine, fine, fine, fine, coarse, coarse, coarse, name="two-blocks")


def aimed_showers(n: int, calorimeter: Calorimeter, seed: int = 0) -> Showers:
    """Showers around points beside the middle, some of them empty, with a full incident table."""
    rng = np.random.default_rng(seed)
    plain = random_showers(n, calorimeter, seed, occupancy=0.4)
    middle = rng.uniform(-12, 12, (n, 2))
    distance = [plain.calorimeter.cell_positions[:, k] - middle[:, k : k + 1] for k in (0, 1)]
    dense = plain.dense() * np.exp(-np.hypot(*distance) / 6)
    dense[3::10] = 0.0
    incident = Incident(
        {
            "energy": plain.incident.energy,
            "pdg": rng.choice([11, 22], n),
            "theta": rng.uniform(1.0, 2.0, n),
            "x": middle[:, 0],
            "y": middle[:, 1],
        }
    )
    return Showers.from_dense(calorimeter, incident, dense, plain.provenance)


def cartesian_grids() -> st.SearchStrategy[CartesianGrid]:
    """Grids up to 6 x 6, cells of 1 to 30 mm, off the axis too."""
    size, centre = st.floats(1.0, 30.0), st.floats(-20.0, 20.0)
    number = st.integers(1, 6)
    return st.builds(
        CartesianGrid, nx=number, ny=number, dx=size, dy=size, centre=st.tuples(centre, centre)
    )


def cylindrical_grids() -> st.SearchStrategy[CylindricalGrid]:
    """Up to 5 rings of 1 to 20 mm, open in the middle or not, cut or not."""

    def grid(first: float, widths: list[float], n_phi: int) -> CylindricalGrid:
        edges = first + np.cumsum([0.0, *widths])
        return CylindricalGrid(r_edges=tuple(edges.tolist()), n_phi=n_phi)

    widths = st.lists(st.floats(1.0, 20.0), min_size=1, max_size=5)
    return st.builds(grid, st.sampled_from([0.0, 3.0]), widths, st.sampled_from([1, 4, 7]))


def calorimeters(cartesian_only: bool = False) -> st.SearchStrategy[Calorimeter]:
    """One to four layers of any cells."""
    grids: st.SearchStrategy[Segmentation] = cartesian_grids()
    if not cartesian_only:
        grids = st.one_of(cartesian_grids(), cylindrical_grids())
    layers = st.lists(st.tuples(grids, st.floats(1.0, 30.0)), min_size=1, max_size=4)
    return layers.map(lambda chosen: stack_of(*chosen))
