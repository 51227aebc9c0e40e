"""Fingerprints and parts depend on the shower alone."""

from __future__ import annotations

import struct
from hashlib import blake2b

import numpy as np
import pytest

from caloforge.errors import ConfigError
from caloforge.showers import Incident, Showers
from caloforge.transform import Split, fingerprint
from helpers import random_showers, small_calorimeter


def many(n: int, seed: int = 0) -> Showers:
    return random_showers(n, small_calorimeter(n=3, layers=1), seed)


def test_a_fingerprint_does_not_depend_on_file_order_or_batch() -> None:
    showers = random_showers(20)
    marks = fingerprint(showers)
    assert marks.dtype == np.uint64
    assert len(set(marks.tolist())) == 20
    order = np.random.default_rng(1).permutation(20)
    np.testing.assert_array_equal(fingerprint(showers[order]), marks[order])
    parts = [fingerprint(batch) for batch in showers.batches(3)]
    np.testing.assert_array_equal(np.concatenate(parts), marks)
    columns = dict(reversed(showers.incident.columns.items()))
    turned = Showers(
        showers.calorimeter, Incident(columns), showers.offset, showers.cell, showers.energy
    )
    np.testing.assert_array_equal(fingerprint(turned), marks)
    assert fingerprint(showers[:0]).shape == (0,)


def test_a_fingerprint_is_the_same_for_ever() -> None:
    incident = Incident({"energy": [1e3, 2e3], "pdg": [11, -11], "theta": [0.0, -0.0]})
    showers = Showers.from_hits(
        small_calorimeter(), incident, [0, 0, 1], [3, 99, 7], [0.5, 0.25, 1.5]
    )
    row = struct.pack("<did", 1e3, 11, 0.0)
    content = row + struct.pack("<II", 3, 99) + struct.pack("<ff", 0.5, 0.25)
    digest = blake2b(b"energy,pdg,theta" + content, digest_size=8, person=b"caloforge").digest()
    assert fingerprint(showers)[0] == int.from_bytes(digest, "little")
    assert [f"{mark:016x}" for mark in fingerprint(showers)] == GOLDEN


GOLDEN = ["6203ebe59711375f", "2b68376bfa390097"]


def test_every_bit_of_a_shower_counts() -> None:
    showers = many(1)
    base = fingerprint(showers)[0]
    energy, cell = showers.energy.copy(), showers.cell.copy()
    energy[0] = np.nextafter(energy[0], np.float32(np.inf))
    free = np.setdiff1d(np.arange(9), cell)[0]
    cell[np.searchsorted(cell, free) - 1 if free > cell[0] else 0] = free  # still increasing
    columns = showers.incident.columns
    others = [
        Showers(showers.calorimeter, showers.incident, showers.offset, showers.cell, energy),
        Showers(showers.calorimeter, showers.incident, showers.offset, cell, showers.energy),
        Showers(showers.calorimeter, Incident({**columns, "energy": columns["energy"] + 1e-9}),
                showers.offset, showers.cell, showers.energy),
        Showers(showers.calorimeter, Incident({**columns, "x": [0.0]}), showers.offset,
                showers.cell, showers.energy),
        Showers(showers.calorimeter, Incident({**columns, "y": [0.0]}), showers.offset,
                showers.cell, showers.energy),
    ]  # fmt: skip
    marks = {int(fingerprint(other)[0]) for other in others} | {int(base)}
    assert len(marks) == 6
    positive = Showers(showers.calorimeter, Incident({**columns, "x": [-0.0]}), showers.offset,
                       showers.cell, showers.energy)  # fmt: skip
    assert fingerprint(positive)[0] == fingerprint(others[3])[0]


def test_parts_have_their_fractions() -> None:
    showers = many(20_000)
    split = Split.parse("train=0.7,validation=0.1,test=0.15", seed=3)
    part = split.assign(showers)
    assert part.dtype == np.intp
    assert split.names == ("train", "validation", "test")
    assert split.left_out == pytest.approx(0.05)
    for number, fraction in ((0, 0.7), (1, 0.1), (2, 0.15), (-1, 0.05)):
        sigma = np.sqrt(20_000 * fraction * (1 - fraction))
        assert abs(np.count_nonzero(part == number) - 20_000 * fraction) < 4 * sigma
    again = Split.parse("train=0.7,validation=0.1,test=0.15", seed=4).assign(showers)
    expected = 0.7**2 + 0.1**2 + 0.15**2 + 0.05**2  # two seeds know nothing of each other
    assert np.mean(part == again) == pytest.approx(expected, abs=0.015)
    halves = showers.incident.energy > np.median(showers.incident.energy)
    assert np.mean(part[halves] == 0) == pytest.approx(np.mean(part[~halves] == 0), abs=0.03)


def test_a_part_does_not_depend_on_order_or_batch() -> None:
    showers = many(300)
    split = Split({"a": 0.5, "b": 0.5})
    part = split.assign(showers)
    order = np.random.default_rng(2).permutation(300)
    np.testing.assert_array_equal(split.assign(showers[order]), part[order])
    batches = [split.assign(batch) for batch in showers.batches(7)]
    np.testing.assert_array_equal(np.concatenate(batches), part)
    twice = showers[np.repeat(np.arange(300), 2)]
    np.testing.assert_array_equal(split.assign(twice), np.repeat(part, 2))
    assert split.assign(showers[:0]).shape == (0,)


def test_smaller_parts_lie_inside_larger_ones() -> None:
    showers = many(500)
    small, large = Split({"train": 0.2}).assign(showers), Split({"train": 0.6}).assign(showers)
    assert np.all(large[small == 0] == 0)
    assert np.count_nonzero(large == 0) > np.count_nonzero(small == 0) > 0


def test_what_is_left_over_is_said() -> None:
    assert Split.parse("train=0.8,validation=0.1,test=0.1").note() is None
    assert np.all(Split.parse("train=0.8,validation=0.1,test=0.1").assign(many(500)) >= 0)
    note = Split.parse("train = 0.8 , test=0.1").note()
    assert note == "split: 10 % of the showers belong to no part and are left out"
    assert Split({"a": 0.25}, seed=7).to_dict() == {"parts": {"a": 0.25}, "seed": 7}
    assert np.all(Split({"all": 1.0}).assign(many(500)) == 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train=0.8,test=0.3", "sum to 1.1; make it at most 1"),
        ("train=0.8,train=0.1", "'train' comes twice"),
        ("train=0.8,Train=0.1", "'Train' comes twice"),
        ("train=0", "train=0 is no fraction"),
        ("train=-0.1", "train=-0.1 is no fraction"),
        ("train=nan", "'train=nan' in 'train=nan'; write name=fraction"),
        ("train=inf", "train=inf is no fraction"),
        ("", "'' in ''; write name=fraction"),
        ("train", "write name=fraction"),
        ("=0.5", "write name=fraction"),
        ("train=0.5,", "write name=fraction"),
        ("train=half", "write name=fraction"),
        ("../up=0.5", "'../up' is no plain file name"),
        ("a/b=0.5", "'a/b' is no plain file name"),
        (".hidden=0.5", "no plain file name"),
        ("two words=0.5", "no plain file name"),
    ],
)
def test_wrong_parts_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Split.parse(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wrong_seeds_and_no_parts_are_refused() -> None:
    with pytest.raises(ConfigError, match="seed -1"):
        Split({"a": 0.5}, seed=-1)
    with pytest.raises(ConfigError, match="no parts"):
        Split({})
    assert len(Split({"a": 0.5}, seed=2**64 - 1).assign(many(3))) == 3
