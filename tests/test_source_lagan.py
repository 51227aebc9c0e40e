"""LAGAN's HDF5 files: what stands for what, bad files, what is not carried."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from caloforge.conversion import convert
from caloforge.errors import CaloforgeError, FormatError
from caloforge.geometry import load_detector
from caloforge.showers import Incident, Showers
from caloforge.sources import detect, get_source
from caloforge.store import open_showers, write_showers
from dense_cases import hdf5_file, there_and_back
from jets import jet_images, jets

IMAGES, SIGNAL = jet_images(4)


def jet_file(path: Path, **change: object) -> Path:
    """Four jets with some data sets replaced (None: left out)."""
    content: dict[str, object] = {"image": IMAGES.astype(np.float32), "signal": SIGNAL}
    return hdf5_file(path, {**content, **change})


def read(path: Path, folder: Path) -> Showers:
    convert(path, folder / "store.h5")
    return open_showers(folder / "store.h5").read()


def test_axes_units_and_classes(tmp_path: Path) -> None:
    images = np.zeros((2, 25, 25))
    images[0, 12, 20] = 200.0  # eta, phi; GeV
    images[1, 0, 1] = 50.0
    path = jet_file(tmp_path / "a.h5", image=images, signal=[1, 0], jet_pt=[260.0, 255.0])
    assert detect(path).name == "lagan"
    showers = read(path, tmp_path)
    assert showers.calorimeter.hash == load_detector("jet-image-25").hash
    assert showers.energy.tolist() == [200e3, 50e3]
    assert showers.incident.energy.tolist() == [260e3, 255e3]
    assert showers.incident["pdg"].tolist() == [24, 21]
    x, y, _ = showers.calorimeter.cell_positions[showers.cell].T
    assert (x / 1000).tolist() == pytest.approx([0.0, -1.2])  # 1 mm is 0.001 in eta
    assert (y / 1000).tolist() == pytest.approx([0.8, -1.1])


def test_without_jet_pt_the_image_says_it(tmp_path: Path) -> None:
    showers = read(jet_file(tmp_path / "a.h5"), tmp_path)
    assert showers.incident.energy == pytest.approx(1000 * IMAGES.sum(axis=(1, 2)), rel=1e-6)


def test_round_trip(tmp_path: Path) -> None:
    again, notes = there_and_back(tmp_path, jets(5), "lagan", "a.h5")
    assert notes == []
    assert np.array_equal(again.cell, jets(5).cell)
    assert np.allclose(again.energy, jets(5).energy, rtol=2e-7, atol=0)
    assert np.array_equal(again.incident["pdg"], jets(5).incident["pdg"])


def test_what_is_written(tmp_path: Path) -> None:
    convert(write_showers(tmp_path / "a.h5", jets(3)), tmp_path / "b.h5", to="lagan")
    with h5py.File(tmp_path / "b.h5") as file:
        assert {name: file[name].shape for name in file} == {
            "image": (3, 25, 25),
            "signal": (3,),
            "jet_pt": (3,),
        }
        assert file["signal"][:].tolist() == [0.0, 1.0, 0.0]
        np.testing.assert_allclose(file["image"][:], jet_images(3)[0], rtol=3e-7)


def test_negative_towers_are_empty_and_other_columns_stay_behind(tmp_path: Path) -> None:
    images = IMAGES.copy()
    images[1, 3, 4] = -0.25  # where the rotation of the image overshot
    path = jet_file(tmp_path / "a.h5", image=images, tau_21=np.ones(4), jet_mass=np.ones(4))
    done = convert(path, tmp_path / "b.h5")
    assert any("negative" in note for note in done.notes)
    assert any("jet_mass, tau_21" in note for note in done.notes)
    showers = open_showers(tmp_path / "b.h5").read()
    expected = np.where(images < 0, 0, images).reshape(4, -1)
    np.testing.assert_allclose(showers.dense(), 1000 * expected, rtol=2e-7)
    assert showers.incident.energy == pytest.approx(1000 * expected.sum(axis=1), rel=1e-6)


def test_particles_that_are_no_class_are_said() -> None:
    source = get_source("lagan")
    known = Incident({"energy": [1.0, 1.0], "pdg": [21, 24]})
    assert source.losses(known) == []
    assert any("pdg" in note for note in source.losses(Incident({"energy": [1.0], "pdg": [11]})))
    assert any("pdg" in note for note in source.losses(Incident({"energy": [1.0]})))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"signal": None}, ["signal", "missing"]),
        ({"signal": [0, 1, 2, 1]}, ["signal", "jet 2", "2.0"]),
        ({"signal": [0, 1]}, ["signal", "2 rows"]),
        ({"image": np.ones((4, 24, 25))}, ["image", "(4, 24, 25)"]),
        ({"image": np.full((4, 25, 25), np.nan)}, ["image", "shower 0", "nan"]),
        ({"image": np.full((4, 25, 25), np.inf)}, ["image", "shower 0", "inf"]),
        ({"jet_pt": [250.0, 260.0, -1.0, 3.0]}, ["energy", "not positive"]),
        ({"jet_pt": np.ones((4, 2))}, ["jet_pt", "(4, 2)"]),
    ],
)
def test_bad_files_are_named(tmp_path: Path, change: dict[str, object], words: list[str]) -> None:
    path = jet_file(tmp_path / "bad.h5", **change)
    with pytest.raises(CaloforgeError) as caught:
        convert(path, tmp_path / "out.h5", from_="lagan")
    for word in ["bad.h5", *words]:
        assert word in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.h5"]


@pytest.mark.parametrize("name", ["lcd-ecal-25", "par04-siw"])
def test_one_layer_only(tmp_path: Path, name: str) -> None:
    path = jet_file(tmp_path / "a.h5")
    with pytest.raises(FormatError, match="one layer of cells"):
        convert(path, tmp_path / "b.h5", detector=name)
