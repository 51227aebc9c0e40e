"""CaloGAN's HDF5 and ROOT files: axes, units, overflow, bad files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import uproot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caloforge.conversion import convert
from caloforge.errors import CaloforgeError, FormatError, ShowerError
from caloforge.geometry import Calorimeter, load_detector
from caloforge.showers import Incident
from caloforge.sources import detect, get_source
from caloforge.store import open_showers, write_showers
from dense_cases import (
    assert_same,
    calorimeters,
    full_disk,
    hdf5_file,
    random_deposits,
    rectangles,
    there_and_back,
)
from helpers import lcd_showers, small_calorimeter

SHAPES = [(3, 96), (12, 12), (12, 6)]
OVERFLOW_NOTE = "calogan holds an overflow beside the cells: 0 written, it is not known"


def layers_file(path: Path, **change: object) -> Path:
    """Four showers with some data sets replaced (None: left out)."""
    rng = np.random.default_rng(3)
    content: dict[str, object] = {
        f"layer_{k}": rng.exponential(5.0, (4, *shape)) for k, shape in enumerate(SHAPES)
    }
    content["energy"] = np.full((4, 1), 30.0)
    content["overflow"] = np.zeros((4, 3))
    return hdf5_file(path, {**content, **change})


def cell_columns(n: int = 4) -> dict[str, Any]:
    """The branches of the tree: cell k of shower s holds 1000 s + k MeV."""
    values = {f"cell_{k}": np.arange(n) * 1000.0 + k for k in range(504)}
    overflow = {f"cell_{k}": np.zeros(n) for k in range(504, 507)}
    return {**values, **overflow, "TotalEnergy": np.full(n, 30.0)}


def tree_file(path: Path, name: str = "fancy_tree", **change: Any) -> Path:
    """The tree with some branches replaced (None: left out)."""
    branches = {k: v for k, v in {**cell_columns(), **change}.items() if v is not None}
    with uproot.recreate(path) as file:
        file.mktree(name, {k: v.dtype for k, v in branches.items()}).extend(branches)
    return path


def test_axes_and_units_of_the_hdf5(tmp_path: Path) -> None:
    layers = [np.zeros((1, *shape)) for shape in SHAPES]
    layers[0][0, 2, 90] = 3.0  # x, y; MeV: three wide strips in x, 96 narrow ones in y
    layers[2][0, 11, 1] = 5.0
    content = {f"layer_{k}": layer for k, layer in enumerate(layers)}
    path = hdf5_file(tmp_path / "a.h5", {**content, "energy": [[50.0]]})
    assert detect(path).name == "calogan"
    convert(path, tmp_path / "b.h5")
    showers = open_showers(tmp_path / "b.h5").read()
    assert showers.calorimeter.hash == load_detector("calogan-lar").hash
    assert showers.incident.energy.tolist() == [50e3]
    assert showers.energy.tolist() == [3.0, 5.0]
    x, y, z = showers.calorimeter.cell_positions[showers.cell].T
    assert x.tolist() == [160.0, 220.0]  # 160 mm and 40 mm wide, in a cube of 480 mm
    assert y.tolist() == [-240 + 90.5 * 5.0, -240 + 1.5 * 80.0]
    assert z.tolist() == [45.0, 458.5]


def test_cells_of_the_tree_are_the_layers_in_a_row(tmp_path: Path) -> None:
    path = tree_file(tmp_path / "a.root", "any_name")
    assert detect(path).name == "calogan"
    convert(path, tmp_path / "b.h5")
    showers = open_showers(tmp_path / "b.h5").read()
    assert showers.calorimeter.hash == load_detector("calogan-lar").hash
    assert showers.incident.energy.tolist() == [30e3] * 4  # TotalEnergy in GeV
    expected = np.arange(504) + 1000.0 * np.arange(4)[:, None]
    assert np.array_equal(showers.dense(), expected.astype(np.float32))
    layer, i, j = showers.calorimeter.cell_coordinates(np.array([0, 95, 96, 288, 433, 503]))
    assert layer.tolist() == [0, 0, 0, 1, 2, 2]
    assert i.tolist() == [0, 0, 1, 0, 0, 11]
    assert j.tolist() == [0, 95, 0, 0, 1, 5]


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(calorimeters(rectangles()), st.integers(0, 2**32), st.sampled_from(["a.h5", "a.root"]))
def test_any_rectangles_make_the_round_trip(
    tmp_path: Path, calorimeter: Calorimeter, seed: int, name: str
) -> None:
    showers = random_deposits(calorimeter, 3, seed)
    again, notes = there_and_back(tmp_path, showers, "calogan", name)
    assert notes == [OVERFLOW_NOTE]
    assert_same(again, showers)
    assert detect(tmp_path / name).name == "calogan"


def test_layout_of_what_is_written(tmp_path: Path) -> None:
    showers = random_deposits(load_detector("calogan-lar"), 5, 1)
    store = write_showers(tmp_path / "a.h5", showers)
    convert(store, tmp_path / "b.h5", to="calogan")
    cells = showers.dense()
    with h5py.File(tmp_path / "b.h5") as file:
        assert set(file) == {"layer_0", "layer_1", "layer_2", "energy", "overflow"}
        assert [file[f"layer_{k}"].shape[1:] for k in range(3)] == SHAPES
        rows = np.hstack([file[f"layer_{k}"][:].reshape(5, -1) for k in range(3)])
        assert np.array_equal(rows, cells)
        assert np.allclose(file["energy"][:, 0], showers.incident.energy / 1e3, rtol=1e-15)
        assert file["overflow"].shape == (5, 3)
        assert not file["overflow"][:].any()
    convert(store, tmp_path / "b.root", to="calogan")
    with uproot.open(tmp_path / "b.root") as file:
        table = file["fancy_tree"].arrays(library="np")
    assert len(table) == 504 + 3 + 1 + 1
    assert sum(name.startswith("cell_") for name in table) == 504 + 3
    assert np.array_equal(np.column_stack([table[f"cell_{k}"] for k in range(504)]), cells)
    assert not any(table[f"cell_{k}"].any() for k in range(504, 507))


def test_parts_of_the_tree(tmp_path: Path) -> None:
    calorimeter = small_calorimeter(n=2, layers=2)
    showers = random_deposits(calorimeter, 2300, 1)
    store = write_showers(tmp_path / "a.h5", showers)
    convert(store, tmp_path / "a.root", to="calogan")
    with get_source("calogan").open(tmp_path / "a.root") as reader:
        assert len(reader) == 2300
        for start, stop in ((0, 7), (995, 1010), (2290, 2300), (3, 4), (500, 2300)):
            part = next(iter(reader.batches(stop - start, start, stop)))
            assert_same(part, showers[start:stop])
        assert reader.provenance.find_source("generator") == "dice"


@pytest.mark.parametrize("root", [False, True])
def test_overflow_is_counted_as_outside(tmp_path: Path, root: bool) -> None:
    overflow = np.zeros((4, 3))
    overflow[1] = [10.0, 0.0, 2.5]
    if root:
        columns: dict[str, Any] = {f"cell_{504 + k}": overflow[:, k] for k in range(3)}
        path = tree_file(tmp_path / "a.root", **columns)
    else:
        path = layers_file(tmp_path / "a.h5", overflow=overflow)
    with get_source("calogan").open(path) as reader:
        showers = next(iter(reader.batches(4)))
        assert reader.tally.outside == 12.5
        assert reader.tally.showers == 1
        total = float(showers.total_energy.sum()) + 12.5
        assert reader.tally.incoming == pytest.approx(total, rel=1e-6)
        assert "12.5 MeV" in str(reader.tally.note("a"))


def test_overflow_may_be_missing(tmp_path: Path) -> None:
    layers = layers_file(tmp_path / "a.h5", overflow=None, energy=np.full(4, 30, ">f4"))
    tree = tree_file(tmp_path / "a.root", cell_504=None, cell_505=None, cell_506=None)
    for path in (layers, tree):
        with get_source("calogan").open(path) as reader:
            showers = next(iter(reader.batches(4)))
            assert showers.incident.energy.tolist() == [30e3] * 4
            assert reader.tally.note("a") is None


def test_losses_are_said() -> None:
    columns: dict[str, list[float]] = {
        "energy": [1.0],
        "pdg": [11],
        "theta": [1.2],
        "phi": [0.0],
        "y": [2.0],
    }
    lost = get_source("calogan").losses(Incident(columns))
    assert lost[-1] == OVERFLOW_NOTE
    assert [text.split()[3].rstrip(":") for text in lost[:-1]] == ["pdg", "theta", "y"]


def layer_with(value: float) -> np.ndarray:
    layer = np.ones((4, 12, 12))
    layer[2, 3, 4] = value
    return layer


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layer_0": None}, ["'layer_0'", "missing"]),
        ({"layer_2": None}, ["'layer_2'", "missing"]),
        ({"energy": None}, ["'energy'", "missing"]),
        ({"layer_0": np.ones((4, 96, 3))}, ["'layer_0'", "(4, 96, 3)", "(N, 3, 96)"]),
        ({"layer_1": np.ones((3, 12, 12))}, ["'layer_1'", "3 rows"]),
        ({"layer_1": np.float64(1)}, ["'layer_1'", "()"]),
        ({"layer_1": np.full((4, 12, 12), b"a")}, ["'layer_1'", "not numbers"]),
        ({"layer_3": np.ones((4, 2, 2))}, ["'layer_3'", "3 layers only", "--detector"]),
        ({"energy": np.ones((4, 2))}, ["'energy'", "(4, 2)"]),
        ({"energy": np.full(4, -1.0)}, ["energy", "not positive"]),
        ({"energy": np.full(4, np.nan)}, ["energy", "NaN"]),
        ({"overflow": np.ones((4, 2))}, ["'overflow'", "(4, 2)", "(N, 3)"]),
        ({"overflow": np.full((4, 3), np.nan)}, ["'overflow'", "shower 0", "nan"]),
        ({"layer_1": layer_with(np.nan)}, ["'layer_1'", "shower 2", "(3, 4)", "nan"]),
        ({"layer_1": layer_with(-3.0)}, ["'layer_1'", "shower 2", "(3, 4)", "-3"]),
        (
            {f"layer_{k}": np.zeros((0, *shape)) for k, shape in enumerate(SHAPES)}
            | {"energy": np.zeros((0, 1)), "overflow": np.zeros((0, 3))},
            ["'layer_0'", "no showers"],
        ),
    ],
)
def test_bad_hdf5_is_named(tmp_path: Path, change: dict[str, object], words: list[str]) -> None:
    path = layers_file(tmp_path / "bad.h5", **change)
    with pytest.raises(CaloforgeError) as caught:
        convert(path, tmp_path / "out.h5", from_="calogan")
    for word in ["bad.h5", *words]:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["bad.h5"]


def small_columns(**change: Any) -> dict[str, Any]:
    """Two layers of 2 x 2 cells, two overflows."""
    branches = {f"cell_{k}": np.full(4, 1.0 if k < 8 else 0.0) for k in range(10)}
    branches |= {"TotalEnergy": np.full(4, 30.0), **change}
    return {name: values for name, values in branches.items() if values is not None}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"TotalEnergy": None}, ["no tree", "TotalEnergy"]),
        ({"cell_0": None}, ["no tree", "cell_0"]),
        ({"cell_7": None}, ["9 branches", "'small'", "--detector"]),
        ({"cell_10": np.zeros(4)}, ["11 branches", "2 overflows"]),
        ({"cell_7": None, "cell_x": np.zeros(4)}, ["10 branches", "cell_0 to cell_7"]),
        ({"cell_5": np.array([1.0, np.nan, 1.0, 1.0])}, ["shower 1", "(5,)", "nan"]),
        ({"cell_5": np.array([1.0, 1.0, 1.0, -1.0])}, ["shower 3", "(5,)", "-1"]),
        ({"cell_9": np.array([1.0, 1.0, -1.0, 1.0])}, ["shower 2", "(9,)", "-1"]),
        ({"TotalEnergy": np.array([1.0, 0.0, 1.0, 1.0])}, ["energy", "not positive"]),
        ({"cell_5": np.ones((4, 2))}, ["'cell_5'", "one number per entry"]),
    ],
)
def test_bad_trees_are_named(tmp_path: Path, change: dict[str, Any], words: list[str]) -> None:
    path = tmp_path / "bad.root"
    branches = small_columns(**change)
    with uproot.recreate(path) as file:
        types = {k: np.dtype((v.dtype, v.shape[1:])) for k, v in branches.items()}
        file.mktree("fancy_tree", types).extend(branches)
    small = small_calorimeter(n=2, layers=2)
    with pytest.raises(CaloforgeError) as caught:
        convert(path, tmp_path / "out.h5", from_="calogan", detector=small)
    for word in ["bad.root", *words]:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["bad.root"]


def test_newer_trees_are_read_too(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "a.root") as file:
        file["cells"] = small_columns()  # an RNTuple
    convert(tmp_path / "a.root", tmp_path / "b.h5", detector=small_calorimeter(n=2, layers=2))
    assert (open_showers(tmp_path / "b.h5").read().total_energy == 8.0).all()


def test_files_that_are_not_root(tmp_path: Path) -> None:
    source = get_source("calogan")
    (tmp_path / "text.root").write_text("root, but only in name")
    with pytest.raises(FormatError, match="damaged ROOT file"):
        source.open(tmp_path / "text.root")
    (tmp_path / "empty.root").write_text("")
    for name in ("text.root", "empty.root", "none.root"):
        assert not source.matches(tmp_path / name)
        with pytest.raises(CaloforgeError, match=name):
            source.open(tmp_path / name)
    assert not source.matches(tmp_path)
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("fancy_tree", dict.fromkeys(small_columns(), "f8"))
    with pytest.raises(ShowerError, match="'TotalEnergy' holds no showers"):
        convert(tmp_path / "a.root", tmp_path / "b.h5", detector=small_calorimeter(n=2, layers=2))
    with uproot.recreate(tmp_path / "good.root") as file:
        file.mktree("fancy_tree", dict.fromkeys(small_columns(), "f8")).extend(small_columns())
    good = (tmp_path / "good.root").read_bytes()
    (tmp_path / "cut.root").write_bytes(good[: len(good) // 2])
    with pytest.raises(FormatError, match=r"cut\.root: .*ROOT file"):
        convert(tmp_path / "cut.root", tmp_path / "b.h5")
    assert not (tmp_path / "b.h5").exists()


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    rings = random_deposits(load_detector("calochallenge-1-photons"), 2, 0)
    store = write_showers(tmp_path / "rings.h5", rings)
    for name in ("a.h5", "a.root"):
        with pytest.raises(FormatError, match="cells in x and y.*cylindrical"):
            convert(store, tmp_path / name, to="calogan")
    many = write_showers(tmp_path / "many.h5", lcd_showers(2))
    with pytest.raises(FormatError, match=r"15625 are too many .*\.h5"):
        convert(many, tmp_path / "a.root", to="calogan")
    assert convert(many, tmp_path / "a.h5", to="calogan").showers == 2
    with pytest.raises(FormatError, match="'layer_0' has shape .*--detector"):
        convert(
            layers_file(tmp_path / "b.h5"), tmp_path / "c.h5", detector=small_calorimeter(layers=3)
        )


@pytest.mark.parametrize("name", ["out.h5", "out.root"])
def test_full_disk(tmp_path: Path, name: str) -> None:
    store = write_showers(tmp_path / "a.h5", random_deposits(load_detector("calogan-lar"), 99, 1))
    (tmp_path / name).write_text("old")
    done = full_disk(store, tmp_path / name, "calogan", 50_000)
    assert done.returncode == 7, done.stderr
    assert "disk is full" in done.stdout
    assert (tmp_path / name).read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.h5", name]
