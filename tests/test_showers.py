"""The sparse sample keeps what the dense one holds, and refuses the impossible."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from caloforge.errors import FormatError, GeometryError, ShowerError
from caloforge.geometry import Calorimeter
from caloforge.showers import Incident, Provenance, Showers
from helpers import random_showers, small_calorimeter


def incident(n: int) -> Incident:
    return Incident({"energy": np.linspace(1e3, 2e3, n)})


dense_arrays = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.just(100)),
    elements=st.one_of(st.just(0.0), st.floats(2**-100, 1e6, width=32)),
)


@settings(max_examples=40, deadline=None)
@given(dense_arrays)
def test_dense_and_back_is_exact(dense: np.ndarray) -> None:
    showers = Showers.from_dense(small_calorimeter(), incident(len(dense)), dense)
    assert np.array_equal(showers.dense(), dense)
    assert np.allclose(showers.total_energy, dense.sum(axis=1, dtype=np.float64), rtol=1e-6)
    assert np.allclose(showers.layer_energy.sum(axis=1), showers.total_energy, rtol=1e-9)


@settings(max_examples=40, deadline=None)
@given(dense_arrays, st.integers(1, 4))
def test_batches_put_together_are_the_sample(dense: np.ndarray, size: int) -> None:
    showers = Showers.from_dense(small_calorimeter(), incident(len(dense)), dense)
    again = Showers.concatenate(list(showers.batches(size)))
    assert np.array_equal(again.dense(), dense)
    assert np.array_equal(again.incident.energy, showers.incident.energy)


@settings(max_examples=30, deadline=None)
@given(dense_arrays, st.data())
def test_selection_is_that_of_the_dense_array(dense: np.ndarray, data: st.DataObject) -> None:
    showers = Showers.from_dense(small_calorimeter(), incident(len(dense)), dense)
    rows = data.draw(st.lists(st.integers(0, len(dense) - 1), min_size=1, max_size=8))
    assert np.array_equal(showers[rows].dense(), dense[rows])
    mask = np.zeros(len(dense), dtype=bool)
    mask[rows] = True
    assert np.array_equal(showers[mask].dense(), dense[mask])


def test_hits_in_any_order_are_summed(small: Calorimeter) -> None:
    showers = Showers.from_hits(
        small, incident(2), [1, 0, 1, 1], [7, 3, 2, 7], [1.0, 2.0, 3.0, 4.0]
    )
    assert showers.cell.tolist() == [3, 2, 7]
    assert showers.energy.tolist() == [2.0, 3.0, 5.0]
    assert showers.hits_per_shower.tolist() == [1, 2]


def test_threshold_keeps_cells_at_or_above_it(small: Calorimeter) -> None:
    dense = np.zeros((1, 100), np.float32)
    dense[0, :3] = [0.005, 0.01, 0.02]
    showers = Showers.from_dense(small, incident(1), dense)
    kept = showers.above_threshold()
    assert kept.cell.tolist() == [1, 2]
    assert len(kept.above_threshold(1.0).cell) == 0


@pytest.mark.parametrize(
    ("offset", "cell", "energy", "word"),
    [
        ([0, 1], [100], [1.0], "does not exist"),
        ([0, 1], [3], [np.nan], "not finite"),
        ([0, 1], [3], [np.inf], "not finite"),
        ([0, 1], [3], [-1.0], "not finite and positive"),
        ([0, 2], [3], [1.0], "offset"),
        ([0], [3], [1.0], "offset"),
        ([0, 2], [3, 3], [1.0, 1.0], "increase"),
        ([0, 2], [3, 2], [1.0, 1.0], "increase"),
        ([0, 1], [3], [1.0, 2.0], "list the hits"),
    ],
)
def test_impossible_samples_are_refused(
    small: Calorimeter, offset: list[int], cell: list[int], energy: list[float], word: str
) -> None:
    with pytest.raises(ShowerError, match=word):
        Showers(small, incident(1), offset, cell, energy)


def test_a_bad_energy_is_located(small: Calorimeter) -> None:
    dense = np.zeros((3, 100), np.float32)
    dense[:, 0] = 1.0
    dense[2, 42] = np.nan
    with pytest.raises(ShowerError, match="shower 2, cell 42"):
        Showers.from_dense(small, incident(3), dense)


def test_wrong_dense_shape_says_what_was_expected(small: Calorimeter) -> None:
    with pytest.raises(ShowerError, match=r"\(2, 100\)"):
        Showers.from_dense(small, incident(2), np.zeros((2, 99)))


@pytest.mark.parametrize(
    ("columns", "word"),
    [
        ({"pdg": [11]}, "no 'energy'"),
        ({"energy": [1.0], "colour": [1]}, "colour"),
        ({"energy": [1.0, 2.0], "theta": [1.0]}, "theta"),
        ({"energy": [np.nan]}, "NaN"),
        ({"energy": [0.0]}, "not positive"),
        ({"energy": [-1.0]}, "not positive"),
        ({"energy": [1.0], "theta": [np.inf]}, "theta"),
    ],
)
def test_impossible_particles_are_refused(columns: dict[str, list[float]], word: str) -> None:
    with pytest.raises(ShowerError, match=word):
        Incident(columns)


def test_geometries_do_not_mix() -> None:
    a, b = random_showers(2), random_showers(2, small_calorimeter(n=7))
    with pytest.raises(GeometryError, match="geometry"):
        Showers.concatenate([a, b])


def test_concatenation_keeps_the_common_columns() -> None:
    a = random_showers(2)
    b = Showers(a.calorimeter, Incident({"energy": a.incident.energy}), a.offset, a.cell, a.energy)
    assert list(Showers.concatenate([a, b]).incident) == ["energy"]


def test_provenance_reads_back_and_leads_to_the_source() -> None:
    first = Provenance(step="simulate", source={"seconds_per_shower": 0.4}, seed=3)
    second = Provenance(step="convert", parents=(first.to_dict(),), inputs={"a.h5": "00"})
    again = Provenance.from_json(second.to_json())
    assert again.to_dict() == Provenance.from_json(again.to_json()).to_dict()
    assert again.find_source("seconds_per_shower") == 0.4
    assert again.find_source("colour") is None
    with pytest.raises(FormatError):
        Provenance.from_json("[1]")
