"""Other cells: energy is conserved, whole cells stay whole, areas and depths are right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from caloforge.errors import ConfigError, GeometryError
from caloforge.geometry import (
    Calorimeter,
    CartesianGrid,
    CylindricalGrid,
    Layer,
    detector_names,
    load_detector,
)
from caloforge.geometry.segmentation import Segmentation
from caloforge.showers import Incident, Showers
from caloforge.transform import Rebin, Tally, shares
from caloforge.transform.overlap import shares_2d
from helpers import random_showers
from transform_cases import calorimeters, square, stack_of


def one_layer(grid: Segmentation, thickness: float = 10.0, z: float = 0.0) -> Calorimeter:
    layer = Layer(z=z, thickness=thickness, segmentation=grid)
    return Calorimeter(name="one-layer", layers=(layer,))


def dense_shares(source: Segmentation, target: Segmentation) -> np.ndarray:
    return np.asarray(shares_2d(source, target).toarray())


def rings(*edges: float, n_phi: int = 1) -> CylindricalGrid:
    return CylindricalGrid(r_edges=edges, n_phi=n_phi)


# ---------------------------------------------------------------------- conservation


@settings(max_examples=60, deadline=None)
@given(calorimeters(), calorimeters(), st.integers(0, 2**32 - 1))
def test_every_shower_keeps_its_energy_or_it_is_counted(
    source: Calorimeter, target: Calorimeter, seed: int
) -> None:
    showers = random_showers(4, source, seed)
    try:
        step = Rebin(target=target)
        step.calorimeter(source)
    except GeometryError:  # nothing in common
        reject()
    for shower in showers.batches(1):
        tally = Tally()
        after = step.apply(shower, tally)
        kept = after.energy.sum(dtype=np.float64)
        assert kept + tally.outside == pytest.approx(tally.incoming, rel=1e-6)


@pytest.mark.parametrize("name", detector_names())
def test_the_same_cells_give_the_same_shower(name: str) -> None:
    calorimeter = load_detector(name)
    showers = random_showers(3, calorimeter, occupancy=0.05)
    other_name = calorimeter.model_copy(update={"name": "same cells"})
    for layers in ("depth", "match"):
        tally = Tally()
        after = Rebin(target=other_name, layers=layers).apply(showers, tally)
        np.testing.assert_array_equal(after.cell, showers.cell)
        np.testing.assert_array_equal(after.energy, showers.energy)
        assert tally.outside == 0.0


def test_a_larger_calorimeter_around_it_changes_nothing() -> None:
    small, large = load_detector("lcd-ecal-25"), load_detector("lcd-ecal")
    showers = random_showers(3, small, occupancy=0.05)
    tally = Tally()
    after = Rebin(target=large).apply(showers, tally)
    assert tally.outside == 0.0
    inside = after.dense().reshape(3, 25, 51, 51)[:, :, 13:38, 13:38]
    np.testing.assert_array_equal(inside.reshape(3, -1), showers.dense())
    back = Rebin(target="lcd-ecal-25").apply(after, tally)
    np.testing.assert_array_equal(back.dense(), showers.dense())
    assert tally.outside == 0.0


def test_merged_cells_are_sums_exact_to_float32() -> None:
    source = load_detector("lcd-ecal")
    showers = random_showers(3, source, occupancy=0.2)
    front = [(square(17, 15.0), 2 * 3.82)] * 8 + [(square(17, 15.0), 3.82 + 6.22)]
    back = [(square(17, 15.0), 2 * 6.22)] * 3 + [(square(17, 15.0), 6.22)]
    tally = Tally()
    after = Rebin(target=stack_of(*front, *back)).apply(showers, tally)
    cells = showers.dense().astype(np.float64).reshape(3, 25, 17, 3, 17, 3).sum(axis=(3, 5))
    merged = np.add.reduceat(cells, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24], axis=1)
    np.testing.assert_allclose(after.dense(), merged.reshape(3, -1), rtol=6.1e-8, atol=0)
    assert tally.outside == 0.0


def test_cells_split_and_merged_again_are_the_same() -> None:
    coarse, fine = stack_of((square(4, 9.0), 6.0)), stack_of(*[(square(12, 3.0), 2.0)] * 3)
    showers = random_showers(4, coarse)
    split = Rebin(target=fine).apply(showers, Tally())
    assert split.n_hits == 27 * showers.n_hits
    np.testing.assert_allclose(
        Rebin(target=coarse).apply(split, Tally()).dense(), showers.dense(), rtol=2e-7, atol=0
    )


def test_shares_that_round_to_zero_are_left_out() -> None:
    coarse, fine = stack_of((square(1, 9.0), 6.0)), stack_of((square(9, 1.0), 6.0))
    tiny = np.array([[1e-45]], np.float32)
    showers = Showers.from_dense(coarse, Incident({"energy": [1e3]}), tiny)
    assert Rebin(target=fine).apply(showers, Tally()).n_hits == 0


# ----------------------------------------------------------------------------- areas


def test_a_cartesian_cell_is_shared_by_area() -> None:
    shared = dense_shares(
        square(1, 10.0), CartesianGrid(nx=2, ny=1, dx=6.0, dy=20.0, centre=(3, 0))
    )
    # the cell from -5 to 5; target cells from -3 to 3 and 3 to 9
    np.testing.assert_allclose(shared, [[0.6, 0.2]], rtol=1e-12)


def test_rings_are_shared_by_area_and_sectors_by_angle() -> None:
    np.testing.assert_allclose(dense_shares(rings(0, 20), rings(0, 10, 20)), [[0.25, 0.75]])
    merged = dense_shares(rings(0, 10, 20, 30), rings(0, 20))
    np.testing.assert_array_equal(merged, [[1.0], [1.0], [0.0]])
    sectors = dense_shares(rings(0, 10, n_phi=3), rings(0, 10, n_phi=2))
    np.testing.assert_allclose(sectors, [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]], atol=1e-15)
    halves = dense_shares(rings(0, 10, n_phi=8), rings(0, 10, n_phi=4))
    np.testing.assert_array_equal(halves, np.repeat(np.eye(4), 2, axis=0))


def test_a_uniform_disc_fills_squares_by_their_area_inside() -> None:
    """A disc of 40 mm, rings and sectors filled by their area: density 1 / area everywhere."""
    disc = rings(*np.linspace(0, 40, 9), n_phi=16)
    areas = np.repeat(np.diff(np.square(disc.r_edges)) / 40**2 / 16, 16)
    got = (areas @ dense_shares(disc, square(21, 4.0))).reshape(21, 21)
    assert got.sum() == pytest.approx(1.0, rel=1e-12)
    fine = (np.arange(21 * 200) + 0.5) * 0.02 - 42
    inside = np.hypot(fine[:, None], fine[None, :]) < 40
    part = inside.reshape(21, 200, 21, 200).mean(axis=(1, 3))
    np.testing.assert_allclose(got, part * 16 / (np.pi * 40**2), atol=0.01 * 16 / (np.pi * 40**2))


def test_a_uniform_square_fills_rings_by_their_area() -> None:
    grid = square(11, 10.0)
    uniform = np.full(121, 100.0)  # mm^2
    target = rings(0, 12, 25, 50, n_phi=5)
    got = (uniform @ dense_shares(grid, target)).reshape(3, 5)
    exact = np.pi * np.diff(np.square([0, 12, 25, 50])) / 5
    np.testing.assert_allclose(got, np.repeat(exact[:, None], 5, axis=1), rtol=5e-3)


def test_a_quarter_circle_holds_pi_quarters_of_its_square() -> None:
    cell = CartesianGrid(nx=1, ny=1, dx=10, dy=10, centre=(5, 5))
    assert dense_shares(cell, rings(0, 10))[0, 0] == pytest.approx(np.pi / 4, abs=1e-3)
    ring = dense_shares(rings(3, 10), square(2, 50.0))
    np.testing.assert_allclose(ring, np.full((1, 4), 0.25), atol=1e-12)


def test_a_sector_lies_on_its_own_side() -> None:
    quarters = rings(0, 10, n_phi=4)  # -pi to -pi/2 first: x < 0, y < 0
    np.testing.assert_allclose(dense_shares(quarters, square(2, 20.0)), np.eye(4)[[0, 2, 3, 1]])
    np.testing.assert_allclose(
        dense_shares(square(2, 5.0), quarters), np.eye(4)[[0, 3, 1, 2]], atol=1e-12
    )


# ----------------------------------------------------------------------------- depth


def test_a_layer_is_shared_by_depth_and_gaps_count_as_outside() -> None:
    source = one_layer(square(1), thickness=10.0, z=2.0)  # 2 to 12 mm
    layers = tuple(
        Layer(z=z, thickness=t, segmentation=square(1)) for z, t in ((0.0, 4.0), (5.0, 3.0))
    )
    target = Calorimeter(name="gaps", layers=layers)
    showers = Showers.from_dense(source, Incident({"energy": [1e3]}), [[10.0]])
    tally = Tally()
    after = Rebin(target=target).apply(showers, tally)
    np.testing.assert_allclose(after.dense(), [[2.0, 3.0]], rtol=1e-7)
    assert tally.outside == pytest.approx(5.0)
    assert (tally.showers, tally.incoming) == (1, 10.0)
    assert Rebin(target=target).note(tally) == (
        "rebin to gaps: 5 MeV (50 % of the visible energy, in 1 showers) lies outside the cells "
        "and is left out"
    )


def test_matched_layers_go_by_their_number() -> None:
    source = stack_of(*[(square(2), 3.0)] * 6)
    showers = random_showers(5, source)
    dense = showers.dense().astype(np.float64).reshape(5, 6, 4)
    for n in (6, 3, 2, 1):
        target = stack_of(*[(square(2), 50.0)] * n)
        after = Rebin(target=target, layers="match").apply(showers, Tally())
        merged = dense.reshape(5, n, 6 // n, 4).sum(axis=2).reshape(5, -1)
        np.testing.assert_allclose(after.dense(), merged, rtol=6.1e-8, atol=0)
    for n in (4, 12):
        target = stack_of(*[(square(2), 50.0)] * n)
        with pytest.raises(GeometryError, match=f"6 layers of 'case' cannot be matched to the {n}"):
            Rebin(target=target, layers="match").calorimeter(source)
    with pytest.raises(ConfigError, match="rebin: layers"):
        Rebin(target=source, layers="colour")


# ------------------------------------------------------------------ the matrix at work


def test_large_samples_are_shared_in_chunks_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    showers = random_showers(12)
    step = Rebin(target=stack_of((rings(0, 10, 30, n_phi=3), 12.0)))
    tallies = Tally(), Tally()
    whole = step.apply(showers, tallies[0])
    monkeypatch.setattr("caloforge.transform.rebin.CHUNK", 50)
    parts = step.apply(showers, tallies[1])
    np.testing.assert_array_equal(parts.cell, whole.cell)
    np.testing.assert_array_equal(parts.energy, whole.energy)
    assert tallies[1].outside == pytest.approx(tallies[0].outside)
    assert tallies[1].showers == tallies[0].showers == 12


def test_the_matrix_is_made_once_and_few_are_kept() -> None:
    pair = load_detector("lcd-ecal-25"), load_detector("par04-siw")
    assert shares.cell_shares(*pair, "depth") is shares.cell_shares(*pair, "depth")
    assert shares.cell_shares.cache_info().maxsize == 4


def test_hopeless_rebinnings_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    behind = one_layer(square(3), z=500.0)
    with pytest.raises(GeometryError, match="no cell of 'lcd-ecal' lies in a cell of 'one-layer'"):
        Rebin(target=behind).calorimeter(load_detector("lcd-ecal"))
    monkeypatch.setattr(shares, "LARGEST", 10)
    with pytest.raises(GeometryError, match="takes more than 10 numbers; rebin to coarser cells"):
        Rebin(target=one_layer(square(7))).calorimeter(one_layer(square(8)))
