"""Convert shower files between formats, streaming, in parallel, with steps on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from caloforge.conversion.inputs import Inputs, look_at
from caloforge.conversion.job import ConversionJob, Empty, Outcome
from caloforge.conversion.outputs import Sink, Target
from caloforge.errors import ConfigError
from caloforge.geometry import Calorimeter, load_detector
from caloforge.showers import Provenance, Showers, input_digests
from caloforge.sources import get_source, source_names
from caloforge.tasks import Executor, InProcess, Shard
from caloforge.transform import Pipeline, Split, Tally

PART = 1000
"""Showers that a worker takes at once."""


@dataclass(frozen=True)
class Conversion:
    """What :func:`convert` did.

    ``showers`` were written; ``dropped`` were empty, ``cut`` by the steps, the split or the limit's
    neighbours, ``lost`` could not be read (see ``damage``). ``notes`` say what the output does not
    hold. ``parts`` are the files of a split.
    """

    path: Path
    showers: int
    dropped: int
    notes: tuple[str, ...]
    cut: int = 0
    lost: int = 0
    damage: tuple[str, ...] = ()
    parts: Mapping[str, int] = field(default_factory=dict)


def convert(
    inputs: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    from_: str | None = None,
    to: str | None = None,
    detector: str | Path | Calorimeter | None = None,
    options: Mapping[str, Any] | None = None,
    steps: Pipeline | None = None,
    split: Split | None = None,
    shuffle: int | None = None,
    shard_size: int | None = None,
    drop_empty: bool = False,
    keep_empty: bool = False,
    salvage: bool = False,
    limit: int | None = None,
    executor: Executor | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Conversion:
    """Convert one or many shower files of one geometry to one file, or to a folder of shards.

    Memory is bounded by some batches, whatever the size of the files. The result does not depend
    on the executor.

    Args:
        inputs: files (or folders of shards), read in order.
        output: file to write, or folder with ``shard_size``.
        from_: input format; found from the content when None.
        to: output format; by the name's ending when None (else ``caloforge``).
        detector: calorimeter of the inputs, where the format does not say.
        options: how to read the inputs; every format has its own.
        steps: what happens to the showers on the way.
        split: write several outputs: ``data.h5`` becomes ``data-train.h5``, a folder ``data``
            becomes ``data/train``.
        shuffle: seed of a uniform random order over all inputs; keeps their order when None.
        shard_size: write a folder of files with so many showers each.
        drop_empty: leave out showers without any energy instead of failing.
        keep_empty: write them. They count in a validation; no model can be trained on them.
        salvage: leave out what cannot be read instead of failing, and say what it was.
        limit: stop after this many showers of the input.
        executor: where the work is done; in this process when None.
        progress: called with (showers done, showers in all).

    Raises:
        FormatError, ShowerError, GeometryError, ConfigError, OutputError: see their messages.
    """
    if drop_empty and keep_empty:
        raise ConfigError("--drop-empty and --keep-empty exclude each other; choose one")
    empty: Empty = "drop" if drop_empty else "keep" if keep_empty else "fail"
    several = [inputs] if isinstance(inputs, str | Path) else inputs
    paths = [Path(path) for path in several]
    output = Path(output)
    known = load_detector(detector) if isinstance(detector, str | Path) else detector
    steps = steps or Pipeline()
    found = look_at(paths, from_, known, dict(options or {}), salvage)
    target_name = to or _format_by_name(output)
    calorimeter = steps.calorimeter(found.calorimeter)
    asked = {
        "from": found.files[0].format,
        "to": target_name,
        "detector": found.calorimeter.name,
        "options": dict(options or {}),
        "steps": steps.to_list(),
        "split": None if split is None else split.to_dict(),
        "shuffle": shuffle,
        "limit": limit,
    }
    provenance = Provenance(
        step="convert",
        geometry=calorimeter.hash,
        config={key: value for key, value in asked.items() if value not in (None, {}, [])},
        inputs=input_digests([path for path in paths if path.exists()]),
        parents=(found.first.to_dict(),),
        source=found.first.source,
    )
    target = Target(get_source(target_name), calorimeter, provenance, shard_size, shuffle)
    job = ConversionJob(found.files, known, found.options, steps, split, empty, salvage)
    run = _Run(target, output, split, min(found.showers, limit or found.showers), progress)
    run.go(job, executor or InProcess())
    return run.result(found, steps)


def _format_by_name(output: Path) -> str:
    """The format that a name's ending says; HDF5 and everything else is our store."""
    known = {
        suffix: name
        for name in reversed(source_names())
        for suffix in get_source(name).suffixes[:1]
        if suffix not in (".h5", ".hdf5")
    }
    return known.get(output.suffix.lower(), "caloforge")


class _Run:
    """One conversion under way."""

    def __init__(
        self,
        target: Target,
        output: Path,
        split: Split | None,
        total: int,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self.target, self.output, self.total, self.progress = target, output, total, progress
        self.names = [""] if split is None else list(split.names)
        self.paths = [_part_path(output, name, target.shard_size) for name in self.names]
        self.counts = [0] * len(self.names)
        self.outcome = Outcome()
        self.tallies: list[Tally] = []
        self.losses: dict[str, None] = {}
        self._done: dict[int, int] = {}

    def go(self, job: ConversionJob, executor: Executor) -> None:
        """Do it all; the outputs appear when everything went well."""
        if len(self.paths) > 1 and self.target.shard_size is not None:
            self.target.check(self.output)
            self.output.mkdir(exist_ok=True)
        for path in self.paths:
            self.target.check(path)
        starts = range(0, self.total, PART)
        shards = [Shard(k, a, min(a + PART, self.total)) for k, a in enumerate(starts)]
        with ExitStack() as stack:
            expected = -(-self.total // len(self.paths))
            sinks = [
                stack.enter_context(self.target.of_part(name).open(path, expected))
                for name, path in zip(self.names, self.paths, strict=True)
            ]
            for showers in _in_order(executor, job, shards, self._advance):
                self._take(showers, sinks)

    def _advance(self, shard: Shard, done: int) -> None:
        self._done[shard.number] = done
        if self.progress:
            self.progress(min(sum(self._done.values()), self.total), self.total)

    def _take(self, showers: Showers, sinks: list[Sink]) -> None:
        said = Outcome(**showers.provenance.source["conversion"])
        self.outcome.empty += said.empty
        self.outcome.cut += said.cut
        self.outcome.lost += said.lost
        self.outcome.damage += said.damage
        self.outcome.notes += said.notes
        new = [Tally(**values) for values in said.tallies]
        self.tallies = self.tallies or [Tally() for _ in new]
        for tally, one in zip(self.tallies, new, strict=True):
            tally.merge(one)
        start = 0
        for number, count in said.parts:
            part = showers[start : start + count]
            self.losses |= dict.fromkeys(self.target.source.losses(part.incident))
            sinks[number].append(part)
            self.counts[number] += count
            start += count

    def result(self, found: Inputs, steps: Pipeline) -> Conversion:
        """What was done, in numbers and words."""
        notes = [*dict.fromkeys(self.outcome.notes), *self.losses]
        if self.tallies:
            reading, *others = self.tallies
            said = reading.note(f"reading {found.files[0].format}")
            notes = [*([said] if said else []), *steps.notes(others), *notes]
        return Conversion(
            path=self.output,
            showers=sum(self.counts),
            dropped=self.outcome.empty,
            notes=tuple(notes),
            cut=self.outcome.cut,
            lost=self.outcome.lost + found.lost,
            damage=(*found.damage, *self.outcome.damage),
            parts=dict(zip(self.names, self.counts, strict=True)) if self.names != [""] else {},
        )


def _part_path(output: Path, name: str, shard_size: int | None) -> Path:
    """Where a part of a split goes."""
    if not name:
        return output
    if shard_size is not None:
        return output / name
    if not output.suffix:
        raise ConfigError(f"--output {output}: a split needs a file name, or --shard-size")
    return output.with_name(f"{output.stem}-{name}{output.suffix}")


def _in_order(
    executor: Executor,
    job: ConversionJob,
    shards: list[Shard],
    advance: Callable[[Shard, int], None],
) -> Iterator[Showers]:
    """The showers of the shards, in order; the few that come early wait."""
    waiting: dict[int, Showers] = {}
    expected = 0
    with closing(executor.run(job, shards, advance)) as results:
        for shard, showers in results:
            waiting[shard.number] = showers
            advance(shard, len(shard))
            while expected in waiting:
                yield waiting.pop(expected)
                expected += 1
