"""What a section gives: tables that print as Markdown and go into the JSON file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from caloforge.showers import Showers
from caloforge.store import open_showers
from simulated.estimators import Value

Entry = Value | float | int | str | None


class MissingSampleError(Exception):
    """A section needs samples that are not there."""


@dataclass(frozen=True)
class Samples:
    """The store files of one folder, by name without suffix; those read stay in memory."""

    folder: Path
    used: dict[str, Showers] = field(default_factory=dict)

    def __contains__(self, name: object) -> bool:
        return (self.folder / f"{name}.h5").is_file()

    def present(self, names: Iterable[str]) -> list[str]:
        """Those of ``names`` that are there, at least one.

        Raises:
            MissingSampleError: none is.
        """
        several = list(names)
        found = [name for name in several if name in self]
        if not found:
            raise MissingSampleError(f"needs one of {', '.join(f'{n}.h5' for n in several)}")
        return found

    def read(self, name: str) -> Showers:
        """The showers of a file, above the cell threshold.

        Raises:
            MissingSampleError: the file is not there.
        """
        if name not in self:
            raise MissingSampleError(f"needs {name}.h5")
        if name not in self.used:
            with open_showers(self.folder / f"{name}.h5") as reader:
                self.used[name] = reader.read().above_threshold()
        return self.used[name]

    def origins(self) -> dict[str, Any]:
        """Where the samples that were read come from: number, config, seed, generator."""
        return {
            name: {
                "showers": len(showers),
                "detector": showers.calorimeter.name,
                "config": dict(showers.provenance.config),
                "seed": showers.provenance.seed,
                "source": dict(showers.provenance.source),
            }
            for name, showers in sorted(self.used.items())
        }


def gev(showers: Showers) -> float:
    """The one incident energy of a sample, GeV."""
    return float(showers.incident.energy[0]) / 1e3


@dataclass
class Table:
    """Rows of entries under named columns."""

    title: str
    columns: Sequence[str]
    rows: list[Sequence[Entry]] = field(default_factory=list)
    note: str = ""

    def add(self, *entries: Entry) -> None:
        """One more row."""
        if len(entries) != len(self.columns):
            raise ValueError(f"{self.title}: {len(entries)} entries, {len(self.columns)} columns")
        self.rows.append(entries)

    def markdown(self) -> str:
        """The table as Markdown."""
        lines = [f"**{self.title}**", "", _line(self.columns), "|" + "---|" * len(self.columns)]
        lines += [_line([_text(entry) for entry in row]) for row in self.rows]
        return "\n".join(lines + ([f"\n{self.note}"] if self.note else []))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: a number with an error is {"value": .., "error": ..}."""
        rows = [
            {column: _json(entry) for column, entry in zip(self.columns, row, strict=True)}
            for row in self.rows
        ]
        return {"title": self.title, "rows": rows, "note": self.note}


def _line(entries: Sequence[str]) -> str:
    return "| " + " | ".join(entries) + " |"


def _text(entry: Entry) -> str:
    if entry is None:
        return "-"
    return f"{entry:.4g}" if isinstance(entry, float) else str(entry)


def _json(entry: Entry) -> Any:
    if isinstance(entry, Value):
        return {"value": entry.value, "error": entry.error}
    return entry
