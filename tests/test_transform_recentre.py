"""Shifted showers: where they end up, what goes with them, what is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caloforge.errors import GeometryError
from caloforge.geometry import Calorimeter, load_detector
from caloforge.showers import Incident, Showers
from caloforge.transform import Recentre, Tally
from transform_cases import square, stack_of, two_blocks


def barycentre(showers: Showers) -> np.ndarray:
    weight = showers.dense().astype(np.float64)
    sums = weight @ showers.calorimeter.cell_positions[:, :2]
    return np.asarray(sums / weight.sum(axis=1, keepdims=True))


def core(calorimeter: Calorimeter, shift: tuple[int, int], seed: int) -> Showers:
    """Four showers in 3 x 3 cells about the middle of every layer, moved by whole cells."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, 4))
    incident = Incident({"energy": rng.uniform(1e3, 2e3, 4), "x": x, "y": y, "theta": x})
    dense = np.zeros((4, calorimeter.n_cells))
    for number, layer in enumerate(calorimeter.layers):
        shape = layer.segmentation.shape
        start, stop = calorimeter.layer_offset[number : number + 2]
        i, j = ((n - 3) // 2 + k for n, k in zip(shape, shift, strict=True))
        cells = np.zeros((4, *shape))
        cells[:, i : i + 3, j : j + 3] = rng.exponential(1.0, (4, 3, 3))
        dense[:, start:stop] = cells.reshape(4, -1)
    return Showers.from_dense(calorimeter, incident, dense)


shifts = st.tuples(st.integers(-3, 3), st.integers(-3, 3))


@settings(max_examples=40, deadline=None)
@given(shifts, st.sampled_from([11, 12]), st.integers(0, 2**32 - 1))
def test_the_barycentre_ends_in_the_central_cell(shift: tuple[int, int], n: int, seed: int) -> None:
    calorimeter = stack_of(*[(square(n, 8.0, centre=(3.0, -40.0)), 5.0)] * 3)
    showers, tally = core(calorimeter, shift, seed), Tally()
    after = Recentre().apply(showers, tally)
    assert tally.outside == 0.0
    np.testing.assert_array_equal(after.total_energy, showers.total_energy)
    assert np.all(np.abs(barycentre(after) - [3.0, -40.0]) <= 4.0 + 1e-5)
    for axis, name in enumerate("xy"):
        moved = showers.incident[name] - after.incident[name]
        np.testing.assert_allclose(moved, 8.0 * np.rint(moved / 8.0), atol=1e-9)
        np.testing.assert_allclose(
            barycentre(after)[:, axis] - after.incident[name],
            barycentre(showers)[:, axis] - showers.incident[name],
            atol=1e-5,
        )  # the line goes with the shower
    np.testing.assert_array_equal(after.incident["theta"], showers.incident["theta"])


@settings(max_examples=20, deadline=None)
@given(shifts, st.integers(0, 2**32 - 1))
def test_it_does_not_matter_where_the_shower_was(shift: tuple[int, int], seed: int) -> None:
    calorimeter = stack_of(*[(square(11, 8.0), 5.0)] * 2)
    moved = Recentre().apply(core(calorimeter, shift, seed), Tally())
    straight = Recentre().apply(core(calorimeter, (0, 0), seed), Tally())
    np.testing.assert_array_equal(moved.dense(), straight.dense())
    again = Recentre().apply(straight, Tally())
    np.testing.assert_array_equal(again.dense(), straight.dense())


def test_other_cells_shift_by_the_nearest_distance() -> None:
    calorimeter = two_blocks()  # 5 mm in front, 15 mm behind
    index = calorimeter.cell_index
    layer, i, j = np.array([[0, 9, 6], [4, 3, 2], [4, 3, 3]]).T  # x = 17.5, 15, 15; y = 2.5, 0, 15
    incident = Incident({"energy": [1e3], "x": [16.0]})
    showers = Showers.from_hits(calorimeter, incident, [0] * 3, index(layer, i, j), [1.0] * 3)
    after = Recentre().apply(showers, Tally())
    # barycentre at x = 15.83, y = 5.83: 3 and 1 small cells, 1 and 0 large ones
    expected = index(np.array([0, 4, 4]), np.array([6, 2, 2]), np.array([5, 2, 3]))
    assert after.cell.tolist() == expected.tolist()
    assert after.incident["x"].tolist() == [1.0]
    assert "y" not in after.incident
    assert np.all(np.abs(barycentre(after)) <= 7.5)


def test_energy_shifted_out_is_counted() -> None:
    calorimeter = stack_of((square(5, 10.0), 5.0))
    cells = calorimeter.cell_index(np.array([0, 0]), np.array([0, 4]), np.array([2, 2]))
    incident = Incident({"energy": [1e3, 1e3]})
    showers = Showers.from_hits(calorimeter, incident, [0, 0, 1], [*cells, 12], [1.0, 9.0, 5.0])
    tally, step = Tally(), Recentre()
    after = step.apply(showers, tally)
    assert (after.cell.tolist(), after.energy.tolist()) == ([12, 12], [9.0, 5.0])
    assert (tally.outside, tally.showers, tally.seen) == (1.0, 1, 2)
    note = step.note(tally)
    assert note is not None
    assert note.startswith("recentre: 1 MeV (6.67 % of the visible energy, in 1 showers) lies out")


def test_cylinders_cannot_be_recentred() -> None:
    with pytest.raises(GeometryError, match="layer 0 of 'par04-siw' is not cartesian"):
        Recentre().calorimeter(load_detector("par04-siw"))
