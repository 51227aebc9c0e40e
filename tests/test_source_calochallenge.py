"""CaloChallenge HDF5: voxel order, usual geometry, particles, bad files."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caloforge.conversion import convert
from caloforge.errors import CaloforgeError, CaloforgeWarning, FormatError
from caloforge.geometry import Calorimeter, CylindricalGrid, load_detector, to_binning_xml
from caloforge.showers import Incident, Showers
from caloforge.sources import detect, get_source
from caloforge.store import open_showers, write_showers
from dense_cases import (
    assert_same,
    calorimeters,
    full_disk,
    hdf5_file,
    random_deposits,
    rings,
    there_and_back,
)
from helpers import small_calorimeter


def photons_file(path: Path, n: int = 4, **change: object) -> Path:
    """A file of data set 1 (photons) with some data sets replaced (None: left out)."""
    voxels = np.random.default_rng(1).exponential(1.0, (n, 368)).astype(np.float32)
    energies = np.full((n, 1), 65536.0)
    return hdf5_file(path, {"showers": voxels, "incident_energies": energies, **change})


@pytest.mark.parametrize("name", ["calochallenge-1-pions", "par04-siw"])
def test_voxels_are_where_the_challenge_puts_them(tmp_path: Path, name: str) -> None:
    # the rule of the challenge, voxel by voxel: radius fastest, then alpha, then layer
    calorimeter = load_detector(name)
    expected = []
    for layer in calorimeter.layers:
        grid = layer.segmentation
        assert isinstance(grid, CylindricalGrid)
        alphas = np.linspace(-np.pi, np.pi, grid.n_phi + 1)
        for low, high in pairwise(alphas):
            for inner, outer in pairwise(grid.r_edges):
                expected.append((layer.z, (inner + outer) / 2, (low + high) / 2, grid.n_phi))
    voxels = np.arange(1.0, len(expected) + 1)[None]
    path = hdf5_file(tmp_path / "a.h5", {"showers": voxels, "incident_energies": [[1e6]]})
    convert(path, tmp_path / "b.h5")
    showers = open_showers(tmp_path / "b.h5").read()
    assert showers.n_hits == len(expected)
    number, i, j = showers.calorimeter.cell_coordinates(showers.cell)
    for k in range(0, showers.n_hits, 7):
        z, r, alpha, n_phi = expected[round(float(showers.energy[k])) - 1]
        cells = calorimeter.layers[number[k]].segmentation
        radii, phis = cells.axes()
        assert calorimeter.layers[number[k]].z == z
        assert radii[i[k]] == pytest.approx(r)
        assert phis[j[k]] == pytest.approx(alpha, abs=1e-12)
        assert cells.shape[1] == n_phi


@pytest.mark.parametrize(
    ("voxels", "name", "pdg"),
    [
        (368, "calochallenge-1-photons", 22),
        (533, "calochallenge-1-pions", 211),
        (6480, "par04-siw", 11),
        (40500, "par04-siw-fine", 11),
    ],
)
def test_the_number_of_voxels_tells_detector_and_particle(
    tmp_path: Path, voxels: int, name: str, pdg: int
) -> None:
    content = {"showers": np.ones((2, voxels)), "incident_energies": [[512.0], [2.0**22]]}
    path = hdf5_file(tmp_path / "a.h5", content)
    assert detect(path).name == "calochallenge"
    convert(path, tmp_path / "b.h5")
    showers = open_showers(tmp_path / "b.h5").read()
    assert showers.calorimeter.name == name
    assert showers.incident["pdg"].tolist() == [pdg, pdg]
    assert showers.incident.energy.tolist() == [512.0, 2.0**22]  # MeV


def test_a_given_binning_decides(tmp_path: Path) -> None:
    binning = tmp_path / "own.xml"
    layers = '<Layer id="0" r_edges="0,1,2" n_bin_alpha="184"/>'
    binning.write_text(f'<Bins><Bin pid="22" name="photon">{layers}</Bin></Bins>')
    path = photons_file(tmp_path / "a.h5")
    convert(path, tmp_path / "b.h5", detector=binning)
    showers = open_showers(tmp_path / "b.h5").read()
    assert showers.calorimeter.grid_shape == (1, 2, 184)
    assert "pdg" not in showers.incident  # not the usual geometry: who knows
    usual = tmp_path / "photons.xml"
    usual.write_text(to_binning_xml(load_detector("calochallenge-1-photons"), 22))
    convert(path, tmp_path / "c.h5", detector=usual)
    assert open_showers(tmp_path / "c.h5").read().incident["pdg"][0] == 22


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(calorimeters(rings()), st.integers(0, 2**32), st.sampled_from([22, -211]))
def test_any_rings_make_the_round_trip(
    tmp_path: Path, calorimeter: Calorimeter, seed: int, pdg: int
) -> None:
    showers = random_deposits(calorimeter, 3, seed, pdg=pdg)
    again, notes = there_and_back(tmp_path, showers, "calochallenge", "a.hdf5")
    assert notes == []
    assert_same(again, showers)
    assert (again.incident["pdg"] == pdg).all()


def test_layout_of_what_is_written(tmp_path: Path) -> None:
    showers = random_deposits(load_detector("par04-siw"), 5, 1, pdg=22)
    store = write_showers(tmp_path / "a.h5", showers)
    convert(store, tmp_path / "b.hdf5", to="calochallenge")
    with h5py.File(tmp_path / "b.hdf5") as file:
        assert set(file) == {"incident_energies", "showers"}
        assert file["incident_energies"].shape == (5, 1)
        assert file["showers"].compression == "gzip"
        voxels = file["showers"][:].reshape(5, 45, 16, 9)  # z, alpha, r
    cells = showers.dense().reshape(5, 45, 9, 16)
    assert np.array_equal(voxels.transpose(0, 1, 3, 2), cells)
    # photons in the calorimeter of the electron data sets stay photons
    convert(tmp_path / "b.hdf5", tmp_path / "c.h5")
    with open_showers(tmp_path / "c.h5") as reader:
        assert (reader.read().incident["pdg"] == 22).all()
        assert reader.provenance.find_source("generator") == "dice"
        assert "caloforge_pdg" not in reader.provenance.source


def test_particle_codes_that_differ_are_dropped_and_said(tmp_path: Path) -> None:
    calorimeter = load_detector("calochallenge-1-photons")
    electrons = random_deposits(calorimeter, 3, 1, pdg=11)
    photons = random_deposits(calorimeter, 3, 2, pdg=22)
    both = Showers.concatenate([electrons, photons])
    again, notes = there_and_back(tmp_path, both, "calochallenge", "a.h5")
    assert [text for text in notes if "particle code" in text]
    assert "pdg" not in again.incident
    paths = [
        write_showers(tmp_path / "e.h5", electrons),
        write_showers(tmp_path / "g.h5", photons),
    ]
    with pytest.warns(CaloforgeWarning, match="one particle code per file"):
        convert(paths, tmp_path / "b.h5", to="calochallenge")
    convert(tmp_path / "b.h5", tmp_path / "c.h5")
    assert "pdg" not in open_showers(tmp_path / "c.h5").read().incident
    nobody = random_deposits(calorimeter, 3, 3)
    again, notes = there_and_back(tmp_path, nobody, "calochallenge", "a.h5")
    assert "pdg" not in again.incident
    assert notes == []


def test_losses_are_said() -> None:
    columns: dict[str, list[float]] = {
        "energy": [1.0],
        "pdg": [22],
        "theta": [1.2],
        "phi": [0.3],
        "z": [-5.0],
    }
    lost = get_source("calochallenge").losses(Incident(columns))
    assert [text.split()[3].rstrip(":") for text in lost] == ["theta", "phi", "z"]
    assert all(text.startswith("calochallenge") for text in lost)
    normal: dict[str, list[float]] = {
        "energy": [1.0],
        "pdg": [22],
        "theta": [np.pi / 2],
        "phi": [0.0],
        "x": [0.0],
    }
    assert get_source("calochallenge").losses(Incident(normal)) == []


def test_flat_energies_and_foreign_bytes_are_read(tmp_path: Path) -> None:
    plain = photons_file(tmp_path / "a.h5")
    with h5py.File(plain) as file:
        voxels = file["showers"][:]
    odd = photons_file(
        tmp_path / "b.h5",
        showers=voxels.astype(">f8"),
        incident_energies=np.full(4, 65536, ">i4"),
    )
    convert(plain, tmp_path / "c.h5")
    convert(odd, tmp_path / "d.h5")
    first, second = (open_showers(tmp_path / f"{k}.h5").read() for k in "cd")
    assert_same(first, second)


def test_parts_are_read_from_files_with_tall_chunks(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    voxels = np.random.default_rng(2).exponential(1.0, (700, 368))
    with h5py.File(path, "w") as file:
        file["incident_energies"] = np.full((700, 1), 1e3)
        file.create_dataset("showers", data=voxels, chunks=(300, 50), compression="gzip")
    with get_source("calochallenge").open(path) as reader:
        parts = [next(iter(reader.batches(9, start, start + 9))) for start in (650, 0, 295)]
    for part, start in zip(parts, (650, 0, 295), strict=True):
        assert np.allclose(part.total_energy, voxels[start : start + 9].sum(axis=1), rtol=1e-6)


def voxels_with(value: float) -> np.ndarray:
    voxels = np.full((4, 368), 0.5, np.float32)
    voxels[2, 7] = value
    return voxels


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"showers": None}, ["'showers'", "missing"]),
        ({"incident_energies": None}, ["'incident_energies'", "missing"]),
        ({"showers": np.ones((4, 400))}, ["(4, 400)", "368", "--detector"]),
        ({"showers": np.ones((4, 2, 184))}, ["(4, 2, 184)", "--detector"]),
        ({"showers": np.float32(1.0)}, ["()", "--detector"]),
        ({"showers": np.full((4, 368), b"x")}, ["'showers'", "not numbers"]),
        ({"incident_energies": np.array([b"a"] * 4)}, ["'incident_energies'", "not numbers"]),
        ({"incident_energies": np.ones((4, 2))}, ["'incident_energies'", "(4, 2)", "(N, 1)"]),
        ({"incident_energies": np.ones((3, 1))}, ["'incident_energies'", "3 rows"]),
        ({"incident_energies": np.full((4, 1), np.nan)}, ["energy", "NaN"]),
        ({"incident_energies": np.full((4, 1), -2.0)}, ["energy", "not positive"]),
        ({"showers": voxels_with(np.nan)}, ["'showers'", "shower 2", "(7,)", "nan"]),
        ({"showers": voxels_with(np.inf)}, ["'showers'", "shower 2", "inf"]),
        ({"showers": voxels_with(-1.0)}, ["'showers'", "shower 2", "-1"]),
        (
            {"showers": np.zeros((0, 368)), "incident_energies": np.zeros((0, 1))},
            ["'showers'", "no showers"],
        ),
        ({"showers": np.zeros((4, 368))}, ["shower 0", "empty", "--drop-empty"]),
    ],
)
def test_bad_files_are_named(tmp_path: Path, change: dict[str, Any], words: list[str]) -> None:
    path = photons_file(tmp_path / "bad.h5", **change)
    with pytest.raises(CaloforgeError) as caught:
        convert(path, tmp_path / "out.h5", from_="calochallenge")
    for word in ["bad.h5", *words]:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["bad.h5"]


def test_groups_cuts_and_flipped_bytes_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "group.h5"
    with h5py.File(path, "w") as file:
        file.create_group("showers")
        file["incident_energies"] = np.ones((2, 1))
    with pytest.raises(FormatError, match="'showers' is missing"):
        convert(path, tmp_path / "out.h5", from_="calochallenge")
    showers = random_deposits(load_detector("calochallenge-1-photons"), 40, 1)
    store = write_showers(tmp_path / "store.h5", showers)
    convert(store, tmp_path / "good.h5", to="calochallenge")
    content = bytearray((tmp_path / "good.h5").read_bytes())
    (tmp_path / "cut.h5").write_bytes(content[: len(content) // 2])
    with pytest.raises(FormatError, match="truncated"):
        convert(tmp_path / "cut.h5", tmp_path / "out.h5")
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(byte ^ 0xFF for byte in content[middle : middle + 64])
    (tmp_path / "flipped.h5").write_bytes(content)
    with pytest.raises(FormatError, match="damaged near shower"):
        convert(tmp_path / "flipped.h5", tmp_path / "out.h5")
    assert not (tmp_path / "out.h5").exists()


def test_bad_particle_attribute_is_named(tmp_path: Path) -> None:
    path = photons_file(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["caloforge_pdg"] = "photon"
    with pytest.raises(FormatError, match="'caloforge_pdg' is no number"):
        convert(path, tmp_path / "b.h5")


def test_cartesian_calorimeters_are_refused(tmp_path: Path) -> None:
    showers = random_deposits(small_calorimeter(), 2, 0)
    store = write_showers(tmp_path / "a.h5", showers)
    with pytest.raises(FormatError, match="rings around the shower axis.*cartesian"):
        convert(store, tmp_path / "b.h5", to="calochallenge")
    with pytest.raises(FormatError, match="rings around the shower axis.*cartesian"):
        convert(photons_file(tmp_path / "c.h5"), tmp_path / "b.h5", detector=small_calorimeter())
    assert not (tmp_path / "b.h5").exists()


def test_full_disk(tmp_path: Path) -> None:
    store = write_showers(tmp_path / "a.h5", random_deposits(load_detector("par04-siw"), 20, 1))
    (tmp_path / "b.h5").write_text("old")
    done = full_disk(store, tmp_path / "b.h5", "calochallenge", 100_000)
    assert done.returncode == 7, done.stderr
    assert "disk is full" in done.stdout
    assert (tmp_path / "b.h5").read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.h5", "b.h5"]
