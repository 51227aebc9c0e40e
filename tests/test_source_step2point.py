"""step2point: the published sample, steps made here, and files that we write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from caloforge.conversion import convert
from caloforge.errors import CaloforgeError, ConfigError, FormatError, ShowerError
from caloforge.geometry import Calorimeter, load_detector
from caloforge.showers import Incident, Provenance, Showers
from caloforge.sources import detect, get_source
from caloforge.sources.lab.options import LabOptions
from caloforge.sources.step2point.reader import Step2pointReader
from caloforge.store import open_showers
from helpers import SAMPLES, random_showers, small_calorimeter

SOURCE = get_source("step2point")


def steps() -> dict[str, Any]:
    """Three events of 10 GeV along y from the origin; ECAL from 100 mm on, HCAL from 120 mm on."""
    return {
        "primary/event_id": np.array([3, 5, 9], np.int32),
        "primary/momentum": np.tile(np.array([0, 10, 0], np.float32), (3, 1)),
        "primary/pdg": np.array([22, 22, 211], np.int32),
        "primary/vertex": np.zeros((3, 3), np.float32),
        "steps/cell_id": np.array([4, 5, 4, 6, 6], np.uint64),
        "steps/energy": np.array([0.001, 0.002, 0.004, 0.008, 0.016], np.float32),
        "steps/event_id": np.array([3, 3, 9, 9, 9], np.int32),
        "steps/pdg": np.full(5, 11, np.int32),
        "steps/position": np.array(
            [[0, 102.5, 0], [0, 107.5, 0], [0, 102.5, 0], [0, 112.5, 0], [0, 122.5, 0]], np.float32
        ),
        "steps/subdetector": np.array([0, 0, 0, 0, 1], np.uint8),
        "steps/time": np.array([1, 1, 1, 40, 1], np.float32),
        "metadata/subdetector_names": np.array([b"ECAL", b"HCAL"]),
    }


def write(path: Path, **change: Any) -> Path:
    """The file of :func:`steps` with some data sets replaced (None: left out)."""
    with h5py.File(path, "w") as file:
        for name, values in {**steps(), **change}.items():
            if values is not None:
                file[name] = values
    return path


def read(path: Path, calorimeter: Calorimeter, **options: Any) -> tuple[Showers, Step2pointReader]:
    with SOURCE.open(path, calorimeter, LabOptions.model_validate(options)) as reader:
        assert isinstance(reader, Step2pointReader)
        return next(reader.batches(len(reader))), reader


def test_the_published_sample_keeps_its_energy(shared_data: Path) -> None:
    path = shared_data / "edm4hep" / "step2point_tiny_showers.h5"
    assert detect(path).name == "step2point"
    # its steps lie beside the particle's line: most of them are outside, and counted
    calorimeter = small_calorimeter(n=1, layers=2)
    showers, reader = read(path, calorimeter, front=0.5)
    assert len(showers) == 3
    assert reader.tally.incoming == pytest.approx(9500.0)
    assert 0 < reader.tally.outside < 9500.0
    total = showers.total_energy.sum() + reader.tally.outside
    assert total == pytest.approx(9500.0, rel=1e-6)
    assert showers.incident["pdg"].tolist() == [22, 22, 211]
    assert np.allclose(showers.incident.energy[:2], [10e3, 20e3])
    assert showers.incident.energy[2] == pytest.approx(np.hypot(5000, 139.57039) - 139.57039)
    with pytest.raises(ConfigError, match="--detector"):
        SOURCE.open(path)


def test_steps_go_where_they_belong(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5")
    assert detect(path).name == "step2point"
    calorimeter = small_calorimeter(layers=5)
    all_of_it, reader = read(path, calorimeter, front=100.0)
    assert np.allclose(all_of_it.layer_energy, [[1, 2, 0, 0, 0], [0] * 5, [4, 0, 8, 0, 16]])
    assert np.allclose(all_of_it.incident["theta"], np.pi / 2)
    assert reader.notes == []
    ecal, reader = read(path, calorimeter, collections=["E*"])
    assert np.allclose(ecal.total_energy, [3, 0, 12])
    assert "r = 100 mm" in reader.notes[0]
    early, reader = read(path, calorimeter, front=100.0, time_max=10.0)
    assert np.allclose(early.total_energy, [3, 0, 20])
    assert "8 MeV came after 10" in reader.notes[0]
    numbered, _ = read(path, calorimeter, front=100.0, layers="layer", encoding="layer:8")
    assert np.allclose(numbered.layer_energy, [[1, 2, 0, 0, 0], [0] * 5, [4, 0, 24, 0, 0]])
    done = convert(path, tmp_path / "o.h5", detector=calorimeter, drop_empty=True)
    assert (done.showers, done.dropped) == (2, 1)


def test_unknown_masses_are_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", **{"primary/pdg": np.array([0, 22, 999999], np.int32)})
    showers, reader = read(path, small_calorimeter(), front=100.0)
    assert np.allclose(showers.incident.energy, 1e4)
    assert "2 events have a particle of unknown mass" in reader.notes[0]


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("steps/time", None, "steps/time"),
        ("primary/pdg", None, "primary/pdg"),
        ("metadata/subdetector_names", None, "subdetector_names"),
        ("metadata/subdetector_names", np.arange(2), "subdetector_names"),
        ("metadata/subdetector_names", np.array([b"ECAL"]), "number 1, there are 1"),
        ("steps/energy", np.ones(4), "steps/energy.*\\(4,\\)"),
        ("steps/energy", np.array([b"a"] * 5), "not numbers"),
        ("steps/position", np.ones((5, 2)), "steps/position"),
        ("steps/event_id", np.array([3, 9, 3, 9, 9]), "must not fall"),
        ("steps/event_id", np.array([3, 4, 9, 9, 9]), "does not have"),
        ("steps/event_id", np.array([3, 3, 9, 9, 10]), "does not have"),
        ("steps/event_id", np.array([3, 3, 9, 9, 9.0]), "whole numbers"),
        ("primary/event_id", np.array([3, 3, 9]), "must increase"),
        ("primary/momentum", np.zeros((3, 3)), "event 0"),
        ("primary/vertex", np.full((3, 3), np.nan), "event 0"),
        ("primary/vertex", np.full((3, 3), 500.0), "never enters"),
        ("steps/energy", np.array([1, 1, 1, np.nan, 1]), "nan MeV"),
        ("steps/energy", np.array([1, 1, 1, -1, 1]), "not negative"),
        ("steps/time", np.array([1, 1, 1, np.nan, 1]), "steps/time"),
    ],
)
def test_bad_content_is_named(tmp_path: Path, name: str, values: Any, words: str) -> None:
    path = write(tmp_path / "bad.h5", **{name: values})
    with pytest.raises(CaloforgeError, match=words) as caught:
        read(path, small_calorimeter(), front=100.0, time_max=100.0)
    assert "bad.h5" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_events_and_wrong_options(tmp_path: Path) -> None:
    empty = {name: values[:0] for name, values in steps().items() if name[0] in "ps"}
    with pytest.raises(ShowerError, match="no events"):
        read(write(tmp_path / "a.h5", **empty), small_calorimeter(), front=1.0)
    path = write(tmp_path / "b.h5")
    for options, words in (
        ({"collections": ["VTX"]}, "no collection 'VTX', only ECAL, HCAL"),
        ({"layers": "layer"}, "encoding=TEXT"),
        ({"layers": "stave", "encoding": "layer:8"}, "no field 'stave'"),
    ):
        with pytest.raises(CaloforgeError, match=words):
            read(path, small_calorimeter(), front=100.0, **options)
    (tmp_path / "c.h5").write_bytes(path.read_bytes()[:2000])
    assert not SOURCE.matches(tmp_path / "c.h5")
    with pytest.raises(FormatError, match=r"c\.h5"):
        SOURCE.open(tmp_path / "c.h5", small_calorimeter())


@pytest.mark.parametrize("detector", ["calogan-lar", "par04-siw", "lcd-ecal"])
def test_everything_comes_back(tmp_path: Path, detector: str) -> None:
    showers = random_showers(5, load_detector(detector), occupancy=0.002)
    energy, theta = showers.incident.energy, np.linspace(0.5, 2, 5)
    incident = Incident({"energy": energy, "theta": theta, "pdg": [11] * 5, "x": np.arange(5.0)})
    path = tmp_path / "a.h5"
    with SOURCE.create(path, showers.calorimeter, Provenance(step="t")) as writer:
        for part in (slice(0, 2), slice(2, 5)):
            one = showers[part]
            writer.append(
                Showers(one.calorimeter, incident.take(part), one.offset, one.cell, one.energy)
            )
    assert detect(path).name == "step2point"
    with SOURCE.open(path) as reader:
        again = Showers.concatenate(list(reader.batches(3)))
    assert np.array_equal(again.offset, showers.offset)
    assert np.array_equal(again.cell, showers.cell)
    assert np.abs(again.energy / showers.energy - 1).max() <= 2e-7
    assert all(np.array_equal(again.incident[n], incident[n]) for n in incident)
    assert SOURCE.losses(incident) == []


def test_written_positions_lead_to_the_same_cells(tmp_path: Path) -> None:
    convert(SAMPLES / "electrons_test.h5", tmp_path / "a.h5", limit=10)
    with open_showers(tmp_path / "a.h5") as store:
        showers = store.read()
    middle = {"energy": showers.incident.energy, "pdg": showers.incident["pdg"]}
    showers = Showers(
        showers.calorimeter, Incident(middle), showers.offset, showers.cell, showers.energy
    )
    path = tmp_path / "b.h5"
    with SOURCE.create(path, showers.calorimeter, Provenance(step="t")) as writer:
        writer.append(showers)
    again, reader = read(path, showers.calorimeter, front=1500.0)
    assert reader.tally.outside == 0.0
    assert np.array_equal(again.cell, showers.cell)
    assert np.allclose(again.energy, showers.energy, rtol=2e-7)
    assert np.allclose(again.incident.energy, showers.incident.energy, rtol=1e-6)


def test_changed_content_of_our_files_is_noticed(tmp_path: Path) -> None:
    showers = random_showers(3)
    path = tmp_path / "a.h5"
    with SOURCE.create(path, showers.calorimeter, Provenance(step="t")) as writer:
        writer.append(showers)
    for name in ("steps/energy", "steps/cell_id", "caloforge/energy"):
        with h5py.File(path, "r+") as file:
            kept = file[name][-1]
            file[name][-1] = kept + file[name].dtype.type(1)
        with pytest.raises(FormatError, match=r"a\.h5.*shower 2.*checksum"), SOURCE.open(path) as r:
            next(r.batches(3))
        with h5py.File(path, "r+") as file:
            file[name][-1] = kept
    with h5py.File(path, "r+") as file:
        del file["caloforge/checksum"]
    with pytest.raises(FormatError, match="checksum"):
        SOURCE.open(path)
