"""Geant4: the right cells, the right energies, the right physics, clear refusals."""

from __future__ import annotations

import numpy as np
import pytest

from caloforge.beam import directions, particles
from caloforge.errors import ConfigError, GeometryError, SimulationError
from caloforge.geometry import (
    Calorimeter,
    CartesianGrid,
    CylindricalGrid,
    Layer,
    Material,
    Stack,
    load_detector,
)
from caloforge.showers import Incident, Showers
from caloforge.simulate.aim import starts
from caloforge.simulate.geant4 import Geant4
from simulation_jobs import (
    Mother,
    PhysicsParts,
    SaturateStepByStep,
    Simulate,
    SimulateOffAxis,
    in_worker,
)

pytestmark = pytest.mark.usefixtures("geant4")

SILICON = Material(material="G4_Si", thickness=1.0, active=True)
AIR = Material(material="G4_AIR", thickness=9.0)
NARROW = CartesianGrid(nx=5, ny=3, dx=4.0, dy=10.0, centre=(2.0, -3.0))
WIDE = CartesianGrid(nx=6, ny=8, dx=10.0, dy=5.0)
RINGS = CylindricalGrid(r_edges=(0.0, 3.0, 8.0, 20.0), n_phi=5)
DISC = CylindricalGrid(r_edges=(2.0, 9.0, 20.0), n_phi=1)


def trackers(*grids: CartesianGrid | CylindricalGrid, width: float | None = None) -> Calorimeter:
    """Thin silicon planes in air: particles fly straight on."""
    return Calorimeter(
        name="trackers",
        width=width,
        stacks=(Stack(slabs=(SILICON, AIR), repeat=len(grids)),),
        layers=tuple(
            Layer(z=10.0 * k, thickness=10.0, segmentation=grid) for k, grid in enumerate(grids)
        ),
    )


def muons(*points: tuple[float, float], theta: float = 90.0, phi: float = 0.0) -> Incident:
    n = len(points)
    x, y = np.array(points).T
    angles = {"theta": np.full(n, np.deg2rad(theta)), "phi": np.full(n, np.deg2rad(phi))}
    return Incident({"energy": np.full(n, 1e5), "pdg": np.full(n, 13), "x": x, "y": y, **angles})


def simulate(calorimeter: Calorimeter, incident: Incident, **options: object) -> Showers:
    simulator = Geant4(calorimeter, **options)  # type: ignore[arg-type]
    simulator.check(incident)
    return in_worker(Simulate(simulator, incident), slice(0, len(incident)))[0]


def crossed(calorimeter: Calorimeter, incident: Incident, layer: int) -> np.ndarray:
    """The cell that each straight line crosses in the middle of a layer's silicon."""
    start, direction = starts(incident), directions(incident)
    z = calorimeter.layers[layer].z + 0.5
    point = start + ((z - start[:, 2]) / direction[:, 2])[:, None] * direction
    return calorimeter.locate(point[:, 0], point[:, 1], point[:, 2])


POINTS = ((0.3, 0.4), (-5.0, -9.0), (8.1, 6.2), (-7.7, 4.9), (1.0, -12.3), (5.5, -1.1))


@pytest.mark.parametrize(
    ("grids", "width"),
    [((NARROW, WIDE, NARROW), 90.0), ((WIDE, WIDE), None), ((RINGS, DISC, RINGS), None)],
    ids=["windows in wide planes", "cells that fill the plane", "rings and sectors"],
)
def test_deposits_are_in_the_cells_that_the_particle_crosses(
    grids: tuple[CartesianGrid | CylindricalGrid, ...], width: float | None
) -> None:
    calorimeter = trackers(*grids, width=width)
    incident = muons(*POINTS)
    showers = simulate(calorimeter, incident)
    dense = showers.dense()
    for layer in range(calorimeter.n_layers):
        first, last = calorimeter.layer_offset[layer : layer + 2]
        expected = crossed(calorimeter, incident, layer)
        for row, cell in enumerate(expected):
            deposits = dense[row, first:last]
            if cell < 0:
                assert deposits.sum() < 0.1
            else:
                assert np.argmax(deposits) + first == cell
                assert 0.2 < deposits.max() < 5.0  # a MIP leaves 0.39 MeV in 1 mm of silicon


def test_inclined_particles_walk_through_the_cells() -> None:
    calorimeter = trackers(WIDE, WIDE, WIDE)
    incident = muons((1.2, 1.3), (-8.7, 6.1), theta=60.0, phi=30.0)
    dense = simulate(calorimeter, incident).dense()
    for layer in range(3):
        first, last = calorimeter.layer_offset[layer : layer + 2]
        found = np.argmax(dense[:, first:last], axis=1) + first
        np.testing.assert_array_equal(found, crossed(calorimeter, incident, layer))


def test_a_concentric_calorimeter_has_the_mesh_of_the_same_planes() -> None:
    planes = trackers(RINGS, RINGS, width=60.0)
    barrel = planes.model_copy(update={"inner_radius": 500.0})
    incident = muons(*[p for p in POINTS if np.hypot(*p) < 10])
    job = SimulateOffAxis(Geant4(barrel), incident)
    dense = in_worker(job, slice(0, len(incident)))[0].dense()
    for layer in range(2):
        first, last = barrel.layer_offset[layer : layer + 2]
        found = np.argmax(dense[:, first:last], axis=1) + first
        np.testing.assert_array_equal(found, crossed(planes, incident, layer))


def block(*slabs: Material, repeat: int, layers: int = 1, width: float = 1000.0) -> Calorimeter:
    """A wide calorimeter of one big cell per layer."""
    thickness = repeat * sum(slab.thickness for slab in slabs)
    grid = CartesianGrid(nx=1, ny=1, dx=width, dy=width)
    layer = Layer(z=0.0, thickness=thickness / layers, segmentation=grid)
    parts = [layer.model_copy(update={"z": k * thickness / layers}) for k in range(layers)]
    return Calorimeter(
        name="block", stacks=(Stack(slabs=slabs, repeat=repeat),), layers=tuple(parts)
    )


def test_a_block_deep_enough_stops_everything() -> None:
    lead = Material(material="G4_Pb", thickness=300.0, active=True)
    beam = particles(40, 1, particle="gamma")
    visible = simulate(block(lead, repeat=1), beam).total_energy / beam.energy
    assert np.all(visible <= 1 + 1e-6)
    assert visible.mean() > 0.985


def test_a_slab_across_two_layers_is_shared() -> None:
    scintillator = Material(material="G4_POLYSTYRENE", thickness=30.0, active=True)
    calorimeter = block(scintillator, repeat=1, layers=3)
    beam = particles(60, 100, particle="mu-")
    layers = np.median(simulate(calorimeter, beam).layer_energy, axis=0)
    np.testing.assert_allclose(layers, layers.mean(), rtol=0.1)
    assert 1.5 < layers.mean() < 3.0  # 2 MeV/cm


@pytest.mark.parametrize(("particle", "energy"), [("pi-", 5.0), ("e-", 3.0)])
def test_birks_saturation_is_geant4s_own(particle: str, energy: float) -> None:
    steel = Material(material="G4_STAINLESS-STEEL", thickness=19.0)
    plastic = Material(material="G4_POLYSTYRENE", thickness=6.5, active=True, birks=0.126)
    calorimeter = block(steel, plastic, repeat=40, width=600.0)
    beam = particles(8, energy, particle=particle)
    simulator = Geant4(calorimeter, physics="ftfp_bert")
    job = SaturateStepByStep(simulator, beam, 0.126, "G4_POLYSTYRENE")
    showers = in_worker(job, slice(0, 8))[0]
    source = showers.provenance.source
    assert source["saturated"] < 0.98 * source["raw"]
    assert showers.total_energy.sum() == pytest.approx(source["saturated"], rel=0.01)


@pytest.mark.parametrize(
    ("detector", "volume", "slabs"), [("lcd-ecal", "calorimeter", 75), ("par04-siw", "column", 180)]
)
def test_no_slab_is_the_mother_of_others(detector: str, volume: str, slabs: int) -> None:
    """Tungsten around the silicon instead of in front of it biases lcd-ecal by -0.8 %."""
    simulator = Geant4(load_detector(detector))
    job = Mother(simulator, particles(1, 0.1, particle="e-"), volume=volume)
    source = in_worker(job, slice(0, 1))[0].provenance.source
    assert (source["mother"], source["slabs"]) == ("G4_Galactic", slabs)


def test_the_cut_and_the_em_option_reach_geant4() -> None:
    beam = particles(6, 1, particle="e-")
    calorimeter = load_detector("lcd-ecal")
    default = simulate(calorimeter, beam).total_energy
    assert np.array_equal(simulate(calorimeter, beam, cut=0.7).total_energy, default)
    assert not np.array_equal(simulate(calorimeter, beam, cut=1.0).total_energy, default)
    assert not np.array_equal(simulate(calorimeter, beam, em_option=1).total_energy, default)
    coarse = simulate(calorimeter, beam, cut=100.0).total_energy
    assert coarse.sum() < 0.3 * default.sum()  # no electrons of their own leave the tungsten


def test_ftfp_bert_has_the_parts_of_geant4s_own_list() -> None:
    beam = particles(1, 1, particle="pi-")
    simulator = Geant4(load_detector("lcd-ecal"), physics="ftfp_bert")
    ours, stock = (
        in_worker(PhysicsParts(simulator, beam, stock=stock), slice(0, 1))[0].provenance.source
        for stock in (False, True)
    )
    assert len(stock["parts"]) == 8
    assert ours["parts"] == stock["parts"]


def test_lcd_electrons_have_the_published_sampling_fraction() -> None:
    beam = particles(40, 20, particle="e-")
    visible = simulate(load_detector("lcd-ecal"), beam).total_energy / beam.energy
    error = visible.std() / np.sqrt(len(visible))
    assert visible.mean() == pytest.approx(0.02156, abs=3 * error + 0.0004)


def test_neutral_pions_decay_before_the_calorimeter() -> None:
    beam = Incident({"energy": np.full(4, 2e3), "pdg": np.full(4, 111), "z": np.full(4, -500.0)})
    showers = simulate(load_detector("lcd-ecal"), beam)
    assert np.all(showers.total_energy > 0.005 * beam.energy)


def test_unknown_material_and_particle_come_back_as_errors() -> None:
    strange = block(Material(material="G4_Unobtainium", thickness=5.0, active=True), repeat=1)
    with pytest.raises(GeometryError, match="block: Geant4 knows no material 'G4_Unobtainium'"):
        simulate(strange, particles(1, 1, particle="e-"))
    known = block(SILICON, repeat=1)
    with pytest.raises(ConfigError, match="knows no such PDG code"):
        simulate(known, particles(1, 1, particle="99999"), physics="ftfp_bert")


def test_one_process_holds_one_configuration() -> None:
    from caloforge.simulate.geant4 import simulator as module

    class Other:
        config, calorimeter = None, load_detector("lcd-ecal")

    module._running.append(Other())  # type: ignore[arg-type]
    try:
        with pytest.raises(SimulationError, match="fresh process"):
            Geant4(load_detector("lcd-ecal")).simulate(particles(1, 1, particle="e-"), seed=1)
    finally:
        module._running.clear()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"physics": "qgsp"}, "--physics qgsp: choose auto, em or ftfp_bert"),
        ({"em_option": 7}, "--em-option 7: choose 0, 1, 2, 3 or 4"),
        ({"cut": 0.0}, "--cut 0: give a production cut between 0.001 and 1000 mm"),
        ({"cut": float("nan")}, "--cut nan"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Geant4(load_detector("lcd-ecal"), **options)  # type: ignore[arg-type]


def test_particles_and_energies_beyond_the_list_are_refused() -> None:
    simulator = Geant4(load_detector("lcd-ecal"))
    with pytest.raises(ConfigError, match="--particle pi-: hadronic showers need"):
        simulator.check(particles(1, 10, particle="pi-"))
    with pytest.raises(ConfigError, match="--energy 200000 GeV is beyond"):
        simulator.check(particles(1, 2e5, particle="e-"))


def test_meshes_that_cannot_be_concentric_are_refused() -> None:
    barrel = trackers(WIDE, RINGS).model_copy(update={"inner_radius": 500.0})
    with pytest.raises(GeometryError, match="concentric calorimeter need the same rings"):
        Geant4(barrel)


def test_a_mesh_whose_first_ring_bends_away_is_refused() -> None:
    """Its column would begin behind the point where the particle starts."""
    rings = CylindricalGrid(r_edges=(0.0, 100.0, 150.0), n_phi=4)
    barrel = trackers(rings, rings).model_copy(update={"inner_radius": 800.0})
    with pytest.raises(GeometryError, match="a first ring of 100 mm .* at most 57 mm"):
        Geant4(barrel)


def test_layers_without_active_material_are_refused() -> None:
    with pytest.raises(GeometryError, match="layer 0 holds no active material"):
        Geant4(block(AIR, repeat=2))
