"""Observables and profiles: hand-made showers with known answers, on three kinds of geometry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caloforge.geometry import Calorimeter, CartesianGrid, CylindricalGrid, Layer, load_detector
from caloforge.showers import Incident, Showers
from caloforge.validate import (
    cell_spectrum,
    depth,
    depth_thirds,
    energy_edges,
    etot_over_einc,
    hit_pairs,
    hits,
    lateral_edges,
    layer_centre,
    layer_energy,
    layer_width,
    moments,
    observables,
    profile_difference,
    profiles,
    relative_difference,
    response,
    sparsity,
    summarise,
    total_energy,
)
from caloforge.validate.raster import Raster


def cylinder(n_phi: int = 8) -> Calorimeter:
    ring = CylindricalGrid(r_edges=(0.0, 10.0, 20.0, 40.0), n_phi=n_phi)
    uncut = CylindricalGrid(r_edges=(0.0, 10.0, 50.0), n_phi=1)
    return Calorimeter(
        name="cylinder",
        cell_threshold=0.01,
        layers=(
            Layer(z=0.0, thickness=10.0, segmentation=ring),
            Layer(z=10.0, thickness=10.0, segmentation=uncut),
        ),
    )


def small() -> Calorimeter:
    grid = CartesianGrid(nx=7, ny=7, dx=5.0, dy=5.0)
    layers = tuple(Layer(z=10.0 * k, thickness=10.0, segmentation=grid) for k in range(5))
    return Calorimeter(name="small", cell_threshold=0.01, layers=layers)


def make(calorimeter: Calorimeter, cells: list[tuple[int, int, int, float]]) -> Showers:
    """One shower of 1 GeV from (layer, i, j, MeV), then an empty one of 2 GeV."""
    layer, i, j = (np.array([cell[k] for cell in cells]) for k in range(3))
    number = calorimeter.cell_index(layer, i, j)
    energy = [cell[3] for cell in cells]
    incident = Incident({"energy": [1000.0, 2000.0]})
    return Showers.from_hits(calorimeter, incident, [0] * len(cells), number, energy)


def test_lcd_centre_width_sparsity_and_depth() -> None:
    calorimeter = load_detector("lcd-ecal-25")
    showers = make(calorimeter, [(3, 12, 12, 1.0), (3, 14, 12, 1.0), (20, 12, 11, 2.0)])
    assert total_energy(showers).tolist() == [4.0, 0.0]
    assert etot_over_einc(showers).tolist() == [0.004, 0.0]
    assert hits(showers).tolist() == [3.0, 0.0]
    assert layer_energy(showers)[0, [3, 20]].tolist() == [2.0, 2.0]
    assert layer_centre(showers, "x")[0, 3] == pytest.approx(5.0)
    assert layer_width(showers, "x")[0, 3] == pytest.approx(5.0)
    assert layer_width(showers, "y")[0, 3] == pytest.approx(0.0, abs=1e-6)
    assert layer_centre(showers, "y")[0, 20] == pytest.approx(-5.0)
    assert sparsity(showers)[0, 3] == pytest.approx(1 - 2 / 625)
    z = [calorimeter.layers[k].z + calorimeter.layers[k].thickness / 2 for k in (3, 20)]
    assert depth(showers)[0] == pytest.approx(np.mean(z))
    assert moments(showers)[0, 5] == pytest.approx((z[1] - z[0]) / 2)
    assert depth_thirds(showers)[0].tolist() == pytest.approx([0.5, 0.0, 0.5])


def test_calogan_layers_of_different_grids() -> None:
    calorimeter = load_detector("calogan-lar")
    shapes = [layer.segmentation.shape for layer in calorimeter.layers]
    assert shapes == [(3, 96), (12, 12), (12, 6)]
    showers = make(calorimeter, [(0, 1, 0, 3.0), (0, 1, 95, 3.0), (1, 0, 6, 1.0), (1, 11, 6, 1.0)])
    assert layer_centre(showers, "y")[0, 0] == pytest.approx(0.0, abs=1e-9)
    assert layer_width(showers, "y")[0, 0] == pytest.approx(240 - 2.5)
    assert layer_width(showers, "x")[0, 1] == pytest.approx(240 - 20)
    assert sparsity(showers)[0].tolist() == pytest.approx([1 - 2 / 288, 1 - 2 / 144, 1.0])
    assert layer_energy(showers)[0].tolist() == [6.0, 2.0, 0.0]


def test_cylinder_radius_and_position() -> None:
    showers = make(cylinder(), [(0, 0, 4, 1.0), (0, 2, 4, 1.0), (1, 1, 0, 2.0)])
    phi = (4 + 0.5) * 2 * np.pi / 8 - np.pi
    assert layer_centre(showers, "r")[0].tolist() == pytest.approx([17.5, 30.0])
    assert layer_width(showers, "r")[0].tolist() == pytest.approx([12.5, 0.0], abs=1e-6)
    assert layer_centre(showers, "x")[0, 0] == pytest.approx(17.5 * np.cos(phi))
    assert layer_centre(showers, "x")[0, 1] == 0.0


@pytest.mark.parametrize("calorimeter", [small(), cylinder(), cylinder(1)], ids=lambda c: c.name)
def test_an_empty_shower_is_finite_everywhere(calorimeter: Calorimeter) -> None:
    table = observables(make(calorimeter, [(0, 1, 0, 1.0)]))
    for name, values in vars(table).items():
        assert np.all(np.isfinite(values)), name
    assert not table.filled[1]
    assert table.sparsity[1].tolist() == [1.0] * calorimeter.n_layers
    assert np.all(table.moments[1] == 0)


hit = st.tuples(
    st.integers(0, 2),
    st.integers(0, 10_000),
    st.floats(0.0625, 1000.0, width=32),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(hit, min_size=1, max_size=60), st.sampled_from(["small", "cylinder", "calogan"]))
def test_profiles_conserve_energy(entries: list[tuple[int, int, float]], kind: str) -> None:
    calorimeter = {
        "small": small(),
        "cylinder": cylinder(),
        "calogan": load_detector("calogan-lar"),
    }[kind]
    showers = Showers.from_hits(
        calorimeter,
        Incident({"energy": [1e3, 2e3, 3e3]}),
        [entry[0] for entry in entries],
        [entry[1] % calorimeter.n_cells for entry in entries],
        [entry[2] for entry in entries],
    )
    shapes = profiles(showers)
    total = float(showers.energy.astype(np.float64).sum())
    for part in (shapes.longitudinal, shapes.cells, *shapes.lateral.values()):
        assert part.n == 3
        assert part.first.sum() == pytest.approx(total, rel=1e-9)
        assert np.all(part.second >= 0)
    edges = np.geomspace(0.01, 100.0, 50)
    assert cell_spectrum(showers, edges).sum() == showers.n_hits


def test_lateral_bins_follow_the_coarsest_layer() -> None:
    calorimeter = load_detector("calogan-lar")
    assert np.diff(lateral_edges(calorimeter, "x")) == pytest.approx(160.0)
    assert np.diff(lateral_edges(calorimeter, "y")) == pytest.approx(80.0)
    lcd = lateral_edges(load_detector("lcd-ecal-25"), "x")
    assert lcd[[0, -1]].tolist() == [-62.5, 62.5]
    assert len(lcd) == 26


@pytest.mark.parametrize("name", ["small", "cylinder", "calogan"])
def test_pictures_lose_no_energy(name: str) -> None:
    calorimeter = {
        "small": small(),
        "cylinder": cylinder(),
        "calogan": load_detector("calogan-lar"),
    }[name]
    cells = np.random.default_rng(0).exponential(1.0, calorimeter.n_cells)
    pixels = Raster(calorimeter)
    assert pixels.front(cells).sum() == pytest.approx(cells.sum())
    layers = np.bincount(calorimeter.cell_layer, weights=cells)
    assert pixels.side(cells).sum(axis=0) == pytest.approx(layers)


def test_profile_mean_error_and_difference() -> None:
    calorimeter = small()
    dense = np.zeros((2, calorimeter.n_cells), np.float32)
    dense[:, 24] = [1.0, 3.0]
    showers = Showers.from_dense(calorimeter, Incident({"energy": [1e3, 1e3]}), dense)
    shape = profiles(showers).longitudinal
    assert shape.mean[0] == 2.0
    assert shape.sigma[0] == pytest.approx(1.0)
    assert shape.error[0] == pytest.approx(np.std([1, 3], ddof=1) / np.sqrt(2))
    more = profiles(Showers.from_dense(calorimeter, showers.incident, dense * 1.5)).longitudinal
    assert profile_difference(shape, more) == pytest.approx(0.5)
    assert relative_difference(shape, more) == [pytest.approx(0.5), None, None, None, None]


def test_batches_give_what_one_batch_gives() -> None:
    rng = np.random.default_rng(0)
    calorimeter = small()
    dense = rng.exponential(1.0, (57, calorimeter.n_cells)) * (rng.random((57, 245)) < 0.2)
    showers = Showers.from_dense(
        calorimeter, Incident({"energy": rng.uniform(1e3, 2e3, 57)}), dense
    )
    whole, parts = summarise(showers, batch=1000)[0], summarise(showers, batch=7)[0]
    for name, values in vars(whole.observables).items():
        np.testing.assert_array_equal(values, getattr(parts.observables, name))
    np.testing.assert_array_equal(whole.spectrum, parts.spectrum)
    np.testing.assert_allclose(whole.profiles.cells.second, parts.profiles.cells.second)
    np.testing.assert_allclose(
        whole.profiles.lateral["radius"].second, parts.profiles.lateral["radius"].second
    )
    np.testing.assert_array_equal(whole.kept.cell, parts.kept.cell)


def test_hits_below_the_threshold_do_not_count() -> None:
    calorimeter = small()
    dense = np.zeros((1, calorimeter.n_cells), np.float32)
    dense[0, :2] = [0.009, 0.02]
    showers = Showers.from_dense(calorimeter, Incident({"energy": [1e3]}), dense)
    summary = summarise(showers)[0]
    assert summary.observables.hits.tolist() == [1.0]
    assert summary.observables.total[0] == pytest.approx(0.02)


def test_response_finds_a_shift_and_a_wider_resolution() -> None:
    rng = np.random.default_rng(3)
    calorimeter = small()
    energy = rng.uniform(1e4, 1e5, 4000)

    def sample(mean: float, width: float) -> Showers:
        dense = np.zeros((4000, calorimeter.n_cells), np.float32)
        dense[:, 24] = energy * mean * (1 + width * rng.standard_normal(4000))
        return Showers.from_dense(calorimeter, Incident({"energy": energy}), dense)

    reference, generated = observables(sample(0.02, 0.05)), observables(sample(0.021, 0.10))
    rows = response(reference, generated)
    assert len(rows) == 10
    assert sum(row["reference"]["n"] for row in rows) == 4000
    for row in rows:
        assert row["mean_rel_error"] == pytest.approx(0.05, abs=5 * row["mean_rel_error_stat"])
        error = row["resolution_rel_error_stat"]
        assert row["resolution_rel_error"] == pytest.approx(1.0, abs=5 * error)
        assert 0.001 < row["mean_rel_error_stat"] < 0.02


def test_energy_bins_of_discrete_energies() -> None:
    edges = energy_edges(np.repeat([256.0, 512.0, 1024.0], 10))
    assert len(edges) == 4
    assert len(energy_edges(np.full(5, 5e4))) == 2


def test_pairs_of_hits_share_a_side_in_a_layer() -> None:
    """A row of three hits has two pairs; corners, other layers and far ends have none."""
    row = [(1, 0, j, 1.0) for j in range(3)]
    showers = make(small(), [*row, (1, 1, 3, 1.0), (2, 0, 0, 1.0), (1, 6, 0, 1.0)])
    assert hit_pairs(showers) == pytest.approx([2 / 6, 0.0])


def test_rings_close_around_the_axis() -> None:
    polar = load_detector("par04-siw")
    last = polar.layers[0].segmentation.shape[1] - 1
    three, ends = np.full(2, 3), np.array([0, last])
    hits = polar.cell_index(np.zeros(2, np.int64), three, ends)
    showers = Showers.from_hits(polar, Incident({"energy": np.ones(1)}), [0, 0], hits, np.ones(2))
    assert hit_pairs(showers) == pytest.approx([0.5])
    beside = polar.cells_beside
    for cell in (0, 17, len(beside) - 1):  # whoever lies beside me, I lie beside
        for other in beside[cell][beside[cell] >= 0]:
            assert cell in beside[other]
