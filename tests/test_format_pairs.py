"""Every format to every other: the same cells, energies to float32 rounding, zeros stay zero."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caloforge.conversion import convert
from caloforge.errors import FormatError
from caloforge.geometry import Calorimeter, CartesianGrid, CylindricalGrid, Layer
from caloforge.showers import Showers
from caloforge.sources import detect, get_source, source_names
from caloforge.store import open_showers, write_showers
from calorimeters import calorimeters, random_sample
from test_sources import RELATIVE, close

RING = CylindricalGrid(r_edges=(0.0, 4.0, 9.0, 20.0), n_phi=5)
SQUARE = CartesianGrid(nx=4, ny=3, dx=5.0, dy=6.0)
COARSE = CartesianGrid(nx=2, ny=5, dx=30.0, dy=20.0)


def stacked(*grids: CartesianGrid | CylindricalGrid) -> Calorimeter:
    layers = [Layer(z=4.0 * k, thickness=4.0, segmentation=g) for k, g in enumerate(grids)]
    return Calorimeter(name="stacked", layers=tuple(layers))


CALORIMETERS = {
    "cartesian": stacked(SQUARE, SQUARE, SQUARE),
    "image": stacked(SQUARE),
    "rings": stacked(RING, RING),
    "two blocks": stacked(SQUARE, SQUARE, COARSE, COARSE),
    "mixed": stacked(SQUARE, RING, COARSE),
}
CARRIES = {
    "cartesian": set(source_names()) - {"calochallenge", "par04", "lagan"},
    "image": set(source_names()) - {"calochallenge", "par04"},
    "rings": set(source_names()) - {"calogan", "lagan"},
    "two blocks": set(source_names()) - {"calochallenge", "par04", "lcd", "lcd-angle", "lagan"},
    "mixed": {"caloforge", "root", "parquet", "edm4hep", "step2point", "showerdata"},
}
"""Which formats hold which cells."""


def name_of(folder: Path, stem: str, name: str) -> Path:
    return folder / f"{stem}{get_source(name).suffixes[0]}"


def written(folder: Path, showers: Showers) -> Iterator[tuple[str, Path]]:
    """The showers in every format that can hold them."""
    first = write_showers(folder / "first.h5", showers)
    for name in source_names():
        path = name_of(folder, f"a-{name}", name)
        try:
            convert(first, path, to=name)
        except FormatError:
            assert not path.exists()
        else:
            yield name, path


@pytest.mark.parametrize("kind", CALORIMETERS)
def test_every_pair_carries_the_same_showers(tmp_path: Path, kind: str) -> None:
    showers = random_sample(CALORIMETERS[kind], 6, seed=3)
    files = dict(written(tmp_path, showers))
    assert set(files) == CARRIES[kind]
    for name, path in files.items():
        assert detect(path).name == name
        for other in files:
            second = name_of(tmp_path, f"b-{name}-{other}", other)
            convert(path, second, to=other)
            convert(second, tmp_path / "again.h5")
            with open_showers(tmp_path / "again.h5") as reader:
                again = reader.read()
            assert close(again, showers), (name, other)
            assert again.calorimeter.hash == showers.calorimeter.hash
            energy = again.incident.energy / showers.incident.energy
            assert np.abs(energy - 1.0).max() <= RELATIVE, (name, other)


@settings(max_examples=40, deadline=None)
@given(calorimeters(), st.data(), st.integers(0, 1000))
def test_pairs_on_random_calorimeters(
    calorimeter: Calorimeter, data: st.DataObject, seed: int
) -> None:
    showers = random_sample(calorimeter, 4, seed)
    names = sorted(CARRIES["mixed"])
    one, other = data.draw(st.sampled_from(names)), data.draw(st.sampled_from(names))
    with TemporaryDirectory() as name:
        folder = Path(name)
        first = write_showers(folder / "first.h5", showers)
        a, b = name_of(folder, "a", one), name_of(folder, "b", other)
        convert(first, a, to=one)
        convert(a, b, to=other)
        convert(b, folder / "again.h5")
        with open_showers(folder / "again.h5") as reader:
            assert close(reader.read(), showers)
