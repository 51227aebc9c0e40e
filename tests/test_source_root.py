"""Flat ROOT trees: ours for everybody, those of others by their branch names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caloforge.conversion import convert
from caloforge.errors import CaloforgeError, FormatError, GeometryError, OutputError, ShowerError
from caloforge.geometry import Calorimeter, load_detector
from caloforge.showers import Incident, Provenance, Showers
from caloforge.sources import detect, get_source, source_names
from caloforge.sources.root_files import new_root, open_root, root_text
from caloforge.sources.root_layouts import RootOptions
from calorimeters import (
    calorimeters,
    convert_with_full_disk,
    flip_bytes,
    random_sample,
    read,
    same_cells,
    write,
)
from helpers import SAMPLES, random_showers, small_calorimeter

BOTH = "lcd-ecal-25+lcd-hcal"


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(calorimeters(), st.integers(1, 5), st.integers(0, 2**31))
def test_any_calorimeter_survives(
    tmp_path: Path, calorimeter: Calorimeter, n: int, seed: int
) -> None:
    showers = random_sample(calorimeter, n, seed)
    path = write(tmp_path / "a.root", "root", showers, pieces=[1] if n > 1 else [])
    assert [name for name in source_names() if get_source(name).matches(path)] == ["root"]
    again = read(path, "root", size=2)
    assert same_cells(again, showers)
    assert np.array_equal(again.energy, showers.energy)  # float32 MeV as they are
    assert again.incident.digest() == showers.incident.digest()
    assert again.provenance.find_source("generator") == "dice"
    part = read(path, "root", start=n // 2)
    assert same_cells(part, showers[n // 2 :])


def test_the_tree_is_what_root_users_expect(tmp_path: Path) -> None:
    showers = random_showers(3)
    path = write(tmp_path / "a.root", "root", showers)
    with uproot.open(path) as file:
        tree = file["showers"]
        assert tree.typenames() == {
            "energy": "double",
            "pdg": "int32_t",
            "caloforge_checksum": "uint32_t",
            "nhit": "int32_t",
            "hit_cell": "uint32_t[]",
            "hit_layer": "int32_t[]",
            "hit_i": "int32_t[]",
            "hit_j": "int32_t[]",
            "hit_energy": "float[]",
        }
        arrays = tree.arrays(library="ak")
        assert np.allclose(ak.to_numpy(ak.sum(arrays["hit_energy"], axis=1)), showers.total_energy)
        assert np.allclose(arrays["energy"], showers.incident.energy)  # MeV
        layer, i, j = showers.calorimeter.cell_coordinates(showers.cell)
        for name, values in (("layer", layer), ("i", i), ("j", j)):
            assert (ak.to_numpy(ak.flatten(arrays[f"hit_{name}"])) == values).all()
        assert Provenance.from_json(str(file["caloforge_provenance"])).step == "test"
        assert Calorimeter.from_yaml(str(file["caloforge_geometry"])) == showers.calorimeter


@pytest.mark.parametrize("name", ["a:b.root", "http:x.root", "a.root:showers", "ü ß.root"])
def test_names_have_no_meaning(tmp_path: Path, name: str) -> None:
    showers = random_showers(2)
    path = write(tmp_path / name, "root", showers)
    assert detect(path).name == "root"
    assert same_cells(read(path, "root"), showers)
    with open_root(path) as file:
        assert root_text(file, "caloforge_provenance") is not None
        assert root_text(file, "no such key") is None


def write_tree(file: Any, name: str, content: dict[str, Any]) -> None:
    there = {key: value for key, value in content.items() if value is not None}
    kinds = {
        key: value.dtype if isinstance(value, np.ndarray) else str(value.type.content)
        for key, value in there.items()
    }
    file.mktree(name, kinds).extend(there)


def tree_file(path: Path, tree: str = "showers", **change: Any) -> Path:
    """Four showers in ``small`` as a user may write them; None leaves a branch out."""
    content: dict[str, Any] = {
        "energy": np.full(4, 5e4),
        "hit_cell": ak.Array([[3, 1], [2], [0, 5, 99], [7]]),
        "hit_energy": ak.Array([[1.0, 2.0], [3.0], [0.0, 1.0, 1.0], [4.0]]),
    }
    with uproot.recreate(path) as file:
        write_tree(file, tree, {**content, **change})
    return path


def test_trees_of_users_need_their_detector(tmp_path: Path) -> None:
    path = tree_file(tmp_path / "a.root")
    assert detect(path).name == "root"
    with pytest.raises(FormatError, match="--detector"):
        read(path, "root")
    showers = read(path, "root", small_calorimeter())
    assert showers.cell.tolist() == [1, 3, 2, 5, 99, 7]
    assert showers.energy.tolist() == [2.0, 1.0, 3.0, 1.0, 1.0, 4.0]
    with pytest.raises(GeometryError):  # ours knows its own
        read(
            write(tmp_path / "b.root", "root", random_showers(2)), "root", load_detector("lcd-ecal")
        )


def test_ntuples_of_new_root_are_read_too(tmp_path: Path) -> None:
    lists = {"hit_cell": [[3, 1], [2]], "hit_energy": [[1.0, 2.0], [3.0]]}
    with uproot.recreate(tmp_path / "a.root") as file:
        arrays = {name: ak.Array(values) for name, values in lists.items()}
        file.mkrntuple("showers", {**arrays, "energy": np.full(2, 5e4)})
        assert file.classnames() == {"showers;1": "ROOT::RNTuple"}
    assert detect(tmp_path / "a.root").name == "root"
    showers = read(tmp_path / "a.root", "root", small_calorimeter())
    assert showers.cell.tolist() == [1, 3, 2]


def test_indices_and_other_names(tmp_path: Path) -> None:
    calorimeter = small_calorimeter()
    lists = {"l": [[3, 0]], "a": [[4, 1]], "b": [[0, 2]], "dep": [[0.5, 1.5]]}
    path = tree_file(
        tmp_path / "a.root",
        tree="mine",
        **{name: ak.Array(values) for name, values in lists.items()},
        energy=None,
        hit_cell=None,
        hit_energy=None,
        E0=np.array([20.0]),
        id=np.array([22]),
    )
    options = {"tree": "mine", "energy": "E0", "pdg": "id", "layer": "l", "i": "a", "j": "b"}
    with pytest.raises(FormatError, match="no branch 'hit_energy'.*dep"):
        read(path, "root", calorimeter, RootOptions(**options))
    options["hit_energy"] = "dep"
    with pytest.raises(FormatError, match="hit_unit=MeV"):
        read(path, "root", calorimeter, RootOptions(**options))
    showers = read(path, "root", calorimeter, RootOptions(**options, hit_unit="GeV"))
    assert showers.cell.tolist() == [0 * 25 + 1 * 5 + 2, 3 * 25 + 4 * 5 + 0]
    assert showers.energy.tolist() == [1500.0, 500.0]
    assert showers.incident.energy == pytest.approx(20e3)  # GeV unless said
    assert showers.incident["pdg"].tolist() == [22]
    with pytest.raises(FormatError, match="no tree 'other', only mine"):
        read(path, "root", calorimeter, RootOptions(tree="other"))
    with pytest.raises(FormatError, match="--option tree"):
        read(path, "root", calorimeter)


def ecal_tree(path: Path, **change: Any) -> Path:
    content = {
        "energy": np.array([50.0, 60.0]),
        "pdgID": np.array([11, 22]),
        "theta": np.array([1.5, 1.2]),
        "ecal_ix": ak.Array([[3, 24], [0]]),
        "ecal_iy": ak.Array([[4, 0], [1]]),
        "ecal_iz": ak.Array([[5, 24], [2]]),
        "ecal_E": ak.Array([[1.0, 2.0], [3.0]]),
        "hcal_ix": ak.Array([[10], [0]]),
        "hcal_iy": ak.Array([[9], [1]]),
        "hcal_iz": ak.Array([[59], [0]]),
        "hcal_E": ak.Array([[4.0], [5.0]]),
    }
    with uproot.recreate(path) as file:
        write_tree(file, "ecalTree", {**content, **change})
    return path


def test_lcd_trees_are_recognised(tmp_path: Path) -> None:
    path = ecal_tree(tmp_path / "a.root")
    assert detect(path).name == "root"
    calorimeter = load_detector(BOTH)
    with pytest.raises(FormatError, match="hit_unit"):
        read(path, "root", calorimeter)
    showers = read(path, "root", calorimeter, RootOptions(hit_unit="50GeV"))
    layer, i, j = calorimeter.cell_coordinates(showers.cell)
    found = list(zip(layer, i, j, showers.energy, showers.hit_shower, strict=True))
    assert found == [
        (5, 3, 4, 20.0, 0),
        (24, 24, 0, 40.0, 0),
        (84, 10, 9, 80.0, 0),
        (2, 0, 1, 60.0, 1),
        (25, 0, 1, 100.0, 1),
    ]
    assert showers.incident.energy.tolist() == [50e3, 60e3]
    assert showers.incident["theta"].tolist() == [1.5, 1.2]
    with pytest.raises(FormatError, match="2 sub-detectors"):
        read(path, "root", load_detector("lcd-ecal-25"), RootOptions(hit_unit="GeV"))


def test_lcd_layers_do_not_spill_into_the_hcal(tmp_path: Path) -> None:
    path = ecal_tree(tmp_path / "a.root", ecal_iz=ak.Array([[5, 24], [25]]))
    with pytest.raises(ShowerError, match="shower 1: no cell \\(layer 25"):
        read(path, "root", load_detector(BOTH), RootOptions(hit_unit="GeV"))


def test_plain_lcd_trees(tmp_path: Path) -> None:
    content = {"x": [[1]], "y": [[2]], "z": [[3]], "E": [[0.5]]}
    with uproot.recreate(tmp_path / "a.root") as file:
        arrays = {name: ak.Array(values) for name, values in content.items()}
        write_tree(file, "ecalTree", {**arrays, "energy": np.array([10.0])})
    showers = read(
        tmp_path / "a.root", "root", small_calorimeter(), RootOptions(hit_unit="GeV"), size=1
    )
    assert showers.cell.tolist() == [3 * 25 + 1 * 5 + 2]
    assert showers.energy.tolist() == [500.0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"energy": None}, ["energy", "hit_cell"]),
        ({"hit_energy": None}, ["hit_energy"]),
        ({"hit_cell": None}, ["hit_layer"]),
        ({"energy": np.full(4, np.nan)}, ["energy", "NaN"]),
        ({"energy": np.zeros(4)}, ["energy", "not positive"]),
        ({"energy": ak.Array([[1.0], [2.0], [3.0], [4.0]])}, ["energy", "one number per shower"]),
        ({"pdg": np.full(4, 0.5)}, ["pdg"]),
        ({"hit_cell": np.arange(4)}, ["hit_cell", "list"]),
        ({"hit_cell": ak.Array([[3.0, 1.0], [2.0], [0.0, 5.0, 9.0], [7.0]])}, ["whole numbers"]),
        ({"hit_cell": ak.Array([[3], [2], [0, 5, 9], [7]])}, ["shower 0", "'hit_cell'"]),
        ({"hit_cell": ak.Array([[3, 1], [2], [0, 100, 9], [7]])}, ["shower 2", "cell 100"]),
        ({"hit_cell": ak.Array([[3, 1], [-2], [0, 10, 9], [7]])}, ["shower 1", "cell -2"]),
        ({"hit_energy": ak.Array([[1.0, np.nan], [3.0], [0, 1.0, 1.0], [4.0]])}, ["shower 0"]),
        ({"hit_energy": ak.Array([[1.0, 1.0], [3.0], [0, 1.0, 1.0], [-4.0]])}, ["shower 3", "-4"]),
    ],
)
def test_bad_input_names_file_and_branch(
    tmp_path: Path, change: dict[str, Any], words: list[str]
) -> None:
    path = tree_file(tmp_path / "bad.root", **change)
    with pytest.raises(CaloforgeError) as caught:
        convert(path, tmp_path / "out.h5", from_="root", detector=small_calorimeter())
    assert all(word in str(caught.value) for word in ["bad.root", *words]), caught.value
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["bad.root"]


def test_hits_of_one_cell_are_summed(tmp_path: Path) -> None:
    path = tree_file(tmp_path / "a.root", hit_cell=ak.Array([[3, 3], [2], [5, 0, 5], [7]]))
    showers = read(path, "root", small_calorimeter())
    assert showers.cell.tolist() == [3, 2, 0, 5, 7]
    assert showers.energy.tolist() == [3.0, 3.0, 1.0, 1.0, 4.0]


def test_a_tree_without_showers(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree(
            "showers", {"energy": "float64", "hit": "var * {cell: uint32, energy: float32}"}
        )
    with pytest.raises(ShowerError, match="no showers"):
        read(tmp_path / "a.root", "root", small_calorimeter())


def test_what_is_not_such_a_file(tmp_path: Path) -> None:
    source = get_source("root")
    (tmp_path / "text.root").write_text("root is not enough")
    (tmp_path / "folder.root").mkdir()
    with uproot.recreate(tmp_path / "other.root") as file:
        write_tree(file, "events", {"a": np.ones(3)})
    for name, words in {
        "none.root": "no such file",
        "folder.root": "folder",
        "text.root": "damaged",
        "other.root": "only events",
    }.items():
        assert not source.matches(tmp_path / name)
        with pytest.raises(FormatError, match=words):
            source.open(tmp_path / name, small_calorimeter())
    assert not source.matches(SAMPLES / "electrons_test.h5")
    with pytest.raises(FormatError, match="not a ROOT file"):
        source.open(SAMPLES / "electrons_test.h5")
    with pytest.raises(FormatError, match="a ROOT file of unknown layout"):
        detect(tmp_path / "other.root")


def test_damage_is_an_error_or_harmless(tmp_path: Path) -> None:
    showers = random_showers(20)
    path = write(tmp_path / "a.root", "root", showers)
    whole = path.read_bytes()
    for size in (3, 50, len(whole) // 3, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert not get_source("root").matches(path) or size > 1000
        with pytest.raises(FormatError, match=r"a\.root"):
            read(path, "root")
    path.write_bytes(whole)
    flip_bytes(path, "root", showers, 80)


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    showers = random_showers(3)
    path = write(tmp_path / "a.root", "root", showers)
    fewer = Showers(
        showers.calorimeter,
        Incident({"energy": showers.incident.energy}),
        showers.offset,
        showers.cell,
        showers.energy,
    )
    with (
        pytest.raises(ShowerError, match="'pdg'"),
        get_source("root").create(path, showers.calorimeter, showers.provenance) as writer,
    ):
        writer.append(showers)
        writer.append(fewer)
    assert [p.name for p in tmp_path.iterdir()] == ["a.root"]
    assert same_cells(read(path, "root"), showers)
    with pytest.raises(OutputError, match="mkdir"), new_root(tmp_path / "no" / "a.root"):
        pass


@pytest.mark.parametrize("limit", [200, 20_000, 60_000])
def test_full_disk(tmp_path: Path, limit: int) -> None:
    said = convert_with_full_disk(
        SAMPLES / "electrons_test.h5", tmp_path / "out.root", "root", limit
    )
    assert "disk is full" in said
    assert list(tmp_path.iterdir()) == []
