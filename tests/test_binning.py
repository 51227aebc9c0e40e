"""CaloChallenge binning files: read, written, refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from caloforge.errors import GeometryError
from caloforge.geometry import (
    Calorimeter,
    CylindricalGrid,
    load_detector,
    read_binning,
    to_binning_xml,
)
from dense_cases import calorimeters, rectangles, rings
from helpers import small_calorimeter

OFFICIAL = [
    ("dataset_1_photons", "calochallenge-1-photons", 368, 22, "photon"),
    ("dataset_1_pions", "calochallenge-1-pions", 533, 211, "pion"),
    ("dataset_2", "par04-siw", 6480, 11, "electron"),
    ("dataset_3", "par04-siw-fine", 40500, 11, "electron"),
]


def one_bin(layers: str, head: str = '<Bin pid="22" name="photon">') -> str:
    return f"<Bins>{head}{layers}</Bin></Bins>"


def layer(number: object = 0, edges: str = "0,5,10", sectors: object = 2) -> str:
    return f'<Layer id="{number}" r_edges="{edges}" n_bin_alpha="{sectors}"/>'


@pytest.mark.parametrize(("file", "name", "cells", "pdg", "particle"), OFFICIAL)
def test_official_files_are_the_shipped_calorimeters(
    shared_data: Path, file: str, name: str, cells: int, pdg: int, particle: str
) -> None:
    path = shared_data / "calochallenge" / f"binning_{file}.xml"
    read, shipped = read_binning(path), load_detector(name)
    assert read.n_cells == shipped.n_cells == cells
    assert [x.segmentation for x in read.layers] == [x.segmentation for x in shipped.layers]
    assert [x.number for x in read.layers] == [
        k if x.number is None else x.number for k, x in enumerate(shipped.layers)
    ]
    assert load_detector(path).hash == shipped.hash
    for key in (str(pdg), particle):
        assert load_detector(f"{path}#{key}").hash == shipped.hash


def test_layer_numbers_of_data_set_1() -> None:
    numbers = [x.number for x in load_detector("calochallenge-1-photons").layers]
    assert numbers == [0, 1, 2, 3, 12]
    numbers = [x.number for x in load_detector("calochallenge-1-pions").layers]
    assert numbers == [0, 1, 2, 3, 12, 13, 14]
    for name in ("photons", "pions"):
        assert load_detector(f"calochallenge-1-{name}").cell_threshold == 1.0


def test_sector_centres_are_the_midpoints_of_the_challenge() -> None:
    grid = load_detector("calochallenge-1-photons").layers[1].segmentation
    assert isinstance(grid, CylindricalGrid)
    edges = np.linspace(-np.pi, np.pi, 11)
    assert np.allclose(grid.axes()[1], (edges[1:] + edges[:-1]) / 2)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(calorimeters(rings()))
def test_any_rings_survive_the_xml(tmp_path: Path, calorimeter: Calorimeter) -> None:
    numbers = np.cumsum(np.arange(calorimeter.n_layers))  # 0, 1, 3, 6: with gaps
    numbered = calorimeter.model_copy(
        update={
            "layers": tuple(
                one.model_copy(update={"number": int(number)})
                for one, number in zip(calorimeter.layers, numbers, strict=True)
            )
        }
    )
    path = tmp_path / "binning.xml"
    path.write_text(to_binning_xml(numbered, 211))
    read = read_binning(path, "pion", thickness=3.0)
    assert [x.segmentation for x in read.layers] == [x.segmentation for x in calorimeter.layers]
    assert [x.number for x in read.layers] == numbers.tolist()
    assert [x.z for x in read.layers] == [3.0 * k for k in range(calorimeter.n_layers)]


def test_missing_numbers_become_empty_layers() -> None:
    text = to_binning_xml(load_detector("calochallenge-1-pions"), 211)
    assert text.count("<Layer ") == 15
    assert text.count('r_edges="0" ') == 8
    assert '<Bin pid="211" name="pion">' in text


def test_one_of_several_particles_is_chosen(tmp_path: Path) -> None:
    path = tmp_path / "two.xml"
    photon = f'<Bin pid="22" name="photon">{layer(0)}</Bin>'
    pion = f'<Bin pid="211" name="pion">{layer(0)}{layer(7, "0,1,2,3")}</Bin>'
    path.write_text(f"<Bins>{photon}{pion}</Bins>")
    assert load_detector(f"{path}#22").n_cells == 4
    assert load_detector(f"{path}#pion").n_cells == 10
    assert [x.number for x in load_detector(f"{path}#pion").layers] == [0, 7]
    with pytest.raises(GeometryError, match=r"2 <Bin> fit, of 22 \(photon\), 211 \(pion\); .*#"):
        load_detector(path)
    with pytest.raises(GeometryError, match="no <Bin> for particle 'muon'"):
        load_detector(f"{path}#muon")


def test_empty_layers_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(one_bin(layer(0, "0") + layer(1) + layer(2, "0") + layer(3)))
    read = load_detector(path)
    assert [x.number for x in read.layers] == [1, 3]
    assert [x.z for x in read.layers] == [0.0, 10.0]
    assert "nominal" in read.description


BOMB = (
    '<!DOCTYPE Bins [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
    '<Bins><Bin pid="1" name="&b;"/></Bins>'
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a valid binning XML"),
        ("<Bins><Bin>", "not a valid binning XML"),
        ("<Rows/>", "<Rows> holds no <Bin>"),
        (one_bin(""), "no <Layer> has cells"),
        (one_bin(layer(0, "0")), "no <Layer> has cells"),
        (one_bin(layer() + layer()), "layer 0 appears twice"),
        (one_bin(layer("one")), "layer 'one'"),
        (one_bin(layer(-1)), "id must lie in 0..1000"),
        (one_bin(layer(10**9)), "id must lie in 0..1000"),
        (one_bin(layer(edges="")), "layer '0'"),
        (one_bin(layer(edges="0,5,5")), "r_edges: .* increase"),
        (one_bin(layer(edges="0,5,4")), "r_edges: .* increase"),
        (one_bin(layer(edges="-1,5")), "r_edges"),
        (one_bin(layer(edges="0,nan")), "r_edges"),
        (one_bin(layer(edges="0,five")), "five"),
        (one_bin(layer(sectors=0)), "n_bin_alpha"),
        (one_bin(layer(sectors="2.5")), "layer '0'"),
        (one_bin('<Layer id="0" r_edges="0,5"/>'), "lacks 'n_bin_alpha'"),
        (one_bin('<Layer r_edges="0,5" n_bin_alpha="1"/>'), "lacks 'id'"),
        (BOMB, "document type 'Bins' is not allowed"),
    ],
)
def test_bad_binnings_are_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.xml"
    path.write_text(text)
    with pytest.raises(GeometryError, match=words) as caught:
        load_detector(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_document_types_are_refused_in_any_encoding(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xml"
    path.write_bytes(BOMB.encode("utf-16"))
    with pytest.raises(GeometryError, match="document type"):
        load_detector(path)
    path.write_bytes(b'<?xml version="1.0" encoding="klingon"?><Bins/>')
    with pytest.raises(GeometryError, match="not a valid binning XML"):
        load_detector(path)
    with pytest.raises(GeometryError, match="cannot read this binning file"):
        load_detector(tmp_path / "none.xml")


def test_only_rings_with_increasing_numbers_can_be_written() -> None:
    with pytest.raises(GeometryError, match="layer 0 is not cylindrical"):
        to_binning_xml(small_calorimeter(), 11)
    photons = load_detector("calochallenge-1-photons")
    twice = photons.model_copy(
        update={"layers": (photons.layers[0], photons.layers[1].model_copy(update={"number": 0}))}
    )
    with pytest.raises(GeometryError, match=r"\[0, 0\] must increase"):
        to_binning_xml(twice, 22)


@settings(max_examples=10, deadline=None)
@given(calorimeters(rectangles()))
def test_layer_numbers_are_part_of_the_identity(calorimeter: Calorimeter) -> None:
    first = calorimeter.layers[0].model_copy(update={"number": 5})
    numbered = calorimeter.model_copy(update={"layers": (first, *calorimeter.layers[1:])})
    fresh = Calorimeter.from_yaml(numbered.to_yaml())
    assert fresh.layers[0].number == 5
    assert fresh.hash != calorimeter.hash


def test_hashes_of_the_older_calorimeters_stay() -> None:
    hashes = {name: load_detector(name).hash for name in ("lcd-ecal-25", "par04-siw")}
    assert hashes == {"lcd-ecal-25": "974c28c02ce945f6", "par04-siw": "edf7fc8f2491346c"}
