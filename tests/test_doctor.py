"""``caloforge doctor``: what is there, what to type for the rest, and when it is a failure."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib import import_module, metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from caloforge import doctor
from caloforge.cli.entry import run
from caloforge.doctor import CHECKS, CORE, PHYSICS, Finding, core_works, examine
from caloforge.simulate.geant4 import tables
from table_sets import hide_tables, make_tables

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The empty home of a machine without tables."""
    hide_tables(monkeypatch, tmp_path)
    return tmp_path


def findings() -> dict[str, Finding]:
    return {finding.name: finding for finding in examine()}


def break_import(monkeypatch: pytest.MonkeyPatch, name: str, error: Exception) -> None:
    def broken(wanted: str) -> Any:
        if wanted == name:
            raise error
        return import_module(wanted)

    monkeypatch.setattr(doctor, "import_module", broken)


def test_text_without_tables(capsys: Captured) -> None:
    assert run(["doctor"]) == 0
    text = capsys.readouterr().out
    for word in ("python", "caloforge", "cores", "memory", "disk", torch.__version__, "gpu"):
        assert word in text
    assert text.count("curl -L https://cern.ch/geant4-data") == 1
    assert f"  {', '.join(PHYSICS)}:\n    set {tables.OWN_VARIABLE}" in text
    assert "G4LEDATA" not in text
    assert "\x1b" not in text


def test_text_with_tables(capsys: Captured, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tables(home)
    monkeypatch.setenv(tables.OWN_VARIABLE, str(home))
    assert run(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "curl" not in text
    assert text.count("tables ready") == 3
    for name in ("G4EMLOW8.8", "G4ENSDFSTATE3.0", "G4PARTICLEXS4.2", "epics2017", "G4PIIDATA"):
        assert name in text


def test_a_terminal_gets_a_table_and_unbroken_commands(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    assert run(["doctor"]) == 0
    lines = re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert lines[0].split() == ["what", "status", "found"]
    assert "    pip install 'caloforge[geant4]'" in lines
    assert f"    {tables.how_to_get(hadronic=True)}" in lines


def test_json(capsys: Captured, home: Path) -> None:
    make_tables(home / ".geant4_pybind")
    assert run(["doctor", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert all(list(row) == ["name", "status", "detail", "remedy"] for row in rows)
    assert {row["status"] for row in rows} <= {"ok", "missing", "note"}
    found = {row["name"]: row for row in rows}
    assert len(found) == len(rows)
    assert {*CHECKS, *PHYSICS} <= set(found)
    assert found["torch"]["detail"].startswith(torch.__version__)
    assert found["onnxruntime"]["status"] == "ok"
    assert "CPU" in found["onnxruntime"]["detail"]
    assert found["G4LEDATA"]["detail"] == str(home / ".geant4_pybind" / "G4EMLOW8.8")


def test_a_partial_set_of_tables(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tables.OWN_VARIABLE, str(home))
    for name in ("brem_SB", "livermore/phot_epics2014"):
        (home / "G4EMLOW8.8" / name).mkdir(parents=True)
    rows = findings()
    assert [rows[name].status for name in PHYSICS] == ["missing"] * 3
    (home / "G4ENSDFSTATE3.0").mkdir()
    (home / "G4ENSDFSTATE3.0" / "ENSDFSTATE.dat").touch()
    rows = findings()
    assert [rows[name].status for name in PHYSICS] == ["ok", "missing", "missing"]
    assert "livermore" in rows[PHYSICS[0]].detail
    assert "G4PARTICLEXS.4.2" in rows[PHYSICS[1]].remedy
    assert "G4EMLOW.8.8" in rows[PHYSICS[2]].remedy


def test_a_folder_that_holds_no_tables(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tables(home / ".geant4_pybind")
    (home / "typo").mkdir()
    monkeypatch.setenv(tables.OWN_VARIABLE, str(home / "typo"))
    assert findings()[tables.OWN_VARIABLE].detail == f"{home / 'typo'} holds no physics tables"
    monkeypatch.setenv(tables.OWN_VARIABLE, str(home / ".geant4_pybind"))
    assert tables.OWN_VARIABLE not in findings()


def test_a_broken_core_is_a_failure(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    break_import(monkeypatch, "torch", ImportError("libtorch.so:\ncannot open"))
    assert run(["doctor", "--json"]) == 1
    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert found["torch"]["status"] == "missing"
    assert found["torch"]["detail"] == "ImportError: libtorch.so: cannot open"
    assert found["torch"]["remedy"] == "pip install --force-reinstall torch"
    assert found["h5py"]["status"] == "ok"


@pytest.mark.parametrize("name", CORE)
def test_what_the_core_is(name: str) -> None:
    assert not core_works([Finding("python", "ok", ""), Finding(name, "missing", "")])
    assert core_works([Finding(name, "ok", ""), Finding("distributed", "missing", "")])


def test_optional_packages_are_no_failure(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    assert run(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "pip install 'caloforge[dask]'" in text
    assert "pip install 'caloforge[geant4]'" in text
    rows = findings()
    for name in ("openvino", "fastapi", "pyhepmc", "psycopg", "distributed", "geant4-pybind"):
        assert rows[name].status == "missing"
        assert rows[name].detail == "not installed (optional)"
        assert rows[name].remedy in text


def test_optional_packages_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda name: object())
    monkeypatch.setattr(metadata, "version", lambda name: "1.2.3")
    assert findings()["geant4-pybind"] == Finding("geant4-pybind", "ok", "1.2.3")

    def unknown(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", unknown)
    assert findings()["geant4-pybind"] == Finding("geant4-pybind", "ok", "version unknown")


def test_every_gpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = [SimpleNamespace(name=name, total_memory=80e9) for name in ("A", "B")]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda k: cards[k])
    assert findings()["gpu"] == Finding("gpu", "ok", "A 80.0 GB, B 80.0 GB")


def test_a_gpu_that_this_torch_cannot_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert "CUDA build" in findings()["gpu"].remedy
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert findings()["gpu"] == Finding("gpu", "note", "none")


def test_a_full_disk_and_a_check_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    free = SimpleNamespace(free=1e9)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    assert "1.0 GB" in findings()["disk"].detail

    def gone(path: Path) -> None:
        raise FileNotFoundError(2, "no such folder")

    monkeypatch.setattr(shutil, "disk_usage", gone)
    assert findings()["disk"].status == "note"
    assert "FileNotFoundError" in findings()["disk"].detail


def test_without_any_of_the_core() -> None:
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({CORE}));"
        "from caloforge.cli.entry import run; sys.exit(run(['doctor', '--json']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == ""
    rows = {row["name"]: row["status"] for row in json.loads(done.stdout)}
    assert [rows[name] for name in CORE] == ["missing"] * len(CORE)
    assert rows["python"] == rows["disk"] == "ok"


def test_geant4_is_never_imported() -> None:
    """Importing it asks a question on the terminal, or downloads gigabytes."""
    code = (
        "import sys; from caloforge.cli.entry import run; code = run(['doctor']);"
        "print(code, sorted({'geant4_pybind', 'distributed', 'openvino'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
    assert done.stderr == ""
