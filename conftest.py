"""Fixtures of all tests: the bundled Geant4 showers, and the large samples where they are."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from caloforge.conversion import convert
from caloforge.errors import CaloforgeError
from caloforge.geometry import Calorimeter
from caloforge.runtime.choose import CACHE
from caloforge.showers import Showers
from caloforge.simulate.geant4 import find_tables
from caloforge.store import open_showers
from helpers import SAMPLES, SHARED, small_calorimeter


def pytest_addoption(parser: pytest.Parser) -> None:
    """The seed of what tests draw without one of their own; the suite holds at every seed."""
    parser.addoption("--seed", type=int, default=0, help="seed of torch in every test")


@pytest.fixture(autouse=True)
def _seed(request: pytest.FixtureRequest) -> None:
    torch.manual_seed(request.config.getoption("--seed"))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What engines were measured to take is not kept in the user's home."""
    monkeypatch.setenv(CACHE, str(tmp_path_factory.getbasetemp() / "cache"))


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


@pytest.fixture(scope="session")
def geant4() -> None:
    """Geant4 and its tables; the test is skipped where they are not installed."""
    if find_spec("geant4_pybind") is None:
        pytest.skip("geant4-pybind is not installed")
    try:
        tables = find_tables()
    except CaloforgeError:
        pytest.skip("Geant4's physics tables are not on this machine")
    if not tables.hadronic:
        pytest.skip("Geant4's hadronic tables are not on this machine")


@pytest.fixture
def shared_data() -> Path:
    """The project's large Geant4 samples; the test is skipped where they are not at hand."""
    if not SHARED.is_dir():
        pytest.skip("the large Geant4 samples (shared/data) are not on this machine")
    return SHARED
