"""Damaged files of every format: a clear error or the right showers, never a wrong number."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from caloforge.conversion import convert
from caloforge.data import BatchPlan, ShowerLoader, StoredBlocks
from caloforge.errors import CaloforgeError
from caloforge.geometry import load_detector
from caloforge.showers import Incident, Showers
from caloforge.sources import get_source
from caloforge.store import open_showers, write_showers
from fault_cases import (
    FOREIGN_PODIO,
    WITHOUT_CHECKSUM,
    Case,
    calorimeter_for,
    cases,
    cuts,
    flips,
    judge,
    sample,
)

CASES = cases()
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
OURS = [case for case in CASES.values() if case.name != FOREIGN_PODIO]


@every_case
def test_truncation_at_every_hundredth_is_noticed(tmp_path: Path, case: Case) -> None:
    good = case.write(tmp_path)
    expected, content = case.read(good), good.read_bytes()
    bad = tmp_path / f"bad{case.suffix}"
    for length, part in cuts(content):
        bad.write_bytes(part)
        verdict, said = judge(case, bad, expected)
        assert verdict == "error", f"{length} of {len(content)} bytes: {verdict} {said}"


@every_case
def test_flipped_bytes_never_give_another_number(tmp_path: Path, case: Case) -> None:
    good = case.write(tmp_path)
    expected, content = case.read(good), good.read_bytes()
    bad = tmp_path / f"bad{case.suffix}"
    verdicts: Counter[str] = Counter()
    for place, changed in flips(content, 80, seed=7):
        bad.write_bytes(changed)
        verdict, said = judge(case, bad, expected)
        verdicts[verdict] += 1
        assert verdict != "foreign", f"byte {place}: {said}"
        if case.name not in WITHOUT_CHECKSUM:
            assert verdict != "other", f"byte {place}: other showers without a word"
    assert verdicts["error"] > 0


@every_case
def test_a_damaged_input_leaves_the_earlier_output_alone(tmp_path: Path, case: Case) -> None:
    bad = case.write(tmp_path)
    bad.write_bytes(bad.read_bytes()[:-40])
    (tmp_path / "out").mkdir()
    output = write_showers(tmp_path / "out" / "showers.h5", sample(calorimeter_for("caloforge")))
    before = output.read_bytes()
    with pytest.raises(CaloforgeError, match=bad.name):
        convert(bad, output, detector=case.detector)
    assert output.read_bytes() == before
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["showers.h5"]


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"not a shower\n" * 100], ids=len)
def test_what_is_no_shower_file(tmp_path: Path, content: bytes) -> None:
    for case in CASES.values():
        bad = tmp_path / f"bad{case.suffix}"
        bad.write_bytes(content)
        assert not get_source(case.format).matches(bad)
        for name in (None, case.format):
            with pytest.raises(CaloforgeError, match="bad") as caught:
                convert(bad, tmp_path / "out.h5", from_=name, detector=case.detector)
            assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.h5").exists()


def test_folders_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for case in CASES.values():
        for name in ("folder", f"missing{case.suffix}"):
            assert not get_source(case.format).matches(tmp_path / name)
            for given in (None, case.format):
                with pytest.raises(CaloforgeError, match=name):
                    convert(tmp_path / name, tmp_path / "o.h5", from_=given, detector=case.detector)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from caloforge.conversion import convert
from caloforge.errors import OutputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for word in sys.argv[2:]:
    name, suffix = word.split(":")
    for size in (1_000, 20_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        try:
            convert(f"{sys.argv[1]}/{name}.h5", f"{sys.argv[1]}/out{suffix}", to=name)
        except OutputError as error:
            assert "disk is full" in str(error), (name, str(error))
        else:
            raise SystemExit(f"{name}: wrote a file larger than {size} bytes")
print("all refused")
"""


def test_a_full_disk_stops_every_writer(tmp_path: Path) -> None:
    words = []
    for case in OURS:
        # every cell of many showers: more than 20 kB, however well it is packed
        showers = sample(calorimeter_for(case.format), 400)
        write_showers(tmp_path / f"{case.format}.h5", showers)
        words.append(f"{case.format}:{case.suffix}")
    before = sorted(path.name for path in tmp_path.iterdir())
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "all refused\n", done.stdout + done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize("case", OURS, ids=[case.name for case in OURS])
def test_one_huge_event_among_small_ones(tmp_path: Path, case: Case) -> None:
    calorimeter = calorimeter_for(case.format)
    if case.suffix == ".h5" and case.format not in ("calochallenge", "par04", "calogan"):
        calorimeter = load_detector("lcd-ecal-25")
    cells = calorimeter.n_cells
    dense = np.zeros((9, cells))
    dense[:, cells // 2] = np.arange(1, 10)
    dense[4] = np.linspace(0.5, 900.0, cells)
    showers = Showers.from_dense(calorimeter, Incident({"energy": np.full(9, 5e4)}), dense)
    first = write_showers(tmp_path / "first.h5", showers)
    path = tmp_path / f"huge{case.suffix}"
    convert(first, path, to=case.format)
    convert(path, tmp_path / "again.h5")
    with open_showers(tmp_path / "again.h5") as reader:
        again = reader.read()
    assert np.array_equal(again.cell, showers.cell)
    assert np.allclose(again.energy, showers.energy, rtol=2e-7, atol=0)


def test_one_huge_event_in_the_loader(tmp_path: Path) -> None:
    calorimeter = load_detector("lcd-ecal-25")
    dense = np.zeros((40, calorimeter.n_cells), np.float32)
    dense[np.arange(40), np.arange(40) * 7] = 1.0
    dense[13] = 2.0
    showers = Showers.from_dense(calorimeter, Incident({"energy": np.full(40, 5e4)}), dense)
    source = StoredBlocks([write_showers(tmp_path / "a.h5", showers)], block_hits=10)
    plan = BatchPlan(source.blocks, 8, seed=1, pool_hits=30)
    seen = []
    for batch in ShowerLoader(source, plan).batches(0, plan.steps_per_epoch):
        assert np.array_equal(batch.energy, dense[plan.rows(batch.step)])
        seen += plan.rows(batch.step).tolist()
    assert sorted(seen) == list(range(40))
