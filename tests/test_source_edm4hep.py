"""Reading EDM4hep: real podio events, and files made here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from caloforge.conversion import convert
from caloforge.errors import CaloforgeError, ConfigError, FormatError, ShowerError
from caloforge.geometry import Calorimeter, CartesianGrid, Layer
from caloforge.showers import Showers
from caloforge.sources import detect, get_source
from caloforge.sources.cellid import CellId
from caloforge.sources.edm4hep import Edm4hepOptions
from caloforge.sources.edm4hep.events import EventFile
from caloforge.sources.edm4hep.reader import Edm4hepReader
from helpers import ROOT, small_calorimeter
from podio_files import HITS, STEPS, good, write_podio

REAL = ROOT / "examples" / "edm4hep" / "dd4hep_5_events.edm4hep.root"
BARREL = "ECalBarrelCollection"
SOURCE = get_source("edm4hep")


def block(layers: int = 30, size: float = 600.0, thickness: float = 10.0) -> Calorimeter:
    """Wide layers that hold whole showers."""
    grid = CartesianGrid(nx=60, ny=60, dx=size / 60, dy=size / 60)
    return Calorimeter(
        name="block",
        layers=tuple(
            Layer(z=thickness * k, thickness=thickness, segmentation=grid) for k in range(layers)
        ),
    )


def read(
    path: Path, calorimeter: Calorimeter | None, **options: Any
) -> tuple[Showers, Edm4hepReader]:
    """All showers of a file, and its reader."""
    with SOURCE.open(path, calorimeter, Edm4hepOptions.model_validate(options)) as reader:
        assert isinstance(reader, Edm4hepReader)
        return next(reader.batches(len(reader))), reader


def branch(name: str) -> Any:
    """A branch of the real file, flat."""
    values = uproot.open({str(REAL): "events"})[name].array(library="np")
    return np.concatenate(list(values))


# --------------------------------------------------------------------- the real file


@pytest.mark.parametrize("axis", ["normal", "particle"])
@pytest.mark.parametrize("contributions", [False, True])
def test_real_events_keep_their_energy(axis: str, contributions: bool) -> None:
    assert detect(REAL).name == "edm4hep"
    showers, reader = read(REAL, block(), axis=axis, contributions=contributions, front=1250.0)
    rows = uproot.open({str(REAL): "events"})[f"{BARREL}.energy"].array(library="np")
    wanted = np.array([np.sum(row, dtype=np.float64) for row in rows]) * 1000
    assert np.allclose(showers.total_energy, wanted, rtol=1e-6)
    assert reader.tally.outside == 0.0
    assert reader.tally.incoming == pytest.approx(wanted.sum(), rel=1e-6)
    momentum = np.stack([branch(f"MCParticles.momentum.{a}") for a in "xyz"])
    assert np.allclose(showers.incident.energy, 1000 * np.linalg.norm(momentum, axis=0))
    polar = np.arccos(momentum[2] / np.linalg.norm(momentum, axis=0))
    assert np.allclose(showers.incident["theta"], polar)


def test_a_narrow_calorimeter_loses_and_counts_the_rest() -> None:
    narrow = small_calorimeter(n=3, layers=10)
    showers, reader = read(REAL, narrow, front=1250.0)
    total = float(branch(f"{BARREL}.energy").sum(dtype=np.float64)) * 1000
    assert 0 < reader.tally.outside < total
    assert showers.total_energy.sum() + reader.tally.outside == pytest.approx(total, rel=1e-6)


def test_layers_of_the_real_cell_numbers_grow_with_the_radius() -> None:
    with EventFile(REAL) as events:
        encoding = events.encoding(BARREL)
    assert encoding == "system:0:8,barrel:8:3,module:11:4,layer:15:6,slice:21:5,x:32:-16,y:48:-16"
    cell_id = CellId.parse(encoding)
    layer = cell_id.decode(branch(f"{BARREL}.cellID"), "layer")
    assert (cell_id.decode(branch(f"{BARREL}.cellID"), "system") == 16).all()
    x, y, z = (branch(f"{BARREL}.position.{a}").astype(np.float64) for a in "xyz")
    radius, azimuth = np.hypot(x, y), np.arctan2(y, x)
    assert np.corrcoef(layer, radius)[0, 1] > 0.97
    # a barrel of 16 flat modules, layers every 5.05 mm from 1250 mm on, cells of 5.1 mm
    off = azimuth - np.round(azimuth / (np.pi / 8)) * np.pi / 8
    assert np.allclose(radius * np.cos(off), 1247.35 + 5.05 * layer, atol=1e-2)
    across, along = (cell_id.decode(branch(f"{BARREL}.cellID"), name) for name in "xy")
    assert np.allclose(radius * np.sin(off), 5.1 * across, atol=1e-2)
    assert np.allclose(z, 5.1 * along, atol=1e-2)


def test_real_layers_by_number() -> None:
    showers, reader = read(REAL, block(), layers="layer", front=1250.0, first_layer=1)
    by_layer = showers.layer_energy.sum(axis=0)
    layer = CellId.parse("system:8,barrel:3,module:4,layer:6").decode(
        branch(f"{BARREL}.cellID"), "layer"
    )
    wanted = np.bincount(layer - 1, branch(f"{BARREL}.energy") * 1000.0, 30)
    assert np.allclose(by_layer, wanted, rtol=1e-5)
    assert reader.notes == []
    reader = read(REAL, block(), layers="layer", front=1250.0)[1]
    assert "first layer is taken to be 2" in reader.notes[0]
    with pytest.raises(ShowerError, match=r"event \d.*before the first layer 5"):
        read(REAL, block(), layers="layer", front=1250.0, first_layer=5)


def test_layers_by_depth_are_those_of_the_real_detector() -> None:
    calorimeter = block(thickness=5.05)
    by_depth, _ = read(REAL, calorimeter, front=1250.0)
    by_number, _ = read(REAL, calorimeter, front=1250.0, layers="layer", first_layer=1)
    # the modules are flat and a shower's frame is not theirs: some hits are a layer or two off
    depth = np.arange(30)
    mean = [
        (s.layer_energy.sum(axis=0) @ depth) / s.total_energy.sum() for s in (by_depth, by_number)
    ]
    assert mean[0] == pytest.approx(mean[1], abs=2.0)


def test_the_front_is_found_and_said() -> None:
    showers, reader = read(REAL, block())
    nearest = np.hypot(branch(f"{BARREL}.position.x"), branch(f"{BARREL}.position.y")).min()
    front = reader.provenance.config["front"]
    assert front == pytest.approx(nearest - 5.0)
    assert "front face is taken" in reader.notes[0]
    assert f"{front:.6g}" in reader.notes[0]
    assert showers.layer_energy[:, 0].sum() > 0
    barrel = block().model_copy(update={"inner_radius": 1250.0})
    assert read(REAL, barrel)[1].provenance.config["front"] == 1250.0
    with pytest.raises(ConfigError, match="front=MM"):
        read(REAL, block(), collections="HCal*")


def test_real_file_through_the_command(tmp_path: Path) -> None:
    barrel = block().model_copy(update={"inner_radius": 1250.0})
    assert convert(REAL, tmp_path / "a.h5", detector=barrel).showers == 5
    with pytest.raises(ConfigError, match="--detector"):
        convert(REAL, tmp_path / "b.h5")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.h5"]


def test_parts_give_the_same_as_the_whole() -> None:
    whole, _ = read(REAL, block())
    with SOURCE.open(REAL, block()) as reader:
        parts = Showers.concatenate(list(reader.batches(2)))
        last = next(reader.batches(1, start=4))
    assert np.array_equal(parts.dense(), whole.dense())
    assert np.array_equal(last.dense()[0], whole.dense()[4])


def test_damaged_real_files_are_named(tmp_path: Path) -> None:
    raw = REAL.read_bytes()
    rng = np.random.default_rng(3)
    for number in range(25):
        data = bytearray(raw)
        for place in rng.integers(0, len(raw), 8):
            data[place] ^= 1 << int(rng.integers(8))
        path = tmp_path / "x.root"
        path.write_bytes(bytes(data) if number % 5 else raw[: int(rng.integers(4, len(raw)))])
        try:
            read(path, block())
        except CaloforgeError as error:
            assert str(path) in str(error)  # noqa: PT017
            assert "\n" not in str(error)  # noqa: PT017


# --------------------------------------------------------------------- files made here


def stack() -> Calorimeter:
    return small_calorimeter(n=5, layers=3)


def test_a_file_made_here_is_read_as_it_should(tmp_path: Path) -> None:
    path = write_podio(tmp_path / "a:b.root", good())
    assert detect(path).name == "edm4hep"
    by_depth, _ = read(path, stack(), front=1000.0)
    by_number, _ = read(path, stack(), front=1000.0, layers="layer", first_layer=3)
    assert np.allclose(by_depth.layer_energy, np.array([[4, 2, 1], [0, 0, 0], [3, 0, 0.5]]))
    assert np.array_equal(by_number.dense(), by_depth.dense())
    assert np.allclose(by_depth.incident.energy, 1e4)
    assert by_depth.hits_per_shower.tolist() == [3, 0, 2]
    with pytest.raises(ShowerError, match=r"shower 1 is empty.*--drop-empty"):
        convert(path, tmp_path / "o.h5", detector=stack())
    done = convert(path, tmp_path / "o.h5", detector=stack(), drop_empty=True)
    assert (done.showers, done.dropped) == (2, 1)


def test_contributions_have_places_and_times(tmp_path: Path) -> None:
    path = write_podio(tmp_path / "a.root", good())
    thin = Calorimeter(
        name="thin",
        layers=tuple(
            Layer(z=1.0 * k, thickness=1.0, segmentation=CartesianGrid(nx=1, ny=1, dx=9, dy=9))
            for k in range(14)
        ),
    )
    steps, reader = read(path, thin, front=999.5, contributions=True)
    assert np.flatnonzero(steps.layer_energy[0]).tolist() == [2, 3, 7, 12]
    assert np.allclose(steps.layer_energy[0][[2, 3, 7, 12]], [1, 3, 2, 1])
    assert np.flatnonzero(steps.layer_energy[2]).tolist() == [2, 13]  # the last at its centre
    assert "1 contributions have no position" in reader.notes[0]
    _, reader = read(path, thin, contributions=True)  # looks for the front first
    assert "1 contributions have no position" in reader.notes[1]
    early, reader = read(path, thin, front=999.5, time_max=10.0)
    assert np.allclose(early.total_energy, [6, 0, 3.5])
    assert "1 MeV came after 10 ns" in reader.notes[0]
    content = good()
    content[STEPS]["energy"] = [[0.001, 0.003, 0.002, 0.0], [], [0.003, 0.0005]]
    reader = read(write_podio(path, content), thin, front=999.5, contributions=True)[1]
    assert "hold 9.5 MeV, their hits 10.5 MeV" in reader.notes[1]
    assert reader.tally.outside == 0.0


def test_contributions_of_older_files_and_of_none(tmp_path: Path) -> None:
    content = good()
    content[f"{HITS}#0"] = content.pop(f"_{HITS}_contributions")
    path = write_podio(tmp_path / "a.root", content)
    early, _ = read(path, stack(), front=1000.0, time_max=10.0)
    assert np.allclose(early.total_energy, [6, 0, 3.5])
    del content[f"{HITS}#0"]
    path = write_podio(tmp_path / "a.root", content)
    showers, reader = read(path, stack(), front=1000.0, contributions=True)
    assert np.allclose(showers.total_energy, [7, 0, 3.5])
    assert "ECalBarrelCollection keep no contributions" in reader.notes[0]
    with pytest.raises(FormatError, match="no times"):
        read(path, stack(), front=1000.0, time_max=10.0)


def test_the_incident_particle(tmp_path: Path) -> None:
    content = good()
    two = {
        name: [[row[0], row[0]] for row in rows] for name, rows in content["MCParticles"].items()
    }
    two["momentum.x"] = [[10.0, 20.0], [10.0, 20.0], [30.0, 20.0]]
    two["PDG"] = [[22, 11], [22, 11], [22, 11]]
    path = write_podio(tmp_path / "a.root", {**content, "MCParticles": two})
    showers, reader = read(path, stack(), front=1000.0)
    assert np.allclose(showers.incident.energy, [2e4, 2e4, 3e4])
    assert showers.incident["pdg"].tolist() == [11, 11, 22]
    assert "3 events have several" in reader.notes[0]
    showers, reader = read(path, stack(), front=1000.0, particle=1)
    assert np.allclose(showers.incident.energy, 2e4)
    assert reader.notes == []
    with pytest.raises(ShowerError, match="event 0 has no particle number 2"):
        read(path, stack(), front=1000.0, particle=2)
    two["generatorStatus"][1] = [0.0, 2.0]
    path = write_podio(tmp_path / "a.root", {**content, "MCParticles": two})
    with pytest.raises(ShowerError, match="event 1 has no particle with generatorStatus 1"):
        read(path, stack(), front=1000.0)


def test_heavy_particles_have_their_kinetic_energy(tmp_path: Path) -> None:
    content = good()
    content["MCParticles"] |= {"mass": [[0.938]] * 3, "momentum.x": [[1.0]] * 3}
    showers, _ = read(write_podio(tmp_path / "a.root", content), stack(), front=1000.0)
    assert np.allclose(showers.incident.energy, 1000 * (np.hypot(1.0, 0.938) - 0.938))


def changed(collection: str, field: str, rows: Any) -> dict[str, dict[str, Any]]:
    content: dict[str, dict[str, Any]] = {**good()}
    content[collection] = {**content[collection], field: rows}
    return content


@pytest.mark.parametrize(
    ("collection", "field", "rows", "words"),
    [
        (HITS, "energy", None, "no collection"),
        (HITS, "energyError", [[0.0] * 3, [], [0.0] * 2], "no collection"),
        (HITS, "energy", [[1.0, np.nan, 1.0], [], [1.0, 1.0]], "nan MeV"),
        (HITS, "energy", [[1.0, -1.0, 1.0], [], [1.0, 1.0]], "not negative"),
        (HITS, "position.x", [[np.inf, 1.0, 1.0], [], [1.0, 1.0]], "finite"),
        (HITS, "energy", [[1.0, 1.0], [], [1.0, 1.0]], "different numbers"),
        (HITS, "energy", [0.5, 0.5, 0.5], "not one list"),
        (HITS, "contributions_end", [[9, 3, 4], [], [1, 2]], "do not exist"),
        (HITS, "contributions_begin", [[3, 2, 3], [], [0, 1]], "do not exist"),
        (f"_{HITS}_contributions", "index", [[0, 1, 2, 9], [], [0, 1]], "points outside"),
        (f"_{HITS}_contributions", "index", [[0, -1, 2, 3], [], [0, 1]], "points outside"),
        (f"_{HITS}_contributions", "collectionID", [[7, 8, 7, 7], [], [7, 7]], "spread"),
        (STEPS, "energy", None, "missing"),
        (STEPS, "energy", [[1.0, 1.0, 1.0, -1.0], [], [1.0, 1.0]], "not negative"),
        (STEPS, "stepPosition.x", [[1.0, np.nan, 1.0, 1.0], [], [1.0, 1.0]], "finite"),
        ("MCParticles", "mass", None, "MCParticles.mass"),
        ("MCParticles", "momentum.x", [[0.0]] * 3, "event 0"),
        ("MCParticles", "momentum.y", [[0.0], [np.nan], [0.0]], "event 1"),
        ("MCParticles", "vertex.x", [[0.0], [0.0], [2000.0]], "event 2.*never enters"),
    ],
)
def test_bad_content_is_named(
    tmp_path: Path, collection: str, field: str, rows: Any, words: str
) -> None:
    path = write_podio(tmp_path / "bad.root", changed(collection, field, rows))
    with pytest.raises(CaloforgeError, match=words) as caught:
        read(path, stack(), front=1000.0, contributions=True)
    assert "bad.root" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"collections": ["Ecal*"]}, "no collection 'Ecal\\*', only ECalBarrel"),
        ({"layers": "stave"}, "no field 'stave'"),
        ({"layers": "layer", "encoding": "layer"}, "name:width"),
        ({"layers": "layer", "encoding": "layer:4"}, "first layer"),
        ({"particle_collection": "Truth"}, "Truth.PDG"),
    ],
)
def test_options_that_do_not_fit_are_named(
    tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    path = write_podio(tmp_path / "a.root", good())
    if options.get("encoding") == "layer:4":
        options["first_layer"] = 1
    with pytest.raises(CaloforgeError, match=words):
        read(path, stack(), **{"front": 1000.0, **options})


def test_files_of_other_kinds(tmp_path: Path) -> None:
    path = write_podio(tmp_path / "a.root", good(), podio=False)
    assert not SOURCE.matches(path)
    with pytest.raises(FormatError, match="ROOT file of unknown layout"):
        detect(path)
    with uproot.recreate(tmp_path / "r.root") as file:
        file.mkrntuple("events", {"a": np.arange(3)})
        file.mkrntuple("podio_metadata", {"a": np.arange(3)})
    with pytest.raises(FormatError, match="RNTuple"):
        convert(tmp_path / "r.root", tmp_path / "o.h5", detector=stack())
    with uproot.recreate(tmp_path / "t.root") as file:
        file["tree"] = {"a": np.arange(3)}
    with pytest.raises(FormatError, match="no tree 'events', only tree"):
        SOURCE.open(tmp_path / "t.root", stack())
    (tmp_path / "n.root").write_text("no")
    for name, words in (("n.root", "not a ROOT file"), ("none.root", "no such file")):
        assert not SOURCE.matches(tmp_path / name)
        with pytest.raises(FormatError, match=words):
            SOURCE.open(tmp_path / name, stack())
    with uproot.recreate(tmp_path / "e.root") as file:
        fields = ("cellID", "energy", "position.x", "position.y", "position.z")
        file.mktree("events", {f"X.{name}": "var * float32" for name in fields})
        file["podio_metadata"] = "none"
    with pytest.raises(ShowerError, match="no events"):
        SOURCE.open(tmp_path / "e.root", stack())
