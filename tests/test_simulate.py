"""``caloforge simulate`` and ``caloforge.simulate``: whole runs, refusals, interruptions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import caloforge
from caloforge.beam import particles
from caloforge.bench import simulate as bench
from caloforge.cli.entry import run
from caloforge.errors import ConfigError
from caloforge.geometry import load_detector
from caloforge.showers import Incident, Showers
from caloforge.simulate import central_window, to_store
from caloforge.store import write_showers
from caloforge.transform import window_calorimeter
from helpers import local_dask, random_showers
from table_sets import hide_tables

SHORT = ["simulate", "lcd-ecal", "--particle", "e-", "--energy", "8"]
GFLASH = ["simulate", "lcd-ecal", "--engine", "gflash", "--particle", "e-", "--energy", "10:100"]


def read(path: Path) -> Showers:
    return caloforge.open(path).read()


def content(showers: Showers) -> tuple[object, ...]:
    provenance = showers.provenance.to_dict()
    source = {k: v for k, v in provenance.pop("source").items() if k != "seconds_per_shower"}
    return (
        showers.incident.digest(),
        showers.offset.tobytes(),
        showers.cell.tobytes(),
        showers.energy.tobytes(),
        json.dumps(provenance, sort_keys=True),
        json.dumps(source, sort_keys=True),
    )


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even short runs are cut into many shards."""
    monkeypatch.setattr(to_store, "SHARD_SECONDS", (0.002, 0.02))


def test_workers_and_shards_do_not_change_the_file(tmp_path: Path, small_shards: None) -> None:
    more = ["-n", "600", "--spread", "cell", "--seed", "5", "--theta", "85:95"]
    for workers in ("1", "3"):
        path = tmp_path / f"{workers}.h5"
        assert run([*GFLASH, *more, "--workers", workers, "-o", str(path)]) == 0
    assert run([*GFLASH, *more, "--workers", "2", "-o", str(tmp_path / "shards")]) == 0
    one = read(tmp_path / "1.h5")
    assert content(one) == content(read(tmp_path / "3.h5"))
    assert content(one)[:4] == content(read(tmp_path / "shards"))[:4]
    assert len(list((tmp_path / "shards").glob("*.h5"))) > 5
    assert not list(tmp_path.glob("*.parts"))
    assert one.provenance.config["theta"] == "85:95"
    assert one.provenance.source["seconds_per_shower"] > 0
    assert {"x", "y", "z", "theta", "pdg"} <= set(one.incident)


def test_like_takes_the_particles_of_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "a.h5", tmp_path / "b.h5"
    assert run([*GFLASH, "-n", "40", "--spread", "4", "-o", str(first), "--quiet"]) == 0
    capsys.readouterr()
    words = ["simulate", "lcd-ecal", "--engine", "gflash", "--like", str(first), "--seed", "9"]
    assert run([*words, "--json", "-o", str(second)]) == 0
    assert json.loads(capsys.readouterr().out)["showers"] == 40
    assert read(first).incident.digest() == read(second).incident.digest()
    assert not np.array_equal(read(first).total_energy, read(second).total_energy)
    assert list(read(second).provenance.inputs) == ["like a.h5"]
    assert run(["info", str(second)]) == 0
    made_by = "simulate; engine gflash; generator Caloforge gflash; tuning lcd-ecal, fitted"
    assert made_by in capsys.readouterr().out


def test_a_window_is_the_centre_of_the_whole(tmp_path: Path) -> None:
    whole = caloforge.simulate("lcd-ecal", particle="e-", energy=50, n=20, engine="gflash")
    path = caloforge.simulate(
        "lcd-ecal", tmp_path / "w.h5", particle="e-", energy=50, n=20, engine="gflash",
        window=(25, 25),
    )  # fmt: skip
    assert isinstance(whole, Showers)
    assert isinstance(path, Path)
    small = read(path)
    assert small.calorimeter == load_detector("lcd-ecal-25")
    dense = whole.dense().reshape(20, 25, 51, 51)[:, :, 13:38, 13:38]
    np.testing.assert_array_equal(small.dense().reshape(20, 25, 25, 25), dense)
    assert 0.9 < small.total_energy.sum() / whole.total_energy.sum() < 1.0
    odd = window_calorimeter(whole.calorimeter, 7, 5)
    assert odd.name == "lcd-ecal-7x5"
    assert central_window(whole, odd).n_hits > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("nowhere --energy 10 --particle e-", "unknown detector 'nowhere'"),
        ("lcd-ecal --energy 10", "give --particle and --energy"),
        ("lcd-ecal --energy 10 --particle axion", "--particle axion: unknown"),
        ("lcd-ecal --particle e- --energy 0", "--energy 0: energies must be positive"),
        ("lcd-ecal --particle e- --energy -3:4", "--energy -3:4: energies must be positive"),
        ("lcd-ecal --particle e- --energy 1 --spread wide", "--spread wide"),
        ("lcd-ecal --particle e- --energy 1 --theta 12 --aim-depth 90", "misses the front cells"),
        ("lcd-ecal --particle e- --energy 1 --window 1x1 --spread 200 -n 9", "misses the front"),
        ("lcd-ecal --particle e- --energy 1 --aim-depth nan", "--aim-depth nan"),
        ("lcd-ecal --particle e- --energy 1e306", "--energy 1e306: at most 1e+12 GeV"),
        ("par04-siw --particle e- --energy 1 --window 5x5", "is not cartesian; leave the window"),
        ("lcd-ecal+ --particle e- --energy 1", "name two calorimeters"),
        ("lcd-ecal --particle 1 --energy 1 --engine geant4", "--particle 1: Geant4 tracks no such"),
        ("lcd-ecal --particle e- --energy 1 --window 25", "--window 25"),
        ("lcd-ecal --particle e- --energy 1 --window 24x24", "no central 24x24"),
        ("lcd-ecal --particle e- --energy 1 --engine geant5", "--engine geant5"),
        ("lcd-ecal --particle e- --energy 1 --like x.h5", "leave --particle out"),
        ("par04-siw --particle e- --energy 1 --spread cell", "not square"),
        ("lcd-ecal --particle e- --energy 1 --workers 2 --dask tcp://x:1", "give one of them"),
    ],
)
def test_wrong_requests_are_one_clear_line(
    words: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = [] if "--engine" in words else ["--engine", "gflash"]
    assert run(["simulate", *words.split(), *engine, "-o", str(tmp_path / "out.h5")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_layer_that_overlaps_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = load_detector("calogan-lar").to_yaml().replace("z: 90.0", "z: 80.0")
    (tmp_path / "bad.yaml").write_text(text)
    words = ["simulate", str(tmp_path / "bad.yaml"), "--particle", "e-", "--energy", "5"]
    assert run([*words, "-o", str(tmp_path / "out.h5")]) == 2
    assert "layer 1 starts inside layer 0" in capsys.readouterr().err


def test_a_missing_folder_is_noticed_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*GFLASH, "-n", "100000", "-o", str(tmp_path / "no" / "out.h5")]) == 1
    assert "mkdir -p" in capsys.readouterr().err


def test_without_tables_the_error_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hide_tables(monkeypatch, tmp_path)
    words = ["simulate", "lcd-ecal", "--particle", "e-", "--energy", "5"]
    assert run([*words, "-o", str(tmp_path / "out.h5")]) == 1
    error = capsys.readouterr().err
    assert "CALOFORGE_GEANT4_DATA" in error
    assert "curl -L https://cern.ch/geant4-data/datasets/" in error


def test_the_sample_records_what_made_it(geant4: None, small_shards: None, tmp_path: Path) -> None:
    showers = caloforge.simulate("lcd-ecal+lcd-hcal", particle="pi-", energy=3, n=2, seed=4)
    assert isinstance(showers, Showers)
    config = showers.provenance.config
    assert config["physics"] == "ftfp_bert"
    assert config["tables"] == showers.provenance.source["tables"]
    assert set(config["tables"]) >= {"G4LEDATA", "G4PARTICLEXSDATA"}
    assert showers.provenance.seed == 4
    assert showers.provenance.source["generator"].startswith("geant4")
    assert showers.calorimeter.n_layers == 85
    again = caloforge.simulate(
        "lcd-ecal+lcd-hcal", tmp_path / "b.h5", particle="pi-", energy=3, n=2, seed=4, workers=2
    )
    assert isinstance(again, Path)
    assert content(showers)[:4] == content(read(again))[:4]


def test_a_killed_run_goes_on(geant4: None, tmp_path: Path) -> None:
    words = [*SHORT, "-n", "70", "--seed", "2"]
    path = tmp_path / "killed.h5"
    parts = tmp_path / "killed.h5.parts"
    process = subprocess.Popen(
        [sys.executable, "-m", "caloforge", *words, "-o", str(path)], start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not list(parts.glob("*.h5")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not path.exists()
    assert list(parts.glob("*.h5"))
    assert run([*words, "-o", str(path)]) == 0
    assert run([*words, "--workers", "2", "-o", str(tmp_path / "whole.h5")]) == 0
    assert content(read(path)) == content(read(tmp_path / "whole.h5"))
    assert not parts.exists()


def test_bench_compares_both_sides(geant4: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "ROUNDS", 1)
    monkeypatch.setattr(bench, "SCALING_ROUNDS", 1)
    bench_simulate = bench.bench_simulate
    rows = bench_simulate(load_detector("lcd-ecal"), energy="1", showers=2)
    kinds = [row.kind for row in rows]
    assert kinds == ["overhead", "overhead", "workers", "workers", "engine"]
    assert all(row.ms_per_gev > 0 and row.ratio > 0 for row in rows)
    with pytest.raises(ConfigError, match="compare at least 2"):
        bench_simulate(load_detector("lcd-ecal"), workers=1)


def test_a_dask_cluster_makes_the_same_file(tmp_path: Path, small_shards: None) -> None:
    more = ["-n", "60", "--seed", "3"]
    assert run([*GFLASH, *more, "-o", str(tmp_path / "here.h5")]) == 0
    with local_dask(2) as cluster:
        address = cluster.scheduler_address
        assert run([*GFLASH, *more, "--dask", address, "-o", str(tmp_path / "there.h5")]) == 0
    assert content(read(tmp_path / "here.h5")) == content(read(tmp_path / "there.h5"))


def test_outputs_that_look_like_other_formats_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*GFLASH, "-o", str(tmp_path / "a.root")]) == 1
    assert "showers are written as .h5" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_like_takes_a_particle_for_files_without_one(tmp_path: Path) -> None:
    showers = random_showers(3)
    bare = Incident({"energy": showers.incident.energy})
    source = write_showers(
        tmp_path / "bare.h5",
        Showers(showers.calorimeter, bare, showers.offset, showers.cell, showers.energy),
    )
    words = ["simulate", "lcd-ecal", "--engine", "gflash", "--like", str(source)]
    assert run([*words, "-o", str(tmp_path / "a.h5")]) == 2
    assert run([*words, "--particle", "gamma", "-o", str(tmp_path / "a.h5")]) == 0
    assert read(tmp_path / "a.h5").incident["pdg"].tolist() == [22, 22, 22]


def test_python_takes_arrays() -> None:
    showers = caloforge.simulate(
        "lcd-ecal", particle="e-", energy=np.array([10.0, 20.0]), engine="gflash", theta=80
    )
    assert isinstance(showers, Showers)
    assert showers.incident.energy.tolist() == [10e3, 20e3]
    assert showers.provenance.config["energy"] == "10.0,20.0"


def test_python_refuses_what_it_would_ignore() -> None:
    beam = particles(1, 10, particle="e-")
    with pytest.raises(ConfigError, match="leave n, energy, particle and angles out"):
        caloforge.simulate("lcd-ecal", incident=beam, energy=5.0)
    with pytest.raises(ConfigError, match="give one of them"):
        caloforge.simulate("lcd-ecal", incident=beam, workers=2, dask="tcp://x:1")


def test_an_interrupt_is_said_and_the_run_goes_on(geant4: None, tmp_path: Path) -> None:
    words = [*SHORT, "-n", "70", "--seed", "2"]
    parts = tmp_path / "out.h5.parts"
    process = subprocess.Popen(
        [sys.executable, "-m", "caloforge", *words, "-o", str(tmp_path / "out.h5")],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while not list(parts.glob("*.h5")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "interrupted" in error
    assert list(parts.glob("*.h5"))


def test_one_shower_per_listed_energy(tmp_path: Path) -> None:
    words = ["simulate", "lcd-ecal", "--engine", "gflash", "--particle", "e-", "--energy"]
    assert run([*words, "10,20,50", "-o", str(tmp_path / "a.h5")]) == 0
    assert read(tmp_path / "a.h5").incident.energy.tolist() == [10e3, 20e3, 50e3]
    assert run([*words, "10:20", "-o", str(tmp_path / "b.h5")]) == 0
    assert len(read(tmp_path / "b.h5")) == 1


def test_what_a_killed_merge_left_is_removed(tmp_path: Path) -> None:
    """Only of processes that are gone, and only of the same output."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = [tmp_path / f".{name}.{gone.pid}.partial" for name in ("a.h5", "b.h5")]
    left.append(tmp_path / f".a.h5.{os.getpid()}x.partial")
    for path in left:
        path.write_text("half")
    assert run([*GFLASH, "-o", str(tmp_path / "a.h5")]) == 0
    assert [path.exists() for path in left] == [False, True, True]
