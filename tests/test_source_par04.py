"""Par04's HDF5 and ROOT files: axes, meshes, angles, bad files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caloforge.conversion import convert
from caloforge.errors import CaloforgeError, FormatError
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
    rings,
    there_and_back,
)
from helpers import small_calorimeter

SHAPE = (9, 16, 45)


def mesh_file(path: Path, **change: object) -> Path:
    """Four showers of low granularity with some data sets replaced (None: left out)."""
    mesh = np.zeros((4, *SHAPE), np.float32)
    mesh[:, 0, 3, :] = 1.0
    return hdf5_file(path, {"showers": mesh, "incident_energy": np.full(4, 5e4), **change})


HITS: dict[str, list[list[float]]] = {
    "rhoCell": [[0, 8, 0], [1], [2, 2]],
    "phiCell": [[15, 0, 15], [7], [3, 4]],
    "zCell": [[44, 0, 44], [10], [9, 9]],
    "EnergyCell": [[1.5, 2.0, 0.5], [4.0], [8.0, 0.25]],
}


def root_file(
    path: Path,
    hits: Mapping[str, Any] = HITS,
    events: Mapping[str, Any] | None = None,
    names: tuple[str, str] = ("global", "virtualReadout"),
    ntuple: bool = False,
) -> Path:
    """Three events as the example writes them (``ntuple``: in ROOT's newer RNTuple)."""
    branches: dict[str, Any] = {}
    for name, values in hits.items():
        kind = np.float64 if name == "EnergyCell" else np.int32
        branches[name] = ak.values_astype(ak.Array(values), kind)
    table = {"EnergyMC": np.array([1e3, 2e3, 3e3])} if events is None else dict(events)
    with uproot.recreate(path) as file:
        if names[0] == names[1]:
            write_tree(file, names[0], {**table, **branches}, ntuple)
        else:
            write_tree(file, names[0], table, ntuple)
            write_tree(file, names[1], branches, ntuple)
    return path


def write_tree(file: Any, name: str, branches: dict[str, Any], ntuple: bool = False) -> None:
    if ntuple:
        file[name] = branches
        return
    types = {k: ak.Array(v).type.content for k, v in branches.items()}
    file.mktree(name, types).extend(branches)


def test_axes_and_units_of_the_hdf5(tmp_path: Path) -> None:
    mesh = np.zeros((1, *SHAPE), np.float32)
    mesh[0, 2, 5, 40] = 3.0  # rho, phi, z; MeV
    path = mesh_file(
        tmp_path / "a.h5",
        showers=mesh,
        incident_energy=[64000.0],
        incident_theta=[1.2],
        incident_phi=[0.3],
    )
    convert(path, tmp_path / "b.h5")
    showers = open_showers(tmp_path / "b.h5").read()
    assert showers.calorimeter.hash == load_detector("par04-siw").hash
    assert [int(v[0]) for v in showers.calorimeter.cell_coordinates(showers.cell)] == [40, 2, 5]
    assert showers.energy.tolist() == [3.0]
    row = {name: float(column[0]) for name, column in showers.incident.columns.items()}
    assert row == {"energy": 64000.0, "theta": 1.2, "phi": 0.3}


def test_the_high_granularity_is_known_by_its_shape(tmp_path: Path) -> None:
    mesh = np.ones((2, 18, 50, 45), np.float32)
    path = mesh_file(tmp_path / "a.h5", showers=mesh, incident_energy=np.full((2, 1), 1e3))
    convert(path, tmp_path / "b.h5")
    assert open_showers(tmp_path / "b.h5").calorimeter.name == "par04-siw-fine"


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    calorimeters(rings(), regular=True),
    st.integers(0, 2**32),
    st.sampled_from(["a.h5", "a.root"]),
    st.sampled_from([{}, {"theta": 1.1}, {"theta": 1.3, "phi": 0.2}]),
)
def test_any_regular_mesh_makes_the_round_trip(
    tmp_path: Path, calorimeter: Calorimeter, seed: int, name: str, angles: dict[str, float]
) -> None:
    showers = random_deposits(calorimeter, 3, seed, **angles)
    again, notes = there_and_back(tmp_path, showers, "par04", name)
    assert notes == []
    assert_same(again, showers)
    assert set(again.incident) == set(showers.incident)
    for key, value in angles.items():
        assert (again.incident[key] == value).all()
    assert detect(tmp_path / name).name == "par04"


def test_layout_of_what_is_written(tmp_path: Path) -> None:
    showers = random_deposits(load_detector("par04-siw"), 3, 1, theta=1.3)
    store = write_showers(tmp_path / "a.h5", showers)
    cells = showers.dense().reshape(3, 45, 9, 16)
    convert(store, tmp_path / "b.h5", to="par04")
    with h5py.File(tmp_path / "b.h5") as file:
        assert set(file) == {"incident_energy", "incident_theta", "showers"}
        assert file["incident_energy"].shape == (3,)
        assert np.array_equal(file["showers"][:], cells.transpose(0, 2, 3, 1))
    convert(store, tmp_path / "b.root", to="par04")
    with uproot.open(tmp_path / "b.root") as file:  # as Par04's own converter reads it
        energy = file["global"]["EnergyMC"].array(library="np")
        lists = file["virtualReadout"].arrays(list(HITS))
    assert np.array_equal(energy, showers.incident.energy)
    mesh = np.zeros((3, *SHAPE), np.float32)
    for event in range(3):
        rho, phi, z = (np.asarray(lists[k][event]) for k in ("rhoCell", "phiCell", "zCell"))
        mesh[event, rho, phi, z] = np.asarray(lists["EnergyCell"][event])
    assert np.array_equal(mesh, cells.transpose(0, 2, 3, 1))


def test_root_and_hdf5_hold_the_same(tmp_path: Path) -> None:
    showers = random_deposits(load_detector("par04-siw"), 450, 5)  # more than two batches
    showers = showers.above_threshold(3e4)
    showers = showers[showers.hits_per_shower > 0]
    first, _ = there_and_back(tmp_path, showers, "par04", "a.h5")
    second, _ = there_and_back(tmp_path, showers, "par04", "a.root")
    assert_same(first, second)
    with get_source("par04").open(tmp_path / "a.root") as reader:
        part = next(iter(reader.batches(5, start=len(reader) - 5)))
        assert reader.provenance.find_source("generator") == "dice"
    assert_same(part, showers[-5:])


@pytest.mark.parametrize("ntuple", [False, True])
@pytest.mark.parametrize(
    "names", [("global", "virtualReadout"), ("events", "events"), ("mc/one", "out/two")]
)
def test_trees_of_the_versions_of_the_example(
    tmp_path: Path, names: tuple[str, str], ntuple: bool
) -> None:
    path = root_file(tmp_path / "a.root", names=names, ntuple=ntuple)
    assert detect(path).name == "par04"
    convert(path, tmp_path / "b.h5")
    showers = open_showers(tmp_path / "b.h5").read()
    assert showers.calorimeter.name == "par04-siw"
    assert showers.incident.energy.tolist() == [1e3, 2e3, 3e3]
    assert showers.hits_per_shower.tolist() == [2, 1, 2]
    layer, i, j = showers.calorimeter.cell_coordinates(showers.cell)
    assert (layer[:2].tolist(), i[:2].tolist(), j[:2].tolist()) == ([0, 44], [8, 0], [0, 15])
    assert showers.energy[:2].tolist() == [2.0, 2.0]  # the cell that came twice is summed


def test_the_physical_readout_is_not_taken_for_the_mesh(tmp_path: Path) -> None:
    path = root_file(tmp_path / "a.root")
    with uproot.update(path) as file:
        other = {k: ak.values_astype(ak.Array([[1], [1], [1]]), np.int32) for k in HITS}
        write_tree(file, "physicalReadout", other)
    convert(path, tmp_path / "b.h5")
    assert open_showers(tmp_path / "b.h5").read().hits_per_shower.tolist() == [2, 1, 2]


def test_fine_meshes_in_root_are_known_by_their_cells(tmp_path: Path) -> None:
    fine = {**HITS, "phiCell": [[15, 0, 15], [49], [3, 4]]}
    convert(root_file(tmp_path / "a.root", fine), tmp_path / "b.h5")
    assert open_showers(tmp_path / "b.h5").calorimeter.name == "par04-siw-fine"
    with pytest.raises(CaloforgeError, match=r"shower 1 .*\(1, 49, 10\), outside the 9 x 16 x 45"):
        convert(tmp_path / "a.root", tmp_path / "c.h5", detector="par04-siw")


def test_angles_of_newer_root_files(tmp_path: Path) -> None:
    events = {"EnergyMC": np.ones(3), "ThetaMC": np.full(3, 1.2), "PhiMC": np.full(3, -0.5)}
    convert(root_file(tmp_path / "a.root", events=events), tmp_path / "b.h5")
    incident = open_showers(tmp_path / "b.h5").read().incident
    assert incident["theta"].tolist() == [1.2] * 3
    assert incident["phi"].tolist() == [-0.5] * 3


def test_odd_file_names_are_files(tmp_path: Path) -> None:
    showers = random_deposits(load_detector("par04-siw"), 2, 1)
    for name in ("a:b.root", "x.root:tree.root", "a#b?.root", "two::three.root"):
        again, _ = there_and_back(tmp_path, showers, "par04", name)
        assert_same(again, showers)


def test_losses_are_said() -> None:
    columns: dict[str, list[float]] = {
        "energy": [1.0],
        "pdg": [11],
        "theta": [1.2],
        "phi": [0.3],
        "x": [1.0],
        "z": [0.0],
    }
    lost = get_source("par04").losses(Incident(columns))
    assert len(lost) == 2
    assert "pdg" in lost[0]
    assert "x" in lost[1]


def mesh_with(value: float) -> np.ndarray:
    mesh = np.full((4, *SHAPE), 1e-3, np.float32)
    mesh[3, 1, 2, 3] = value
    return mesh


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"showers": None}, ["'showers'", "missing"]),
        ({"incident_energy": None}, ["'incident_energy'", "missing"]),
        ({"showers": np.ones((4, 8, 16, 45))}, ["(4, 8, 16, 45)", "--detector"]),
        ({"showers": np.ones((4, 6480))}, ["(4, 6480)", "--detector"]),
        ({"showers": np.float32(1)}, ["()", "--detector"]),
        ({"showers": np.full((4, *SHAPE), b"a")}, ["'showers'", "not numbers"]),
        ({"incident_energy": np.ones(3)}, ["'incident_energy'", "3 rows"]),
        ({"incident_energy": np.ones((4, 2))}, ["'incident_energy'", "(4, 2)"]),
        ({"incident_energy": np.full(4, np.inf)}, ["energy", "infinite"]),
        ({"incident_energy": np.zeros(4)}, ["energy", "not positive"]),
        ({"incident_theta": np.ones(5)}, ["'incident_theta'", "5 rows"]),
        ({"incident_theta": np.full(4, np.nan)}, ["theta", "NaN"]),
        ({"incident_phi": np.array([b"a"] * 4)}, ["'incident_phi'", "not numbers"]),
        ({"showers": mesh_with(np.nan)}, ["'showers'", "shower 3", "(1, 2, 3)", "nan"]),
        ({"showers": mesh_with(-2.0)}, ["'showers'", "shower 3", "(1, 2, 3)", "-2"]),
        (
            {"showers": np.zeros((0, *SHAPE)), "incident_energy": np.zeros(0)},
            ["'showers'", "no showers"],
        ),
    ],
)
def test_bad_hdf5_is_named(tmp_path: Path, change: dict[str, object], words: list[str]) -> None:
    path = mesh_file(tmp_path / "bad.h5", **change)
    with pytest.raises(CaloforgeError) as caught:
        convert(path, tmp_path / "out.h5", from_="par04")
    for word in ["bad.h5", *words]:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["bad.h5"]


@pytest.mark.parametrize(
    ("hits", "events", "words"),
    [
        ({**HITS, "zCell": [[44, 0], [10], [9, 9]]}, None, ["'zCell'", "differ in length"]),
        ({**HITS, "zCell": [[44, 0, 45], [10], [9, 9]]}, None, ["shower 0", "(0, 15, 45)"]),
        ({**HITS, "rhoCell": [[0, 8, 0], [-1], [2, 2]]}, None, ["shower 1", "(-1, 7, 10)"]),
        ({**HITS, "EnergyCell": [[1, 2, 3], [4], [np.nan, 1]]}, None, ["shower 2", "nan"]),
        ({**HITS, "EnergyCell": [[1, 2, 3], [-4], [1, 1]]}, None, ["shower 1", "-4"]),
        ({k: v for k, v in HITS.items() if k != "phiCell"}, None, ["no tree", "phiCell"]),
        (HITS, {"EnergyTrue": np.ones(3)}, ["no tree", "EnergyMC"]),
        (HITS, {"EnergyMC": np.ones(4)}, ["4 entries of 'EnergyMC'", "3 of 'EnergyCell'"]),
        (HITS, {"EnergyMC": np.array([1.0, np.nan, 1.0])}, ["energy", "NaN"]),
        (HITS, {"EnergyMC": ak.Array([[1.0], [2.0], [3.0]])}, ["'EnergyMC'", "one number"]),
    ],
)
def test_bad_root_is_named(tmp_path: Path, hits: Any, events: Any, words: list[str]) -> None:
    path = root_file(tmp_path / "bad.root", hits, events)
    with pytest.raises(CaloforgeError) as caught:
        convert(path, tmp_path / "out.h5", from_="par04")
    for word in ["bad.root", *words]:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["bad.root"]


def test_root_without_showers(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("global", {"EnergyMC": "float64"})
        file.mktree("virtualReadout", dict.fromkeys(HITS, "var * int32"))
    with pytest.raises(CaloforgeError, match="'EnergyMC' holds no showers"):
        convert(tmp_path / "a.root", tmp_path / "b.h5", from_="par04")


def test_damaged_root_gives_clear_errors(tmp_path: Path) -> None:
    showers = random_deposits(load_detector("par04-siw"), 30, 3).above_threshold(1e3)
    convert(write_showers(tmp_path / "a.h5", showers), tmp_path / "good.root", to="par04")
    good = (tmp_path / "good.root").read_bytes()
    rng = np.random.default_rng(0)
    damaged = 0
    for trial in range(40):
        content = bytearray(good)
        if trial < 15:
            content = content[: int(len(good) * (trial + 0.5) / 15)]
        else:
            start = int(rng.integers(4, len(good) - 40))
            content[start : start + 40] = rng.bytes(40)
        path = tmp_path / "bad.root"
        path.write_bytes(content)
        message = None
        try:
            convert(path, tmp_path / "out.h5", from_="par04")
        except CaloforgeError as error:
            message = str(error)
        if message is not None:
            damaged += 1
            assert "bad.root" in message
            assert "\n" not in message
        get_source("par04").matches(path)  # never raises
    assert damaged >= 25


def test_irregular_and_cartesian_calorimeters_are_refused(tmp_path: Path) -> None:
    for name in ("a.h5", "a.root"):
        for calorimeter, words in (
            (small_calorimeter(), "rings around the shower axis"),
            (load_detector("calochallenge-1-photons"), "same rings in every layer"),
        ):
            store = write_showers(tmp_path / "store.h5", random_deposits(calorimeter, 2, 0))
            with pytest.raises(FormatError, match=words):
                convert(store, tmp_path / name, to="par04")
            assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["out.h5", "out.root"])
def test_full_disk(tmp_path: Path, name: str) -> None:
    store = write_showers(tmp_path / "a.h5", random_deposits(load_detector("par04-siw"), 20, 1))
    (tmp_path / name).write_text("old")
    for limit in (100, 2_000, 100_000):
        done = full_disk(store, tmp_path / name, "par04", limit)
        assert done.returncode == 7, done.stderr
        assert "disk is full" in done.stdout
    assert (tmp_path / name).read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.h5", name]
