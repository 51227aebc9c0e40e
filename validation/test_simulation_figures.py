"""The estimators of simulation_figures.py on samples whose answer is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from caloforge.geometry import Calorimeter, CartesianGrid, Layer, load_detector
from caloforge.showers import Incident, Showers
from caloforge.store import write_showers
from simulated.calogan import shapes
from simulated.estimators import (
    Floats,
    Value,
    counts_chi2,
    fit,
    holm,
    linear_sum,
    mean,
    plain_resolution,
    quadrature,
    ratio_of_sums,
    robust_resolution,
)
from simulated.pions import crossing, started
from simulated.shapes import (
    PI0_MASS,
    Depths,
    axis_moment,
    decays,
    images,
    layer_depths,
    mean_depth,
    shower_maximum,
    two_peaks,
)
from simulated.tables import MissingSampleError, Samples, Table
from simulation_figures import main, run

Form = Callable[[Floats, float, float], Floats]


def plane(cells: int = 51, size: float = 5.0) -> Calorimeter:
    grid = CartesianGrid(nx=cells, ny=cells, dx=size, dy=size)
    return Calorimeter(name="plane", layers=(Layer(z=0.0, thickness=1.0, segmentation=grid),))


def spots(places: np.ndarray, energy: np.ndarray, sigma: float = 0.0, size: float = 5.0) -> Showers:
    """One shower per row of ``places`` (n, spots, 2) and ``energy`` (n, spots); 200 hits a spot."""
    rng = np.random.default_rng(3)
    n, per_shower = energy.shape
    points = places[:, :, None, :] + rng.normal(0, sigma, (n, per_shower, 200, 2))
    calorimeter = plane(int(255 / size) | 1, size)
    x, y = points[..., 0].ravel(), points[..., 1].ravel()
    cell = calorimeter.locate(x, y, np.full(x.shape, 0.5))
    assert (cell >= 0).all()
    hit_energy = np.repeat(energy[:, :, None] / 200, 200, axis=2).ravel()
    rows = np.repeat(np.arange(n), per_shower * 200)
    incident = Incident({"energy": energy.sum(axis=1), "x": np.zeros(n), "y": np.zeros(n)})
    return Showers.from_hits(calorimeter, incident, rows, cell, hit_energy)


def toy_pi0(n: int, smallest: float, sigma: float, size: float) -> Showers:
    toy = decays(n, smallest)
    near = np.minimum(toy.x, 1 - toy.x) > 0.02  # both photons inside the cells
    places = np.stack([toy.first, toy.second], axis=1)[near]
    return spots(places, 1000 * np.column_stack([toy.x, 1 - toy.x])[near], sigma, size)


# ---------------------------------------------------------------------- pi0


def test_second_moment_of_two_photons_is_that_of_one_plus_the_squared_mass_angle() -> None:
    """(L m / E)^2 in every decay, whatever the energy sharing: here L = 2 m, E = 60 GeV."""
    root = 2000.0 * PI0_MASS / 60e3
    pair = ratio_of_sums(*axis_moment(toy_pi0(400, 2 * root, 4.0, 1.0)))
    one = ratio_of_sums(
        *axis_moment(spots(np.zeros((400, 1, 2)), np.full((400, 1), 1e3), 4.0, 1.0))
    )
    excess = pair - one
    assert excess.value == pytest.approx(root**2, abs=4 * excess.error)
    assert excess.error < 0.02 * root**2


def test_every_decay_has_the_same_variance_of_positions() -> None:
    toy = decays(1000, 9.0)
    centre = toy.x[:, None] * toy.first + (1 - toy.x)[:, None] * toy.second
    variance = toy.x * (toy.first**2).sum(axis=1) + (1 - toy.x) * (toy.second**2).sum(axis=1)
    assert np.abs(centre).max() < 1e-9
    assert variance == pytest.approx(4.5**2)
    assert toy.distance.min() == pytest.approx(9.0, abs=1e-3)


def test_share_of_wide_decays_is_that_of_an_even_energy_sharing() -> None:
    """d > c where 4 x (1 - x) < (smallest / c)^2: a share 1 - sqrt(1 - (smallest / c)^2)."""
    toy = decays(200_000, 9.0)
    assert (toy.distance > 15).mean() == pytest.approx(1 - np.sqrt(1 - 0.6**2), abs=0.005)


def test_two_peaks_are_found_where_they_are() -> None:
    places = np.array([[[0.0, 0.0], [20.0, 0.0]], [[0.0, 0.0], [0.0, 4.0]]])
    showers = spots(places, np.array([[700.0, 300.0], [700.0, 300.0]]), sigma=1.5)
    found = two_peaks(images(showers), separation=3.0)
    assert found.row.tolist() == [0]
    assert found.distance[0] * 5 == pytest.approx(20.0, abs=0.5)
    assert found.share[0] == pytest.approx(0.3, abs=0.01)


def test_a_weak_second_peak_is_not_taken() -> None:
    places = np.array([[[0.0, 0.0], [30.0, 0.0]]])
    showers = spots(places, np.array([[990.0, 10.0]]), sigma=1.5)
    assert not len(two_peaks(images(showers)).row)


# --------------------------------------------------------------------- resolution


def test_resolution_of_a_gaussian_and_of_one_with_outliers() -> None:
    values = np.random.default_rng(1).normal(100, 5, 20_000)
    spoilt = np.concatenate([values, np.full(100, 30.0)])
    for estimate in (
        plain_resolution(values),
        robust_resolution(values),
        robust_resolution(spoilt),
    ):
        assert estimate.value == pytest.approx(0.05, abs=5 * estimate.error)
        assert estimate.error == pytest.approx(0.05 / np.sqrt(40_000), rel=0.05)
    assert plain_resolution(spoilt).value > 0.065


@pytest.mark.parametrize("form", [linear_sum, quadrature])  # c^2 of 1 is c of 1
def test_fit_finds_stochastic_and_constant_term(form: Form) -> None:
    rng = np.random.default_rng(2)
    energy = np.array([10.0, 20.0, 50.0, 100.0, 200.0, 500.0])
    sigma = form(energy, 17.0, 1.0) / 100
    points = [robust_resolution(rng.normal(1.0, one, 4000)) * 100 for one in sigma]
    found = fit(form, energy, points, (15.0, 0.5))
    assert found.first.value == pytest.approx(17.0, abs=4 * found.first.error)
    assert found.second.value == pytest.approx(1.0, abs=4 * found.second.error)
    assert found.first.error < 0.5
    assert found.chi2 < 20


# ------------------------------------------------------------------- longitudinal


def gamma_profile(t: np.ndarray, a: float, b: float) -> np.ndarray:
    return np.asarray(t ** (a - 1) * np.exp(-b * t))


def test_maximum_of_a_gamma_profile() -> None:
    """At (a - 1) / b, in the layers of lcd-ecal."""
    t = layer_depths(load_detector("lcd-ecal")).middle
    rng = np.random.default_rng(4)
    energy = gamma_profile(t, 5.0, 0.5) * rng.normal(1.0, 0.1, (200, len(t)))
    found = shower_maximum(t, energy)
    assert found.value == pytest.approx(8.0, abs=4 * found.error)
    assert 0.005 < found.error < 0.1
    exact = shower_maximum(t, np.tile(gamma_profile(t, 5.0, 0.5), (5, 1)))
    assert exact.value == pytest.approx(8.0, abs=1e-6)


def test_depths_of_lcd_ecal_in_radiation_lengths() -> None:
    depths = layer_depths(load_detector("lcd-ecal"))
    per_layer = 2.4 / 3.504 + 0.42 / 93.7 + 1.0 / 3.039e5
    assert depths.middle[0] == pytest.approx(2.4 / 3.504 + 0.21 / 93.7)
    assert depths.middle[16] == pytest.approx(16 * per_layer + depths.middle[0])
    assert depths.thickness[20] == pytest.approx(per_layer + 2.4 / 3.504)
    assert depths.thickness.sum() == pytest.approx(22.7, abs=0.1)


def test_mean_depth_counts_thick_layers_for_more() -> None:
    grid = CartesianGrid(nx=1, ny=1, dx=10.0, dy=10.0)
    layers = tuple(Layer(z=float(k), thickness=1.0, segmentation=grid) for k in range(2))
    calorimeter = Calorimeter(name="two", layers=layers)
    showers = Showers.from_dense(calorimeter, Incident({"energy": [10.0]}), [[1.0, 1.0]])
    depths = Depths(np.array([1.0, 3.0]), np.array([1.0, 2.0]))
    assert mean_depth(showers, depths) == pytest.approx([7 / 3])


# ---------------------------------------------------------------- other estimators


def test_crossing_pions_are_told_from_showers() -> None:
    rng = np.random.default_rng(5)
    ecal = np.concatenate([rng.normal(4.3, 0.5, 500), rng.uniform(20, 200, 500)])
    assert crossing(ecal) == pytest.approx(4.3, abs=0.2)
    assert started(ecal).mean() == 0.5


def test_calogan_shapes_of_one_shower() -> None:
    calorimeter = load_detector("calogan-lar")
    cell = calorimeter.cell_index(np.array([0, 1, 2]), np.array([1, 5, 6]), np.array([0, 0, 0]))
    incident = Incident({"energy": [50e3, 50e3]})
    showers = Showers.from_hits(
        calorimeter, incident, np.repeat([0, 1], 3), np.tile(cell, 2), np.tile([1e4, 3e4, 1e4], 2)
    )
    found = shapes(showers)
    assert found["shower depth s_d"].value == pytest.approx(1.0)
    assert found["sigma_sd"].value == pytest.approx(np.sqrt(1.4 - 1.0))
    assert found["E1 / E"].value == pytest.approx(0.6)
    assert found["cells with energy in layer 1"].value == pytest.approx(1 / 144)


def test_holm_and_the_chi2_of_counts() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    rng = np.random.default_rng(6)
    common = rng.normal(0, 5, (2000, 1))  # bins of one shower fluctuate together
    table = 50 + common + rng.normal(0, 1, (2000, 4))
    value, ndf = counts_chi2(table[:1000], table[1000:])
    assert ndf == 4
    assert value < 20
    shifted = table[1000:] + np.array([0.5, 0, 0, 0])
    assert counts_chi2(table[:1000], shifted)[0] > 50


def test_values_print_and_combine() -> None:
    assert str(Value(2.20968, 0.0046)) == "2.2097 ± 0.0046"
    assert str(Value(183.2, 12.0)) == "183 ± 12"
    ratio = Value(2.0, 0.2) / Value(4.0, 0.3)
    assert ratio.value == 0.5
    assert ratio.error == pytest.approx(0.5 * np.hypot(0.1, 0.075))
    assert mean(np.array([1.0, 3.0])) == Value(2.0, 1.0)


# ---------------------------------------------------------------------- the script


def test_absent_samples_leave_a_section_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(folder: Samples) -> list[Table]:
        raise MissingSampleError("needs nothing.h5")

    assert run(Samples(tmp_path), {"one": ("One", absent)}) == {}
    assert "Left out: needs nothing.h5." in capsys.readouterr().out


def test_the_script_writes_tables_json_and_figures(
    tmp_path: Path,
    electrons: Showers,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The bundled electrons around 20, 50 and 100 GeV, scaled to just these energies."""
    wide = load_detector("lcd-ecal")
    gev = electrons.incident.energy / 1e3
    layer, i, j = electrons.calorimeter.cell_coordinates(electrons.cell)
    cell = wide.cell_index(layer, i + 13, j + 13)
    moved = Showers(wide, electrons.incident, electrons.offset, cell, electrons.energy)
    for energy, low, high in ((20, 15, 25), (50, 45, 55), (100, 90, 100)):
        part = moved[(gev > low) & (gev < high)]
        scaled = Incident({**part.incident.columns, "energy": np.full(len(part), energy * 1e3)})
        factor = np.repeat(energy * 1e3 / part.incident.energy, part.hits_per_shower)
        made = Showers(wide, scaled, part.offset, part.cell, part.energy * factor)
        write_showers(tmp_path / f"lcd-{energy}.h5", made)
    arguments = ["simulation_figures.py", str(tmp_path), "--json", str(tmp_path / "out.json")]
    monkeypatch.setattr("sys.argv", [*arguments, "--figures", str(tmp_path / "figures")])
    main()
    assert "| 20 | " in capsys.readouterr().out
    written = json.loads((tmp_path / "out.json").read_text())
    assert list(written["sections"]) == ["electrons", "gflash"]
    assert set(written["samples"]) == {"lcd-20", "lcd-50", "lcd-100"}
    row = written["sections"]["electrons"][0]["rows"][-1]
    assert row["E, GeV"] == 100
    assert row["25x25 cells: visible / incident, %"]["value"] == pytest.approx(2.02, rel=0.03)
    assert len(list((tmp_path / "figures").iterdir())) == 2
