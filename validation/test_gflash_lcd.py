"""GFlash in lcd-ecal against Geant4: mean layer and radial profiles, response, resolution.

The tuning of these stacks was fitted to the same normal-incidence electrons; the separate test file
and the inclined electrons had no part in it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from caloforge.geometry import load_detector
from caloforge.showers import Showers
from caloforge.simulate.gflash import GFlash
from caloforge.sources import detect
from simulated.classical import compared_layers, compared_rings, layer_profile, radial_profile

TOLERANCE = 0.10


@cache
def geant4(path: Path, detector: str) -> Showers:
    with detect(path).open(path, load_detector(detector)) as reader:
        return Showers.concatenate(list(reader.batches(250)))


@cache
def gflash(path: Path, detector: str) -> Showers:
    """The same incident particles."""
    simulator = GFlash(load_detector(detector))
    return simulator.simulate(geant4(path, detector).incident, seed=1)


def assert_profiles_agree(reference: Showers, generated: Showers, *, rings: bool = True) -> None:
    """Mean layer profiles, and mean profiles around the impact point."""
    pairs = [(layer_profile, compared_layers(reference))]
    if rings:
        pairs.append((radial_profile, compared_rings(reference)))
    for profile, compared in pairs:
        expected, found = (profile(sample).mean(axis=0) for sample in (reference, generated))
        assert found[compared] == pytest.approx(expected[compared], rel=TOLERANCE)


@pytest.mark.parametrize(("low", "high"), [(10, 30), (30, 60), (60, 100)])
def test_profiles_of_normal_electrons(shared_data: Path, low: int, high: int) -> None:
    path = shared_data / "lcd_electrons_fixed.h5"
    reference, generated = geant4(path, "lcd-ecal-25"), gflash(path, "lcd-ecal-25")
    gev = reference.incident.energy / 1e3
    chosen = (gev >= low) & (gev < high)
    assert np.count_nonzero(chosen) > 1450
    reference, generated = reference[chosen], generated[chosen]
    assert_profiles_agree(reference, generated)
    ratio = generated.total_energy.sum() / reference.total_energy.sum()
    assert ratio == pytest.approx(1.0, abs=0.02)
    spread = [(s.total_energy / s.incident.energy).std() for s in (reference, generated)]
    assert spread[1] == pytest.approx(spread[0], rel=0.10)


def test_profiles_of_electrons_that_had_no_part_in_the_tuning(shared_data: Path) -> None:
    path = shared_data / "lcd_electrons_fixed_test.h5"
    reference, generated = geant4(path, "lcd-ecal-25"), gflash(path, "lcd-ecal-25")
    assert_profiles_agree(reference, generated)


def test_profiles_of_inclined_electrons(shared_data: Path) -> None:
    """60 to 120 degrees: the layers, and where the shower lies in each."""
    path = shared_data / "lcd_electrons_angle.h5"
    reference, generated = geant4(path, "lcd-ecal"), gflash(path, "lcd-ecal")
    assert_profiles_agree(reference, generated, rings=False)
    towards_x = reference.incident["theta"] < np.radians(80.0)
    for layer in (4, 10, 16):
        means = []
        for showers in (reference[towards_x], generated[towards_x]):
            mine = showers.calorimeter.cell_layer[showers.cell] == layer
            x = showers.calorimeter.cell_positions[showers.cell, 0]
            means.append(np.average(x[mine], weights=showers.energy[mine]))
        assert means[1] == pytest.approx(means[0], abs=1.5)  # mm; cells of 5 mm
