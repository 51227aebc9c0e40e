"""Pretended Geant4 physics tables, and a machine without the real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from caloforge.simulate.geant4 import tables

VARIABLES = (*tables.ELECTROMAGNETIC, *tables.HADRONIC, *tables.OPTIONAL)
PLACES = (tables.OWN_VARIABLE, "GEANT4_DATA_DIR", "CONDA_PREFIX", "G4INSTALL")


def hide_tables(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Make this a machine without tables: an empty home, no variable, no system folder."""
    monkeypatch.setenv("HOME", str(home))
    for name in (*VARIABLES, *PLACES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tables, "_SYSTEM", ())


def make_tables(root: Path, prefix: str = "G4") -> Path:
    """The three sets that physics needs, as the archives unpack, without their content."""
    for name in ("brem_SB", "epics2017/phot", "fluor"):
        (root / f"{prefix}EMLOW8.8" / name).mkdir(parents=True)
    states = root / f"{prefix}ENSDFSTATE3.0"
    states.mkdir()
    (states / "ENSDFSTATE.dat").write_text("states\n")
    for name in ("neutron", "gamma"):
        (root / f"{prefix}PARTICLEXS4.2" / name).mkdir(parents=True)
    return root
