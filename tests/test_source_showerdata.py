"""Point clouds of showerdata: the layout, points to cells and back, directions."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caloforge.conversion import convert
from caloforge.errors import CaloforgeError, FormatError
from caloforge.geometry import Calorimeter, CartesianGrid, CylindricalGrid, Layer
from caloforge.showers import Incident, Showers
from caloforge.sources import detect, get_source, source_names
from caloforge.sources.showerdata_writer import points_in_cells
from caloforge.sources.unit_vectors import angles_of, directions_of
from calorimeters import calorimeters, random_sample, read, same_cells, write
from helpers import random_showers, small_calorimeter


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(calorimeters(), st.integers(1, 4), st.integers(0, 2**31))
def test_any_calorimeter_survives(
    tmp_path: Path, calorimeter: Calorimeter, n: int, seed: int
) -> None:
    showers = random_sample(calorimeter, n, seed)
    path = write(tmp_path / "a.h5", "showerdata", showers, pieces=[1] if n > 1 else [])
    assert [name for name in source_names() if get_source(name).matches(path)] == ["showerdata"]
    again = read(path, "showerdata")
    assert same_cells(again, showers)
    assert np.allclose(again.incident.energy, showers.incident.energy, rtol=2e-7)
    assert np.array_equal(again.incident["pdg"], showers.incident["pdg"])
    before, after = directions_of(showers.incident), directions_of(again.incident)
    assert np.allclose(before, after, atol=1e-6)
    assert np.allclose(again.incident["theta"], showers.incident["theta"], atol=1e-6)
    assert again.provenance.find_source("generator") == "dice"


@given(st.lists(st.tuples(st.floats(0.01, 3.1), st.floats(-3.1, 3.1)), min_size=1, max_size=5))
def test_angles_of_directions(angles: list[tuple[float, float]]) -> None:
    theta, phi = np.array(angles).T
    incident = Incident({"energy": np.ones(len(theta)), "theta": theta, "phi": phi})
    vectors = directions_of(incident)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0)
    t, p = angles_of(vectors)
    again = directions_of(Incident({"energy": np.ones(len(theta)), "theta": t, "phi": p}))
    assert np.allclose(again, vectors, atol=1e-8)
    assert ((t > 0) & (t < np.pi)).all()


def test_the_layout_of_the_package(tmp_path: Path) -> None:
    showers = random_showers(3)
    calorimeter = showers.calorimeter
    path = write(tmp_path / "a.h5", "showerdata", showers, pieces=[2])
    with h5py.File(path) as file:
        assert file["shape"][:].tolist() == [3, int(showers.hits_per_shower.max()), 4]
        assert file["shape"].dtype == np.int32
        assert h5py.check_vlen_dtype(file["showers"].dtype) == np.float32
        assert file["showers"].shape == (3,)
        expected = {
            "energies": ((3, 1), np.float32),
            "directions": ((3, 3), np.float32),
            "pdg": ((3,), np.int32),
            "shower_ids": ((3,), np.int32),
            "num_points": ((3,), np.int32),
        }
        for name, (shape, dtype) in expected.items():
            assert (file[name].shape, file[name].dtype) == (shape, dtype), name
        assert file["shower_ids"][:].tolist() == [0, 1, 2]
        assert (file["num_points"][:] == showers.hits_per_shower).all()
        assert file["directions"][:].tolist() == [[0.0, 0.0, 1.0]] * 3
        assert file["energies"][:, 0] == pytest.approx(showers.incident.energy / 1000)
        assert str(file.attrs["showerdata_version"]) == "0.7.0"
        for k in range(3):
            points = file["showers"][k].reshape(-1, 4)
            one = showers[k : k + 1]
            assert points[:, :2] == pytest.approx(calorimeter.cell_positions[one.cell][:, :2])
            assert (points[:, 2] == calorimeter.cell_layer[one.cell]).all()
            assert points[:, 3] == pytest.approx(one.energy / 1000)


def clouds_file(path: Path, columns: int = 5, **change: object) -> Path:
    """Two showers as the package writes them, some data sets replaced (None: left out)."""
    clouds = np.empty(2, dtype=h5py.vlen_dtype(np.float32))
    pad = [0.0] * (columns - 4)
    first = [[1.0, 2.0, 0.0, 0.001], [4.0, -4.0, 0.05, 0.002], [20.0, -20.0, 3.0, 0.5]]
    clouds[0] = np.array([row + pad for row in first], np.float32).ravel()
    second = [[0.0, 0.0, 2.95, 0.25], [60.0, 0.0, 1.0, 0.1]]
    second += [[0.0, 0.0, 4.0, 0.1], [9.0, 9.0, 0.0, 0.0]]
    clouds[1] = np.array([row + pad for row in second], np.float32).ravel()
    content: dict[str, object] = {
        "showers": clouds,
        "energies": np.array([[50.0], [60.0]], np.float32),
        "directions": np.array([[0.0, 0.0, 1.0], [0.6, 0.0, 0.8]], np.float32),
        "pdg": np.array([22, 11], np.int32),
        "shower_ids": np.array([0, 1], np.int32),
        "shape": np.array([2, 4, columns], np.int32),
        "num_points": np.array([3, 4], np.int32),
    }
    with h5py.File(path, "w") as file:
        for key, value in {**content, **change}.items():
            if value is not None:
                file[key] = value
    return path


@pytest.mark.parametrize("columns", [4, 5])
def test_points_fall_into_cells(tmp_path: Path, columns: int) -> None:
    calorimeter = small_calorimeter()  # 5 x 5 cells of 10 mm, 4 layers
    path = clouds_file(tmp_path / "a.h5", columns)
    assert detect(path).name == "showerdata"
    with pytest.raises(FormatError, match="--detector"):
        read(path, "showerdata")
    with get_source("showerdata").open(path, calorimeter) as reader:
        showers = Showers.concatenate(list(reader.batches(5)))
        tally = reader.tally
    assert showers.offset.tolist() == [0, 2, 3]
    layer, i, j = calorimeter.cell_coordinates(showers.cell)
    # the first two points share a cell; layer = floor(z + 0.1)
    assert list(zip(layer, i, j, strict=True)) == [(0, 2, 2), (3, 4, 0), (3, 2, 2)]
    assert showers.energy == pytest.approx([3.0, 500.0, 250.0])  # MeV
    assert tally.outside == pytest.approx(200.0)  # x = 60 mm, and layer 4
    assert tally.incoming == pytest.approx(953.0)
    assert tally.showers == 1
    assert showers.incident.energy == pytest.approx([50e3, 60e3])
    assert showers.incident["theta"] == pytest.approx([np.pi / 2, np.arctan2(0.8, 0.6)])
    assert showers.incident["pdg"].tolist() == [22, 11]


def test_uncut_rings_have_their_points_inside(tmp_path: Path) -> None:
    grid = CylindricalGrid(r_edges=(0.0, 5.0, 10.0, 30.0), n_phi=1)
    calorimeter = Calorimeter(
        name="rings", layers=(Layer(z=0.0, thickness=1.0, segmentation=grid),)
    )
    x, y, layer = points_in_cells(calorimeter).T
    assert x.tolist() == [2.5, 7.5, 20.0]
    assert y.tolist() == layer.tolist() == [0.0, 0.0, 0.0]
    showers = random_showers(2, calorimeter, occupancy=1.0)
    assert same_cells(read(write(tmp_path / "a.h5", "showerdata", showers), "showerdata"), showers)


def test_cells_too_small_for_float32_are_refused(tmp_path: Path) -> None:
    grid = CartesianGrid(nx=4, ny=1, dx=1e-5, dy=1.0, centre=(1000.0, 0.0))
    tiny = Calorimeter(name="tiny", layers=(Layer(z=0.0, thickness=1.0, segmentation=grid),))
    with pytest.raises(FormatError, match="too coarse for the cells of 'tiny'"):
        write(tmp_path / "a.h5", "showerdata", random_showers(1, tiny))
    assert list(tmp_path.iterdir()) == []


def cloud(*values: float) -> np.ndarray:
    clouds = np.empty(2, dtype=h5py.vlen_dtype(np.float32))
    clouds[0] = np.array([0.0, 0.0, 0.0, 0.001, 0.0], np.float32)
    clouds[1] = np.array(values, np.float32)
    return clouds


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"showers": None}, ["showers"]),
        ({"showers": np.ones((2, 20))}, ["showers", "list of numbers"]),
        ({"energies": None}, ["energies"]),
        ({"energies": np.ones((3, 1))}, ["energies", "(3, 1)"]),
        ({"energies": np.array([[50.0], [np.nan]])}, ["energy", "NaN"]),
        ({"energies": np.array([[50.0], [0.0]])}, ["energy", "not positive"]),
        ({"directions": None}, ["directions"]),
        ({"directions": np.ones((2, 2))}, ["directions", "(2, 2)"]),
        ({"directions": np.ones((2, 3))}, ["directions", "shower 0", "unit"]),
        ({"directions": np.array([[0, 0, 1.0], [np.nan, 0, 1]])}, ["directions", "shower 1"]),
        ({"pdg": np.array([b"e", b"g"])}, ["pdg", "numbers"]),
        ({"shape": None}, ["shape"]),
        ({"shape": np.array([2, 4])}, ["shape", "[2, 4]"]),
        ({"shape": np.array([2, 4, 7])}, ["shape", "[2, 4, 7]"]),
        ({"showers": cloud(1, 2, 3)}, ["showers", "shower 1", "whole number of points"]),
        ({"showers": cloud(np.nan, 0, 0, 1, 0)}, ["showers", "shower 1", "nan"]),
        ({"showers": cloud(0, 0, 0, np.inf, 0)}, ["showers", "shower 1", "inf"]),
        ({"showers": cloud(0, 0, 0, -1, 0)}, ["showers", "shower 1", "-1"]),
        (
            {
                "showers": np.empty(0, dtype=h5py.vlen_dtype(np.float32)),
                "energies": np.ones((0, 1)),
                "directions": np.ones((0, 3)),
                "pdg": np.ones(0),
            },
            ["no showers"],
        ),
    ],
)
def test_bad_input_names_file_and_key(
    tmp_path: Path, change: dict[str, object], words: list[str]
) -> None:
    path = clouds_file(tmp_path / "bad.h5", **change)  # type: ignore[arg-type]
    with pytest.raises(CaloforgeError) as caught:
        convert(path, tmp_path / "out.h5", from_="showerdata", detector=small_calorimeter())
    assert all(word in str(caught.value) for word in ["bad.h5", *words]), caught.value
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["bad.h5"]


def test_truncated_files(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", "showerdata", random_showers(5))
    whole = path.read_bytes()
    for size in (0, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert not get_source("showerdata").matches(path)
        with pytest.raises(FormatError, match=r"a\.h5"):
            read(path, "showerdata")


def test_what_showerdata_cannot_carry_is_said() -> None:
    source = get_source("showerdata")
    notes = source.losses(random_sample(small_calorimeter(), 2, 0).incident)
    assert [note.split()[3].rstrip(":") for note in notes] == [
        "x",
        "y",
        "z",
        "opening_angle",
        "conversion",
    ]
    notes = source.losses(Incident({"energy": [1e3]}))
    assert any("normal incidence" in note for note in notes)
    assert any("particle code" in note for note in notes)


def test_the_package_itself_agrees(tmp_path: Path) -> None:
    showerdata = pytest.importorskip("showerdata", reason="showerdata is not installed")
    showers = random_sample(small_calorimeter(), 5, 1)
    path = write(tmp_path / "a.h5", "showerdata", showers, pieces=[2])
    theirs = showerdata.load(path)
    assert len(theirs) == 5
    assert theirs.points[..., 3].sum(axis=1) * 1000 == pytest.approx(showers.total_energy)
    theirs.save(tmp_path / "b.h5")
    again = read(tmp_path / "b.h5", "showerdata", showers.calorimeter)
    assert same_cells(again, showers)
