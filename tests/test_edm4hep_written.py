"""EDM4hep files that we write: what comes back, what strangers find, what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caloforge.conversion import convert
from caloforge.errors import CaloforgeError, FormatError, ShowerError
from caloforge.geometry import Calorimeter, CartesianGrid, Layer, load_detector
from caloforge.showers import Incident, Provenance, Showers
from caloforge.sources import detect, get_source
from caloforge.sources.cellid import CellId
from caloforge.sources.edm4hep import Edm4hepOptions
from caloforge.sources.edm4hep.reader import Edm4hepReader
from caloforge.store import open_showers, write_showers
from helpers import ROOT, SAMPLES, random_showers

REAL = ROOT / "examples" / "edm4hep" / "dd4hep_5_events.edm4hep.root"
BARREL = "ECalBarrelCollection"
SOURCE = get_source("edm4hep")


def read(
    path: Path, calorimeter: Calorimeter | None, **options: Any
) -> tuple[Showers, Edm4hepReader]:
    """All showers of a file, and its reader."""
    with SOURCE.open(path, calorimeter, Edm4hepOptions.model_validate(options)) as reader:
        assert isinstance(reader, Edm4hepReader)
        return next(reader.batches(len(reader))), reader


columns = st.fixed_dictionaries(
    {},
    optional={
        "pdg": st.sampled_from([11, 22, -211, 2212, 999]),
        "theta": st.floats(0.3, 2.8),
        "phi": st.floats(-3.0, 3.0),
        "x": st.floats(-20, 20),
        "y": st.floats(-20, 20),
        "z": st.floats(-50, 50),
    },
)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(columns, st.integers(0, 99), st.sampled_from(["calogan-lar", "par04-siw", "lcd-ecal"]))
def test_everything_comes_back(
    tmp_path: Path, extra: dict[str, float], seed: int, detector: str
) -> None:
    showers = random_showers(5, load_detector(detector), seed, occupancy=0.002)
    table = {name: np.full(5, value) for name, value in extra.items()}
    incident = Incident({"energy": showers.incident.energy, **table})
    path = tmp_path / "a.root"
    with SOURCE.create(path, showers.calorimeter, Provenance(step="t")) as writer:
        for part in (slice(0, 2), slice(2, 5)):
            one = showers[part]
            writer.append(
                Showers(one.calorimeter, incident.take(part), one.offset, one.cell, one.energy)
            )
    assert detect(path).name == "edm4hep"
    with SOURCE.open(path) as reader:
        again = Showers.concatenate(list(reader.batches(3)))
    assert again.calorimeter.hash == showers.calorimeter.hash
    assert np.array_equal(again.offset, showers.offset)
    assert np.array_equal(again.cell, showers.cell)
    assert np.abs(again.energy / showers.energy - 1).max() <= 2e-7
    assert set(again.incident) == set(incident)
    assert all(np.array_equal(again.incident[n], incident[n]) for n in incident)


def test_written_files_have_podio_s_branches(tmp_path: Path) -> None:
    showers = random_showers(4)
    store = write_showers(tmp_path / "a.h5", showers)
    done = convert(store, tmp_path / "b.edm4hep.root", to="edm4hep")
    assert "podio's C++ reader" in done.notes[0]
    ours = uproot.open({str(done.path): "events"})
    real = uproot.open({str(REAL): "events"})
    for name in ours.keys(filter_name="*.*"):
        if not name.startswith("caloforge."):
            like = real[name.replace("SimCalorimeterHits", BARREL)]
            assert ours[name].typename == like.typename, name
    energy = ours["SimCalorimeterHits.energy"].array(library="np")
    assert np.allclose([row.sum() for row in energy], showers.total_energy / 1000, rtol=1e-5)
    text = uproot.open({str(done.path): None})["SimCalorimeterHits__CellIDEncoding"]
    cell_id = CellId.parse(str(text))
    ids = np.concatenate(list(ours["SimCalorimeterHits.cellID"].array(library="np")))
    layer, i, j = showers.calorimeter.cell_coordinates(showers.cell)
    for name, wanted in (("layer", layer), ("i", i), ("j", j)):
        assert np.array_equal(cell_id.decode(ids, name), wanted)


@pytest.mark.parametrize("detector", ["par04-siw", "lcd-ecal-25"])
def test_written_positions_lead_to_the_same_cells(tmp_path: Path, detector: str) -> None:
    """Read like a stranger's file: from the positions in the laboratory."""
    calorimeter = load_detector(detector)
    showers = random_showers(3, calorimeter, occupancy=0.01)
    theta = [np.pi / 2, np.pi / 2, np.pi / 2 if detector != "par04-siw" else 1.1]
    incident = Incident({"energy": showers.incident.energy, "theta": theta})
    showers = Showers(calorimeter, incident, showers.offset, showers.cell, showers.energy)
    with SOURCE.create(tmp_path / "a.root", calorimeter, Provenance(step="t")) as writer:
        writer.append(showers)
    front = calorimeter.inner_radius or 1500.0
    again, reader = read(tmp_path / "a.root", calorimeter, front=front)
    assert reader.tally.outside == 0.0
    assert np.array_equal(again.cell, showers.cell)
    assert np.allclose(again.energy, showers.energy, rtol=2e-7)
    assert np.allclose(again.incident["theta"], theta)
    assert np.allclose(again.incident.energy, showers.incident.energy)
    by_number, _ = read(tmp_path / "a.root", calorimeter, front=front, layers="layer")
    assert np.array_equal(by_number.cell, showers.cell)


def test_provenance_travels_along(tmp_path: Path) -> None:
    convert(SAMPLES / "electrons_test.h5", tmp_path / "a.root", to="edm4hep", limit=5)
    convert(tmp_path / "a.root", tmp_path / "b.h5")
    with open_showers(tmp_path / "b.h5") as reader:
        assert reader.provenance.find_source("seconds_per_shower") == pytest.approx(0.44, abs=0.02)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    grid = CartesianGrid(nx=2**20 + 1, ny=1, dx=1, dy=1)
    wide = Calorimeter(name="w", layers=(Layer(z=0, thickness=1, segmentation=grid),))
    with pytest.raises(FormatError, match="cells a side"):
        SOURCE.create(tmp_path / "a.root", wide, Provenance(step="t"))
    showers = random_showers(2)
    flat = Incident({"energy": showers.incident.energy, "theta": np.zeros(2)})
    with (
        pytest.raises(ShowerError, match="never enters"),
        SOURCE.create(tmp_path / "a.root", showers.calorimeter, Provenance(step="t")) as writer,
    ):
        writer.append(
            Showers(showers.calorimeter, flat, showers.offset, showers.cell, showers.energy)
        )
    with (
        pytest.raises(ShowerError, match="theta"),
        SOURCE.create(tmp_path / "a.root", showers.calorimeter, Provenance(step="t")) as writer,
    ):
        writer.append(showers)
        flat = Incident({"energy": showers.incident.energy, "theta": np.ones(2)})
        writer.append(
            Showers(showers.calorimeter, flat, showers.offset, showers.cell, showers.energy)
        )
    assert list(tmp_path.iterdir()) == []


def test_changed_bytes_of_our_files_are_noticed(tmp_path: Path) -> None:
    showers = random_showers(6)
    path = tmp_path / "a.root"
    provenance = Provenance(step="t", geometry=showers.calorimeter.hash)
    with SOURCE.create(path, showers.calorimeter, provenance) as writer:
        writer.append(showers)
    raw = path.read_bytes()
    rng = np.random.default_rng(0)
    noticed = 0
    for place in rng.integers(0, len(raw), 60):
        data = bytearray(raw)
        data[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(data))
        try:
            with SOURCE.open(path) as reader:
                again = Showers.concatenate(list(reader.batches(4)))
        except CaloforgeError as error:
            noticed += 1
            assert str(path) in str(error)  # noqa: PT017
        else:
            assert np.array_equal(again.cell, showers.cell)
            assert np.allclose(again.energy, showers.energy, rtol=2e-7, atol=0)
            assert np.array_equal(again.incident.energy, showers.incident.energy)
    assert noticed > 2


FULL_DISK = """
import resource, signal, sys
from caloforge.errors import OutputError
from caloforge.conversion import convert
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    convert(sys.argv[1], sys.argv[2], to=sys.argv[3], limit=100)
except OutputError as error:
    print(error)
    sys.exit(7)
"""


@pytest.mark.parametrize("name", ["edm4hep", "step2point"])
def test_full_disk_while_writing(tmp_path: Path, name: str) -> None:
    arguments = [str(SAMPLES / "electrons_test.h5"), str(tmp_path / "out"), name]
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 7, done.stderr
    assert "disk is full" in done.stdout
    assert list(tmp_path.iterdir()) == []
