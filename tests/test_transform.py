"""Every step keeps the same promises; cuts, thresholds, scales and windows do what they say."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from caloforge.errors import ConfigError, GeometryError, ShowerError
from caloforge.geometry import Calorimeter, load_detector
from caloforge.showers import Incident, Showers
from caloforge.transform import (
    Cut,
    Pipeline,
    Rebin,
    Recentre,
    Scale,
    Step,
    Tally,
    Threshold,
    Window,
    steps_from_options,
)
from helpers import random_showers, small_calorimeter
from transform_cases import aimed_showers, calorimeters, square, stack_of, two_blocks

MERGED = stack_of((square(4, 15.0), 8.0), (square(4, 15.0), 8.0), (square(2, 20.0), 60.0))

STEPS: list[Step] = [
    Threshold(energy=0.5),
    Scale(factor=1 / 3),
    Scale(layers=(1.0, 2.0, 3.0, 4.0, 0.1, 0.2, 0.3)),
    Cut(quantity="energy", low=30e3, high=70e3),
    Cut(quantity="theta", low=1.5),
    Cut(quantity="total_energy", low=20.0),
    Cut(quantity="hits", high=260),
    Cut(quantity="h_over_e", low=0.05, high=0.2),
    Cut(quantity="h_over_e", high=1.3, hadronic_from=2),
    Recentre(),
    Window(nx=6, ny=6, layers=(0, 4)),
    Rebin(target=MERGED),
    Rebin(target="par04-siw"),
    Rebin(target=stack_of((square(7, 9.0), 5.0)), layers="match"),
]
ON_FINE_LAYERS = (STEPS[10],)  # a window of even size does not fit the coarse ones


def showers_for(step: Step, n: int = 40) -> Showers:
    calorimeter = two_blocks()
    if step in ON_FINE_LAYERS:
        calorimeter = stack_of(*[(square(12, 5.0), 4.0)] * 7)
    return aimed_showers(n, calorimeter)


def assert_same(one: Showers, other: Showers) -> None:
    one.calorimeter.require_same(other.calorimeter, "the other")
    for name in ("offset", "cell", "energy"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.incident.digest() == other.incident.digest()


def shower_sum(showers: Showers) -> float:
    return float(showers.energy.sum(dtype=np.float64))


steps = pytest.mark.parametrize("step", STEPS, ids=[f"{k}-{s.kind}" for k, s in enumerate(STEPS)])


@steps
@pytest.mark.parametrize("size", [1, 7])
def test_the_parts_of_the_result_are_the_results_of_the_parts(step: Step, size: int) -> None:
    showers = showers_for(step)
    whole, tally, parts = Tally(), Tally(), Tally()
    after = step.apply(showers, whole)
    batches = []
    for batch in showers.batches(size):
        tally = Tally()
        batches.append(step.apply(batch, tally))
        parts.merge(tally)
    assert_same(Showers.concatenate(batches), after)
    assert (parts.seen, parts.dropped, parts.showers) == (
        len(showers),
        whole.dropped,
        whole.showers,
    )
    for name in ("incoming", "outside", "removed"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), rel=1e-9, abs=1e-12)
    order = np.random.default_rng(0).permutation(len(showers))
    backwards = step.apply(showers[order], Tally())
    if len(after) == len(showers):
        assert_same(backwards, after[order])


@steps
def test_what_is_not_in_the_cells_is_in_the_tally(step: Step) -> None:
    showers = showers_for(step)
    copy = pickle.loads(pickle.dumps(showers))
    tally = Tally()
    after = step.apply(showers, tally)
    assert_same(showers, copy)  # the input is left alone
    assert tally.incoming == pytest.approx(shower_sum(showers))
    assert tally.dropped == len(showers) - len(after)
    if not isinstance(step, Scale | Cut):
        known = shower_sum(after) + tally.outside + tally.removed
        assert known == pytest.approx(tally.incoming, rel=1e-6)
        assert len(after) == len(showers)
        assert tally.outside + tally.removed > 0  # the case is a case
    if isinstance(step, Cut):
        assert 0 < len(after) < len(showers)
    something_lost = tally.outside + tally.removed + tally.dropped > 0
    assert (step.note(tally) is not None) == something_lost
    assert step.note(Tally()) is None


@steps
def test_a_step_knows_its_cells_and_keeps_the_rest(step: Step) -> None:
    showers = showers_for(step)
    after = step.apply(showers, Tally())
    assert after.calorimeter == step.calorimeter(showers.calorimeter)
    assert after.provenance == showers.provenance
    assert list(after.incident) == list(showers.incident)
    if not isinstance(step, Cut | Recentre):
        assert after.incident.digest() == showers.incident.digest()
    again = pickle.loads(pickle.dumps(step))
    assert again == step
    assert_same(again.apply(showers, Tally()), after)
    for name in type(step).model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(step, name, None)


@steps
def test_no_showers_and_empty_showers_go_through(step: Step) -> None:
    showers = showers_for(step, 4)
    tally = Tally()
    assert len(step.apply(showers[:0], tally)) == 0
    assert tally == Tally()
    empty = showers.above_threshold(1e9)
    after = step.apply(empty, tally)
    assert after.n_hits == 0
    assert tally.seen == 4
    assert tally.outside == 0.0


@steps
def test_a_step_says_what_it_does_in_json(step: Step) -> None:
    said = json.loads(json.dumps(step.to_dict(), allow_nan=False))
    assert said["kind"] == step.kind
    defaults = {name: field.default for name, field in type(step).model_fields.items()}
    for name in said.keys() - {"kind"}:
        assert getattr(step, name) != defaults[name]
    if isinstance(step, Rebin):
        assert said["target"] == {"name": step.target.name, "hash": step.target.hash}
    else:
        assert type(step)(**{k: v for k, v in said.items() if k != "kind"}) == step


def test_unknown_and_wrong_fields_are_config_errors_of_one_line() -> None:
    with pytest.raises(ConfigError, match=r"threshold: energy: .*greater than or equal to 0"):
        Threshold(energy=-1.0)
    with pytest.raises(ConfigError, match="scale: colour"):
        Scale(**{"colour": 1.0})
    with pytest.raises(ConfigError, match="scale: factor"):
        Scale(factor=0.0)
    with pytest.raises(ConfigError, match="threshold: energy"):
        Threshold(energy=np.nan)
    with pytest.raises(GeometryError, match="unknown detector 'atlas'"):
        Rebin(target="atlas")


# ------------------------------------------------------------------ threshold, scale


def test_a_cell_at_the_threshold_stays() -> None:
    dense = np.zeros((1, 100), np.float32)
    dense[0, :3] = [0.3, 0.7, 0.1]
    showers = Showers.from_dense(small_calorimeter(), Incident({"energy": [1e3]}), dense)
    tally = Tally()
    after = Threshold(energy=0.3).apply(showers, tally)
    assert after.cell.tolist() == [0, 1]
    assert tally.removed == pytest.approx(0.1)
    note = Threshold(energy=0.3).note(tally)
    assert note == (
        "threshold: 0.1 MeV (9.09 % of the visible energy) lies in cells below 0.3 MeV and is set "
        "to zero"
    )


def test_energies_are_scaled_in_float64_and_rounded_once() -> None:
    showers = random_showers(5)
    factors = (1 / 3, 0.1, 7.7, 1e-3)
    after = Scale(factor=50.0, layers=factors).apply(showers, Tally()).dense()
    exact = showers.dense().astype(np.float64).reshape(5, 4, 25)
    exact *= 50.0 * np.array(factors)[:, None]
    np.testing.assert_array_equal(after, exact.reshape(5, 100).astype(np.float32))


def test_scales_that_do_not_fit_are_refused() -> None:
    showers = random_showers(2)
    with pytest.raises(GeometryError, match="2 factors for the 4 layers of 'small'"):
        Scale(layers=(1.0, 2.0)).calorimeter(showers.calorimeter)
    with pytest.raises(ShowerError, match="too large for float32"):
        Scale(factor=1e39).apply(showers, Tally())
    nothing = Scale(factor=1e-60).apply(showers, Tally())
    assert nothing.n_hits == 0


# ------------------------------------------------------------------------------ cuts


def test_bounds_belong_to_the_range_even_when_rounded_to_float32() -> None:
    theta = np.deg2rad([59.99, 60, 90, 120, 120.01]).astype(np.float32).astype(np.float64)
    energy = np.array([0.1, 0.3, 0.7, 1.1, 1.3], np.float32).astype(np.float64)
    showers = random_showers(5)
    incident = Incident({"energy": energy * 1e3, "theta": theta})
    showers = Showers(showers.calorimeter, incident, showers.offset, showers.cell, showers.energy)
    (angle,) = steps_from_options(cuts=["theta=60:120"]).steps
    kept = angle.apply(showers, Tally())
    np.testing.assert_array_equal(kept.incident["theta"], theta[1:4])
    (gev,) = steps_from_options(cuts=["energy=0.3:1.1"]).steps
    np.testing.assert_array_equal(gev.apply(showers, Tally()).incident.energy, energy[1:4] * 1e3)


def test_cuts_keep_whole_showers() -> None:
    showers = aimed_showers(50, two_blocks())
    total = showers.total_energy
    tally = Tally()
    cut = Cut(quantity="total_energy", low=float(np.median(total)))
    after = cut.apply(showers, tally)
    assert_same(after, showers[total >= np.median(total)])
    assert cut.note(tally) == f"cut on total_energy: {tally.dropped} of 50 showers are left out"
    few = Cut(quantity="hits", low=1, high=260).apply(showers, Tally())
    assert few.hits_per_shower.min() >= 1
    assert few.hits_per_shower.max() <= 260
    assert 0 < len(few) < 50


def test_h_over_e_is_found_where_the_cells_change() -> None:
    joined = load_detector("lcd-ecal+lcd-hcal")
    start = int(joined.layer_offset[25])
    hits = [(0, 5, 10.0), (0, start - 1, 10.0), (0, start, 1.0), (1, start, 3.0), (2, 7, 1.0)]
    shower, cell, energy = zip(*hits, strict=True)
    incident = Incident({"energy": [1e3] * 4})
    showers = Showers.from_hits(joined, incident, shower, cell, energy)
    kept = [
        [k for k in range(4) if len(cut.apply(showers[[k]], Tally()))]
        for cut in (
            Cut(quantity="h_over_e", high=0.05),
            Cut(quantity="h_over_e", low=0.05, high=0.051),
            Cut(quantity="h_over_e", low=1e30),
            Cut(quantity="h_over_e", high=0.1, hadronic_from=24),
        )
    ]
    assert kept == [[0, 2], [0], [1, 3], [2]]  # nothing in front is infinite, an empty one too


@pytest.mark.parametrize(
    ("detector", "given", "message"),
    [
        ("lcd-ecal", None, "1 blocks of equal cells.*hadronic_from"),
        ("calogan-lar", None, "3 blocks of equal cells"),
        ("lcd-ecal", 25, "hadronic layers from 25 on, but 'lcd-ecal' has 25 layers"),
        ("lcd-ecal", 0, "give a number from 1 to 24"),
    ],
)
def test_unclear_hadronic_layers_are_refused(
    detector: str, given: int | None, message: str
) -> None:
    cut = Cut(quantity="h_over_e", high=0.1, hadronic_from=given)
    with pytest.raises(GeometryError, match=message):
        cut.calorimeter(load_detector(detector))


def test_cuts_that_cannot_work_are_refused() -> None:
    with pytest.raises(ShowerError, match="cut on opening_angle: the incident table has only"):
        Cut(quantity="opening_angle", high=0.1).apply(random_showers(2), Tally())
    with pytest.raises(ConfigError, match="unknown quantity 'colour', known are energy"):
        Cut(quantity="colour", low=1.0)
    with pytest.raises(ConfigError, match="has no bound"):
        Cut(quantity="hits")
    with pytest.raises(ConfigError, match="keeps nothing: 2 is above 1"):
        Cut(quantity="hits", low=2, high=1)
    with pytest.raises(ConfigError, match="not for hits"):
        Cut(quantity="hits", low=2, hadronic_from=3)


# ---------------------------------------------------------------------------- window


def test_a_window_is_a_slice_of_the_dense_array() -> None:
    showers = random_showers(6, small_calorimeter(n=7))
    dense = showers.dense().reshape(6, 4, 7, 7)
    tally = Tally()
    step = Window(nx=3, ny=5, layers=(1, 3))
    after = step.apply(showers, tally)
    np.testing.assert_array_equal(after.dense().reshape(6, 2, 3, 5), dense[:, 1:3, 2:5, 1:6])
    assert after.calorimeter.name == "small-3x5-layers-1-3"
    assert [layer.z for layer in after.calorimeter.layers] == [5.0, 10.0]
    assert tally.showers == 6
    note = step.note(tally)
    assert note is not None
    assert note.startswith("window 3x5: ")
    assert Window(nx=25, ny=25).calorimeter(load_detector("lcd-ecal")).name == "lcd-ecal-25"
    whole = Window(nx=7, ny=7, layers=(0, 4))
    assert_same(whole.apply(showers, Tally()), showers)


def test_windows_that_are_not_there_are_refused() -> None:
    small = small_calorimeter()
    with pytest.raises(GeometryError, match="no central 4x4 window in 5x5"):
        Window(nx=4, ny=4).calorimeter(small)
    with pytest.raises(GeometryError, match="no layers 1:5 among its 4; use a range within 0:4"):
        Window(nx=3, ny=3, layers=(1, 5)).calorimeter(small)
    with pytest.raises(ConfigError, match="layers 2:2 are none"):
        Window(nx=3, ny=3, layers=(2, 2))
    with pytest.raises(GeometryError, match="not cartesian"):
        Window(nx=3, ny=3).calorimeter(load_detector("par04-siw"))


# -------------------------------------------------------------------------- pipeline


def test_a_pipeline_is_its_steps_one_after_the_other() -> None:
    chosen: list[Step] = [Cut(quantity="theta", low=1.2), Recentre(), Rebin(target=MERGED)]
    pipeline = pickle.loads(pickle.dumps(Pipeline(tuple(chosen))))
    showers = aimed_showers(30, two_blocks())
    tallies = pipeline.tallies()
    after = pipeline.apply(showers, tallies)
    by_hand = showers
    for step in chosen:
        by_hand = step.apply(by_hand, Tally())
    assert_same(after, by_hand)
    assert after.calorimeter == pipeline.calorimeter(showers.calorimeter)
    assert [tally.seen for tally in tallies] == [30, len(after), len(after)]
    assert [entry["kind"] for entry in pipeline.to_list()] == ["cut", "recentre", "rebin"]
    notes = pipeline.notes(tallies)
    assert notes[0].startswith("cut on theta: ")
    assert notes[-1].startswith("rebin to case: ")
    assert len(pipeline) == 3


def test_no_steps_change_nothing() -> None:
    showers = random_showers(3)
    nothing = Pipeline()
    assert nothing.apply(showers, nothing.tallies()) is showers
    assert nothing.calorimeter(showers.calorimeter) is showers.calorimeter
    assert nothing.to_list() == []
    assert nothing.notes([]) == []


def test_what_a_pipeline_cannot_do_shows_before_any_shower() -> None:
    pipeline = Pipeline((Rebin(target="par04-siw"), Recentre()))
    with pytest.raises(GeometryError, match="recentre: layer 0 of 'par04-siw' is not cartesian"):
        pipeline.calorimeter(load_detector("lcd-ecal"))


@settings(max_examples=25, deadline=None)
@given(calorimeters(cartesian_only=True), st.integers(0, 2**32 - 1))
def test_shifted_showers_keep_their_energy(calorimeter: Calorimeter, seed: int) -> None:
    showers = random_showers(5, calorimeter, seed)
    tally = Tally()
    after = Recentre().apply(showers, tally)
    assert shower_sum(after) + tally.outside == pytest.approx(shower_sum(showers), rel=1e-6)
