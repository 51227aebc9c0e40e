"""The calorimeter: what it is made of (stacks) and how it is read out (layers of cells).

Frame: the particle comes from negative z and the front face is at z = 0; z is the depth,
x and y are transverse (mm). Cells are numbered layer by layer, inside a layer ``i * n_j + j``.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from caloforge.errors import GeometryError, one_line
from caloforge.geometry.segmentation import CartesianGrid, Floats, Segmentation

Cells = NDArray[np.integer[Any]]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Material(_Frozen):
    """One slab: a NIST/Geant4 material name, its thickness (mm), whether its deposits count.

    ``birks`` (mm/MeV) is Birks' constant of a scintillator: a deposit dE over a step dx then
    counts as dE / (1 + birks * dE/dx) (J. B. Birks, Proc. Phys. Soc. A64 (1951) 874).
    """

    material: str
    thickness: PositiveFloat
    active: bool = False
    birks: PositiveFloat | None = None

    @model_validator(mode="after")
    def _only_active_saturates(self) -> Material:
        if self.birks is not None and not self.active:
            raise ValueError("birks is given for a slab that is not active")
        return self


class Stack(_Frozen):
    """``repeat`` times the same sequence of slabs, front to back."""

    slabs: tuple[Material, ...] = Field(min_length=1)
    repeat: PositiveInt = 1

    @property
    def thickness(self) -> float:
        """Total thickness (mm)."""
        return self.repeat * sum(slab.thickness for slab in self.slabs)


class Layer(_Frozen):
    """One readout layer: a depth range [z, z + thickness) mm cut into cells.

    ``number`` is the experiment's own number of the layer, where it has one (ATLAS: 0, 1, 2, 3,
    12, ...); cells are always numbered by the place in the list.
    """

    z: float
    thickness: PositiveFloat
    segmentation: Segmentation
    number: NonNegativeInt | None = None

    @property
    def n_cells(self) -> int:
        """Number of cells in the layer."""
        n_i, n_j = self.segmentation.shape
        return n_i * n_j


class Calorimeter(_Frozen):
    """A named, ordered list of layers, with the materials where they are known.

    ``cell_threshold`` (MeV) is the smallest cell energy that the detector reports: generators
    cut at it, and validation applies it to both samples.

    ``width`` (mm) is the full transverse size of the material; as wide as the widest layer of
    cells when it is not given. ``inner_radius`` (mm) makes the stacks concentric cylinders around
    an axis parallel to x (the beam) at z = -inner_radius: the front face is then their inside.
    """

    name: str
    description: str = ""
    cell_threshold: NonNegativeFloat = 0.0
    width: PositiveFloat | None = None
    inner_radius: PositiveFloat | None = None
    stacks: tuple[Stack, ...] = ()
    layers: tuple[Layer, ...] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _expand_repeats(cls, raw: Any) -> Any:
        """Let YAML say ``repeat: 17`` for equal layers and leave out ``z`` (front to back)."""
        if not isinstance(raw, dict) or not isinstance(raw.get("layers"), list | tuple):
            return raw
        layers: list[Any] = []
        z = 0.0
        for entry in raw["layers"]:
            if not isinstance(entry, dict):
                layers.append(entry)
                continue
            item = dict(entry)
            repeat = item.pop("repeat", 1)
            if not isinstance(repeat, int) or repeat < 1:
                raise ValueError(f"layers: repeat must be a positive integer, got {repeat!r}")
            for _ in range(repeat):
                one = {"z": z, **item}
                layers.append(one)
                if isinstance(one["z"], int | float) and isinstance(
                    one.get("thickness"), int | float
                ):
                    z = round(one["z"] + one["thickness"], 9)
        return {**raw, "layers": layers}

    @model_validator(mode="after")
    def _ordered(self) -> Calorimeter:
        for number, (a, b) in enumerate(pairwise(self.layers)):
            if b.z < a.z + a.thickness - 1e-6:
                raise ValueError(f"layer {number + 1} starts inside layer {number}")
        return self

    # ------------------------------------------------------------------ cells

    @property
    def n_layers(self) -> int:
        """Number of readout layers."""
        return len(self.layers)

    @cached_property
    def layer_offset(self) -> NDArray[np.int64]:
        """First cell number of every layer, then the total: shape (n_layers + 1,)."""
        return np.concatenate([[0], np.cumsum([layer.n_cells for layer in self.layers])])

    @property
    def n_cells(self) -> int:
        """Number of cells of the whole calorimeter."""
        return int(self.layer_offset[-1])

    @cached_property
    def cell_layer(self) -> NDArray[np.int64]:
        """Layer of every cell: shape (n_cells,)."""
        return np.repeat(np.arange(self.n_layers), np.diff(self.layer_offset))

    @cached_property
    def cell_positions(self) -> Floats:
        """Centre of every cell (mm): shape (n_cells, 3), columns x, y, z."""
        parts = []
        for layer in self.layers:
            x, y = layer.segmentation.centres()
            parts.append(np.column_stack([x, y, np.full_like(x, layer.z + layer.thickness / 2)]))
        return np.concatenate(parts)

    @cached_property
    def cells_beside(self) -> NDArray[np.int64]:
        """Cells of the same layer that share a side with each cell, or -1: (n_cells, 4)."""
        parts = []
        for layer, first in zip(self.layers, self.layer_offset, strict=False):
            beside = layer.segmentation.beside()
            parts.append(np.where(beside >= 0, beside + first, -1))
        return np.concatenate(parts)

    def cell_index(self, layer: Cells, i: Cells, j: Cells) -> NDArray[np.int64]:
        """Cell number of (layer, i, j).

        Raises:
            GeometryError: an index lies outside the calorimeter.
        """
        layer, i, j = np.broadcast_arrays(layer, i, j)
        shapes = np.array([item.segmentation.shape for item in self.layers])
        if layer.size and (layer.min() < 0 or layer.max() >= self.n_layers):
            raise GeometryError(f"{self.name}: layer outside 0..{self.n_layers - 1}; check indices")
        if np.any((i < 0) | (j < 0) | (i >= shapes[layer, 0]) | (j >= shapes[layer, 1])):
            raise GeometryError(f"{self.name}: (i, j) outside its layer; check the segmentation")
        return np.asarray(self.layer_offset[layer] + i * shapes[layer, 1] + j)

    def cell_coordinates(
        self, cell: Cells
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """(layer, i, j) of each cell number: the inverse of :meth:`cell_index`.

        Raises:
            GeometryError: a cell number lies outside the calorimeter.
        """
        cell = np.asarray(cell, dtype=np.int64)
        if cell.size and (cell.min() < 0 or cell.max() >= self.n_cells):
            raise GeometryError(f"{self.name}: cell outside 0..{self.n_cells - 1}")
        layer = self.cell_layer[cell]
        n_j = np.array([item.segmentation.shape[1] for item in self.layers])
        i, j = np.divmod(cell - self.layer_offset[layer], n_j[layer])
        return layer, i, j

    def locate(self, x: Floats, y: Floats, z: Floats) -> NDArray[np.int64]:
        """Cell number holding each point (mm); -1 where a point lies outside every cell."""
        x, y, z = (np.asarray(v, dtype=np.float64) for v in (x, y, z))
        fronts = np.array([layer.z for layer in self.layers])
        backs = fronts + [layer.thickness for layer in self.layers]
        layer = np.searchsorted(fronts, z, side="right") - 1
        inside = (layer >= 0) & (z < backs[np.maximum(layer, 0)])
        cell = np.full(z.shape, -1, dtype=np.int64)
        for number in np.unique(layer[inside]):
            chosen = inside & (layer == number)
            local = self.layers[number].segmentation.locate(x[chosen], y[chosen])
            cell[chosen] = np.where(local >= 0, local + self.layer_offset[number], -1)
        return cell

    @property
    def grid_shape(self) -> tuple[int, int, int] | None:
        """(layers, n_i, n_j) when every layer has the same segmentation, else None."""
        first = self.layers[0].segmentation
        if any(layer.segmentation != first for layer in self.layers):
            return None
        return (self.n_layers, *first.shape)

    def window(self, nx: int, ny: int, name: str) -> Calorimeter:
        """The central ``nx`` x ``ny`` cells of every (cartesian) layer.

        Raises:
            GeometryError: a layer is not cartesian, smaller, or of other parity.
        """
        layers = []
        for number, layer in enumerate(self.layers):
            grid = layer.segmentation
            if not isinstance(grid, CartesianGrid):
                raise GeometryError(
                    f"{self.name}: layer {number} is not cartesian; leave the window out"
                )
            if nx > grid.nx or ny > grid.ny or (grid.nx - nx) % 2 or (grid.ny - ny) % 2:
                raise GeometryError(
                    f"{self.name}: no central {nx}x{ny} window in {grid.nx}x{grid.ny} cells; "
                    "use sizes that differ by an even number of cells"
                )
            update = {"segmentation": grid.model_copy(update={"nx": nx, "ny": ny})}
            layers.append(layer.model_copy(update=update))
        return Calorimeter(
            name=name,
            description=f"central {nx}x{ny} cells of {self.name}",
            cell_threshold=self.cell_threshold,
            width=self.width,
            inner_radius=self.inner_radius,
            stacks=self.stacks,
            layers=tuple(layers),
        )

    # --------------------------------------------------------------- identity

    @cached_property
    def hash(self) -> str:
        """16 hex digits that change when cells, materials or threshold do (not the name)."""
        content = self.model_dump(mode="json", exclude={"name", "description"}, exclude_none=True)
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def __eq__(self, other: object) -> bool:
        """Same name and same :attr:`hash`; cached arrays do not take part."""
        if not isinstance(other, Calorimeter):
            return NotImplemented
        return self.name == other.name and self.hash == other.hash

    def __hash__(self) -> int:
        return hash((self.name, self.hash))

    def require_same(self, other: Calorimeter, what: str) -> None:
        """Raise GeometryError unless ``other`` has the same hash; ``what`` names it."""
        if self.hash != other.hash:
            raise GeometryError(
                f"{what} is for calorimeter '{other.name}' ({other.hash}, {other.n_cells} cells), "
                f"not '{self.name}' ({self.hash}, {self.n_cells} cells); use showers and models "
                "of one geometry"
            )

    # ------------------------------------------------------------------- YAML

    def to_yaml(self) -> str:
        """YAML text that :meth:`from_yaml` reads back to an equal calorimeter."""
        return str(yaml.safe_dump(self.model_dump(mode="json", exclude_none=True), sort_keys=False))

    @classmethod
    def from_yaml(cls, text: str, origin: str = "geometry") -> Calorimeter:
        """Read a calorimeter from YAML text; ``origin`` names it in errors.

        Raises:
            GeometryError: not YAML, or a field is missing, unknown or wrong.
        """
        try:
            return cls.model_validate(yaml.safe_load(text))
        except yaml.YAMLError as error:
            raise GeometryError(
                f"{origin}: not valid YAML; fix the file: {one_line(error)}"
            ) from error
        except ValidationError as error:
            unknown = [e for e in error.errors() if e["type"] == "extra_forbidden"]
            first = (unknown or error.errors())[0]
            where = ".".join(str(part) for part in first["loc"]) or "top level"
            raise GeometryError(
                f"{origin}: {where}: {first['msg']}; compare with 'caloforge detectors'"
            ) from error

    @classmethod
    def from_file(cls, path: str | Path) -> Calorimeter:
        """Read a calorimeter YAML file.

        Raises:
            GeometryError: the file is missing or wrong.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise GeometryError(f"{path}: cannot read this geometry file ({error})") from error
        return cls.from_yaml(text, origin=str(path))
