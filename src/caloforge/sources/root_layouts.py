"""Which branches of a flat ROOT tree hold what."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from caloforge.errors import FormatError
from caloforge.showers import COLUMNS
from caloforge.sources.base import ReadOptions

TREE = "showers"

UNITS = {"MeV": 1.0, "GeV": 1000.0, "50GeV": 20.0}
"""MeV per unit; of 50GeV, values are 50 x GeV."""

EnergyUnit = Literal["MeV", "GeV", "50GeV"]


class RootOptions(ReadOptions):
    """Which tree and branches to read; what is not said is recognised.

    Where a branch of hits is named, hits are read from the named branches only.
    """

    tree: str | None = None
    energy: str | None = None
    pdg: str | None = None
    theta: str | None = None
    phi: str | None = None
    cell: str | None = None
    layer: str | None = None
    i: str | None = None
    j: str | None = None
    hit_energy: str | None = None
    energy_unit: EnergyUnit | None = None
    """Unit of the incident energy: MeV in our tree, GeV in others unless said."""
    hit_unit: EnergyUnit | None = None
    """Unit of the hits: MeV in our tree, must be said for others."""


@dataclass(frozen=True)
class Hits:
    """Branches with one list per shower: ``cell``, or ``layer``, ``i`` and ``j``; and energies."""

    energy: str
    cell: str | None
    layer: str | None
    i: str | None
    j: str | None

    @property
    def indices(self) -> tuple[str, ...]:
        """The branches that name the cells, as far as they are known."""
        names = (self.cell,) if self.cell else (self.layer, self.i, self.j)
        return tuple(name for name in names if name)


@dataclass(frozen=True)
class Layout:
    """A tree: its incident columns by their branch, and its hits, one entry per sub-detector."""

    tree: str
    columns: dict[str, str]
    parts: tuple[Hits, ...]
    energy_unit: EnergyUnit
    hit_unit: EnergyUnit | None

    @property
    def branches(self) -> list[str]:
        """The branches to read."""
        names = [*self.columns.values()]
        for hits in self.parts:
            names += [hits.energy, *hits.indices]
        return names

    @property
    def is_ours(self) -> bool:
        """Whether what is read is what we write."""
        same = all(name == branch for name, branch in self.columns.items())
        return same and (self.tree, self.parts) == (OURS.tree, OURS.parts)


OURS = Layout(
    TREE,
    {name: name for name in COLUMNS},
    (Hits("hit_energy", "hit_cell", "hit_layer", "hit_i", "hit_j"),),
    "MeV",
    "MeV",
)
_TRUTH = {"energy": "energy", "pdg": "pdgID", "theta": "theta"}
_ECAL = Hits("ecal_E", None, "ecal_iz", "ecal_ix", "ecal_iy")
_HCAL = Hits("hcal_E", None, "hcal_iz", "hcal_ix", "hcal_iy")
LCD = Layout("ecalTree", _TRUTH, (_ECAL, _HCAL), "GeV", None)
LCD_ECAL = Layout("ecalTree", _TRUTH, (Hits("E", None, "z", "x", "y"),), "GeV", None)
KNOWN = (OURS, LCD, LCD_ECAL)


def known_layout(tree: str, branches: Set[str]) -> Layout | None:
    """The known layout that a tree of this name and these branches has."""
    for layout in KNOWN:
        hits = layout.parts[0]
        located = hits.cell in branches or {hits.layer, hits.i, hits.j} <= branches
        if tree == layout.tree and hits.energy in branches and located:
            return layout
    return None


def resolve(path: Path, tree: str, branches: Set[str], options: RootOptions) -> Layout:
    """The layout of a tree: a known one, changed by what the options say.

    Raises:
        FormatError: a branch is missing, or the unit of the hits is not known.
    """
    base = known_layout(tree, branches) or replace(OURS, energy_unit="GeV", hit_unit=None)
    columns = dict(base.columns)
    for name in ("energy", "pdg", "theta", "phi"):
        columns[name] = getattr(options, name) or columns.get(name, name)
    layout = replace(
        base,
        tree=tree,
        columns=columns,
        parts=_parts(base, branches, options),
        energy_unit=options.energy_unit or base.energy_unit,
        hit_unit=options.hit_unit or base.hit_unit,
    )
    _check(path, layout, branches, options)
    kept = {name: branch for name, branch in columns.items() if branch in branches}
    return replace(layout, columns=kept)


def _parts(base: Layout, branches: Set[str], options: RootOptions) -> tuple[Hits, ...]:
    """The hits to read: those that the options name, else those of the layout that are there."""
    first = base.parts[0]
    by_index = options.layer or options.i or options.j
    usual = first.cell if first.cell in branches and not by_index else None
    mine = Hits(
        options.hit_energy or first.energy,
        options.cell or usual,
        options.layer or first.layer,
        options.i or first.i,
        options.j or first.j,
    )
    if options.cell or by_index or options.hit_energy:
        return (mine,)
    return (mine, *(hits for hits in base.parts[1:] if hits.energy in branches))


def _check(path: Path, layout: Layout, branches: Set[str], options: RootOptions) -> None:
    chosen = [branch for name in ("pdg", "theta", "phi") if (branch := getattr(options, name))]
    wanted = [layout.columns["energy"], *chosen]
    for hits in layout.parts:
        wanted += [hits.energy, *hits.indices]
    missing = [name for name in wanted if name not in branches]
    if missing:
        raise FormatError(
            f"{path}: tree '{layout.tree}' has no branch '{missing[0]}', only "
            f"{', '.join(sorted(branches)) or 'none'}; name the branches with --option, "
            "as in --option hit_energy=E"
        )
    if layout.hit_unit is None:
        raise FormatError(
            f"{path}: tree '{layout.tree}' does not say the unit of '{layout.parts[0].energy}'; "
            "add --option hit_unit=MeV, GeV or 50GeV (values are 50 x GeV)"
        )
