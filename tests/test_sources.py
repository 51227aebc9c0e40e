"""Every format through one contract: exact round trips, losses said, bad files named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from caloforge.conversion import convert
from caloforge.errors import CaloforgeError, ConfigError, FormatError, GeometryError, ShowerError
from caloforge.geometry import load_detector
from caloforge.showers import Incident, Showers
from caloforge.sources import detect, get_source, source_names
from caloforge.store import open_showers, write_showers
from helpers import SAMPLES, lcd_showers, random_showers, small_calorimeter

RELATIVE = 2e-7
"""Allowed difference of a cell after a round trip."""


def close(a: Showers, b: Showers) -> bool:
    """Same cells hit, energies equal to float32 rounding."""
    return np.array_equal(a.cell, b.cell) and bool(
        np.all(np.abs(a.energy / b.energy - 1.0) <= RELATIVE)
    )


@pytest.mark.parametrize("name", source_names())
def test_round_trip_through_every_format(tmp_path: Path, name: str) -> None:
    homes = {"calochallenge": "par04-siw", "par04": "par04-siw", "lagan": "jet-image-25"}
    showers = random_showers(7, load_detector(homes.get(name, "lcd-ecal-25")), 0, 0.02)
    calorimeter = showers.calorimeter
    first = write_showers(tmp_path / "first.h5", showers)
    notes = convert(first, tmp_path / "other.h5", to=name).notes
    assert detect(tmp_path / "other.h5").name == name
    detector = None if name == "caloforge" else calorimeter
    convert(tmp_path / "other.h5", tmp_path / "again.h5", detector=detector)
    again = open_showers(tmp_path / "again.h5").read()
    assert close(again, showers)
    assert np.allclose(again.incident.energy, showers.incident.energy, rtol=RELATIVE)
    if not any("pdg" in note for note in notes):
        assert (again.incident["pdg"] == 11).all()


energies = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.just(100)),
    elements=st.one_of(st.just(0.0), st.floats(2**-60, 2.0**17, width=32)),
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(energies, st.sampled_from(["lcd", "lcd-angle"]))
def test_any_energies_survive_the_units(tmp_path: Path, dense: np.ndarray, name: str) -> None:
    calorimeter = small_calorimeter()
    dense[:, 7] = 1.0  # no empty shower
    theta = np.full(len(dense), np.pi / 2)
    incident = Incident({"energy": np.full(len(dense), 5e4), "pdg": theta * 0 + 22, "theta": theta})
    showers = Showers.from_dense(calorimeter, incident, dense)
    write_showers(tmp_path / "a.h5", showers)
    convert(tmp_path / "a.h5", tmp_path / "b.h5", to=name)
    convert(tmp_path / "b.h5", tmp_path / "c.h5", detector=calorimeter)
    again = open_showers(tmp_path / "c.h5").read()
    assert close(again, showers)


@pytest.mark.parametrize(
    ("file", "name", "detector"),
    [
        ("lcd_electrons_fixed_test.h5", "lcd", "lcd-ecal-25"),
        ("lcd_electrons_angle_test.h5", "lcd-angle", "lcd-ecal"),
    ],
)
def test_real_files_round_trip(
    tmp_path: Path, shared_data: Path, file: str, name: str, detector: str
) -> None:
    done = convert(shared_data / file, tmp_path / "store.h5", limit=200)
    assert done.notes == ()
    assert open_showers(tmp_path / "store.h5").calorimeter.hash == load_detector(detector).hash
    done = convert(tmp_path / "store.h5", tmp_path / "back.h5", to=name)
    assert done.notes == ()
    with h5py.File(shared_data / file) as a, h5py.File(tmp_path / "back.h5") as b:
        assert set(a) == set(b)
        before, after = a["ECAL"][:200], b["ECAL"][:]
        assert ((before > 0) == (after > 0)).all()
        hit = before > 0
        assert np.abs(after[hit] / before[hit] - 1.0).max() <= RELATIVE
        for key in set(a) - {"ECAL"}:
            assert np.array_equal(a[key][:200], b[key][:]), key


def test_axes_and_units_of_the_lcd_layout(tmp_path: Path) -> None:
    images = np.zeros((1, 25, 25, 25), np.float32)
    images[0, 3, 4, 5] = 0.002  # x, y, depth; GeV
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["ECAL"] = images
        file["target"] = np.array([[11, 50.0]], np.float32)
    convert(tmp_path / "a.h5", tmp_path / "b.h5")
    showers = open_showers(tmp_path / "b.h5").read()
    layer, i, j = showers.calorimeter.cell_coordinates(showers.cell)
    assert (layer[0], i[0], j[0]) == (5, 3, 4)
    assert showers.energy[0] == pytest.approx(2.0)
    assert showers.incident.energy[0] == pytest.approx(50e3)
    assert showers.incident["theta"][0] == pytest.approx(np.pi / 2)


def test_units_of_the_angle_layout(tmp_path: Path) -> None:
    images = np.zeros((1, 51, 51, 25), np.float32)
    images[0, 25, 25, 0] = 50.0  # 1 GeV
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["ECAL"] = images
        file["energy"] = np.array([60.0], np.float32)
        file["theta"] = np.array([1.2], np.float32)
    convert(tmp_path / "a.h5", tmp_path / "b.h5")
    showers = open_showers(tmp_path / "b.h5").read()
    assert showers.energy[0] == pytest.approx(1000.0)
    assert showers.incident["theta"][0] == pytest.approx(1.2)


def test_geant4_time_and_origin_travel_along(tmp_path: Path) -> None:
    convert(SAMPLES / "electrons_test.h5", tmp_path / "a.h5", limit=5)
    convert(tmp_path / "a.h5", tmp_path / "b.h5", to="lcd")
    convert(tmp_path / "b.h5", tmp_path / "c.h5")
    with open_showers(tmp_path / "c.h5") as reader:
        assert reader.provenance.find_source("seconds_per_shower") == pytest.approx(0.44, abs=0.02)
        assert len(next(iter(reader.provenance.inputs.values()))) == 64


def test_what_a_format_cannot_carry_is_said(tmp_path: Path) -> None:
    showers = lcd_showers(3)
    columns = {
        "energy": showers.incident.energy,
        "theta": np.full(3, 1.2),
        "phi": np.full(3, 0.1),
    }
    tilted = Showers(
        showers.calorimeter, Incident(columns), showers.offset, showers.cell, showers.energy
    )
    path = write_showers(tmp_path / "a.h5", tilted)
    notes = convert(path, tmp_path / "b.h5", to="lcd").notes
    assert any("theta" in text for text in notes)
    assert any("phi" in text for text in notes)
    assert any("particle code" in text for text in notes)
    assert convert(path, tmp_path / "c.h5").notes == ()
    notes = convert(path, tmp_path / "d.h5", to="lcd-angle").notes
    assert [text for text in notes if "theta" in text] == []


def test_many_inputs_become_one_file(tmp_path: Path) -> None:
    a = write_showers(tmp_path / "a.h5", lcd_showers(4, seed=1))
    b = write_showers(tmp_path / "b.h5", lcd_showers(5, seed=2))
    assert convert([a, b], tmp_path / "c.h5").showers == 9
    with pytest.raises(GeometryError, match=r"other\.h5"):
        convert([a, write_showers(tmp_path / "other.h5", random_showers(2))], tmp_path / "d.h5")
    assert not (tmp_path / "d.h5").exists()


def lcd_file(path: Path, **change: object) -> Path:
    """A valid LCD file with some data sets replaced (None: left out)."""
    images = np.zeros((4, 25, 25, 25), np.float32)
    images[:, 12, 12, :] = 1e-3
    content: dict[str, object] = {"ECAL": images, "target": np.tile([11.0, 50.0], (4, 1))}
    with h5py.File(path, "w") as file:
        for key, value in {**content, **change}.items():
            if value is not None:
                file[key] = value
    return path


def images_with(value: float) -> np.ndarray:
    images = np.full((4, 25, 25, 25), 1e-4, np.float32)
    images[2, 1, 2, 3] = value
    return images


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"target": None}, ["target"]),
        ({"ECAL": None}, ["ECAL"]),
        ({"ECAL": np.ones((4, 25, 25))}, ["ECAL", "(4, 25, 25)"]),
        ({"ECAL": np.ones((4, 24, 25, 25))}, ["ECAL", "--detector"]),
        ({"target": np.ones((3, 2))}, ["target", "3"]),
        ({"target": np.ones((4, 5))}, ["target"]),
        ({"target": np.float32(3.0)}, ["target", "()"]),
        ({"target": np.tile([np.nan, 50.0], (4, 1))}, ["pdg", "NaN"]),
        ({"impact_mm": np.ones(4)}, ["impact_mm"]),
        ({"impact_mm": np.ones((3, 2))}, ["impact_mm", "(3, 2)"]),
        ({"target": np.tile([11.0, -1.0], (4, 1))}, ["energy", "not positive"]),
        ({"target": np.tile([11.0, np.nan], (4, 1))}, ["energy", "NaN"]),
        ({"ECAL": images_with(np.nan)}, ["ECAL", "shower 2", "nan"]),
        ({"ECAL": images_with(np.inf)}, ["ECAL", "shower 2", "inf"]),
        ({"ECAL": images_with(-1.0)}, ["ECAL", "shower 2", "-1"]),
        ({"ECAL": np.zeros((0, 25, 25, 25)), "target": np.zeros((0, 2))}, ["no showers"]),
        ({"ECAL": np.zeros((4, 25, 25, 25))}, ["shower 0", "empty", "--drop-empty"]),
    ],
)
def test_bad_input_names_file_and_key(
    tmp_path: Path, change: dict[str, object], words: list[str]
) -> None:
    path = lcd_file(tmp_path / "bad.h5", **change)
    with pytest.raises(CaloforgeError) as caught:
        convert(path, tmp_path / "out.h5", from_="lcd")
    message = str(caught.value)
    for word in ["bad.h5", *words]:
        assert word in message or (word == "bad.h5" and "out.h5" in message)
    assert "\n" not in message
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.h5"]


def test_empty_showers_are_dropped_when_asked(tmp_path: Path) -> None:
    images = images_with(1.0)
    images[1] = 0.0
    done = convert(lcd_file(tmp_path / "a.h5", ECAL=images), tmp_path / "b.h5", drop_empty=True)
    assert (done.showers, done.dropped) == (3, 1)


def test_empty_showers_are_kept_when_asked(tmp_path: Path) -> None:
    images = images_with(1.0)
    images[1] = 0.0
    path = lcd_file(tmp_path / "a.h5", ECAL=images)
    with pytest.raises(ShowerError, match="shower 1 is empty.*--keep-empty"):
        convert(path, tmp_path / "b.h5")
    done = convert(path, tmp_path / "b.h5", keep_empty=True)
    assert (done.showers, done.dropped) == (4, 0)
    with open_showers(tmp_path / "b.h5") as reader:
        assert (reader.read().hits_per_shower == 0).tolist() == [False, True, False, False]
    with pytest.raises(ConfigError, match="exclude each other"):
        convert(path, tmp_path / "c.h5", keep_empty=True, drop_empty=True)


def test_unknown_formats_and_layouts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="lcd-angle"):
        get_source("root6")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["layer_0"] = np.ones((2, 3, 96))
    with pytest.raises(FormatError, match="layer_0"):
        convert(tmp_path / "a.h5", tmp_path / "b.h5")
    (tmp_path / "text.h5").write_text("not hdf5")
    with pytest.raises(FormatError, match="not an HDF5 file"):
        convert(tmp_path / "text.h5", tmp_path / "b.h5")
    with pytest.raises(FormatError, match="no such file"):
        convert(tmp_path / "none.h5", tmp_path / "b.h5")
    with pytest.raises(ShowerError, match="no input"):
        convert([], tmp_path / "b.h5")


def test_irregular_calorimeters_do_not_fit_an_lcd_image(tmp_path: Path) -> None:
    lar = load_detector("calogan-lar")
    showers = random_showers(2, lar, occupancy=0.1)
    path = write_showers(tmp_path / "a.h5", showers)
    with pytest.raises(FormatError, match="same cells in every layer"):
        convert(path, tmp_path / "b.h5", to="lcd")


FULL_DISK = """
import resource, signal, sys
from caloforge.errors import OutputError
from caloforge.conversion import convert
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    convert(sys.argv[1], sys.argv[2], to="lcd", limit=100)
except OutputError as error:
    print(error)
    sys.exit(7)
"""


def test_full_disk_while_writing_lcd(tmp_path: Path) -> None:
    arguments = [str(SAMPLES / "electrons_test.h5"), str(tmp_path / "out.h5")]
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 7, done.stderr
    assert "disk is full" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_inputs_with_different_columns_are_not_mixed(tmp_path: Path) -> None:
    a = lcd_file(tmp_path / "a.h5")
    b = lcd_file(tmp_path / "b.h5", impact_mm=np.ones((4, 2), np.float32))
    for to in ("caloforge", "lcd", "lcd-angle"):
        for pair in ([a, b], [b, a]):
            with pytest.raises(ShowerError):
                convert(pair, tmp_path / "out.h5", to=to)
    assert not (tmp_path / "out.h5").exists()


def test_odd_attributes_are_kept_as_text(tmp_path: Path) -> None:
    path = lcd_file(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["words"] = np.array([b"a", b"b"])
        file.attrs["nothing"] = h5py.Empty("f")
    convert(path, tmp_path / "b.h5")
    with open_showers(tmp_path / "b.h5") as reader:
        assert reader.provenance.source["words"] == ["a", "b"]
