"""3DGAN's figure of merit, against its published definition written out on dense arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from caloforge.errors import ShowerError
from caloforge.geometry import Calorimeter, CartesianGrid, Layer
from caloforge.showers import Incident, Showers
from caloforge.validate import threedgan_metric
from caloforge.validate.threedgan import index_moments, metric_energies, pair_by_angle

Floats = NDArray[np.float64]
NX, NY, NZ = 7, 5, 4


def box() -> Calorimeter:
    grid = CartesianGrid(nx=NX, ny=NY, dx=10.0, dy=10.0)
    layers = tuple(Layer(z=10.0 * k, thickness=10.0, segmentation=grid) for k in range(NZ))
    return Calorimeter(name="box", layers=layers)


def events(
    n: int, seed: int, *, energy: Floats | None = None, theta: Floats | None = None
) -> Showers:
    rng = np.random.default_rng(seed)
    energy = rng.uniform(1e4, 1e5, n) if energy is None else energy
    dense = rng.exponential(1.0, (n, NX * NY * NZ)) * (rng.random((n, NX * NY * NZ)) < 0.5)
    dense[:, 3] = 1.0
    return Showers.from_dense(box(), Incident({"energy": energy}), dense)


def image(showers: Showers) -> Floats:
    """Images (n, x, y, z) as 3DGAN has them."""
    return showers.dense().astype(np.float64).reshape(-1, NZ, NX, NY).transpose(0, 2, 3, 1)


def published(act: Floats, gan: Floats) -> tuple[float, float]:
    """The moment and the profile term of one energy bin."""
    moment, profile = [], []
    for axes in ((2, 3), (1, 3), (1, 2)):
        sums = [images.sum(axis=axes) for images in (act, gan)]
        means = []
        for s in sums:
            k, total = np.arange(s.shape[1]), s.sum(axis=1)
            middle = (s * k).sum(axis=1) / total
            second = (s * (k[None, :] - middle[:, None]) ** 2).sum(axis=1) / total
            means.append(np.array([middle.mean(), second.mean()]))
        moment.append(np.abs((means[0] - means[1]) / means[0]))
        a, g = (s.mean(axis=0) for s in sums)
        profile.append(np.sum(np.abs((a - g) / a)) / len(a))
    return float(np.sum(np.sum(moment, axis=0) / 3) / 2), float(np.sum(profile) / 3)


def test_the_published_formula() -> None:
    reference, generated = events(300, 0), events(280, 1)
    result = threedgan_metric(reference, generated, [3e4, 6e4, 9e4], batch=64)
    moments, profiles = [], []
    for row, energy in zip(result["bins"], (3e4, 6e4, 9e4), strict=True):
        near = [np.abs(s.incident.energy - energy) < 5e3 for s in (reference, generated)]
        terms = published(image(reference)[near[0]], image(generated)[near[1]])
        assert row["moments"] == pytest.approx(terms[0])
        assert row["profiles"] == pytest.approx(terms[1])
        assert [row["n_reference"], row["n_generated"]] == [near[0].sum(), near[1].sum()]
        moments.append(terms[0])
        profiles.append(terms[1])
    total = np.mean(moments) + np.mean(profiles)
    assert result["total"] == pytest.approx(total)
    assert result["total_moments_twice"] == pytest.approx(total + np.mean(moments))
    assert result["angle"] is None
    assert result["left_out"] == 0


def slanted(n: int, seed: int, bend: float) -> Showers:
    """One hit per layer along a line; the samples of one seed have equal conditions."""
    rng = np.random.default_rng(seed)
    theta = rng.uniform(1.2, 1.9, n)
    z = np.tile(np.array([5.0, 15.0, 25.0, 35.0]), n)
    shower = np.repeat(np.arange(n), NZ)
    x = (z - 20.0) / np.tan(theta[shower] * bend)
    cells = box().locate(x, np.zeros_like(x), z)
    incident = Incident({"energy": rng.choice([2e4, 5e4], n), "theta": theta})
    return Showers.from_hits(box(), incident, shower, cells, rng.uniform(1, 2, len(x)))


def their_angle(img: Floats) -> float:
    """Measured angle of one image, cells and layers of 10 mm: cell numbers are lengths."""
    x, y, z = (np.asarray(axis, dtype=np.float64) for axis in np.indices(img.shape))
    ref = [(img * axis).sum() / img.sum() for axis in (x, y, z)]
    angle, weight = [], []
    for k in range(img.shape[2]):
        plane = img[:, :, k]
        if plane.sum() == 0:
            continue
        dx = (plane * x[:, :, k]).sum() / plane.sum() - ref[0]
        dy = (plane * y[:, :, k]).sum() / plane.sum() - ref[1]
        m = dx / np.sqrt(dy**2 + (k - ref[2]) ** 2)
        angle.append(np.pi / 2 - np.arctan(-m if k < ref[2] else m))
        weight.append(k + 0.5)
    return float(np.average(angle, weights=weight))


def test_angles_of_equal_conditions_are_paired_row_by_row() -> None:
    reference, generated = slanted(60, 3, 1.0), slanted(60, 3, 1.1)
    result = threedgan_metric(reference, generated)
    assert [row["energy"] for row in result["bins"]] == [2e4, 5e4]
    expected = []
    for energy in (2e4, 5e4):
        near = reference.incident.energy == energy
        act, gan = (
            np.array([their_angle(one) for one in image(s)[near]]) for s in (reference, generated)
        )
        expected.append(np.mean(np.abs((act - gan) / act)))
    assert result["angle"] == pytest.approx(np.mean(expected))
    total = result["moments"] + result["profiles"] + result["angle"]
    assert result["total"] == pytest.approx(total)


def test_the_same_sample_scores_zero() -> None:
    sample = slanted(50, 4, 1.0)
    result = threedgan_metric(sample, sample)
    for key in ("moments", "profiles", "angle", "total", "total_moments_twice"):
        assert result[key] == pytest.approx(0.0, abs=1e-12), key


def test_numbers_without_a_reference_are_left_out_and_counted() -> None:
    """One cell only: profiles have one bin with energy, second moments are 0."""
    dense = np.zeros((4, NX * NY * NZ))
    dense[:, 1 * NX * NY + 2 * NY + 3] = 1.0
    energy = Incident({"energy": np.full(4, 2e4)})
    one = Showers.from_dense(box(), energy, dense)
    twice = Showers.from_dense(box(), energy, 2 * dense)
    result = threedgan_metric(one, twice)
    assert result["moments"] == pytest.approx(0.0)
    assert result["profiles"] == pytest.approx(1.0)
    assert result["left_out"] == 3 + (NX - 1) + (NY - 1) + (NZ - 1)


def test_bins_that_a_sample_lacks_have_no_figure() -> None:
    low = events(20, 0, energy=np.full(20, 2e4))
    high = events(20, 1, energy=np.full(20, 8e4))
    result = threedgan_metric(low, high)
    assert result["total"] is None
    assert result["total_moments_twice"] is None
    assert result["bins"][0]["n_generated"] == 0
    empty = Showers.from_hits(box(), Incident({"energy": [2e4]}), [], [], [])
    assert threedgan_metric(low, empty)["total"] is None
    with pytest.raises(ShowerError, match="holds no showers"):
        threedgan_metric(low[:0], high)


def test_an_empty_generated_shower_counts_in_the_profiles_only() -> None:
    sample = events(10, 2, energy=np.full(10, 2e4))
    dense = np.concatenate([sample.dense(), np.zeros((10, NX * NY * NZ))])
    half = Showers.from_dense(box(), Incident({"energy": np.full(20, 2e4)}), dense)
    result = threedgan_metric(sample, half)
    assert result["moments"] == pytest.approx(0.0, abs=1e-12)
    assert result["profiles"] == pytest.approx(0.5)


def test_the_energies_where_none_are_given() -> None:
    assert metric_energies(np.repeat([1e4, 5e4], 3)).tolist() == [1e4, 5e4]
    assert metric_energies(np.linspace(1e4, 1e5, 500)).tolist() == pytest.approx(
        [1.5e4 + 1e4 * k for k in range(9)]
    )
    assert len(metric_energies(np.linspace(1e4, 5e5, 500))) == 10
    assert metric_energies(np.linspace(1e4, 1.2e4, 500)).tolist() == pytest.approx([1.1e4])


def test_moments_of_a_profile() -> None:
    profile = np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 5.0]])
    assert index_moments(profile).tolist() == [[1.0, 1.0], [0.0, 0.0], [2.0, 0.0]]


angles: Any = st.lists(st.sampled_from([1.0, 1.25, 1.5, 1.75, 2.0]), min_size=1, max_size=12)


@settings(max_examples=100, deadline=None)
@given(angles, angles)
def test_every_shower_gets_a_partner_of_the_nearest_angle(a: list[float], b: list[float]) -> None:
    reference, generated = np.array(a), np.array(b)
    partner = pair_by_angle(reference, generated)
    distance = np.abs(reference[partner] - generated)
    assert distance.tolist() == np.abs(reference[:, None] - generated).min(axis=0).tolist()
    assert pair_by_angle(reference, reference).tolist() == list(range(len(a)))
