"""The store: exact, partial reads, and one clear error for every damaged or foreign file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from caloforge.errors import CaloforgeError, FormatError, GeometryError, OutputError, ShowerError
from caloforge.showers import Incident, Showers
from caloforge.store import ShowerDataset, StoreWriter, open_showers, write_index, write_showers
from helpers import random_showers, small_calorimeter


def same(a: Showers, b: Showers) -> bool:
    return (
        a.calorimeter.hash == b.calorimeter.hash
        and np.array_equal(a.offset, b.offset)
        and np.array_equal(a.cell, b.cell)
        and np.array_equal(a.energy, b.energy)
        and list(a.incident) == list(b.incident)
        and all(np.array_equal(a.incident[k], b.incident[k]) for k in a.incident)
    )


def leftovers(folder: Path) -> list[str]:
    return [p.name for p in folder.iterdir() if "partial" in p.name]


def test_reads_back_exactly(tmp_path: Path) -> None:
    showers = random_showers(50)
    with open_showers(write_showers(tmp_path / "a.h5", showers)) as reader:
        assert len(reader) == 50
        assert same(reader.read(), showers)
        assert same(reader.read(10, 20), showers[10:20])
        assert same(Showers.concatenate(list(reader.batches(7))), showers)
        assert np.array_equal(reader.incident(3, 5).energy, showers.incident.energy[3:5])
        assert reader.provenance.to_dict() == showers.provenance.to_dict()


def test_appending_batches_is_writing_at_once(tmp_path: Path) -> None:
    showers = random_showers(30)
    with StoreWriter(tmp_path / "a.h5", showers.calorimeter, showers.provenance) as writer:
        for batch in showers.batches(8):
            writer.append(batch)
        assert len(writer) == 30
    assert same(open_showers(tmp_path / "a.h5").read(), showers)


def test_schema_is_the_documented_one(tmp_path: Path) -> None:
    write_showers(tmp_path / "a.h5", random_showers(3))
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["schema"] == 1
        assert {"geometry", "provenance"} <= set(file.attrs)
        types = {name: file[f"showers/{name}"].dtype.str for name in file["showers"]}
        assert types == {"offset": "<u8", "cell": "<u4", "energy": "<f4"}
        assert set(file["incident"]) == {"energy", "pdg"}
        assert file["incident/energy"].shape == (3,)


def test_empty_showers_are_kept(tmp_path: Path) -> None:
    calorimeter = small_calorimeter()
    showers = Showers(calorimeter, Incident({"energy": [1.0, 2.0]}), [0, 0, 0], [], [])
    assert same(open_showers(write_showers(tmp_path / "a.h5", showers)).read(), showers)


def test_a_failed_write_leaves_nothing_and_keeps_the_old(tmp_path: Path) -> None:
    old = random_showers(4)
    path = write_showers(tmp_path / "a.h5", old)
    with (
        pytest.raises(RuntimeError, match="stop"),
        StoreWriter(path, old.calorimeter, old.provenance) as writer,
    ):
        writer.append(random_showers(9, seed=1))
        raise RuntimeError("stop")
    assert same(open_showers(path).read(), old)
    assert leftovers(tmp_path) == []


def test_no_showers_is_an_error(tmp_path: Path) -> None:
    showers = random_showers(1)
    with pytest.raises(ShowerError, match="no showers to write"):
        write_showers(tmp_path / "a.h5", showers[:0])
    assert list(tmp_path.iterdir()) == []


def test_missing_folder_says_mkdir(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="mkdir -p"):
        write_showers(tmp_path / "none" / "a.h5", random_showers(1))


def test_output_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a folder"):
        write_showers(tmp_path, random_showers(1))


def test_geometry_of_a_batch_must_match(tmp_path: Path) -> None:
    first = random_showers(2)
    with (
        pytest.raises(GeometryError),
        StoreWriter(tmp_path / "a.h5", first.calorimeter, first.provenance) as writer,
    ):
        writer.append(random_showers(2, small_calorimeter(n=7)))
    assert leftovers(tmp_path) == []


def test_a_batch_that_lacks_a_column(tmp_path: Path) -> None:
    first = random_showers(2)
    bare = Showers(
        first.calorimeter,
        Incident({"energy": first.incident.energy}),
        first.offset,
        first.cell,
        first.energy,
    )
    with (
        pytest.raises(ShowerError, match="no column 'pdg'"),
        StoreWriter(tmp_path / "a.h5", first.calorimeter, first.provenance) as writer,
    ):
        writer.append(first)
        writer.append(bare)


FULL_DISK = """
import resource, signal, sys
sys.path.insert(0, sys.argv[2])
from helpers import random_showers, small_calorimeter
from caloforge.errors import OutputError
from caloforge.store import write_showers
showers = random_showers(400, small_calorimeter(n=15, layers=10))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_showers(sys.argv[1], showers)
except OutputError as error:
    print(error)
    sys.exit(7)
"""


def test_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "a.h5"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(target), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert "disk is full" in done.stdout
    assert str(target) in done.stdout
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def truncate(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size // 2)


def overwrite_with_text(path: Path) -> None:
    path.write_text("energy,theta\n1,2\n" * 200)


def flip_bytes_in_hits(path: Path) -> None:
    with h5py.File(path) as file:
        place = file["showers/energy"].id.get_chunk_info(0)
    with path.open("r+b") as stream:
        stream.seek(place.byte_offset + place.size // 2)
        old = stream.read(8)
        stream.seek(place.byte_offset + place.size // 2)
        stream.write(bytes(b ^ 0xFF for b in old))


def drop_cells(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["showers/cell"]


def drop_geometry(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file.attrs["geometry"]


def newer_schema(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["schema"] = 99


def shorten_energy(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["showers/energy"].resize(3, axis=0)


def put_nan(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["showers/energy"][5] = np.nan


def put_negative_incident(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["incident/energy"][2] = -5.0


def empty_file(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (truncate, "truncated"),
        (overwrite_with_text, "not an HDF5 file"),
        (empty_file, "HDF5"),
        (flip_bytes_in_hits, "showers/energy"),
        (drop_cells, "showers/cell"),
        (drop_geometry, "geometry"),
        (newer_schema, "schema 99"),
        (shorten_energy, "offset"),
        (put_nan, "nan"),
        (put_negative_incident, "not positive"),
    ],
)
def test_damage_is_one_line_that_names_the_file(tmp_path: Path, damage: object, word: str) -> None:
    path = write_showers(tmp_path / "broken.h5", random_showers(20))
    assert callable(damage)
    damage(path)
    with pytest.raises(CaloforgeError) as caught:
        open_showers(path).read()
    message = str(caught.value)
    assert "broken.h5" in message
    assert word in message
    assert "\n" not in message


def test_missing_file_and_foreign_hdf5(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no such file"):
        open_showers(tmp_path / "none.h5")
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["x"] = [1]
    with pytest.raises(FormatError, match="caloforge convert"):
        open_showers(tmp_path / "foreign.h5")


def test_a_file_without_showers(tmp_path: Path) -> None:
    path = write_showers(tmp_path / "a.h5", random_showers(2))
    with h5py.File(path, "r+") as file:
        file["showers/offset"].resize(1, axis=0)
        file["showers/cell"].resize(0, axis=0)
        file["showers/energy"].resize(0, axis=0)
    with pytest.raises(ShowerError, match="no showers"):
        open_showers(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads and writes everything")
def test_no_permission(tmp_path: Path) -> None:
    path = write_showers(tmp_path / "a.h5", random_showers(2))
    path.chmod(0)
    with pytest.raises(FormatError, match="permission"):
        open_showers(path)


def test_shards_read_like_one_file(tmp_path: Path) -> None:
    showers = random_showers(25)
    for number, part in enumerate(showers.batches(10)):
        write_showers(tmp_path / f"shard-{number}.h5", part)
    write_index(tmp_path)
    with open_showers(tmp_path) as reader:
        assert isinstance(reader, ShowerDataset)
        assert len(reader) == 25
        assert same(reader.read(), showers)
        assert same(reader.read(8, 22), showers[8:22])
        assert np.array_equal(reader.incident(9, 11).energy, showers.incident.energy[9:11])


def test_shards_that_do_not_match_their_index(tmp_path: Path) -> None:
    write_showers(tmp_path / "shard-0.h5", random_showers(5))
    write_index(tmp_path)
    write_showers(tmp_path / "shard-0.h5", random_showers(4))
    with pytest.raises(FormatError, match="index"):
        open_showers(tmp_path).read()
    (tmp_path / "index.json").write_text("{")
    with pytest.raises(FormatError, match="unreadable index"):
        open_showers(tmp_path)
    (tmp_path / "index.json").unlink()
    with pytest.raises(FormatError, match="write_index"):
        open_showers(tmp_path)
