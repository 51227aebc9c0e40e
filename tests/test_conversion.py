"""Conversions as a whole: order, splits, shards, workers, damage; the same result every way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from caloforge.conversion import check, convert
from caloforge.conversion.outputs import BUCKET
from caloforge.conversion.run import PART
from caloforge.errors import ConfigError, FormatError, OutputError, ShowerError
from caloforge.showers import Showers
from caloforge.store import open_showers, write_showers
from caloforge.tasks import LocalWorkers
from caloforge.transform import Pipeline, Split, Threshold, fingerprint, steps_from_options
from helpers import lcd_showers, local_dask, random_showers


def read(path: Path) -> Showers:
    with open_showers(path) as reader:
        return reader.read()


def equal(a: Showers, b: Showers) -> bool:
    return (
        np.array_equal(a.offset, b.offset)
        and np.array_equal(a.cell, b.cell)
        and np.array_equal(a.energy, b.energy)
        and np.array_equal(a.incident.energy, b.incident.energy)
    )


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """2,600 showers in three files: more than two parts for the workers."""
    folder = tmp_path_factory.mktemp("inputs")
    sizes = [PART + 37, 900, 663]
    return [
        write_showers(folder / f"{k}.h5", random_showers(n, seed=k)) for k, n in enumerate(sizes)
    ]


@pytest.fixture(scope="module")
def everything(inputs: list[Path]) -> Showers:
    return Showers.concatenate([read(path) for path in inputs])


def test_workers_make_no_difference(
    tmp_path: Path, inputs: list[Path], everything: Showers
) -> None:
    steps = steps_from_options(cuts=["energy=20:90"], threshold=0.5)
    done = convert(inputs, tmp_path / "a.h5", steps=steps)
    again = convert(inputs, tmp_path / "b.h5", steps=steps, executor=LocalWorkers(3))
    assert (done.showers, done.cut) == (again.showers, again.cut)
    assert done.showers + done.cut == len(everything)
    assert equal(read(tmp_path / "a.h5"), read(tmp_path / "b.h5"))
    energy = everything.incident.energy
    kept = everything[(energy >= 20e3) & (energy <= 90e3)].above_threshold(0.5)
    assert equal(read(tmp_path / "a.h5"), kept)


def test_dask_makes_no_difference(tmp_path: Path, inputs: list[Path]) -> None:
    from caloforge.tasks import DaskCluster

    convert(inputs, tmp_path / "a.h5")
    with local_dask(2) as cluster:
        convert(inputs, tmp_path / "b.h5", executor=DaskCluster(cluster.scheduler_address))
    assert equal(read(tmp_path / "a.h5"), read(tmp_path / "b.h5"))


def test_what_was_done_is_in_the_provenance(tmp_path: Path, inputs: list[Path]) -> None:
    convert(
        inputs,
        tmp_path / "a.h5",
        steps=steps_from_options(threshold=0.5, window="3x3"),
        drop_empty=True,
        split=Split({"train": 0.9, "test": 0.1}, seed=4),
        shuffle=7,
    )
    with open_showers(tmp_path / "a-train.h5") as reader:
        config = reader.provenance.config
        assert reader.calorimeter.n_cells == 4 * 9
        assert reader.provenance.geometry == reader.calorimeter.hash
        assert set(reader.provenance.inputs) == {"0.h5", "1.h5", "2.h5"}
    kinds = [step["kind"] for step in config["steps"]]
    assert kinds == ["threshold", "window"]
    assert config["split"]["parts"] == {"train": 0.9, "test": 0.1}
    assert (config["split"]["seed"], config["shuffle"]) == (4, 7)


def test_a_split_is_stable_and_complete(
    tmp_path: Path, inputs: list[Path], everything: Showers
) -> None:
    split = Split({"train": 0.8, "validation": 0.1, "test": 0.1})
    done = convert(inputs, tmp_path / "a.h5", split=split)
    assert sum(done.parts.values()) == done.showers == len(everything)
    parts = {name: read(tmp_path / f"a-{name}.h5") for name in done.parts}
    prints = {name: set(fingerprint(part).tolist()) for name, part in parts.items()}
    assert not prints["train"] & prints["test"]
    assert set().union(*prints.values()) == set(fingerprint(everything).tolist())
    assert abs(done.parts["train"] / done.showers - 0.8) < 0.04
    # in another order, from other files, with other steps: every shower stays in its part
    convert(inputs[::-1], tmp_path / "b.h5", split=split, executor=LocalWorkers(2))
    assert set(fingerprint(read(tmp_path / "b-test.h5")).tolist()) == prints["test"]
    steps = Pipeline((Threshold(energy=1.0),))
    convert(inputs, tmp_path / "c.h5", split=split, steps=steps)
    expected = parts["test"].above_threshold(1.0)
    assert equal(read(tmp_path / "c-test.h5"), expected)


def test_parts_of_a_split_can_be_left_out(tmp_path: Path, inputs: list[Path]) -> None:
    done = convert(inputs, tmp_path / "a.h5", split=Split({"some": 0.25}))
    assert done.showers + done.cut == 2600
    assert abs(done.showers / 2600 - 0.25) < 0.04
    with pytest.raises(ConfigError, match="file name"):
        convert(inputs, tmp_path / "folder", split=Split({"some": 0.25}))


def test_shuffling_is_a_permutation_of_all_inputs(
    tmp_path: Path, inputs: list[Path], everything: Showers, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert BUCKET > 0
    monkeypatch.setattr("caloforge.conversion.outputs.BUCKET", 300)
    convert(inputs, tmp_path / "a.h5", shuffle=1)
    convert(inputs, tmp_path / "b.h5", shuffle=1, executor=LocalWorkers(2))
    convert(inputs, tmp_path / "c.h5", shuffle=2)
    mixed = read(tmp_path / "a.h5")
    assert equal(mixed, read(tmp_path / "b.h5"))
    assert not equal(mixed, read(tmp_path / "c.h5"))
    assert sorted(fingerprint(mixed).tolist()) == sorted(fingerprint(everything).tolist())
    place = {value: k for k, value in enumerate(fingerprint(everything).tolist())}
    order = np.array([place[value] for value in fingerprint(mixed).tolist()])
    assert abs(np.corrcoef(order, np.arange(len(order)))[0, 1]) < 0.08
    assert (np.abs(np.diff(order)) == 1).mean() < 0.01
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.h5", "b.h5", "c.h5"]


@pytest.mark.parametrize("to", ["caloforge", "parquet"])
def test_a_folder_of_shards(
    tmp_path: Path, inputs: list[Path], everything: Showers, to: str
) -> None:
    for _ in range(2):  # the second time over the first
        done = convert(inputs, tmp_path / "data", to=to, shard_size=1000)
    assert done.showers == len(everything)
    names = sorted(p.name for p in (tmp_path / "data").iterdir() if p.name != "index.json")
    assert len(names) == 3
    again = convert(tmp_path / "data", tmp_path / "b.h5")
    assert again.showers == len(everything)
    assert equal(read(tmp_path / "b.h5"), everything)


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path, inputs: list[Path]) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.tex").write_text("important")
    with pytest.raises(OutputError, match=r"thesis\.tex"):
        convert(inputs, tmp_path / "data", shard_size=1000)
    assert (tmp_path / "data" / "thesis.tex").read_text() == "important"


def test_nothing_left_is_an_error(tmp_path: Path, inputs: list[Path]) -> None:
    steps = steps_from_options(cuts=["energy=500:"])
    for shard_size in (None, 100):
        with pytest.raises(ShowerError, match="check cuts"):
            convert(inputs, tmp_path / "a", steps=steps, shard_size=shard_size)
    assert list(tmp_path.iterdir()) == []


def test_the_name_says_the_format(tmp_path: Path, inputs: list[Path]) -> None:
    convert(inputs[1:2], tmp_path / "a.parquet")
    convert(inputs[1:2], tmp_path / "a.root")
    assert (tmp_path / "a.parquet").read_bytes()[:4] == b"PAR1"
    assert (tmp_path / "a.root").read_bytes()[:4] == b"root"


# ------------------------------------------------------------------------------- damage


def damaged_folder(tmp_path: Path, showers: Showers) -> Path:
    """Four shards: the second has a flipped byte in its hits, the third is cut short."""
    write_showers(tmp_path / "a.h5", showers)
    folder = tmp_path / "data"
    convert(tmp_path / "a.h5", folder, shard_size=len(showers) // 4)
    with h5py.File(folder / "shard-00001.h5") as file:
        chunk = file["showers/energy"].id.get_chunk_info(0)
    content = bytearray((folder / "shard-00001.h5").read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 0xFF
    (folder / "shard-00001.h5").write_bytes(content)
    short = (folder / "shard-00002.h5").read_bytes()
    (folder / "shard-00002.h5").write_bytes(short[: len(short) // 2])
    return folder


def test_check_names_the_showers_that_are_lost(tmp_path: Path) -> None:
    showers = lcd_showers(800)
    folder = damaged_folder(tmp_path, showers)
    files = check(folder)
    assert [file.showers for file in files] == [200] * 4
    assert [bool(file.damage) for file in files] == [False, True, True, False]
    (hits,) = files[1].damage
    assert 200 <= hits.start < hits.stop < 400
    assert files[2].lost == 200
    assert (files[2].damage[0].start, files[2].damage[0].stop) == (400, 600)

    with pytest.raises(FormatError, match="shard-00001"):
        convert(folder, tmp_path / "b.h5")
    assert not (tmp_path / "b.h5").exists()
    done = convert(folder, tmp_path / "b.h5", salvage=True)
    assert done.lost == files[1].lost + 200
    assert done.showers == 800 - done.lost
    kept = np.r_[0 : hits.start, hits.stop : 400, 600:800]
    assert equal(read(tmp_path / "b.h5"), showers[kept])
    assert len(done.damage) == 2
    assert check(tmp_path / "b.h5")[0].damage == ()


def test_check_and_salvage_on_the_command_line(tmp_path: Path) -> None:
    folder = damaged_folder(tmp_path, lcd_showers(800))
    run = [sys.executable, "-m", "caloforge"]
    done = subprocess.run([*run, "info", str(folder), "--check"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "showers 400 to 599" in done.stdout
    assert "--salvage" in done.stdout
    done = subprocess.run(
        [*run, "convert", str(folder), "--salvage", "-o", str(tmp_path / "b.h5"), "--json"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert json.loads(done.stdout)["lost"] > 200
    assert "lost:" in done.stderr
    good = subprocess.run([*run, "info", str(tmp_path / "b.h5"), "--check"], capture_output=True)
    assert good.returncode == 0


def test_an_index_that_says_something_else(tmp_path: Path) -> None:
    write_showers(tmp_path / "a.h5", random_showers(30))
    convert(tmp_path / "a.h5", tmp_path / "data", shard_size=10)
    write_showers(tmp_path / "data" / "shard-00001.h5", random_showers(7))
    files = check(tmp_path / "data")
    assert [file.lost for file in files] == [0, 3, 0]
    assert "the index says 10" in files[1].damage[0].reason


def test_every_shower_damaged_is_an_error(tmp_path: Path) -> None:
    path = write_showers(tmp_path / "a.h5", random_showers(30))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ShowerError, match="nothing can be read"):
        convert(path, tmp_path / "b.h5", salvage=True)


# --------------------------------------------------------------- interruptions, two at once


def start(arguments: list[str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "caloforge", "convert", *arguments],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("target", ["out.h5", "out.root", "out.parquet"])
def test_a_killed_conversion_leaves_the_old_file(
    tmp_path: Path, how: signal.Signals, target: str
) -> None:
    write_showers(tmp_path / "a.h5", lcd_showers(3000))
    convert(tmp_path / "a.h5", tmp_path / target, limit=5)
    old = (tmp_path / target).read_bytes()
    process = start(["a.h5"] * 32 + ["-o", target, "--shuffle"], tmp_path)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(f".{target}.*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(how)
    process.communicate()
    assert process.returncode in (-how, 1)
    assert (tmp_path / target).read_bytes() == old
    if how == signal.SIGINT:
        assert list(tmp_path.glob(".*")) == []
    convert(tmp_path / "a.h5", tmp_path / target, limit=7)  # clears what the killed one left
    assert list(tmp_path.glob(".*")) == []


def test_two_writers_at_once(tmp_path: Path) -> None:
    write_showers(tmp_path / "a.h5", lcd_showers(500, seed=1))
    write_showers(tmp_path / "b.h5", lcd_showers(600, seed=2))
    both = [start([name, "-o", "out.h5"], tmp_path) for name in ("a.h5", "b.h5")]
    for process in both:
        assert process.communicate()[1] == ""
        assert process.returncode == 0
    result = read(tmp_path / "out.h5")
    assert any(equal(result, read(tmp_path / name)) for name in ("a.h5", "b.h5"))
    assert list(tmp_path.glob(".*")) == []


def test_two_writers_in_one_process(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    paths = [write_showers(tmp_path / f"{k}.h5", random_showers(300, seed=k)) for k in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda path: convert(path, tmp_path / "out.h5"), paths))
    result = read(tmp_path / "out.h5")
    assert any(equal(result, read(path)) for path in paths)
    assert list(tmp_path.glob(".*")) == []


def test_a_read_only_folder(tmp_path: Path, inputs: list[Path]) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    if os.access(folder, os.W_OK):
        pytest.skip("root writes everywhere")
    with pytest.raises(OutputError, match="not writable"):
        convert(inputs, folder / "a.h5")
