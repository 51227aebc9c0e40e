"""The binning files of the CaloChallenge: XML in and out.

``<Bins><Bin pid="22" name="photon"><Layer id="0" r_edges="0,5,10" n_bin_alpha="1"/>...``: rings
between ``r_edges`` (mm), each cut into ``n_bin_alpha`` sectors that start at -pi. A layer with a
single edge has no cells. Depths are not part of the format.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from pydantic import ValidationError

from caloforge.errors import GeometryError, one_line
from caloforge.geometry.calorimeter import Calorimeter, Layer
from caloforge.geometry.segmentation import CylindricalGrid

NOMINAL_DEPTH = 10.0
"""Thickness (mm) of a layer that was read from a binning."""

PARTICLES = {11: "electron", 22: "photon", 211: "pion"}
"""What the official files call their particles."""

_MAX_BYTES = 4 << 20
_MAX_NUMBER = 1000


class _Builder(ElementTree.TreeBuilder):
    """Builds the tree and refuses a document type: it could hold entities that explode."""

    def doctype(self, name: str, _public: str | None, _system: str | None) -> NoReturn:
        raise ValueError(f"document type '{name}' is not allowed")


def read_binning(
    path: str | Path, particle: str | None = None, thickness: float = NOMINAL_DEPTH
) -> Calorimeter:
    """The calorimeter of a binning file, its layers one behind the other without gaps.

    Args:
        path: the XML file.
        particle: ``pid`` or ``name`` of the ``<Bin>``; needed where the file holds several.
        thickness: depth (mm) of every layer, as the file does not say.

    Raises:
        GeometryError: unreadable, malformed, no such particle, or impossible bins.
    """
    path = Path(path)
    chosen = _choose(_parse(path), path, particle)
    layers: list[Layer] = []
    numbers: set[int] = set()
    for element in chosen.findall("Layer"):
        number, grid = _layer(element, path)
        if number in numbers:
            raise GeometryError(f"{path}: layer {number} appears twice; give each its own id")
        numbers.add(number)
        if grid is not None:
            z = len(layers) * thickness
            layers.append(Layer(z=z, thickness=thickness, segmentation=grid, number=number))
    if not layers:
        raise GeometryError(f"{path}: no <Layer> has cells; give r_edges with two edges or more")
    return Calorimeter(
        name=path.stem,
        description=(
            f"From the binning {path.name}, {chosen.get('name') or chosen.get('pid')}. The depth "
            f"of {thickness:g} mm per layer is nominal, the file has none."
        ),
        layers=tuple(layers),
    )


def _parse(path: Path) -> ElementTree.Element:
    try:
        content = path.read_bytes()
        if len(content) > _MAX_BYTES:
            raise GeometryError(
                f"{path}: {len(content)} bytes are too many for a binning; give a binning XML file"
            )
        return ElementTree.fromstring(content, ElementTree.XMLParser(target=_Builder()))
    except OSError as error:
        raise GeometryError(
            f"{path}: cannot read this binning file ({one_line(error)}); check the path"
        ) from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise GeometryError(
            f"{path}: not a valid binning XML ({one_line(error)}); fix the file"
        ) from error


def _choose(root: ElementTree.Element, path: Path, particle: str | None) -> ElementTree.Element:
    """The ``<Bin>`` of a particle."""
    bins = [root] if root.tag == "Bin" else root.findall("Bin")
    if not bins:
        raise GeometryError(
            f"{path}: <{root.tag}> holds no <Bin>; give a CaloChallenge binning file"
        )
    named = ", ".join(f"{b.get('pid', '?')} ({b.get('name', '?')})" for b in bins)
    if particle is not None:
        bins = [b for b in bins if particle in (b.get("pid"), b.get("name"))]
    if len(bins) == 1:
        return bins[0]
    if not bins:
        raise GeometryError(f"{path}: no <Bin> for particle '{particle}', only {named}; choose one")
    raise GeometryError(
        f"{path}: {len(bins)} <Bin> fit, of {named}; choose one with {path.name}#PARTICLE, or "
        "leave only one in the file"
    )


def _layer(element: ElementTree.Element, path: Path) -> tuple[int, CylindricalGrid | None]:
    """Number and cells of a ``<Layer>``; None where it has no cells."""
    values = {}
    for key in ("id", "r_edges", "n_bin_alpha"):
        text = element.get(key)
        if text is None:
            raise GeometryError(
                f"{path}: <Layer id={quoteattr(element.get('id', '?'))}> lacks '{key}'; add it"
            )
        values[key] = text
    try:
        number, sectors = int(values["id"]), int(values["n_bin_alpha"])
        edges = tuple(float(edge) for edge in values["r_edges"].split(","))
        if not 0 <= number <= _MAX_NUMBER:
            raise ValueError(f"id must lie in 0..{_MAX_NUMBER}")
        if len(edges) < 2:
            return number, None
        return number, CylindricalGrid(r_edges=edges, n_phi=sectors)
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"{'n_bin_alpha' if first['loc'][0] == 'n_phi' else 'r_edges'}: {first['msg']}"
    except ValueError as error:
        problem = one_line(error)
    raise GeometryError(f"{path}: layer {values['id']!r}: {problem}; fix the file")


def _numbers(calorimeter: Calorimeter) -> list[int]:
    """The experiment's layer numbers, or the places in the list where none are given."""
    given = [layer.number for layer in calorimeter.layers]
    return [place if number is None else number for place, number in enumerate(given)]


def _cells(calorimeter: Calorimeter) -> Sequence[tuple[int, object]]:
    grids = [layer.segmentation for layer in calorimeter.layers]
    return list(zip(_numbers(calorimeter), grids, strict=True))


def same_cells(one: Calorimeter, other: Calorimeter) -> bool:
    """Whether two calorimeters have the same layer numbers and cells, whatever their depths."""
    return one.n_cells == other.n_cells and _cells(one) == _cells(other)


def to_binning_xml(calorimeter: Calorimeter, pdg: int, name: str | None = None) -> str:
    """The binning file of a calorimeter, for the evaluation code of the CaloChallenge.

    That code counts layers by their place, so missing numbers become empty layers.

    Args:
        calorimeter: all layers cylindrical.
        pdg: code of the particle.
        name: of the particle; the usual one when None.

    Raises:
        GeometryError: a layer is not cylindrical, or the layer numbers do not increase.
    """
    numbers = _numbers(calorimeter)
    if sorted(set(numbers)) != numbers or numbers[-1] > _MAX_NUMBER:
        raise GeometryError(
            f"{calorimeter.name}: layer numbers {numbers} must increase up to {_MAX_NUMBER} at "
            "most; change 'number' of the layers"
        )
    cells = dict(zip(numbers, calorimeter.layers, strict=True))
    lines = []
    for number in range(numbers[-1] + 1):
        edges, sectors = "0", 1
        if number in cells:
            grid = cells[number].segmentation
            if not isinstance(grid, CylindricalGrid):
                raise GeometryError(
                    f"{calorimeter.name}: layer {number} is not cylindrical; a binning file holds "
                    "rings only"
                )
            edges = ",".join(repr(float(edge)).removesuffix(".0") for edge in grid.r_edges)
            sectors = grid.n_phi
        lines.append(f'    <Layer id="{number}" r_edges="{edges}" n_bin_alpha="{sectors}"/>')
    label = quoteattr(name or PARTICLES.get(abs(pdg), str(pdg)))
    return "\n".join(
        ["<Bins>", f'  <Bin pid="{pdg}" name={label}>', *lines, "  </Bin>", "</Bins>", ""]
    )
