"""Cells, positions, identity and YAML of calorimeters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.errors import GeometryError
from caloforge.geometry import (
    Calorimeter,
    CartesianGrid,
    CylindricalGrid,
    Layer,
    behind,
    detector_names,
    load_detector,
)
from helpers import small_calorimeter


def cylinder(n_phi: int = 8) -> Calorimeter:
    grid = CylindricalGrid(r_edges=(0.0, 5.0, 15.0, 40.0), n_phi=n_phi)
    return Calorimeter(
        name="cylinder",
        layers=tuple(Layer(z=10.0 * k, thickness=10.0, segmentation=grid) for k in range(3)),
    )


@pytest.mark.parametrize("name", detector_names())
def test_shipped_detectors_number_and_locate_every_cell(name: str) -> None:
    calorimeter = load_detector(name)
    cells = np.arange(calorimeter.n_cells)
    assert (calorimeter.cell_index(*calorimeter.cell_coordinates(cells)) == cells).all()
    rings = [len(layer.segmentation.axes()[0]) for layer in calorimeter.layers]
    uncut = [layer.segmentation.shape[1] == 1 for layer in calorimeter.layers]
    unique = ~(np.array(uncut) & (np.array(rings) > 1))[calorimeter.cell_layer]
    # rings that are not cut in phi all have their centre on the axis
    assert (calorimeter.locate(*calorimeter.cell_positions.T) == cells)[unique].all()
    assert Calorimeter.from_yaml(calorimeter.to_yaml()).hash == calorimeter.hash


def test_lcd_ecal_is_the_published_stack() -> None:
    lcd = load_detector("lcd-ecal")
    assert lcd.grid_shape == (25, 51, 51)
    slabs = [(stack.repeat, s.material, s.thickness) for stack in lcd.stacks for s in stack.slabs]
    assert (17, "G4_W", 2.4) in slabs
    assert (8, "G4_W", 4.8) in slabs
    assert sum(stack.thickness for stack in lcd.stacks) == pytest.approx(
        sum(layer.thickness for layer in lcd.layers)
    )
    # tungsten alone: 79.2 mm, 22.6 radiation lengths of 3.504 mm (PDG)
    tungsten = sum(
        st.repeat * s.thickness for st in lcd.stacks for s in st.slabs if "W" in s.material
    )
    assert tungsten / 3.504 == pytest.approx(22.6, abs=0.1)


def test_lcd_ecal_25_is_the_central_window() -> None:
    assert load_detector("lcd-ecal").window(25, 25, "w").hash == load_detector("lcd-ecal-25").hash


def test_calogan_layers_are_a_480_mm_cube() -> None:
    lar = load_detector("calogan-lar")
    shapes = [layer.segmentation.shape for layer in lar.layers]
    assert shapes == [(3, 96), (12, 12), (12, 6)]
    assert sum(layer.thickness for layer in lar.layers) == 480.0
    for layer in lar.layers:
        assert isinstance(layer.segmentation, CartesianGrid)
        assert layer.segmentation.nx * layer.segmentation.dx == 480.0
        assert layer.segmentation.ny * layer.segmentation.dy == 480.0
    assert lar.grid_shape is None


def test_hash_follows_physics_not_names() -> None:
    base = small_calorimeter()
    assert small_calorimeter("other").hash == base.hash
    assert small_calorimeter(n=7).hash != base.hash
    assert base.model_validate({**base.model_dump(), "cell_threshold": 0.5}).hash != base.hash


def test_repeated_layers_follow_each_other() -> None:
    text = """
name: a
layers:
  - {repeat: 2, thickness: 3.0, segmentation: {kind: cartesian, nx: 1, ny: 1, dx: 1, dy: 1}}
  - {z: 10.0, thickness: 2.0, segmentation: {kind: cylindrical, r_edges: [0, 1], n_phi: 1}}
"""
    assert [layer.z for layer in Calorimeter.from_yaml(text).layers] == [0.0, 3.0, 10.0]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("name: a\nlayers: []", "layers"),
        ("name: a\nlayers: [{thickness: 1, segmentation: {kind: hexagonal}}]", "hexagonal"),
        ("name: a\ncolour: blue\nlayers: []", "colour"),
        ("a: [", "YAML"),
        ("name: a\nlayers: [{repeat: 0, thickness: 1}]", "repeat"),
        (
            "name: a\nlayers:\n"
            "- {z: 0, thickness: 5, segmentation: {kind: cartesian, nx: 1, ny: 1, dx: 1, dy: 1}}\n"
            "- {z: 3, thickness: 5, segmentation: {kind: cartesian, nx: 1, ny: 1, dx: 1, dy: 1}}",
            "inside",
        ),
        (
            "name: a\nlayers:\n- {thickness: 5, segmentation: "
            "{kind: cylindrical, r_edges: [0, 2, 1], n_phi: 3}}",
            "r_edges",
        ),
    ],
)
def test_wrong_yaml_names_the_field(text: str, word: str) -> None:
    with pytest.raises(GeometryError, match=word):
        Calorimeter.from_yaml(text, "file.yaml")


def test_unknown_detector_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match="lcd-ecal"):
        load_detector("atlas")
    with pytest.raises(GeometryError, match=r"none\.yaml"):
        load_detector(tmp_path / "none.yaml")


def test_coordinates_outside_are_errors(small: Calorimeter) -> None:
    with pytest.raises(GeometryError):
        small.cell_index(np.array([0]), np.array([5]), np.array([0]))
    with pytest.raises(GeometryError):
        small.cell_index(np.array([4]), np.array([0]), np.array([0]))
    with pytest.raises(GeometryError):
        small.cell_coordinates(np.array([small.n_cells]))


@given(
    x=st.floats(-60, 60, allow_nan=False),
    y=st.floats(-60, 60, allow_nan=False),
    z=st.floats(-5, 40, allow_nan=False),
    cartesian=st.booleans(),
)
def test_located_points_lie_in_their_cell(x: float, y: float, z: float, cartesian: bool) -> None:
    calorimeter = small_calorimeter() if cartesian else cylinder()
    (cell,) = calorimeter.locate(np.array([x]), np.array([y]), np.array([z]))
    r = np.hypot(x, y)
    if cartesian:
        inside = -25 <= x < 25 and -25 <= y < 25 and 0 <= z < 20
    else:
        inside = r < 40 and 0 <= z < 30
    assert (cell >= 0) == inside
    if cell >= 0:
        centre = calorimeter.cell_positions[cell]
        assert abs(centre[2] - z) <= 5.0 + 1e-9
        if cartesian:
            assert abs(centre[0] - x) <= 5.0 + 1e-9
            assert abs(centre[1] - y) <= 5.0 + 1e-9
        else:
            edges = np.array([0.0, 5.0, 15.0, 40.0])
            ring = np.searchsorted(edges, r, side="right") - 1
            assert np.hypot(*centre[:2]) == pytest.approx(edges[ring : ring + 2].mean())


def test_uncut_rings_are_centred_on_the_axis() -> None:
    assert np.allclose(cylinder(n_phi=1).cell_positions[:, :2], 0.0)


def test_window_needs_matching_parity(small: Calorimeter) -> None:
    assert small.window(3, 3, "w").n_cells == 4 * 9
    with pytest.raises(GeometryError, match="window"):
        small.window(4, 4, "w")
    with pytest.raises(GeometryError, match="cartesian"):
        cylinder().window(1, 1, "w")


def test_equality_ignores_cached_arrays() -> None:
    one, two = small_calorimeter(), small_calorimeter()
    assert one.cell_positions.shape == two.cell_positions.shape
    assert one == two
    assert hash(one) == hash(two)
    assert one != small_calorimeter("other")
    assert one != "small"


def test_layers_beyond_the_material_cannot_be_joined() -> None:
    front, back = load_detector("lcd-ecal"), load_detector("lcd-hcal")
    last = front.layers[-1].model_copy(update={"thickness": 9.0})
    deep = front.model_copy(update={"layers": (*front.layers[:-1], last)})
    with pytest.raises(GeometryError, match="lcd-ecal: its last layer reaches beyond"):
        behind(deep, back)
    early = back.layers[0].model_copy(update={"z": -1.0})
    moved = back.model_copy(update={"layers": (early, *back.layers[1:])})
    with pytest.raises(GeometryError, match="lcd-hcal: its first layer reaches beyond"):
        behind(front, moved)
