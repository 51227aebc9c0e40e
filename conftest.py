"""Fixtures of all tests: the bundled Geant4 showers, and the large samples where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from caloforge.geometry import Calorimeter
from caloforge.showers import Showers
from caloforge.sources import convert
from caloforge.store import open_showers
from helpers import SAMPLES, SHARED, small_calorimeter


@pytest.fixture
def small() -> Calorimeter:
    """A small cartesian calorimeter."""
    return small_calorimeter()


@pytest.fixture(scope="session")
def electrons_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled Geant4 training electrons as a store file."""
    path = tmp_path_factory.mktemp("electrons") / "train.h5"
    convert(SAMPLES / "electrons_train.h5", path)
    return path


@pytest.fixture(scope="session")
def electrons(electrons_file: Path) -> Showers:
    """The bundled Geant4 training electrons."""
    return open_showers(electrons_file).read()


@pytest.fixture
def shared_data() -> Path:
    """The project's large Geant4 samples; the test is skipped where they are not at hand."""
    if not SHARED.is_dir():
        pytest.skip("the large Geant4 samples (shared/data) are not on this machine")
    return SHARED
