"""Convert shower files between formats, streaming."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caloforge.errors import ShowerError
from caloforge.geometry import Calorimeter, load_detector
from caloforge.showers import Provenance, Showers, input_digests
from caloforge.sources.registry import detect, get_source

BATCH = 200


@dataclass(frozen=True)
class Conversion:
    """What :func:`convert` did: how many showers, and what the output could not carry."""

    path: Path
    showers: int
    dropped: int
    notes: tuple[str, ...]


def convert(
    inputs: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    from_: str | None = None,
    to: str = "caloforge",
    detector: str | Path | Calorimeter | None = None,
    drop_empty: bool = False,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Conversion:
    """Convert one or many shower files of one geometry to one file.

    Args:
        inputs: files (or folders of shards), read in order.
        output: file to write.
        from_: input format; found from the content when None.
        to: output format.
        detector: calorimeter of the inputs, where the format does not say.
        drop_empty: leave out showers without any energy instead of failing.
        limit: stop after this many showers.
        progress: called with (showers done, showers in all).

    Raises:
        FormatError, ShowerError, GeometryError, ConfigError, OutputError: see their messages.
    """
    several = [inputs] if isinstance(inputs, str | Path) else inputs
    paths = [Path(path) for path in several]
    if not paths:
        raise ShowerError("no input files to convert; name at least one")
    known = load_detector(detector) if isinstance(detector, str | Path) else detector
    target = get_source(to)
    formats = [get_source(from_) if from_ else detect(path) for path in paths]
    total = 0
    for path, source in zip(paths, formats, strict=True):
        with source.open(path, known) as reader:
            total += len(reader)
            if path == paths[0]:
                calorimeter, first = reader.calorimeter, reader.provenance
            calorimeter.require_same(reader.calorimeter, str(path))
    total = min(total, limit) if limit else total
    provenance = Provenance(
        step="convert",
        geometry=calorimeter.hash,
        config={"from": formats[0].name, "to": to, "detector": calorimeter.name},
        inputs=input_digests(paths),
        parents=(first.to_dict(),),
        source=first.source,
    )
    done = dropped = 0
    notes: dict[str, None] = {}
    with target.create(Path(output), calorimeter, provenance) as writer:
        for path, source in zip(paths, formats, strict=True):
            with source.open(path, known) as reader:
                for batch in reader.batches(BATCH):
                    if done + dropped >= total:
                        break
                    batch = batch[: total - done - dropped]
                    kept = _without_empty(batch, path, done + dropped, drop_empty)
                    dropped += len(batch) - len(kept)
                    if len(kept):
                        notes |= dict.fromkeys(target.losses(kept.incident))
                        writer.append(kept)
                    done += len(kept)
                    if progress:
                        progress(done + dropped, total)
        if done == 0:
            raise ShowerError(f"{output}: every shower of the input is empty; nothing to write")
    return Conversion(Path(output), done, dropped, tuple(notes))


def _without_empty(batch: Showers, path: Path, start: int, drop: bool) -> Showers:
    empty = batch.hits_per_shower == 0
    if not empty.any():
        return batch
    if not drop:
        number = start + int(np.flatnonzero(empty)[0])
        raise ShowerError(
            f"{path}: shower {number} is empty (no cell has energy); "
            "leave such showers out with --drop-empty"
        )
    return batch[~empty]
