"""Damaged files, odd files, full disks and extreme showers, through every format."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from caloforge.conversion import convert
from caloforge.data import BatchPlan, ShowerLoader, StoredBlocks
from caloforge.errors import CaloforgeError, FormatError, ShowerError
from caloforge.geometry import Calorimeter, load_detector
from caloforge.showers import Incident, Showers
from caloforge.sources import get_source, source_names
from caloforge.store import open_showers, write_showers
from fault_cases import (
    FOREIGN_PODIO,
    WITHOUT_CHECKSUM,
    Case,
    calorimeter_for,
    cases,
    cuts,
    equal,
    flips,
    judge,
    sample,
)

CASES = cases()
WRITTEN = [name for name in CASES if name != FOREIGN_PODIO]


def converted(case: Case, path: Path, folder: Path, expected: Showers) -> bool:
    """Convert to a store over an earlier file: the same showers (True), or one clear error."""
    output = folder / "out.h5"
    earlier = b"what was here before"
    output.write_bytes(earlier)
    said = ""
    try:
        convert(path, output, detector=case.detector, drop_empty=True)
    except CaloforgeError as error:
        said = str(error)
    if said:
        assert path.name in said
        assert "\n" not in said
        assert output.read_bytes() == earlier
    else:
        with open_showers(output) as reader:
            found = reader.read()
        expected = expected[expected.hits_per_shower > 0]
        assert equal(found, expected) or case.name in WITHOUT_CHECKSUM
    assert list(folder.iterdir()) == [output]
    return not said


@pytest.mark.parametrize("name", CASES)
def test_files_that_end_early(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    path = case.write(tmp_path)
    expected = case.read(path)
    out = tmp_path / "out"
    out.mkdir()
    assert converted(case, path, out, expected)
    bad = path.with_name(f"cut{case.suffix}")
    for length, content in cuts(path.read_bytes()):
        bad.write_bytes(content)
        assert not converted(case, bad, out, expected), length


@pytest.mark.parametrize("name", CASES)
def test_flipped_bytes(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    path = case.write(tmp_path)
    expected = case.read(path)
    out = tmp_path / "out"
    out.mkdir()
    bad = path.with_name(f"flipped{case.suffix}")
    seen: Counter[str] = Counter()
    slow = case.suffix.endswith(".root")  # reading one takes 30 ms
    for number, (place, content) in enumerate(flips(path.read_bytes(), 35 if slow else 100, 2)):
        bad.write_bytes(content)
        verdict, said = judge(case, bad, expected)
        assert verdict != "foreign", (place, said)
        assert verdict != "other" or name in WITHOUT_CHECKSUM, place
        seen[verdict] += 1
        if number % 12 == 0:
            assert converted(case, bad, out, expected) == (verdict != "error"), place
    assert seen["error"]


ODD = {
    "empty": b"",
    "zeros": bytes(4096),
    "text": b"energy,theta\n1,2\n" * 200,
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(4000),
    "root": b"root" + bytes(4000),
    "parquet": b"PAR1" + bytes(4000) + b"PAR1",
}


@pytest.mark.parametrize("name", source_names())
@pytest.mark.parametrize("kind", [*ODD, "folder", "missing", "unreadable"])
def test_files_that_are_something_else(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / "odd.h5"
    if kind == "folder":
        path.mkdir()
    elif kind == "unreadable":
        if os.geteuid() == 0:
            pytest.skip("root reads everything")
        Case(name, name, ".h5").write(tmp_path).rename(path)
        path.chmod(0)
    elif kind in ODD:
        path.write_bytes(ODD[kind])
    out = tmp_path / "out"
    out.mkdir()
    for said in (name, None):
        with pytest.raises(CaloforgeError, match=r"odd\.h5") as caught:
            convert(path, out / "a.h5", from_=said)
        assert "\n" not in str(caught.value)
    assert list(out.iterdir()) == []


FULL_DISK = """
import json, resource, signal, sys
from pathlib import Path
from caloforge.conversion import convert
from caloforge.errors import OutputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
said = []
for source, target, to, whole in json.loads(sys.argv[1]):
    for limit in (0, 1, 700, whole // 3, whole * 2 // 3, whole - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            convert(source, target, to=to)
            error = "written"
        except OutputError as caught:
            error = str(caught)
        except BaseException as caught:
            error = f"foreign: {type(caught).__name__}: {caught}"
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        left = sorted(item.name for item in Path(target).parent.iterdir())
        said.append((to, limit, error, left, Path(target).read_text() == "earlier"))
print(json.dumps(said))
"""


def test_a_full_disk_in_every_format(tmp_path: Path) -> None:
    jobs = []
    for name in WRITTEN:
        case = CASES[name]
        folder = tmp_path / name
        folder.mkdir()
        source = write_showers(tmp_path / f"{name}.h5", sample(calorimeter_for(case.format)))
        target = folder / f"out{case.suffix}"
        convert(source, target, to=case.format)
        jobs.append((str(source), str(target), case.format, target.stat().st_size))
        target.write_text("earlier")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, json.dumps(jobs)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert len(said) == 6 * len(WRITTEN)
    for to, limit, error, left, survived in said:
        assert "disk is full" in error, (to, limit, error)
        assert "\n" not in error
        assert len(left) == 1, (to, limit, left)
        assert survived, (to, limit)


@pytest.mark.parametrize("name", WRITTEN)
def test_no_showers_at_all(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    showers = sample(calorimeter_for(case.format))
    path = tmp_path / f"none{case.suffix}"
    try:
        with get_source(case.format).create(path, showers.calorimeter, showers.provenance):
            pass
    except ShowerError:
        assert list(tmp_path.iterdir()) == []
    else:
        with pytest.raises(CaloforgeError, match="none"):
            case.read(path)
        path.unlink()
    empty = Showers(showers.calorimeter, showers.incident, [0] * (len(showers) + 1), [], [])
    source = write_showers(tmp_path / "empty.h5", empty)
    with pytest.raises(ShowerError, match="no showers are left"):
        convert(source, path, to=case.format, drop_empty=True)
    assert list(tmp_path.iterdir()) == [source]


def one_huge(calorimeter: Calorimeter) -> Showers:
    """Six showers of one hit, but the fourth hits every cell."""
    rng = np.random.default_rng(1)
    dense = np.zeros((6, calorimeter.n_cells))
    dense[range(6), rng.integers(0, calorimeter.n_cells, 6)] = 2.5
    dense[3] = rng.uniform(0.1, 5.0, calorimeter.n_cells)
    columns = {"energy": rng.uniform(1e3, 1e5, 6), "theta": np.full(6, np.pi / 2)}
    return Showers.from_dense(calorimeter, Incident(columns), dense)


@pytest.mark.parametrize("name", WRITTEN)
def test_one_huge_shower_beside_tiny_ones(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    homes = {"calochallenge": "par04-siw-fine", "par04": "par04-siw-fine", "lagan": "jet-image-25"}
    showers = one_huge(load_detector(homes.get(case.format, "lcd-ecal")))
    path = tmp_path / f"huge{case.suffix}"
    if name == "calogan.root":
        with pytest.raises(FormatError, match="a branch per cell"):
            convert(write_showers(tmp_path / "a.h5", showers), path, to="calogan")
        return
    with get_source(case.format).create(path, showers.calorimeter, showers.provenance) as writer:
        writer.append(showers[:2])
        writer.append(showers[2:])
    for size in (1, 4):
        found = case.read(path, size)
        assert np.array_equal(found.offset, showers.offset)
        assert np.array_equal(found.cell, showers.cell)
        assert np.all(np.abs(found.energy / showers.energy - 1.0) <= 2e-7)


@pytest.mark.parametrize("pool", [1, 100, 200_000])
def test_one_huge_shower_through_the_loader(tmp_path: Path, pool: int) -> None:
    showers = one_huge(load_detector("lcd-ecal"))
    source = StoredBlocks([write_showers(tmp_path / "a.h5", showers)], block_hits=10)
    made = ShowerLoader(source, BatchPlan(source.blocks, 2, seed=1, pool_hits=pool))
    dense = showers.dense()
    seen: list[int] = []
    for batch in made.batches(0, made.plan.steps_per_epoch):
        rows = made.plan.rows(batch.step)
        assert np.array_equal(batch.energy, dense[rows])
        seen += rows.tolist()
    assert sorted(seen) == list(range(6))


def test_text_attributes_of_other_writers_and_their_heaps(tmp_path: Path) -> None:
    path = write_showers(tmp_path / "a.h5", sample(calorimeter_for("caloforge")))
    with h5py.File(path, "r+") as file:
        for name in ("geometry", "provenance"):  # of any length: in a heap
            file.attrs[name] = file.attrs[name].decode()
    with open_showers(path) as reader:
        assert len(reader) == 8
    content = path.read_bytes()
    heap = content.index(b"GCOL")
    bad = bytearray(content)
    bad[heap + 16 : heap + 64] = bytes(48)  # the library would look for the next object for ever
    path.write_bytes(bad)
    with pytest.raises(FormatError, match=f"heap at byte {heap}"):
        open_showers(path)


def test_a_long_geometry_and_provenance(tmp_path: Path) -> None:
    showers = sample(calorimeter_for("caloforge"))
    source = {"comment": "µ" * 200_000, "words": ["a", "längst"], "nothing": ""}
    provenance = replace(showers.provenance, source=source)
    path = tmp_path / "a.h5"
    with get_source("lcd").create(path, showers.calorimeter, provenance) as writer:
        writer.append(showers)
    with get_source("lcd").open(path) as reader:
        assert reader.provenance.source == source
