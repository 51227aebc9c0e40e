"""Geant4's physics tables: where they are looked for, and what is said when they are not there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from caloforge.errors import SimulationError
from caloforge.simulate.geant4 import tables
from caloforge.simulate.geant4.tables import find_folders, find_tables, how_to_get
from table_sets import PLACES, VARIABLES, hide_tables, make_tables


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The empty home of a machine without tables."""
    home = tmp_path / "home"
    home.mkdir()
    hide_tables(monkeypatch, home)
    return home


# ---------------------------------------------------------------- the order of the search


def test_the_order_of_the_search(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path
) -> None:
    """All places hold tables; the best one is taken away again and again."""
    system = tmp_path / "system"
    monkeypatch.setattr(tables, "_SYSTEM", (system,))
    own, direct, named, conda, install = (tmp_path / name for name in ("o", "d", "n", "c", "i"))
    monkeypatch.setenv(tables.OWN_VARIABLE, str(own))
    monkeypatch.setenv("G4LEDATA", str(direct / "G4EMLOW8.8"))
    monkeypatch.setenv("GEANT4_DATA_DIR", str(named))
    monkeypatch.setenv("CONDA_PREFIX", str(conda))
    monkeypatch.setenv("G4INSTALL", str(install))
    places = [own, direct, named, home / ".geant4_pybind"]
    places += [conda / "share/Geant4/data", install / "share/Geant4/data", system]
    for place in places:
        place.mkdir(parents=True)
        make_tables(place)
    for place in places:
        assert find_tables().folders["G4LEDATA"] == place / "G4EMLOW8.8"
        shutil.rmtree(place)
    assert find_folders() == {}


def test_sets_may_lie_in_different_places(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path
) -> None:
    make_tables(home / ".geant4_pybind")
    for name in ("neutron", "gamma"):
        (tmp_path / "G4PARTICLEXS4.1" / name).mkdir(parents=True)
    monkeypatch.setenv(tables.OWN_VARIABLE, str(tmp_path))
    folders = find_tables().folders
    assert folders["G4PARTICLEXSDATA"] == tmp_path / "G4PARTICLEXS4.1"
    assert folders["G4LEDATA"] == home / ".geant4_pybind" / "G4EMLOW8.8"


def test_the_newest_version_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "G4EMLOW",
        "G4EMLOW8.8",
        "G4EMLOW-8.10",
        "G4EMLOW.8.9.1",
        "G4EMLOWER9",
        "G4EMLOW9",
    ):
        for inside in ("brem_SB", "epics2017/phot"):
            (tmp_path / name / inside).mkdir(parents=True)
    (tmp_path / "G4EMLOW9" / "epics2017" / "phot").rmdir()  # unpacking was interrupted
    (tmp_path / "G4EMLOW99").write_text("a file is not a set")
    monkeypatch.setenv(tables.OWN_VARIABLE, str(tmp_path))
    assert find_folders() == {"G4LEDATA": tmp_path / "G4EMLOW-8.10"}


def test_folders_as_conda_names_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    make_tables(tmp_path / "share/Geant4/data", prefix="")
    (tmp_path / "share/Geant4/data/PhotonEvaporation6.1.2/z1").mkdir(parents=True)
    monkeypatch.setenv("CONDA_PREFIX", str(tmp_path))
    assert find_tables().hadronic
    assert find_tables().folders["G4LEVELGAMMADATA"].name == "PhotonEvaporation6.1.2"


# ---------------------------------------------------------------- what is not a set


def test_an_empty_folder_is_not_a_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable, name in (tables.ELECTROMAGNETIC | tables.HADRONIC | tables.OPTIONAL).items():
        (tmp_path / name).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / name))
    monkeypatch.setenv(tables.OWN_VARIABLE, str(tmp_path))
    assert find_folders() == {}


def test_an_empty_variable_is_not_this_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(make_tables(tmp_path))
    for name in (*VARIABLES, *PLACES):
        monkeypatch.setenv(name, "")
    assert find_folders() == {}


def test_a_relative_folder_is_kept_absolute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Geant4 opens tables late and in other processes: the folder may have changed by then."""
    make_tables(tmp_path / "sets")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(tables.OWN_VARIABLE, "sets")
    assert find_tables().folders["G4LEDATA"] == tmp_path / "sets" / "G4EMLOW8.8"


@pytest.mark.parametrize("hadronic", [False, True])
def test_missing_tables_are_one_line_with_the_commands(hadronic: bool) -> None:
    with pytest.raises(SimulationError) as caught:
        find_tables()
    text = str(caught.value)
    assert "\n" not in text
    assert how_to_get() in text
    text = how_to_get(hadronic)
    assert "\n" not in text
    for word in (tables.OWN_VARIABLE, "mkdir -p", "curl -L https://cern.ch/geant4-data", "tar xz"):
        assert word in text
    assert ("G4PARTICLEXS.4.2" in text) == hadronic
    assert ("and G4PARTICLEXS," in text) == hadronic


def test_one_electromagnetic_set_is_not_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_tables(tmp_path)
    shutil.rmtree(tmp_path / "G4ENSDFSTATE3.0")
    monkeypatch.setenv(tables.OWN_VARIABLE, str(tmp_path))
    assert set(find_folders()) == {"G4LEDATA", "G4PARTICLEXSDATA"}
    with pytest.raises(SimulationError, match="G4ENSDFSTATE"):
        find_tables()


def test_an_unreadable_folder_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path
) -> None:
    locked = make_tables(tmp_path / "locked")
    make_tables(home / ".geant4_pybind")
    monkeypatch.setenv(tables.OWN_VARIABLE, str(locked))
    monkeypatch.setenv("G4LEDATA", str(locked / "G4EMLOW8.8"))
    refuse_below(monkeypatch, locked)
    assert find_tables().folders["G4LEDATA"] == home / ".geant4_pybind" / "G4EMLOW8.8"


def test_unreadable_content_is_one_error(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    make_tables(home / ".geant4_pybind")
    found = find_tables()
    refuse_below(monkeypatch, home)
    with pytest.raises(SimulationError, match=r"chmod -R a\+rX") as caught:
        found.identity()
    assert "\n" not in str(caught.value)


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def nobody(_: type[Path]) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", classmethod(nobody))
    make_tables(tmp_path / "sets")
    monkeypatch.setenv("GEANT4_DATA_DIR", str(tmp_path / "sets"))
    assert find_tables().hadronic


def refuse_below(monkeypatch: pytest.MonkeyPatch, locked: Path) -> None:
    """Deny access to a folder, to root as well."""
    stat, scandir, listdir = os.stat, os.scandir, os.listdir

    def check(path: object) -> None:
        if isinstance(path, str | Path) and Path(path).is_relative_to(locked):
            raise PermissionError(13, "Permission denied", str(path))

    def guard(function: object) -> object:
        def guarded(path: object = ".", *args: object, **options: object) -> object:
            check(path)
            return function(path, *args, **options)  # type: ignore[operator]

        return guarded

    for name, function in (("stat", stat), ("scandir", scandir), ("listdir", listdir)):
        monkeypatch.setattr(os, name, guard(function))


# ---------------------------------------------------------------- what was found


def test_which_physics_can_run(home: Path) -> None:
    full = make_tables(home / ".geant4_pybind")
    found = find_tables()
    assert found.hadronic
    assert found.relaxation
    assert found.photoelectric == "epics2017"
    for name in ("G4PARTICLEXS4.2", "G4EMLOW8.8/fluor", "G4EMLOW8.8/epics2017"):
        shutil.rmtree(full / name)
    (full / "G4EMLOW8.8/livermore/phot_epics2014").mkdir(parents=True)
    found = find_tables()
    assert not found.hadronic
    assert not found.relaxation
    assert found.photoelectric == "livermore"


def test_the_environment_names_every_set(home: Path, tmp_path: Path) -> None:
    """An unset variable would stop Geant4; an unset GEANT4_DATA_DIR would make it ask."""
    make_tables(home / ".geant4_pybind")
    variables = find_tables().environment(tmp_path / "empty")
    assert set(variables) == {*VARIABLES, "GEANT4_DATA_DIR"}
    assert variables["G4LEDATA"] == str(home / ".geant4_pybind" / "G4EMLOW8.8")
    assert variables["G4PIIDATA"] == variables["GEANT4_DATA_DIR"] == str(tmp_path / "empty")


def test_the_environment_does_not_hide_the_tables(
    monkeypatch: pytest.MonkeyPatch, home: Path, tmp_path: Path
) -> None:
    """A process that was told where the tables are finds the same ones again."""
    make_tables(home / ".geant4_pybind")
    found = find_tables()
    empty = tmp_path / "empty"
    empty.mkdir()
    for name, value in found.environment(empty).items():
        monkeypatch.setenv(name, value)
    assert find_tables() == found


def test_the_fingerprint_follows_the_content(home: Path) -> None:
    states = make_tables(home / ".geant4_pybind") / "G4ENSDFSTATE3.0"
    first = find_tables().identity()
    assert first == find_tables().identity()
    assert first["G4ENSDFSTATEDATA"].startswith("G4ENSDFSTATE3.0 ")
    (states / "ENSDFSTATE.dat").write_text("other states\n")
    second = find_tables().identity()
    (states / "History").write_text("")
    third = find_tables().identity()
    assert len({names["G4ENSDFSTATEDATA"] for names in (first, second, third)}) == 3
    assert first["G4LEDATA"] == third["G4LEDATA"]


def test_geant4_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import PackageNotFoundError

    from caloforge.beam import particles
    from caloforge.geometry import load_detector
    from caloforge.simulate.geant4 import Geant4, simulator

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(simulator, "version", missing)
    with pytest.raises(SimulationError, match=r"pip install 'caloforge\[geant4\]'"):
        Geant4(load_detector("lcd-ecal")).check(particles(1, 1, particle="e-"))
