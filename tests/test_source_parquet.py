"""Parquet: one row per shower, for data frames; files of Spark and pandas come back in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caloforge.conversion import convert
from caloforge.errors import CaloforgeError, FormatError, GeometryError, ShowerError
from caloforge.geometry import Calorimeter, load_detector
from caloforge.showers import Incident, Provenance, Showers
from caloforge.sources import detect, get_source, source_names
from caloforge.sources.parquet_rows import STEP
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


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(calorimeters(), st.integers(1, 5), st.integers(0, 2**31))
def test_any_calorimeter_survives(
    tmp_path: Path, calorimeter: Calorimeter, n: int, seed: int
) -> None:
    showers = random_sample(calorimeter, n, seed)
    path = write(tmp_path / "a.parquet", "parquet", showers, pieces=[1] if n > 1 else [])
    assert [name for name in source_names() if get_source(name).matches(path)] == ["parquet"]
    again = read(path, "parquet")
    assert same_cells(again, showers)
    assert np.array_equal(again.energy, showers.energy)  # float32 MeV as they are
    assert again.incident.digest() == showers.incident.digest()
    assert again.provenance.find_source("generator") == "dice"


@given(st.data())
@settings(max_examples=15, deadline=None)
def test_any_part_can_be_read_at_any_time(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    n = 3 * STEP + 41
    showers = random_showers(n, small_calorimeter(n=2, layers=2), seed=3)
    folder = tmp_path_factory.mktemp("parts")
    write(folder / "a.parquet", "parquet", showers[: STEP + 7])
    write(folder / "b.parquet", "parquet", showers[STEP + 7 :])
    with get_source("parquet").open(folder) as reader:
        assert len(reader) == n
        for _ in range(3):
            start = data.draw(st.integers(0, n - 1))
            stop = data.draw(st.integers(start + 1, n))
            size = data.draw(st.integers(1, n))
            parts = Showers.concatenate(list(reader.batches(size, start, stop)))
            assert same_cells(parts, showers[start:stop])
            assert np.array_equal(parts.incident.energy, showers.incident.energy[start:stop])


def test_row_groups_and_metadata(tmp_path: Path) -> None:
    showers = random_showers(1300, small_calorimeter(n=2, layers=2))
    path = write(tmp_path / "a.parquet", "parquet", showers, pieces=list(range(100, 1300, 100)))
    with pq.ParquetFile(path) as file:
        groups = [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)]
        assert sum(groups) == 1300
        assert max(groups) <= 512
        assert len(groups) <= 5
        metadata = file.schema_arrow.metadata
        geometry = Calorimeter.from_yaml(metadata[b"caloforge_geometry"].decode())
        assert geometry == showers.calorimeter
        assert Provenance.from_json(metadata[b"caloforge_provenance"].decode()).step == "test"
        assert file.schema_arrow.field("hit_energy").type == pa.list_(pa.float32())
        assert file.schema_arrow.field("hit_cell").type == pa.list_(pa.uint32())


def test_pandas_reads_it(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    showers = random_showers(4)
    frame = pandas.read_parquet(write(tmp_path / "a.parquet", "parquet", showers))
    assert np.allclose(frame["hit_energy"].map(sum), showers.total_energy, rtol=1e-6)
    frame.to_parquet(tmp_path / "b.parquet")
    assert same_cells(read(tmp_path / "b.parquet", "parquet", showers.calorimeter), showers)


def test_layers_can_be_summed_without_the_geometry(tmp_path: Path) -> None:
    showers = random_showers(4)
    table = pq.read_table(write(tmp_path / "a.parquet", "parquet", showers))
    rows = table.select(["hit_layer", "hit_energy"]).to_pylist()
    sums = [np.bincount(r["hit_layer"], r["hit_energy"], minlength=4) for r in rows]
    assert np.allclose(sums, showers.layer_energy, rtol=1e-6)


def table_file(path: Path, **change: Any) -> Path:
    """Four showers in ``small`` as others write them; None leaves a column out."""
    content: dict[str, Any] = {
        "energy": [5e4, 6e4, 7e4, 8e4],
        "label": ["a", "b", "c", "d"],
        "hit_cell": [[3, 1], [2], [0, 5, 99], [7]],
        "hit_energy": [[1.0, 2.0], [3.0], [0.0, 1.0, 1.0], [4.0]],
    }
    columns = {k: v for k, v in {**content, **change}.items() if v is not None}
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    ("cell", "energy"),
    [
        (pa.list_(pa.int64()), pa.list_(pa.float64())),
        (pa.large_list(pa.uint32()), pa.large_list(pa.float32())),
        (pa.list_(pa.int32()), pa.large_list(pa.float32())),
    ],
)
def test_files_of_others_need_a_detector(
    tmp_path: Path, cell: pa.DataType, energy: pa.DataType
) -> None:
    cells = pa.array([[3, 1], [2], [0, 5, 99], [7]], cell)
    energies = pa.array([[1.0, 2.0], [3.0], [0.0, 1.0, 1.0], [4.0]], energy)
    path = table_file(tmp_path / "a.parquet", hit_cell=cells, hit_energy=energies)
    assert detect(path).name == "parquet"
    with pytest.raises(FormatError, match="--detector"):
        read(path, "parquet")
    showers = read(path, "parquet", small_calorimeter(), size=3)
    assert showers.cell.tolist() == [1, 3, 2, 5, 99, 7]
    assert showers.energy.tolist() == [2.0, 1.0, 3.0, 1.0, 1.0, 4.0]
    assert showers.incident.energy.tolist() == [5e4, 6e4, 7e4, 8e4]


def test_a_folder_of_files_is_one_data_set(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    showers = random_showers(9)
    write(folder / "part-1.parquet", "parquet", showers[5:])
    write(folder / "part-0.parquet", "parquet", showers[:5])
    (folder / "_SUCCESS").write_text("")
    (folder / "._part.parquet").write_text("not parquet")
    assert [name for name in source_names() if get_source(name).matches(folder)] == ["parquet"]
    convert(folder, tmp_path / "store.h5")
    assert same_cells(read(tmp_path / "store.h5", "caloforge"), showers)
    assert same_cells(read(folder, "parquet", start=4, size=3), showers[4:])
    write(folder / "part-2.parquet", "parquet", random_showers(2, small_calorimeter(n=4)))
    with pytest.raises(GeometryError, match=r"part-2\.parquet"):
        read(folder, "parquet")
    write(folder / "part-2.parquet", "parquet", random_sample(small_calorimeter(), 2, 0))
    with pytest.raises(FormatError, match="different columns"):
        read(folder, "parquet")


def test_ours_knows_its_own_calorimeter(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", "parquet", random_showers(2))
    with pytest.raises(GeometryError):
        read(path, "parquet", load_detector("lcd-ecal"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"energy": None}, ["energy", "missing"]),
        ({"hit_cell": None}, ["hit_cell", "missing"]),
        ({"hit_energy": None}, ["hit_energy", "missing"]),
        ({"energy": ["a", "b", "c", "d"]}, ["energy", "string", "numbers"]),
        ({"energy": [1e3, None, 2e3, 3e3]}, ["energy", "shower 1", "null"]),
        ({"energy": [1e3, np.nan, 2e3, 3e3]}, ["energy", "NaN"]),
        ({"energy": [1e3, -1.0, 2e3, 3e3]}, ["energy", "not positive"]),
        ({"pdg": [11, 22, None, 11]}, ["pdg", "shower 2"]),
        ({"hit_cell": [1, 2, 3, 4]}, ["hit_cell", "int64", "lists of whole numbers"]),
        ({"hit_cell": [[3.0, 1.0], [2.0], [0.0, 5.0, 9.0], [7.0]]}, ["hit_cell", "whole"]),
        ({"hit_cell": [[3, 1], [2], [0, 5], [7]]}, ["shower 2", "hit_cell", "hit_energy"]),
        ({"hit_cell": [[3, 1], [2], [0, 5, 100], [7]]}, ["shower 2", "cell 100"]),
        ({"hit_cell": [[3, 1], [-1], [0, 5, 9], [7]]}, ["shower 1", "cell -1"]),
        ({"hit_cell": [[3, 1], None, [0, 5, 9], [7]]}, ["shower 1", "hit_cell", "null"]),
        ({"hit_cell": [[3, 1], [2], [0, None, 9], [7]]}, ["shower 2", "hit_cell", "null"]),
        ({"hit_energy": [[1.0, np.nan], [3.0], [0, 1.0, 1.0], [4.0]]}, ["shower 0", "nan"]),
        ({"hit_energy": [[1.0, 1.0], [3.0], [0, 1.0, 1.0], [-4.0]]}, ["shower 3", "-4"]),
        ({"hit_energy": [["a"], ["b"], ["c"], ["d"]]}, ["hit_energy", "lists of numbers"]),
    ],
)
def test_bad_input_names_file_and_column(
    tmp_path: Path, change: dict[str, Any], words: list[str]
) -> None:
    path = table_file(tmp_path / "bad.parquet", **change)
    with pytest.raises(CaloforgeError) as caught:
        convert(path, tmp_path / "out.h5", from_="parquet", detector=small_calorimeter())
    assert all(word in str(caught.value) for word in ["bad.parquet", *words]), caught.value
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["bad.parquet"]


def test_what_is_not_such_a_file(tmp_path: Path) -> None:
    source = get_source("parquet")
    (tmp_path / "text.parquet").write_text("PAR1 is not enough")
    (tmp_path / "empty").mkdir()
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    for name, words in {
        "none.parquet": "no such file",
        "empty": "without Parquet files",
        "text.parquet": "damaged",
        "other.parquet": "'energy' is missing",
    }.items():
        assert not source.matches(tmp_path / name)
        with pytest.raises(FormatError, match=words):
            source.open(tmp_path / name, small_calorimeter())
    assert not source.matches(SAMPLES / "electrons_test.h5")
    with pytest.raises(FormatError, match="not a Parquet file"):
        source.open(SAMPLES / "electrons_test.h5")
    empty = table_file(tmp_path / "rows.parquet")
    pq.write_table(pq.read_table(empty).slice(0, 0), empty)
    with pytest.raises(ShowerError, match="no showers"):
        source.open(empty, small_calorimeter())


def test_damage_is_an_error_or_harmless(tmp_path: Path) -> None:
    showers = random_showers(20)
    path = write(tmp_path / "a.parquet", "parquet", showers)
    whole = path.read_bytes()
    for size in (3, 50, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert not get_source("parquet").matches(path)
        with pytest.raises(FormatError, match=r"a\.parquet"):
            read(path, "parquet")
    path.write_bytes(whole)
    flip_bytes(path, "parquet", showers, 80)


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    showers = random_showers(3)
    path = write(tmp_path / "a.parquet", "parquet", showers)
    only_energy = Incident({"energy": showers.incident.energy})
    fewer = Showers(showers.calorimeter, only_energy, showers.offset, showers.cell, showers.energy)
    with (
        pytest.raises(ShowerError, match="'pdg'"),
        get_source("parquet").create(path, showers.calorimeter, showers.provenance) as writer,
    ):
        writer.append(showers)
        writer.append(fewer)
    assert [p.name for p in tmp_path.iterdir()] == ["a.parquet"]
    assert same_cells(read(path, "parquet"), showers)


@pytest.mark.parametrize("limit", [2, 20_000, 60_000])
def test_full_disk(tmp_path: Path, limit: int) -> None:
    said = convert_with_full_disk(
        SAMPLES / "electrons_test.h5", tmp_path / "out.parquet", "parquet", limit
    )
    assert "disk is full" in said
    assert list(tmp_path.iterdir()) == []
