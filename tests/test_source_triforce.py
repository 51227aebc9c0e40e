"""Triforce files: two windows, the unit, derived columns, and who recognises what."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caloforge.conversion import convert
from caloforge.errors import CaloforgeError, FormatError
from caloforge.geometry import Calorimeter, load_detector
from caloforge.geometry.blocks import blocks_of
from caloforge.showers import Incident, Showers
from caloforge.sources import detect, get_source, source_names
from caloforge.sources.triforce import TriforceOptions
from caloforge.sources.triforce_features import moments
from calorimeters import calorimeters, random_sample, read, same_cells, write
from helpers import random_showers, small_calorimeter

BOTH = "lcd-ecal-25+lcd-hcal"


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(calorimeters(), st.integers(1, 4), st.integers(0, 2**31))
def test_any_two_blocks_of_layers_survive(
    tmp_path: Path, calorimeter: Calorimeter, n: int, seed: int
) -> None:
    showers = random_sample(calorimeter, n, seed)
    if len(blocks_of(calorimeter)) > 2:
        with pytest.raises(FormatError, match="at most two blocks"):
            write(tmp_path / "a.h5", "triforce", showers)
        return
    path = write(tmp_path / "a.h5", "triforce", showers, pieces=[1] if n > 1 else [])
    assert [name for name in source_names() if get_source(name).matches(path)] == ["triforce"]
    again = read(path, "triforce")
    assert same_cells(again, showers)
    assert set(again.incident) == set(showers.incident)
    for name, column in showers.incident.columns.items():
        assert np.allclose(again.incident[name], column, rtol=1e-6), name
    assert get_source("triforce").losses(showers.incident) == []
    assert again.provenance.find_source("generator") == "dice"
    assert "cell_unit" not in again.provenance.source


def test_both_windows_of_the_lcd_calorimeter(tmp_path: Path) -> None:
    calorimeter = load_detector(BOTH)
    showers = random_sample(calorimeter, 3, 1)
    path = write(tmp_path / "a.h5", "triforce", showers)
    with h5py.File(path) as file:
        assert file["ECAL"].shape == (3, 25, 25, 25)
        assert file["HCAL"].shape == (3, 11, 11, 60)
        dense = showers.dense().astype(np.float64)
        ecal = dense[:, : 25**3].reshape(3, 25, 25, 25).transpose(0, 2, 3, 1)
        hcal = dense[:, 25**3 :].reshape(3, 60, 11, 11).transpose(0, 2, 3, 1)
        assert np.allclose(file["ECAL"][:], ecal / 20.0, rtol=1e-6)  # 50 x GeV
        assert np.allclose(file["HCAL"][:], hcal / 20.0, rtol=1e-6)
        assert np.allclose(file["ECAL_E"][:], ecal.sum(axis=(1, 2, 3)) / 20.0, rtol=1e-6)
        assert np.allclose(
            file["HCAL_ECAL_ERatio"][:],
            hcal.sum(axis=(1, 2, 3)) / ecal.sum(axis=(1, 2, 3)),
            rtol=1e-6,
        )
        eta = -np.log(np.tan(showers.incident["theta"] / 2))
        assert np.allclose(file["eta"][:], eta, rtol=1e-5, atol=1e-6)
        assert (file["pdgID"][:] == showers.incident["pdg"]).all()
        assert np.allclose(file["energy"][:], showers.incident.energy / 1000, rtol=1e-6)


def test_moments_are_central_and_in_cells() -> None:
    profile = np.array([[0.0, 1.0, 0.0, 3.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    first, second = moments(profile)
    assert first[0] == pytest.approx(2.5)  # (1 * 1 + 3 * 3) / 4
    expected = [(1 * (-1.5) ** k + 3 * 0.5**k) / 4 for k in range(2, 7)]
    assert first[1:] == pytest.approx(expected)
    assert (second == 0).all()


def test_moments_of_the_file_belong_to_the_axes(tmp_path: Path) -> None:
    calorimeter = small_calorimeter(n=6, layers=5)
    cell = calorimeter.cell_index(np.array([4, 2]), np.array([1, 1]), np.array([3, 5]))
    incident = Incident({"energy": [1e4], "theta": [1.3]})
    showers = Showers.from_hits(calorimeter, incident, [0, 0], cell, [10.0, 30.0])
    path = write(tmp_path / "a.h5", "triforce", showers)
    with h5py.File(path) as file:
        means = [float(file[f"ECALmoment{axis}1"][0]) for axis in "XYZ"]
        spreads = [float(file[f"ECALmoment{axis}2"][0]) for axis in "XYZ"]
        assert "HCAL" not in file
        assert "HCAL_ECAL_ERatio" not in file
    assert means == pytest.approx([1.0, 4.5, 2.5])
    assert spreads == pytest.approx([0.0, 0.75, 0.75])
    assert detect(path).name == "triforce"


def triforce_file(path: Path, **change: object) -> Path:
    """A file as the public converters write it, with some data sets replaced (None: left out)."""
    ecal = np.zeros((4, 25, 25, 25), np.float32)
    ecal[:, 12, 12, :] = 2.0  # 50 GeV in all, in 50 x GeV: 2 % of 50 GeV
    content: dict[str, object] = {
        "ECAL": ecal,
        "HCAL": np.zeros((4, 11, 11, 60), np.float32),
        "energy": np.full(4, 50.0),
        "pdgID": np.full(4, 111),
        "openingAngle": np.full(4, 0.004),
        "conversion": np.array([0, 1, 2, 0]),
        "ECAL_E": np.full(4, 1e9),  # wrong, and not read
    }
    with h5py.File(path, "w") as file:
        for key, value in {**content, **change}.items():
            if value is not None:
                file[key] = value
    return path


def test_files_of_the_public_converters(tmp_path: Path) -> None:
    path = triforce_file(tmp_path / "a.h5", eta=np.array([0.0, 0.5, -0.5, 1.0]), phi=np.ones(4))
    assert detect(path).name == "triforce"
    showers = read(path, "triforce")
    assert showers.calorimeter.hash == load_detector(BOTH).hash
    assert showers.total_energy == pytest.approx(1000.0)  # MeV
    assert showers.incident.energy == pytest.approx(50e3)
    assert showers.incident["conversion"].tolist() == [0, 1, 2, 0]
    assert showers.incident["opening_angle"] == pytest.approx(0.004)
    assert np.tanh([0.0, 0.5, -0.5, 1.0]) == pytest.approx(np.cos(showers.incident["theta"]))
    assert "phi" not in showers.incident  # an angle around the beam pipe


def test_the_unit_is_not_guessed(tmp_path: Path) -> None:
    ecal = np.zeros((4, 25, 25, 25), np.float32)
    ecal[:, 12, 12, :] = 0.04  # 1 GeV in all, in GeV
    path = triforce_file(tmp_path / "a.h5", ECAL=ecal)
    with pytest.raises(FormatError, match="--option unit=GeV or unit=50GeV") as caught:
        read(path, "triforce")
    assert "0.02 of 'energy'" in str(caught.value)
    gev = read(path, "triforce", options=TriforceOptions(unit="GeV"))
    assert gev.total_energy == pytest.approx(1000.0)
    fifty = read(path, "triforce", options=TriforceOptions(unit="50GeV"))
    assert fifty.total_energy == pytest.approx(20.0)


def test_energy_of_an_hcal_that_is_left_out_is_counted(tmp_path: Path) -> None:
    hcal = np.zeros((4, 11, 11, 60), np.float32)
    hcal[1, 5, 5, 3] = 7.0
    path = triforce_file(tmp_path / "a.h5", HCAL=hcal)
    with get_source("triforce").open(path, load_detector("lcd-ecal-25")) as reader:
        showers = Showers.concatenate(list(reader.batches(3)))
        assert showers.total_energy == pytest.approx(1000.0)
        assert reader.tally.outside == pytest.approx(140.0)
        assert reader.tally.incoming == pytest.approx(4140.0)
        assert reader.tally.showers == 1


def nan_at(shape: tuple[int, ...], value: float) -> np.ndarray:
    image = np.full(shape, 0.01, np.float32)
    image[2, 1, 2, 3] = value
    return image


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"energy": None}, ["energy"]),
        ({"energy": np.array([b"a"] * 4)}, ["energy", "numbers"]),
        ({"energy": np.full(3, 50.0)}, ["energy", "(3,)"]),
        ({"energy": np.full(4, np.nan)}, ["energy", "NaN"]),
        ({"energy": np.full(4, -5.0)}, ["energy", "not positive"]),
        ({"pdgID": np.full(4, 0.5)}, ["pdg"]),
        ({"openingAngle": np.full(4, np.inf)}, ["opening_angle"]),
        ({"ECAL": np.ones((4, 24, 25, 25))}, ["ECAL", "--detector"]),
        ({"ECAL": np.ones((4, 25))}, ["ECAL", "--detector"]),
        ({"ECAL": np.ones((0, 25, 25, 25)), "HCAL": None}, ["ECAL"]),
        ({"HCAL": np.ones((4, 5, 5, 60))}, ["HCAL", "--detector"]),
        ({"HCAL": np.ones((3, 11, 11, 60))}, ["HCAL", "(3, 11, 11, 60)"]),
        ({"HCAL": nan_at((4, 11, 11, 60), np.nan)}, ["HCAL", "shower 2", "nan"]),
        ({"HCAL": nan_at((4, 11, 11, 60), -1.0)}, ["HCAL", "shower 2", "-1"]),
        ({"ECAL": nan_at((4, 25, 25, 25), np.inf)}, ["ECAL", "shower 2", "inf"]),
        ({"impact_mm": np.ones(4)}, ["impact_mm"]),
    ],
)
def test_bad_input_names_file_and_key(
    tmp_path: Path, change: dict[str, object], words: list[str]
) -> None:
    path = triforce_file(tmp_path / "bad.h5", **change)
    with pytest.raises(CaloforgeError) as caught:
        convert(path, tmp_path / "out.h5", from_="triforce")
    assert all(word in str(caught.value) for word in ["bad.h5", *words]), caught.value
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["bad.h5"]


def test_a_damaged_file_gives_one_clear_error(tmp_path: Path) -> None:
    showers = random_sample(load_detector("lcd-ecal-25"), 3, 0)
    path = write(tmp_path / "a.h5", "triforce", showers)
    whole = path.read_bytes()
    for size in (0, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(FormatError, match=r"a\.h5"):
            read(path, "triforce")
        assert not get_source("triforce").matches(path)


def test_the_lcd_layouts_stay_what_they_are(tmp_path: Path) -> None:
    showers = random_sample(load_detector("lcd-ecal-25"), 2, 0)
    for name in ("lcd", "lcd-angle", "triforce"):
        path = write(tmp_path / f"{name}.h5", name, showers)
        assert [n for n in source_names() if get_source(n).matches(path)] == [name]
    for name in ("lcd", "lcd-angle"):
        notes = " ".join(get_source(name).losses(showers.incident))
        assert "opening_angle" in notes
        assert "conversion" in notes


def test_new_columns_travel_through_the_store(tmp_path: Path) -> None:
    showers = random_sample(small_calorimeter(), 3, 2)
    path = write(tmp_path / "a.h5", "triforce", showers)
    convert(path, tmp_path / "b.h5")
    done = convert(tmp_path / "b.h5", tmp_path / "c.h5", to="triforce")
    assert done.notes == ()
    again = read(tmp_path / "c.h5", "triforce")
    assert same_cells(again, showers)
    assert np.array_equal(again.incident["conversion"], showers.incident["conversion"])


def test_what_triforce_cannot_carry_is_said() -> None:
    source = get_source("triforce")
    assert source.losses(random_showers(2).incident) == []
    half = Incident({"energy": [1e3], "z": [1.0], "conversion": [0.5]})
    notes = " ".join(source.losses(half))
    assert "cannot carry z" in notes
    assert "conversion" in notes
