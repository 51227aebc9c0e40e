"""GFlash: physics of the parameterisation, geometry of stacks, reproducibility, refusals."""

from __future__ import annotations

import json
import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caloforge.errors import ConfigError, GeometryError
from caloforge.geometry import (
    Calorimeter,
    CartesianGrid,
    CylindricalGrid,
    Layer,
    Material,
    Stack,
    detector_names,
    load_detector,
)
from caloforge.showers import Incident, Showers
from caloforge.simulate.gflash import GFlash, Tuning, tuning_for
from caloforge.simulate.gflash.depth import build_depth
from caloforge.simulate.gflash.longitudinal import backscattering, scattered
from caloforge.simulate.gflash.materials import SUBSTANCES, substance
from caloforge.simulate.gflash.medium import effective_medium
from caloforge.simulate.gflash.tuning import PUBLISHED
from helpers import small_calorimeter

ELECTRON, POSITRON, PHOTON, PION = 11, -11, 22, 211


def block(material: str, depth_x0: float = 30.0, layers: int = 60) -> Calorimeter:
    """One homogeneous active block in layers of equal depth, each cut into rings."""
    thickness = depth_x0 * substance(material).x0_mm
    moliere = substance(material).moliere_mm
    grid = CylindricalGrid(r_edges=(0.0, moliere, 3.5 * moliere, 1e5), n_phi=1)
    step = thickness / layers
    return Calorimeter(
        name=f"{material}-block",
        stacks=(Stack(slabs=(Material(material=material, thickness=thickness, active=True),)),),
        layers=tuple(Layer(z=step * k, thickness=step, segmentation=grid) for k in range(layers)),
    )


def sandwich(units: int = 60, cell: float = 10.0, cells: int = 101) -> Calorimeter:
    """Lead and scintillator, 3 + 5 mm, one layer per unit."""
    grid = CartesianGrid(nx=cells, ny=cells, dx=cell, dy=cell)
    slabs = (
        Material(material="G4_Pb", thickness=3.0),
        Material(material="G4_POLYSTYRENE", thickness=5.0, active=True),
    )
    return Calorimeter(
        name="lead-scintillator",
        stacks=(Stack(slabs=slabs, repeat=units),),
        layers=tuple(Layer(z=8.0 * k, thickness=8.0, segmentation=grid) for k in range(units)),
    )


def beam(n: int, gev: float, pdg: int = ELECTRON, **columns: float) -> Incident:
    table: dict[str, Any] = {"energy": np.full(n, gev * 1e3), "pdg": np.full(n, pdg)}
    return Incident(table | {name: np.full(n, value) for name, value in columns.items()})


def shoot(calorimeter: Calorimeter, n: int, gev: float, seed: int = 1, **more: Any) -> Showers:
    return GFlash(calorimeter).simulate(beam(n, gev, **more), seed=seed)


def mean_depth(showers: Showers) -> float:
    """Energy-weighted mean layer number."""
    profile = showers.layer_energy.sum(axis=0)
    return float(profile @ np.arange(len(profile)) / profile.sum())


def maximum(showers: Showers, x0_per_layer: float) -> float:
    """Depth (X0) of the maximum of the mean profile: a parabola through its top."""
    profile = showers.layer_energy.mean(axis=0)
    top = int(profile.argmax())
    near = np.arange(top - 3, top + 4)
    a, b, _ = np.polyfit((near + 0.5) * x0_per_layer, profile[near], 2)
    return float(-b / (2 * a))


# ------------------------------------------------------------------- materials


@pytest.mark.parametrize(
    ("name", "x0", "moliere"),
    [
        ("G4_W", 3.504, 9.33),
        ("G4_Pb", 5.612, 16.0),
        ("G4_Fe", 17.57, 17.2),
        ("G4_Cu", 14.36, 15.7),
        ("G4_PbWO4", 8.9, 19.6),
        ("G4_lAr", 140.0, 90.4),
        ("G4_Al", 88.97, 44.2),
    ],
)
def test_materials_are_those_of_the_pdg(name: str, x0: float, moliere: float) -> None:
    """PDG radiation lengths and Moliere radii (mm); E_c = 2.66 (X0 Z/A)^1.1 is a fit to 13 %."""
    assert substance(name).x0_mm == pytest.approx(x0, rel=0.005)
    assert substance(name).moliere_mm == pytest.approx(moliere, rel=0.13)


def test_the_needed_materials_are_known() -> None:
    needed = "W Pb Fe Cu Si lAr POLYSTYRENE AIR Galactic STAINLESS-STEEL Al PbWO4"
    assert {f"G4_{name}" for name in needed.split()} <= set(SUBSTANCES)


def test_medium_of_the_lcd_sampling_unit() -> None:
    """By hand: 2.4 mm W + 0.42 mm Si; a minimum-ionising particle leaves 3.0 % in the silicon."""
    slabs = load_detector("lcd-ecal").stacks[0].slabs
    medium = effective_medium(slabs)
    assert medium.cell_x0 == pytest.approx(2.4 / 3.504 + 0.42 / 93.7, rel=0.005)
    assert medium.x0 == pytest.approx(3.82 / medium.cell_x0)
    assert medium.mip_fraction == pytest.approx(0.163 / (0.163 + 5.304), rel=0.01)
    assert medium.e_over_mip == pytest.approx(1 / (1 + 0.007 * (74 - 14)), rel=0.01)


# --------------------------------------------------------------------- physics


@pytest.mark.parametrize("material", ["G4_PbWO4", "G4_W", "G4_Fe"])
def test_a_deep_active_block_sees_all_the_energy(material: str) -> None:
    fraction = shoot(block(material), 60, 20.0).total_energy / 20e3
    assert np.all(fraction <= 1.0 + 1e-6)
    assert fraction.mean() > 0.985


def test_the_maximum_moves_with_the_logarithm_of_the_energy() -> None:
    depths = [maximum(shoot(block("G4_PbWO4"), 250, gev), 0.5) for gev in (5.0, 50.0, 500.0)]
    assert np.diff(depths) == pytest.approx([np.log(10.0)] * 2, abs=0.3)


def test_depth_scales_with_the_radiation_length() -> None:
    """Iron and lead: the maximum lies at ln(E / E_c) - 0.8 radiation lengths of either."""
    for material in ("G4_Fe", "G4_Pb"):
        expected = np.log(20e3 / substance(material).critical_energy) - 0.812
        assert maximum(shoot(block(material), 250, 20.0), 0.5) == pytest.approx(expected, abs=0.5)


def test_nine_tenths_of_the_energy_lie_within_one_moliere_radius() -> None:
    calorimeter = block("G4_PbWO4")
    showers = shoot(calorimeter, 60, 30.0)
    ring = calorimeter.cell_coordinates(showers.cell)[1]
    inside = [showers.energy[ring <= k].sum() / showers.energy.sum() for k in (0, 1)]
    assert inside[0] == pytest.approx(0.90, abs=0.03)
    assert inside[1] > 0.97


def test_sampling_resolution_falls_as_one_over_root_energy() -> None:
    """Stochastic term of lead and scintillator: 5 to 20 %, the same at all energies."""
    stochastic = []
    for gev in (2.0, 10.0, 50.0):
        total = shoot(sandwich(), 500, gev).total_energy
        stochastic.append(total.std() / total.mean() * np.sqrt(gev))
    assert 0.05 < stochastic[1] < 0.20
    assert stochastic == pytest.approx([stochastic[1]] * 3, rel=0.15)


def test_sampling_fraction_is_that_of_a_mip_times_e_over_mip() -> None:
    medium = effective_medium(sandwich().stacks[0].slabs)
    fraction = shoot(sandwich(), 100, 10.0).total_energy.mean() / 10e3
    assert fraction == pytest.approx(medium.mip_fraction * medium.e_over_mip, rel=0.02)


def test_photons_shower_deeper_than_electrons_by_their_conversion() -> None:
    electrons, photons = (
        mean_depth(shoot(block("G4_PbWO4"), 400, 10.0, pdg=pdg)) for pdg in (ELECTRON, PHOTON)
    )
    assert (photons - electrons) * 0.5 == pytest.approx(9 / 7, abs=0.25)


def test_an_unconverted_photon_leaves_nothing() -> None:
    showers = shoot(block("G4_Al", depth_x0=0.1, layers=1), 200, 10.0, pdg=PHOTON)
    assert np.count_nonzero(showers.hits_per_shower == 0) > 150


def test_positrons_are_electrons() -> None:
    electrons, positrons = (shoot(sandwich(), 3, 10.0, pdg=pdg) for pdg in (ELECTRON, POSITRON))
    assert np.array_equal(electrons.energy, positrons.energy)


# -------------------------------------------------------------------- geometry


def test_inclined_showers_follow_their_axis() -> None:
    """60 degrees: x of the shower grows with depth as cot(theta); the depth shrinks."""
    theta = np.radians(60.0)
    calorimeter = sandwich(cell=5.0)
    normal = shoot(calorimeter, 100, 20.0, x=3.0)
    tilted = shoot(calorimeter, 100, 20.0, x=3.0, theta=theta)
    layer = calorimeter.cell_layer[tilted.cell]
    x = calorimeter.cell_positions[tilted.cell, 0]
    for chosen in (8, 14, 20):
        mine = layer == chosen
        expected = 3.0 + (8.0 * chosen + 5.5) / np.tan(theta)
        found = np.average(x[mine], weights=tilted.energy[mine])
        assert found == pytest.approx(expected, abs=4.0)
    assert mean_depth(tilted) / mean_depth(normal) == pytest.approx(np.sin(theta), abs=0.03)
    assert tilted.total_energy.mean() == pytest.approx(normal.total_energy.mean(), rel=0.04)


def test_almost_normal_is_as_normal() -> None:
    normal = shoot(sandwich(), 200, 10.0)
    almost = shoot(sandwich(), 200, 10.0, theta=np.pi / 2 - 1e-4)
    assert mean_depth(almost) == pytest.approx(mean_depth(normal), abs=0.1)
    assert almost.total_energy.mean() == pytest.approx(normal.total_energy.mean(), rel=0.01)


def test_phi_turns_the_shower_and_z_moves_the_point_along_the_line() -> None:
    line = beam(50, 20.0, theta=np.radians(70.0), phi=np.pi / 2, x=20.0, y=30.0, z=40.0)
    showers = GFlash(sandwich()).simulate(line, seed=1)
    positions = showers.calorimeter.cell_positions[showers.cell]
    near = np.abs(positions[:, 2] - 100.0) < 10.0
    x, y = (np.average(positions[near, i], weights=showers.energy[near]) for i in (0, 1))
    assert x == pytest.approx(20.0, abs=2.0)
    assert y == pytest.approx(30.0 + 60.0 / np.tan(np.radians(70.0)), abs=4.0)


def test_both_zones_of_lcd_ecal_see_their_own_sampling_fraction() -> None:
    """Twice the tungsten: the deposit per layer jumps, the visible share of it halves."""
    published = GFlash(load_detector("lcd-ecal"), PUBLISHED)
    profile = published.simulate(beam(300, 50.0), seed=1).layer_energy.mean(axis=0)
    first, second = published.depth.media
    assert second.mip_fraction / first.mip_fraction == pytest.approx(0.51, abs=0.01)
    assert 0.7 < profile[17] / profile[16] < 1.05
    assert np.all(np.diff(profile[10:]) < 0)


def test_liquid_argon_cube_sees_absorber_and_argon() -> None:
    showers = shoot(load_detector("calogan-lar"), 60, 50.0)
    fraction = showers.total_energy / 50e3
    assert np.all(fraction <= 1.0 + 1e-6)
    assert fraction.mean() > 0.97
    front, middle, back = showers.layer_energy.mean(axis=0)
    assert middle > front > back


def test_a_unit_in_two_layers_is_split_by_ionisation() -> None:
    grid = CartesianGrid(nx=1, ny=1, dx=1e4, dy=1e4)
    silicon = Material(material="G4_Si", thickness=0.3, active=True)
    tungsten = Material(material="G4_W", thickness=1.4)
    calorimeter = Calorimeter(
        name="two-sided",
        stacks=(Stack(slabs=(silicon, tungsten, silicon), repeat=30),),
        layers=tuple(Layer(z=float(k), thickness=1.0, segmentation=grid) for k in range(60)),
    )
    depth = build_depth(calorimeter)
    assert depth.piece_layer.tolist() == list(range(60))
    whole = depth.piece_visible * depth.piece_share
    fraction = effective_medium(calorimeter.stacks[0].slabs).mip_fraction
    assert whole == pytest.approx(np.full(60, fraction / 2))


def test_dead_material_in_front_only_takes_energy() -> None:
    crystal = block("G4_PbWO4")
    dead = Stack(slabs=(Material(material="G4_Al", thickness=90.0),))
    moved = tuple(layer.model_copy(update={"z": layer.z + 90.0}) for layer in crystal.layers)
    behind = Calorimeter(name="behind", stacks=(dead, *crystal.stacks), layers=moved)
    alone, screened = shoot(crystal, 60, 5.0), shoot(behind, 60, 5.0)
    assert mean_depth(screened) < mean_depth(alone) - 1.0
    assert 0.8 < screened.total_energy.mean() / alone.total_energy.mean() < 1.0


def test_shipped_detectors_with_materials_can_be_simulated() -> None:
    for name in detector_names():
        if not load_detector(name).stacks:
            continue
        showers = shoot(load_detector(name), 3, 10.0)
        assert np.all(showers.hits_per_shower > 10)
        assert showers.provenance.geometry == load_detector(name).hash


def barrel() -> Calorimeter:
    grid = CylindricalGrid(r_edges=(0.0, 5.0, 20.0, 50.0), n_phi=4)
    return Calorimeter(
        name="barrel",
        inner_radius=800.0,
        stacks=sandwich().stacks,
        layers=tuple(Layer(z=8.0 * k, thickness=8.0, segmentation=grid) for k in range(60)),
    )


def test_the_mesh_of_a_concentric_calorimeter_follows_the_shower() -> None:
    here, there = shoot(barrel(), 5, 10.0), shoot(barrel(), 5, 10.0, x=300.0)
    assert np.array_equal(here.energy, there.energy)
    for aside in (beam(1, 10.0, theta=1.3), beam(1, 10.0, y=100.0)):
        with pytest.raises(
            ConfigError,
            match="concentric, its mesh lies around the particle: shoot along the normal",
        ):
            GFlash(barrel()).check(aside)


def test_birks_law_takes_a_few_per_cent_of_the_scintillator() -> None:
    """dE/dx of a minimum-ionising particle is 0.205 MeV/mm: 1 / (1 + 0.126 * 0.205) = 0.975."""
    raw = sandwich().stacks[0].slabs
    quenched = (raw[0], raw[1].model_copy(update={"birks": 0.126}))
    ratio = effective_medium(quenched).mip_fraction / effective_medium(raw).mip_fraction
    assert ratio == pytest.approx(0.975, abs=0.001)
    assert effective_medium(quenched[1:]).mip_fraction == pytest.approx(0.975, abs=0.001)


# ------------------------------------------------------------- reproducibility


MIXED = Incident(
    {
        "energy": np.geomspace(1e3, 1e5, 12),
        "pdg": np.array([11, 22, -11] * 4),
        "theta": np.tile([np.pi / 2, 1.2, 1.9, np.pi / 2], 3),
        "phi": np.linspace(-3.0, 3.0, 12),
        "x": np.linspace(-5.0, 5.0, 12),
    }
)


@settings(max_examples=15, deadline=None)
@given(cuts=st.sets(st.integers(1, 11)), seed=st.integers(0, 2**64), first=st.integers(0, 2**40))
def test_a_shower_does_not_depend_on_the_split(cuts: set[int], seed: int, first: int) -> None:
    simulator = GFlash(load_detector("lcd-ecal"))
    whole = simulator.simulate(MIXED, seed=seed, first=first)
    edges = [0, *sorted(cuts), 12]
    parts = Showers.concatenate(
        [
            simulator.simulate(MIXED.take(slice(a, b)), seed=seed, first=first + a)
            for a, b in pairwise(edges)
        ]
    )
    assert np.array_equal(whole.offset, parts.offset)
    assert np.array_equal(whole.cell, parts.cell)
    assert np.array_equal(whole.energy, parts.energy)


def test_showers_differ_by_number_and_by_seed() -> None:
    simulator = GFlash(sandwich())
    one = simulator.simulate(beam(2, 10.0), seed=1)
    other = simulator.simulate(beam(1, 10.0), seed=2)
    assert len({*one.hits_per_shower.tolist(), other.n_hits}) == 3


def test_progress_and_no_particles() -> None:
    told: list[int] = []
    GFlash(sandwich()).simulate(beam(300, 1.0), seed=1, advance=told.append)
    assert told == [256, 300]
    assert len(GFlash(sandwich()).simulate(MIXED.take(slice(0, 0)), seed=1)) == 0


def test_a_sent_simulator_makes_the_same_showers() -> None:
    simulator = GFlash(load_detector("lcd-ecal-25"))
    sent = pickle.loads(pickle.dumps(simulator))
    mine, theirs = (one.simulate(MIXED, seed=4) for one in (simulator, sent))
    assert np.array_equal(mine.energy, theirs.energy)


# ------------------------------------------------------------- tuning, settings


def test_only_the_stacks_that_were_tuned_get_a_tuning() -> None:
    assert tuning_for(load_detector("lcd-ecal-25")).name.startswith("lcd-ecal")
    assert tuning_for(load_detector("calogan-lar")) == PUBLISHED
    assert tuning_for(load_detector("lcd-ecal+lcd-hcal")).name.startswith("lcd-ecal")
    assert GFlash(load_detector("lcd-ecal"), PUBLISHED).tuning == PUBLISHED


@pytest.mark.parametrize(
    ("change", "quantity", "sign"),
    [
        (Tuning(e_over_mip=1.2), "energy", 1),
        (Tuning(maximum=1.0), "depth", 1),
        (Tuning(shape=1.2), "depth", -1),
        (Tuning(backscatter=0.4), "depth", -1),
        (Tuning(tail_radius=2.0), "hits", 1),
        (Tuning(core_weight=0.2), "hits", -1),
    ],
)
def test_a_tuning_does_what_it_says(change: Tuning, quantity: str, sign: int) -> None:
    def measured(tuning: Tuning) -> float:
        showers = GFlash(sandwich(), tuning).simulate(beam(150, 20.0), seed=1)
        if quantity == "depth":
            return mean_depth(showers)
        values = {"energy": showers.total_energy, "hits": showers.hits_per_shower}[quantity]
        return float(values.mean())

    ratio = measured(change) / measured(PUBLISHED)
    assert (ratio - 1) * sign > 0.02


def test_showers_fluctuate_around_the_expected_layers() -> None:
    simulator = GFlash(load_detector("lcd-ecal"))
    incident = beam(400, 20.0)
    expected = simulator.expected_layer_energy(incident, seed=1)
    found = simulator.simulate(incident, seed=1).layer_energy
    core = slice(2, 16)
    assert found.mean(axis=0)[core] == pytest.approx(expected.mean(axis=0)[core], rel=0.04)
    assert 0.7 < np.corrcoef(found[:, 8], expected[:, 8])[0, 1] < 0.999


def test_backscattering_keeps_the_energy_behind_the_front_face() -> None:
    depth = GFlash(load_detector("lcd-ecal")).depth
    tuning = Tuning(backscatter=0.3, backscatter_x0=0.8)
    shares = backscattering(depth, tuning)
    middle = (depth.edge_x0[1:] + depth.edge_x0[:-1]) / 2
    lost = tuning.backscatter * np.exp(-middle / tuning.backscatter_x0)
    assert shares.sum(axis=1) == pytest.approx(1 - lost)
    assert np.all(shares[np.triu_indices_from(shares, 1)] == 0)  # nothing goes forward
    flat = np.ones((2, len(shares)))
    assert scattered(flat, shares)[0] == pytest.approx(shares.sum(axis=0))
    assert scattered(flat, shares)[0, -1] < 0.9  # nothing comes from behind


def test_settings_are_json_and_hold_constants_tuning_and_media() -> None:
    simulator = GFlash(load_detector("lcd-ecal"))
    read = json.loads(json.dumps(simulator.settings(), allow_nan=False))
    assert read["tuning"]["name"] == simulator.tuning.name
    assert len(read["media"]) == 2
    assert read["constants"]["core"]["z1"] == 0.0251
    assert simulator.simulate(beam(1, 10.0), seed=1).provenance.config == simulator.settings()


# --------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("incident", "message"),
    [
        (beam(2, 10.0, pdg=PION), r"--particle: gflash knows e-, e\+, gamma, not PDG code 211"),
        (Incident({"energy": [1e4]}), "--particle"),
        (beam(2, 0.5), "--energy: gflash is made for 1 to 1000 GeV, not 0.5 GeV"),
        (beam(2, 2000.0), "--energy"),
        (beam(2, 10.0, theta=0.1), "--theta: .* too flat"),
        (beam(2, 10.0, theta=-np.pi / 2), "--theta"),
    ],
)
def test_particles_that_it_does_not_know_are_refused(incident: Incident, message: str) -> None:
    simulator = GFlash(sandwich())
    with pytest.raises(ConfigError, match=message):
        simulator.check(incident)
    with pytest.raises(ConfigError, match=message):
        simulator.simulate(incident, seed=1)


def test_a_calorimeter_without_materials_is_refused() -> None:
    with pytest.raises(GeometryError, match="no stacks of material.*add 'stacks'"):
        GFlash(small_calorimeter())


def test_an_unknown_material_is_named_with_the_known_ones() -> None:
    unknown = Stack(slabs=(Material(material="G4_CHEESE", thickness=20.0, active=True),))
    with pytest.raises(GeometryError, match=r"'G4_CHEESE'.*G4_PbWO4"):
        GFlash(small_calorimeter().model_copy(update={"stacks": (unknown,)}))


def test_a_calorimeter_that_sees_nothing_is_refused() -> None:
    passive = Stack(slabs=(Material(material="G4_Pb", thickness=20.0),))
    with pytest.raises(GeometryError, match="active: true"):
        GFlash(small_calorimeter().model_copy(update={"stacks": (passive,)}))
