"""What a worker does with one part of the inputs: read, split, transform."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from caloforge.conversion.salvage import Damage, readable
from caloforge.errors import ShowerError
from caloforge.geometry import Calorimeter
from caloforge.showers import Incident, Provenance, Showers
from caloforge.sources import SourceReader, get_source
from caloforge.tasks import Advance, Shard
from caloforge.transform import Pipeline, Split, Tally

BATCH = 200
"""Showers in memory at once."""


@dataclass(frozen=True)
class InputFile:
    """A file, its format, and the numbers of its showers among all inputs."""

    path: Path
    format: str
    first: int
    showers: int


Empty = Literal["fail", "drop", "keep"]
"""What to do with showers without energy."""


@dataclass
class Outcome:
    """What became of the showers of a part, beside those that are written.

    ``empty`` were left out because no cell has energy, ``cut`` by the steps or the split, ``lost``
    could not be read. ``parts`` says how many of the showers that follow belong to which part of
    the split: (part, count) after (part, count). ``tallies`` are those of the reading and of every
    step.
    """

    empty: int = 0
    cut: int = 0
    lost: int = 0
    damage: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tallies: list[dict[str, Any]] = field(default_factory=list)
    parts: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class ConversionJob:
    """A :class:`caloforge.tasks.Job`: its shards are numbers of showers over all inputs.

    The :class:`Outcome` travels in the ``source`` of the showers' provenance.
    """

    inputs: tuple[InputFile, ...]
    detector: Calorimeter | None
    options: Any
    steps: Pipeline
    split: Split | None
    empty: Empty
    salvage: bool

    def __call__(self, shard: Shard, advance: Advance) -> Showers:
        """The showers of the shard that are to be written."""
        outcome, reading, tallies = Outcome(), Tally(), self.steps.tallies()
        kept: list[Showers] = []
        done = 0
        for file, start, stop in self._spans(shard):
            source = get_source(file.format)
            with source.open(file.path, self.detector, self.options) as reader:
                for first, batch in self._batches(reader, file, start, stop, outcome):
                    kept += self._treat(batch, file.path, first, outcome, tallies)
                    done += len(batch)
                    advance(done)
                reading.merge(reader.tally)
                outcome.notes += reader.notes
                calorimeter = reader.calorimeter
        after = self.steps.calorimeter(calorimeter)
        outcome.tallies = [asdict(tally) for tally in (reading, *tallies)]
        source_said = {"conversion": asdict(outcome)}
        provenance = Provenance("convert", geometry=after.hash, source=source_said)
        showers = _together(kept) if kept else _none(after)
        return showers.with_provenance(provenance)

    def _spans(self, shard: Shard) -> Iterator[tuple[InputFile, int, int]]:
        """The files of a shard, with first and last shower inside the file."""
        for file in self.inputs:
            start = max(shard.start, file.first) - file.first
            stop = min(shard.stop, file.first + file.showers) - file.first
            if start < stop:
                yield file, start, stop

    def _batches(
        self, reader: SourceReader, file: InputFile, start: int, stop: int, outcome: Outcome
    ) -> Iterator[tuple[int, Showers]]:
        """The batches that can be read, each with the number of its first shower in the file."""
        if not self.salvage:
            firsts = range(start, stop, BATCH)
            yield from zip(firsts, reader.batches(BATCH, start, stop), strict=True)
            return
        for piece in readable(reader, start, stop, BATCH):
            if isinstance(piece, Damage):
                outcome.lost += piece.stop - piece.start
                outcome.damage.append(f"{file.path}: {piece}")
            else:
                yield piece

    def _treat(
        self, batch: Showers, path: Path, first: int, outcome: Outcome, tallies: list[Tally]
    ) -> Iterator[Showers]:
        """What is written of a batch: one sample for every part of the split."""
        empty = np.flatnonzero(batch.hits_per_shower == 0)
        name = f"shower {first + int(empty[0])}" if len(empty) else ""
        batch = self._without_empty(batch, f"{path}: {name}", outcome)
        if self.split is None:
            groups = [(0, batch)]
        else:
            part = self.split.assign(batch)
            groups = [(int(number), batch[part == number]) for number in np.unique(part)]
        for number, group in groups:
            if number < 0:
                outcome.cut += len(group)
                continue
            if len(self.steps) and len(group):
                before = len(group)
                group = self.steps.apply(group, tallies)
                outcome.cut += before - len(group)
                where = f"{path}: after the steps a shower from {first} on"
                group = self._without_empty(group, where, outcome)
            if len(group):
                outcome.parts.append((number, len(group)))
                yield group

    def _without_empty(self, batch: Showers, where: str, outcome: Outcome) -> Showers:
        empty = batch.hits_per_shower == 0
        if not empty.any() or self.empty == "keep":
            return batch
        if self.empty == "fail":
            raise ShowerError(
                f"{where} is empty (no cell has energy); leave such showers out with "
                "--drop-empty, or write them with --keep-empty"
            )
        outcome.empty += int(empty.sum())
        return batch[~empty]


def _together(parts: list[Showers]) -> Showers:
    """One sample; columns that only some inputs have would be lost without a word.

    Raises:
        ShowerError: the incident tables have different columns.
    """
    for part in parts:
        differing = set(part.incident) ^ set(parts[0].incident)
        if differing:
            raise ShowerError(
                f"only some of the inputs have the incident column '{min(differing)}'; "
                "convert them one by one"
            )
    return Showers.concatenate(parts)


def _none(calorimeter: Calorimeter) -> Showers:
    return Showers(calorimeter, Incident({"energy": np.empty(0)}), [0], [], [])
