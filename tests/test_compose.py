"""Whole events: deposits add up, electronics do not; particles from tables, HepMC and LHE."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv, parquet
from scipy import stats

from caloforge.cli.entry import run
from caloforge.compose import Digitisation, Particles, compose, digitise, from_table, read_particles
from caloforge.errors import ConfigError, FormatError
from caloforge.geometry import load_detector
from caloforge.showers import Incident, Showers
from caloforge.simulate.fast import FastChoice
from caloforge.store import open_showers
from helpers import random_showers, small_calorimeter

MODEL = FastChoice("lcd-ecal-25-electron")
TWO_EVENTS = {
    "event": [0, 0, 0, 1],
    "pdg": [11, 11, 22, 11],
    "energy": [20.0, 30.0, 40.0, 50.0],
    "x": [0.0, 31.0, 0.0, -12.0],
    "y": [1.0, -22.0, 0.0, 4.0],
}


def event(cells: dict[int, float]) -> Showers:
    """One event in the small calorimeter."""
    n = len(cells)
    incident = Incident({"energy": [1e4]})
    where, values = list(cells), list(cells.values())
    return Showers.from_hits(small_calorimeter(), incident, np.zeros(n), where, values)


def cells_of(showers: Showers) -> dict[int, float]:
    return dict(zip(showers.cell.tolist(), showers.energy.tolist(), strict=True))


def composed(particles: Particles, path: Path, **more: Any) -> Showers:
    compose(load_detector("lcd-ecal"), [MODEL], particles, path, seed=3, **more)
    with open_showers(path) as reader:
        return reader.read()


def table(rows: list[int]) -> Particles:
    return from_table({name: np.array(column)[rows] for name, column in TWO_EVENTS.items()})


# ------------------------------------------------------------------------- events


def test_an_event_is_the_sum_of_its_particles(tmp_path: Path) -> None:
    """Two electrons together are one and the other, cell by cell."""
    both = composed(table([0, 1]), tmp_path / "both.h5").dense().astype(np.float64)
    first = composed(table([0]), tmp_path / "first.h5").dense().astype(np.float64)
    overlaid = both - first
    assert overlaid.min() > -1e-4
    x = load_detector("lcd-ecal").cell_positions[:, 0]
    assert np.average(x, weights=np.maximum(overlaid[0], 0)) == pytest.approx(31.0, abs=1.5)
    assert overlaid.sum() == pytest.approx(0.0205 * 30e3, rel=0.15)


def test_events_know_their_energies(tmp_path: Path) -> None:
    made = composed(table([0, 1, 2, 3]), tmp_path / "events.h5")
    assert made.incident.energy.tolist() == [90e3, 50e3]
    assert made.incident["fast_energy"].tolist() == [50e3, 50e3]
    alone = composed(table([0, 1]), tmp_path / "alone.h5")
    assert np.array_equal(alone.dense()[0], made.dense()[0])


def test_what_no_model_knows_is_counted(tmp_path: Path) -> None:
    done = compose(load_detector("lcd-ecal"), [MODEL], table([0, 1, 2, 3]), tmp_path / "e.h5")
    assert (done.events, done.particles, done.left_out) == (2, 3, {22: 1})
    assert done.energy_left_out == 40e3
    with pytest.raises(ConfigError, match="none of the 1 particles"):
        compose(load_detector("lcd-ecal"), [MODEL], table([2]), tmp_path / "none.h5")
    assert not (tmp_path / "none.h5").exists()
    with pytest.raises(ConfigError, match="no model"):
        compose(load_detector("lcd-ecal"), [], table([2]), tmp_path / "none.h5")


def test_digitised_once_per_event(tmp_path: Path) -> None:
    how = Digitisation(noise=0.05, threshold=0.3, step=0.1)
    bare = composed(table([0, 1, 3]), tmp_path / "bare.h5")
    done = composed(table([0, 1, 3]), tmp_path / "done.h5", digitisation=how)
    assert np.array_equal(done.energy, digitise(bare, how, seed=3).energy)
    assert [one["step"] for one in done.provenance.to_dict()["parents"]] == ["compose"]


# ----------------------------------------------------------------------- digitisation


def test_digitisation_does_not_add_up() -> None:
    """Two deposits below the threshold make one above it; two halves saturate once."""
    how = Digitisation(threshold=1.0, saturation=5.0)
    small, large = event({7: 0.7}), event({7: 4.0})
    assert cells_of(digitise(small, how)) == {}
    assert cells_of(digitise(event({7: 1.4}), how)) == {7: pytest.approx(1.4)}
    assert cells_of(digitise(large, how)) == {7: pytest.approx(4.0)}
    assert cells_of(digitise(event({7: 8.0}), how)) == {7: 5.0}


@given(st.floats(0.01, 0.9))
@settings(deadline=None)
def test_crosstalk_keeps_the_energy_and_goes_to_the_sides(share: float) -> None:
    made = cells_of(digitise(event({12: 8.0, 0: 4.0}), Digitisation(crosstalk=share)))
    assert sum(made.values()) == pytest.approx(12.0, rel=1e-5)
    assert made[12] == pytest.approx(8.0 * (1 - share), rel=1e-5)
    assert [made[cell] for cell in (7, 11, 13, 17)] == pytest.approx([2.0 * share] * 4, rel=1e-5)
    assert made[0] == pytest.approx(4.0 * (1 - share / 2), rel=1e-5)  # a corner
    assert set(made) == {12, 7, 11, 13, 17, 0, 1, 5}


@pytest.mark.parametrize(
    ("step", "threshold", "energy", "reported"),
    [
        (0.5, 0.0, 0.24, None),
        (0.5, 0.0, 0.26, 0.5),
        (0.5, 0.0, 1.3, 1.5),
        (0.5, 1.0, 0.7, None),
        (0.5, 1.0, 0.8, 1.0),
        (None, 1.0, 0.99, None),
        (None, 1.0, 1.0, 1.0),
    ],
)
def test_counts_and_threshold(
    step: float | None, threshold: float, energy: float, reported: float | None
) -> None:
    made = cells_of(digitise(event({3: energy}), Digitisation(step=step, threshold=threshold)))
    assert made == ({} if reported is None else {3: pytest.approx(reported)})


@pytest.mark.parametrize(("step", "most"), [(None, 1.0), (0.4, 0.8), (0.5, 1.0), (0.1, 1.0)])
def test_nothing_is_reported_beyond_saturation(step: float | None, most: float) -> None:
    how = Digitisation(step=step, saturation=1.0)
    made = cells_of(digitise(event({3: 0.99, 4: 1.0, 5: 70.0}), how))
    assert max(made.values()) == pytest.approx(most)
    assert made[5] == made[4] == pytest.approx(most)


def test_noise_is_gaussian_in_hit_and_in_empty_cells() -> None:
    """Rates and spectra of empty cells above the threshold, and of cells with 10 MeV."""
    n, sigma, cut = 400, 0.5, 0.8
    hit = np.arange(n)
    many = Showers.from_hits(
        small_calorimeter(), Incident({"energy": np.full(n, 1e4)}), hit, np.full(n, 50),
        np.full(n, 10.0),
    )  # fmt: skip
    made = digitise(many, Digitisation(noise=sigma, threshold=cut), seed=4)
    own = made.energy[made.cell == 50]
    assert stats.kstest(own, stats.norm(10.0, sigma).cdf).pvalue > 1e-3
    other = made.energy[made.cell != 50]
    expected = n * 99 * stats.norm.sf(cut / sigma)
    assert len(other) == pytest.approx(expected, abs=4 * np.sqrt(expected))
    tail = stats.truncnorm(cut / sigma, np.inf, scale=sigma)
    assert stats.kstest(other, tail.cdf).pvalue > 1e-3
    count = np.bincount(made.cell[made.cell != 50], minlength=100)
    assert count[50] == 0
    assert stats.chisquare(np.delete(count, 50)).pvalue > 1e-3


def test_noise_belongs_to_the_number_of_the_event() -> None:
    showers = random_showers(6, small_calorimeter(), 2)
    how = Digitisation(noise=0.3, threshold=0.5, step=0.1, crosstalk=0.05)
    whole = digitise(showers, how, seed=1)
    parts = [digitise(showers[:2], how, seed=1), digitise(showers[2:], how, seed=1, first=2)]
    joined = Showers.concatenate(parts)
    assert np.array_equal(whole.cell, joined.cell)
    assert np.array_equal(whole.energy, joined.energy)
    assert not np.array_equal(whole.energy[:20], digitise(showers, how, seed=2).energy[:20])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"crosstalk": 1.2}, "--crosstalk 1.2"),
        ({"noise": -1.0}, "--noise -1"),
        ({"noise": 0.1}, "every cell has noise"),
        ({"saturation": 0.5, "threshold": 1.0}, "no cell could reach"),
        ({"step": 0.0}, "--step 0"),
    ],
)
def test_electronics_that_make_no_sense_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Digitisation(**values)


# -------------------------------------------------------------------------- particles


def test_tables_are_read_in_gev_degrees_and_mm(tmp_path: Path) -> None:
    columns = {**TWO_EVENTS, "theta": [90.0, 60.0, 90.0, 90.0], "phi": [0.0, 90.0, 0.0, 0.0]}
    rows = pa.table(columns)
    csv.write_csv(rows, tmp_path / "p.csv")
    parquet.write_table(rows, tmp_path / "p.parquet")
    for name in ("p.csv", "p.parquet"):
        found = read_particles(tmp_path / name)
        assert (len(found), found.events) == (4, 2)
        assert found.energy.tolist() == [20e3, 30e3, 40e3, 50e3]
        np.testing.assert_allclose(found.direction[1], [0.0, 0.5, np.sqrt(0.75)], atol=1e-12)
        assert found.start[3].tolist() == [-12.0, 4.0, 0.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pdg": None}, "no column 'pdg'"),
        ({"event": [0, 1, 0, 1]}, "never fall"),
        ({"event": [0.5, 1, 1, 1]}, "count from 0"),
        ({"energy": [1.0, 0.0, 1.0, 1.0]}, "must be positive"),
        ({"energy": [1.0, np.nan, 1.0, 1.0]}, "NaN"),
        ({"x": ["a", "b", "c", "d"]}, "not numbers"),
        ({"pdg": [11, 11.7, 22, 11]}, "whole numbers"),
        ({name: [] for name in TWO_EVENTS}, "no particles"),
    ],
)
def test_broken_tables_are_refused(change: dict[str, Any], message: str) -> None:
    columns = {k: v for k, v in {**TWO_EVENTS, **change}.items() if v is not None}
    with pytest.raises(FormatError, match=message):
        from_table(columns)


@pytest.fixture
def hepmc(tmp_path: Path) -> Path:
    """Two events: an electron and what is not final or flies back; then a photon."""
    pyhepmc = pytest.importorskip("pyhepmc")
    path = tmp_path / "events.hepmc3"
    with pyhepmc.open(path, "w") as file:
        for number, code in enumerate((11, 22)):
            event = pyhepmc.GenEvent(pyhepmc.Units.MomentumUnit.GEV, pyhepmc.Units.LengthUnit.CM)
            event.event_number = number
            beam = pyhepmc.GenParticle((0, 0, 100, 100), 23, 4)
            vertex = pyhepmc.GenVertex((0.1, 0.2, 0.0, 0.0))
            vertex.add_particle_in(beam)
            last = pyhepmc.GenParticle((3, 0, 39.887, 40), code, 1)
            last.generated_mass = 0.0
            vertex.add_particle_out(last)
            vertex.add_particle_out(pyhepmc.GenParticle((0, 0, -60, 60), code, 1))
            event.add_vertex(vertex)
            file.write(event)
    return path


def test_final_particles_of_hepmc_files(hepmc: Path, tmp_path: Path) -> None:
    found = read_particles(hepmc, distance=1500.0)
    assert found.events == 2
    assert found.event.tolist() == [0, 0, 1, 1]
    assert found.pdg.tolist() == [11, 11, 22, 22]
    assert found.energy.tolist() == pytest.approx([40e3, 60e3, 40e3, 60e3])
    assert found.start[0].tolist() == pytest.approx([1.0, 2.0, -1500.0])
    assert found.direction[0, 0] == pytest.approx(3 / 40, rel=1e-3)
    damaged = tmp_path / "damaged.hepmc3"
    damaged.write_bytes(b"HepMC::Version 3.02.05\nnonsense\n")
    with pytest.raises(FormatError, match=r"damaged\.hepmc3"):
        read_particles(damaged)


def test_particles_of_a_generator_begin_at_their_vertex(hepmc: Path, tmp_path: Path) -> None:
    """No shower of what is born behind the front face."""
    inclined = [FastChoice("lcd-ecal-electron")]
    behind = read_particles(hepmc, distance=-10.0)
    assert behind.start[0, 2] == 10.0
    with pytest.raises(ConfigError, match="none of the 4 particles"):
        compose(load_detector("lcd-ecal"), inclined, behind, tmp_path / "none.h5")
    before = read_particles(hepmc, distance=10.0)
    done = compose(load_detector("lcd-ecal"), inclined, before, tmp_path / "some.h5")
    assert (done.events, done.particles, done.left_out) == (2, 1, {11: 1, 22: 2})


def test_gaps_between_events_cost_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    near = table([0, 3])
    far = from_table({**{k: np.array(v)[[0, 3]] for k, v in TWO_EVENTS.items()},
                      "event": [0, 10**12]})  # fmt: skip
    made = composed(far, tmp_path / "far.h5")
    assert np.array_equal(made.dense()[0], composed(near, tmp_path / "near.h5").dense()[0])
    assert made.incident.energy.tolist() == [20e3, 50e3]
    (tmp_path / "gaps.csv").write_text("event,pdg,energy,label\n1,11,20,a\n4,11,50,b\n")
    words = ["compose", "lcd-ecal", str(tmp_path / "gaps.csv"), "--fast", MODEL.model]
    assert run([*words, "-o", str(tmp_path / "gaps.h5")]) == 0
    assert "3 events without particles" in capsys.readouterr().err


def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    csv.write_csv(pa.table(TWO_EVENTS), tmp_path / "p.csv")
    events, digits = str(tmp_path / "events.h5"), str(tmp_path / "digits.h5")
    words = ["compose", "lcd-ecal", str(tmp_path / "p.csv"), "--fast", MODEL.model, "-o", events]
    assert run(words) == 0
    said = capsys.readouterr()
    assert "2 events of 3 particles" in said.out
    assert "left out: 1 particles with 40 GeV that no model knows (1 x 22" in said.err
    assert run(["digitise", events, "--noise", "0.05", "--threshold", "0.3", "-o", digits]) == 0
    with open_showers(events) as before, open_showers(digits) as after:
        assert after.provenance.step == "digitise"
        assert after.read().n_hits < before.read().n_hits
    assert run(["digitise", events, "-o", digits]) == 2
    assert run(["compose", "lcd-ecal", str(tmp_path / "p.txt"), *words[3:]]) == 1
