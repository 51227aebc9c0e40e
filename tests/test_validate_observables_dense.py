"""Every observable against a few lines of numpy on the dense array, for random calorimeters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from caloforge.geometry import Calorimeter, CylindricalGrid, load_detector
from caloforge.observables import Observables
from caloforge.showers import Incident, Showers
from caloforge.validate import (
    calogan_features,
    cell_spectrum,
    observables,
    profiles,
    share_within,
    sparsity_curve,
)
from calorimeters import calorimeters

Floats = NDArray[np.float64]
samples = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def ring_radius(calorimeter: Calorimeter) -> Floats:
    """Distance of every cell from the calorimeter's axis."""
    parts = []
    for layer in calorimeter.layers:
        grid = layer.segmentation
        if isinstance(grid, CylindricalGrid):
            edges = np.array(grid.r_edges)
            parts.append(np.repeat((edges[:-1] + edges[1:]) / 2, grid.n_phi))
        else:
            x, y = grid.centres()
            parts.append(np.sqrt(x**2 + y**2))
    return np.concatenate(parts)


def uncut(calorimeter: Calorimeter) -> NDArray[np.bool_]:
    flags = [getattr(layer.segmentation, "n_phi", 2) == 1 for layer in calorimeter.layers]
    return np.array(flags)[calorimeter.cell_layer]


def sample(calorimeter: Calorimeter, seed: int, n: int = 3, low: float = -3) -> Showers:
    """Random showers over six decades, the last one empty."""
    rng = np.random.default_rng(seed)
    shape = (n, calorimeter.n_cells)
    dense = (10.0 ** rng.uniform(low, 3, shape) * (rng.random(shape) < 0.4)).astype(np.float32)
    dense[-1] = 0.0
    incident = Incident({"energy": rng.uniform(1e3, 5e5, n), "theta": rng.uniform(0.5, 2.5, n)})
    return Showers.from_dense(calorimeter, incident, dense)


def dense(showers: Showers) -> Floats:
    return showers.dense().astype(np.float64)


def mean(values: Floats, weights: Floats) -> float:
    return float((values * weights).sum() / weights.sum())


def central(values: Floats, weights: Floats, order: int) -> float:
    return mean((values - mean(values, weights)) ** order, weights)


calorimeter_and_seed = given(calorimeters(), st.integers(0, 10_000))


@samples
@calorimeter_and_seed
def test_moments_skewness_and_kurtosis(calorimeter: Calorimeter, seed: int) -> None:
    showers = sample(calorimeter, seed)
    table, place = observables(showers), calorimeter.cell_positions
    for k, e in enumerate(dense(showers)):
        for axis in range(3 if e.any() else 0):
            x = place[:, axis]
            variance = central(x, e, 2)
            assert table.moments[k, axis] == pytest.approx(mean(x, e), rel=1e-9, abs=1e-9)
            assert table.moments[k, 3 + axis] == pytest.approx(variance**0.5, rel=1e-9, abs=1e-6)
            if variance > 1e-9:
                skewness = central(x, e, 3) / variance**1.5
                kurtosis = central(x, e, 4) / variance**2 - 3
                assert table.skewness[k, axis] == pytest.approx(skewness, rel=1e-6, abs=1e-6)
                assert table.kurtosis[k, axis] == pytest.approx(kurtosis, rel=1e-6, abs=1e-6)
            elif variance < 1e-15:
                assert table.skewness[k, axis] == table.kurtosis[k, axis] == 0.0


@samples
@calorimeter_and_seed
def test_what_a_layer_shows(calorimeter: Calorimeter, seed: int) -> None:
    showers = sample(calorimeter, seed)
    table, layer = observables(showers), calorimeter.cell_layer
    axes = {
        "x": calorimeter.cell_positions[:, 0],
        "y": calorimeter.cell_positions[:, 1],
        "r": ring_radius(calorimeter),
    }
    for k, shower in enumerate(dense(showers)):
        for number in range(calorimeter.n_layers):
            e = shower[layer == number]
            top = np.sort(np.concatenate([e, [0.0]]))[::-1]
            assert table.layer_energy[k, number] == pytest.approx(e.sum(), rel=1e-12)
            assert table.sparsity[k, number] == pytest.approx((e == 0).mean())
            ratio = (top[0] - top[1]) / (top[0] + top[1]) if e.any() else 0.0
            assert table.e_ratio[k, number] == pytest.approx(ratio, abs=1e-12)
            for axis, values in axes.items():
                x = values[layer == number]
                centre = mean(x, e) if e.any() else 0.0
                width = central(x, e, 2) ** 0.5 if e.any() else 0.0
                assert getattr(table, f"centre_{axis}")[k, number] == pytest.approx(
                    centre, rel=1e-9, abs=1e-9
                )
                assert getattr(table, f"width_{axis}")[k, number] == pytest.approx(
                    width, rel=1e-9, abs=2e-6
                )


@samples
@calorimeter_and_seed
def test_cells_of_the_shower(calorimeter: Calorimeter, seed: int) -> None:
    showers = sample(calorimeter, seed, low=-10)
    table = observables(showers)
    for k, e in enumerate(dense(showers)):
        peak = int(e.argmax())
        assert table.total[k] == pytest.approx(e.sum(), rel=1e-12)
        assert table.hits[k] == np.count_nonzero(e)
        assert table.hits_above[k] == np.count_nonzero(e > 0.3)
        assert table.peak_energy[k] == e.max()
        if e.any():
            assert table.peak_layer[k] == calorimeter.cell_layer[peak]
            assert table.peak_position[k].tolist() == calorimeter.cell_positions[peak].tolist()
            assert table.peak_share[k] == pytest.approx(e.max() / e.sum())
        curve = [np.mean(e > 1e3 * 10.0**t) for t in range(-13, 1)]
        assert table.sparsity_curve[k].tolist() == pytest.approx(curve)
    average = [np.mean(dense(showers) > 1e3 * 10.0**t) for t in range(-13, 1)]
    assert sparsity_curve(showers).tolist() == pytest.approx(average)


def axis_distances(calorimeter: Calorimeter, e: Floats) -> Floats:
    """Distance of every cell to the energy-weighted straight line through the hits."""
    place = calorimeter.cell_positions
    centre = (place * e[:, None]).sum(axis=0) / e.sum()
    d = place - centre
    spread = (e * d[:, 2] ** 2).sum()
    flat = spread / e.sum() < 1e-12
    line = np.array([0.0, 0.0, 1.0]) if flat else (e * d[:, 2]) @ d / spread
    unit = line / np.linalg.norm(line)
    distance = np.linalg.norm(d - np.outer(d @ unit, unit), axis=1)
    return np.where(uncut(calorimeter), ring_radius(calorimeter), distance)


@samples
@calorimeter_and_seed
def test_containment(calorimeter: Calorimeter, seed: int) -> None:
    showers = sample(calorimeter, seed)
    table, radii = observables(showers), np.array([1.0, 10.0, 1e6])
    within = share_within(showers, radii)
    for k, e in enumerate(dense(showers)[:-1]):
        if not e.any():
            continue
        distance = axis_distances(calorimeter, e)
        order = np.argsort(distance)
        until = np.cumsum(e[order]) / e.sum()
        for name, share in (("radius_50", 0.5), ("radius_90", 0.9)):
            found = distance[order][np.argmax(until >= share - 1e-12)]
            assert getattr(table, name)[k] == pytest.approx(found, rel=1e-6, abs=1e-6)
        clear = np.abs(radii[:, None] - distance).min(axis=1) > 1e-6
        shares = np.array([e[distance <= radius].sum() / e.sum() for radius in radii])
        assert within[k][clear].tolist() == pytest.approx(shares[clear].tolist(), abs=1e-9)
        depths, done = [], 0.0
        for number, layer in enumerate(calorimeter.layers):
            energy = e[calorimeter.cell_layer == number].sum() / e.sum()
            depths += [(layer.z, done), (layer.z + layer.thickness, done + energy)]
            done += energy
        z, share_before = np.array(depths).T
        for name, share in (("depth_50", 0.5), ("depth_90", 0.9)):
            first = int(np.argmax(share_before >= share - 1e-12))
            part = (share - share_before[first - 1]) / (
                share_before[first] - share_before[first - 1]
            )
            found = z[first - 1] + part * (z[first] - z[first - 1])
            assert getattr(table, name)[k] == pytest.approx(found, rel=1e-6, abs=1e-6)
    assert within[-1].tolist() == [0.0, 0.0, 0.0]


@samples
@calorimeter_and_seed
def test_measured_angle(calorimeter: Calorimeter, seed: int) -> None:
    showers = sample(calorimeter, seed)
    table, place = observables(showers), calorimeter.cell_positions
    for k, e in enumerate(dense(showers)):
        ref = (place * e[:, None]).sum(axis=0) / max(e.sum(), 1e-16)
        for axis in range(2):
            angles, weights = [0.0], [1e-300]
            for number in range(calorimeter.n_layers):
                own = np.where(calorimeter.cell_layer == number, e, 0.0)
                if not own.any():
                    continue
                d = (place * own[:, None]).sum(axis=0) / own.sum() - ref
                run = np.hypot(d[1 - axis], d[2])
                if run > 1e-9:
                    m = d[axis] / run * (-1 if d[2] < 0 else 1)
                    angles.append(np.pi / 2 - np.arctan(m))
                    weights.append(number + 0.5)
            expected = np.average(angles, weights=weights)
            assert table.measured_angle[k, axis] == pytest.approx(expected, rel=1e-6, abs=1e-6)


@samples
@calorimeter_and_seed
def test_sums_over_the_sample(calorimeter: Calorimeter, seed: int) -> None:
    showers = sample(calorimeter, seed)
    e, shapes = dense(showers), profiles(showers)
    layer = np.stack(
        [e[:, calorimeter.cell_layer == k].sum(axis=1) for k in range(calorimeter.n_layers)]
    )
    assert shapes.longitudinal.first.tolist() == pytest.approx(layer.sum(axis=1).tolist())
    assert shapes.longitudinal.second.tolist() == pytest.approx((layer**2).sum(axis=1).tolist())
    assert shapes.cells.second.tolist() == pytest.approx((e**2).sum(axis=0).tolist())
    edges = np.geomspace(0.01, 1e3, 13)
    inside = np.histogram(e[e > 0], edges)[0]
    counted = cell_spectrum(showers, edges)
    assert counted[1:-1].tolist() == inside.tolist()
    assert counted[0] == np.count_nonzero((e > 0) & (e < 0.01))


def test_the_twenty_features_of_calogan() -> None:
    showers = sample(load_detector("calogan-lar"), 5, n=4)
    features, images = calogan_features(showers), dense(showers)
    assert len(features) == 20
    for k in range(3):
        layers = [
            images[k, a:b].reshape(shape)
            for a, b, shape in ((0, 288, (3, 96)), (288, 432, (12, 12)), (432, 504, (12, 6)))
        ]
        energy = np.array([layer.sum() for layer in layers])
        number = np.arange(3)
        s_d = (number * energy).sum() / energy.sum()
        assert features["total"][k] == pytest.approx(energy.sum())
        assert features["depth"][k] == 2
        assert features["lateral_depth"][k] == pytest.approx(energy[1] + 2 * energy[2])
        assert features["shower_depth"][k] == pytest.approx(s_d)
        width = np.sqrt((energy[1] + 4 * energy[2]) / energy.sum() - s_d**2)
        assert features["shower_depth_width"][k] == pytest.approx(width)
        for i, layer in enumerate(layers):
            edges = np.linspace(-240, 240, layer.shape[0] + 1)
            eta = (edges[1:] + edges[:-1]) / 2
            strips = layer.sum(axis=1)
            first = (strips * eta).sum() / energy[i]
            spread = np.sqrt((strips * eta**2).sum() / energy[i] - first**2)
            two = np.sort(layer.ravel())[:-3:-1]
            assert features[f"energy_{i}"][k] == pytest.approx(energy[i])
            assert features[f"fraction_{i}"][k] == pytest.approx(energy[i] / energy.sum())
            assert features[f"e_ratio_{i}"][k] == pytest.approx((two[0] - two[1]) / two.sum())
            assert features[f"lateral_width_{i}"][k] == pytest.approx(spread)
            assert features[f"occupied_{i}"][k] == pytest.approx((layer > 0).mean())
    assert all(values[3] == 0.0 for values in features.values())


def test_features_of_a_table_are_those_of_its_showers() -> None:
    showers = sample(load_detector("calogan-lar"), 6)
    again = calogan_features(observables(showers))
    for name, values in calogan_features(showers).items():
        np.testing.assert_array_equal(values, again[name])


def test_rows_and_parts_of_a_table() -> None:
    table = observables(sample(load_detector("calogan-lar"), 7, n=5))
    again = Observables.concatenate([table[:2], table[2:]])
    for name, values in vars(table).items():
        np.testing.assert_array_equal(values, getattr(again, name))
    assert len(table[table.filled]) == 4
