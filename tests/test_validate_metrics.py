"""Metrics of two samples: analytic cases, and cases where a test must fire or stay silent."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caloforge.geometry import Calorimeter, CartesianGrid, Layer
from caloforge.showers import Incident, Showers
from caloforge.validate import (
    cell_errors,
    correlation_difference,
    correlation_matrix,
    data_copying,
    diversity,
    hellinger,
    memorisation,
    nearest,
    observables,
    separation,
    separation_power,
    summarise,
)
from caloforge.validate.binning import binning, round_up


def calorimeter() -> Calorimeter:
    grid = CartesianGrid(nx=7, ny=7, dx=5.0, dy=5.0)
    layers = tuple(Layer(z=10.0 * k, thickness=10.0, segmentation=grid) for k in range(5))
    return Calorimeter(name="small", cell_threshold=0.01, layers=layers)


def toy(n: int, seed: int, *, scale: float = 1.0, width: float = 6.0) -> Showers:
    """Showers with a fluctuating start, a lateral spread and Poisson-like grains."""
    rng = np.random.default_rng(seed)
    geometry = calorimeter()
    x, y, z = geometry.cell_positions.T
    energy = rng.uniform(1e4, 1e5, n)
    start = rng.normal(20.0, 4.0, n)[:, None]
    shape = np.exp(-(x**2 + y**2) / (2 * width**2)) * np.exp(-((z - start) ** 2) / 200)
    shape /= shape.sum(axis=1, keepdims=True)
    dense = rng.gamma(0.3 + 0 * shape) / 0.3 * shape * energy[:, None] * 0.02 * scale
    return Showers.from_dense(geometry, Incident({"energy": energy}), dense)


def test_separation_power_of_known_histograms() -> None:
    assert separation_power([1, 2, 3], [1, 2, 3]) == 0.0
    assert separation_power([1, 0], [0, 5]) == pytest.approx(1.0)
    p, q = np.array([0.5, 0.5]), np.array([0.25, 0.75])
    expected = 0.5 * (0.25**2 / 0.75 + 0.25**2 / 1.25)
    assert separation_power(p, q) == pytest.approx(expected)
    assert separation_power([0, 0], [1, 0]) == 1.0
    assert separation_power([0, 0], [0, 0]) is None


counts = st.lists(st.integers(0, 1000), min_size=2, max_size=40)


@settings(max_examples=100, deadline=None)
@given(counts, counts, st.floats(0.1, 10))
def test_separation_power_is_symmetric_bounded_and_scale_free(
    a: list[int], b: list[int], factor: float
) -> None:
    size = min(len(a), len(b))
    p, q = np.array(a[:size], float), np.array(b[:size], float)
    value = separation_power(p, q)
    if value is None:
        assert p.sum() == q.sum() == 0
        return
    assert 0.0 <= value <= 1.0 + 1e-9
    assert value == pytest.approx(separation_power(q, p), abs=1e-12)
    assert value == pytest.approx(separation_power(factor * p, q), abs=1e-9)


def test_a_sample_against_itself_is_not_separated() -> None:
    sample = summarise(toy(50, 0))[0]
    result = separation(sample, sample)
    expected = {"etot_over_einc", "layer_energy", "cell_energy", "centre_x", "centre_y", "hits"}
    expected |= {"width_x", "width_y", "sparsity", "depth", "hit_pairs"}
    assert set(result.value) == expected
    assert all(value == pytest.approx(0.0, abs=1e-12) for value in result.value.values())
    assert correlation_difference(sample.observables, sample.observables) == pytest.approx(0.0)
    assert cell_errors(sample.profiles.cells, sample.profiles.cells)["mean_rel_error"] == 0.0


def test_separation_sees_a_shift_and_says_what_is_dropped() -> None:
    reference = summarise(toy(400, 0))[0]
    edges = reference.spectrum_edges
    same, far = (summarise(toy(400, 1, scale=s), edges)[0] for s in (1.0, 9.0))
    near_value, far_value = separation(reference, same), separation(reference, far)
    assert far_value.value["etot_over_einc"] == 1.0
    assert far_value.out_of_range["etot_over_einc"] == 1.0
    assert near_value.out_of_range["etot_over_einc"] == pytest.approx(0.0, abs=0.05)
    for key in ("etot_over_einc", "layer_energy", "cell_energy"):
        near, wide = near_value.value[key], far_value.value[key]
        assert near is not None
        assert wide is not None
        assert wide > 2 * near, key


def test_bins_depend_on_the_reference_alone() -> None:
    reference = summarise(toy(300, 0))[0]
    bins = binning(reference)
    mean = reference.observables.response.mean()
    response = bins.showers["etot_over_einc"]
    assert response is not None
    assert response[[0, -1]] == pytest.approx([0.5 * mean, 1.5 * mean])
    assert len(response) == 101
    assert len(bins.cell_energy) == 50
    assert all(edge is not None and len(edge) == 40 for edge in bins.layers["layer_energy"])
    centre = bins.layers["centre_x"][2]
    assert centre is not None
    assert centre[0] == -centre[-1] == -round_up(centre[-1])
    assert bins.layers["centre_r"] == [None] * 5


@pytest.mark.parametrize(
    ("value", "up"), [(20.13, 30), (24.4, 30), (1.0, 1), (51, 100), (0.021, 0.03), (100, 100)]
)
def test_round_up(value: float, up: float) -> None:
    assert round_up(value) == pytest.approx(up)


def test_hellinger_distance() -> None:
    geometry = calorimeter()
    dense = np.zeros((3, geometry.n_cells), np.float32)
    dense[0, :2], dense[1, :2], dense[2, 5] = [1.0, 3.0], [2.0, 6.0], 4.0
    showers = Showers.from_dense(geometry, Incident({"energy": [1e3] * 3}), dense)
    distance = hellinger(showers, showers)
    assert distance[0, 1] == pytest.approx(0.0, abs=1e-3)
    assert distance[0, 2] == pytest.approx(1.0)
    half = np.zeros((1, geometry.n_cells), np.float32)
    half[0, 0] = 1.0
    one = Showers.from_dense(geometry, Incident({"energy": [1e3]}), half)
    assert hellinger(one, showers)[0, 0] == pytest.approx(np.sqrt(1 - np.sqrt(0.25)))
    found, which = nearest(one, showers)
    assert which[0] in (0, 1)
    assert found[0] == pytest.approx(distance.min() + np.sqrt(0.5), abs=1e-3)


def test_copies_of_the_training_sample_are_found() -> None:
    training, reference = toy(300, 0), toy(150, 1)
    rng = np.random.default_rng(5)
    copied = training[np.arange(150)]
    noise = (1 + 0.02 * rng.standard_normal(copied.n_hits)) * 1.7
    copies = Showers(
        copied.calorimeter, copied.incident, copied.offset, copied.cell, copied.energy * noise
    )
    result = memorisation(reference, copies, training)
    assert result["p_value"] < 1e-6
    assert result["fraction_copies"] > 0.99
    assert result["median_distance"] < 0.1 * result["median_distance_reference"]


def test_an_independent_sample_is_not_called_a_copy() -> None:
    result = memorisation(toy(150, 1), toy(150, 2), toy(300, 0))
    assert result["p_value"] > 1e-3
    assert result["fraction_copies"] < 0.05


def test_the_copy_test_is_one_sided() -> None:
    near, far = np.linspace(0.1, 0.2, 50), np.linspace(0.3, 0.4, 50)
    assert data_copying(near, far)["p_value"] < 1e-10
    assert data_copying(far, near)["p_value"] > 0.999


def test_diversity_sees_a_generator_that_repeats_itself() -> None:
    reference, fair = toy(400, 0), toy(400, 1)
    assert diversity(reference, fair)["ratio"] == pytest.approx(1.0, abs=0.05)
    template = toy(1, 2).dense()
    energy = fair.incident.energy[:, None] / 5e4
    repeated = Showers.from_dense(fair.calorimeter, fair.incident, template * energy)
    ratio = diversity(reference, repeated)["ratio"]
    assert ratio is not None
    assert ratio < 0.05


def test_correlations_and_constant_features() -> None:
    table = observables(toy(200, 0).above_threshold())
    matrix = correlation_matrix(table)
    assert np.allclose(np.diag(matrix), 1.0)
    assert matrix[6, 7] > 0.8  # Etot follows Einc
    single = table[np.zeros(20, int)]
    assert np.all(correlation_matrix(single) == 0)


def test_cell_errors_of_a_scaled_sample() -> None:
    geometry = calorimeter()
    first = toy(100, 0)
    scaled = Showers(geometry, first.incident, first.offset, first.cell, first.energy * 1.25)
    a, b = (summarise(sample)[0].profiles.cells for sample in (first, scaled))
    errors = cell_errors(a, b)
    assert errors["mean_rel_error"] == pytest.approx(0.25, rel=0.02)
    assert errors["sigma_rel_error"] == pytest.approx(0.25, rel=0.02)
