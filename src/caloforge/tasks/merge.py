"""Finished shards become the output: one file, or a folder data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from caloforge.atomic import atomic_folder, check_folder, check_result_folder
from caloforge.errors import OutputError
from caloforge.geometry import Calorimeter
from caloforge.showers import Provenance
from caloforge.store import ShowerFile, StoreWriter, write_index
from caloforge.store.dataset import INDEX
from caloforge.store.schema import SUFFIXES
from caloforge.tasks.parts import SHARDS, Parts, shard_name
from caloforge.tasks.plan import Shard

_BATCH = 200
_FOREIGN = {*SUFFIXES, ".hdf", ".he5", ".root", ".parquet", ".npz", ".npy", ".csv", ".xml", ".json"}


def _is_file(output: Path) -> bool:
    return output.suffix in SUFFIXES


def _replaceable(output: Path) -> list[str]:
    """Names that an older data set may have left in the folder ``output``."""
    return [INDEX, *(path.name for path in output.glob(SHARDS))]


def check_output(output: Path) -> None:
    """Raise OutputError unless ``output`` can be written; before any work."""
    if not _is_file(output):
        if output.suffix.lower() in _FOREIGN:
            raise OutputError(
                f"{output}: showers are written as {' or '.join(SUFFIXES)}, or as a folder of "
                "shards; change the name, and convert the result"
            )
        check_result_folder(output, _replaceable(output))
        return
    check_folder(output)
    if output.is_dir():
        raise OutputError(f"{output}: is a folder; give a file name")


def merge(
    parts: Parts,
    shards: Sequence[Shard],
    output: Path,
    calorimeter: Calorimeter,
    provenance: Provenance,
) -> None:
    """Write the finished shards, in order, to ``output``; whole or not at all.

    A name that ends in .h5 or .hdf5 is one store file, any other a folder of shards with its
    index.

    Raises:
        OutputError: it cannot be written, or the disk is full.
        FormatError: a shard was damaged since it was written.
    """
    if _is_file(output):
        _copy(parts, shards, output, calorimeter, provenance)
        return
    with atomic_folder(output, replaces=_replaceable(output)) as folder:
        for shard in shards:
            _copy(parts, [shard], folder / shard_name(shard), calorimeter, provenance)
        write_index(folder)


def _copy(
    parts: Parts,
    shards: Sequence[Shard],
    path: Path,
    calorimeter: Calorimeter,
    provenance: Provenance,
) -> None:
    with StoreWriter(path, calorimeter, provenance) as writer:
        for shard in shards:
            with ShowerFile(parts.file(shard)) as reader:
                for batch in reader.batches(_BATCH):
                    writer.append(batch)
