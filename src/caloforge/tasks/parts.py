"""The working folder of a run: its plan and the shards that are finished.

OUTPUT.parts/plan.json         what decides the content, and how it is cut
OUTPUT.parts/shard-00000.h5    a finished shard
OUTPUT.parts/lock              held by the run that works here
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from caloforge.atomic import atomic_file, output_error
from caloforge.errors import OutputError
from caloforge.geometry import Calorimeter
from caloforge.showers import Showers
from caloforge.store import ShowerFile, write_showers
from caloforge.tasks.lock import LOCK, locked_folder
from caloforge.tasks.plan import Shard

PLAN = "plan.json"
SHARDS = "shard-*.h5"


def parts_folder(output: Path) -> Path:
    """Where the finished shards of ``output`` wait."""
    path = Path(os.path.abspath(output))  # noqa: PTH100  (a link is not followed)
    return path.with_name(f"{path.name}.parts")


def shard_name(shard: Shard) -> str:
    """The file of a shard; the names sort as the shards do."""
    return f"shard-{shard.number:05d}.h5"


class Parts:
    """The finished shards of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._removed = False

    def file(self, shard: Shard) -> Path:
        """Where a shard is, or will be."""
        return self.folder / shard_name(shard)

    def read(self, shard: Shard, calorimeter: Calorimeter) -> Showers | None:
        """A finished shard, read in full; None when it is missing, damaged or not what it says."""
        try:
            with ShowerFile(self.file(shard)) as reader:
                showers = reader.read()
        except Exception:  # whatever the damage, the shard can be made again
            return None
        good = len(showers) == len(shard) and showers.calorimeter.hash == calorimeter.hash
        return showers if good else None

    def write(self, shard: Shard, showers: Showers) -> None:
        """Keep a finished shard.

        Raises:
            OutputError: the disk is full.
        """
        write_showers(self.file(shard), showers)

    def remove(self) -> None:
        """Remove the folder: shards first, so that what a killed run leaves is still its own."""
        try:
            for path in [*self.folder.glob(SHARDS), *self.folder.glob(".*.partial")]:
                path.unlink()
            for name in (PLAN, LOCK):
                (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise output_error(self.folder, error) from error
        self._removed = True
        with suppress(OSError):  # the next run may already be there
            self.folder.rmdir()

    def remove_if_empty(self) -> None:
        """Remove the folder if no shard is finished."""
        if not self._removed and not any(self.folder.glob(SHARDS)):
            self.remove()


@contextmanager
def open_parts(output: Path, plan: Mapping[str, Any]) -> Iterator[Parts]:
    """The parts of ``output``, locked: new ones, or those of an interrupted run of the same plan.

    A folder without any finished shard is removed again at the end.

    Args:
        output: what will be written.
        plan: JSON-ready: everything that decides the content of the shards.

    Raises:
        OutputError: another plan, another run at work, foreign files, or nothing can be written.
    """
    folder = parts_folder(output)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file where a folder is needed; move it away")
    with locked_folder(folder, output):
        _check(folder, plan)
        for partial in folder.glob(".*.partial"):
            partial.unlink()
        with atomic_file(folder / PLAN) as partial:
            partial.write_text(json.dumps(plan), encoding="utf-8")
        parts = Parts(folder)
        try:
            yield parts
        finally:
            parts.remove_if_empty()


def _check(folder: Path, plan: Mapping[str, Any]) -> None:
    """Refuse a folder that is not ours, or holds shards of another plan."""
    names = sorted(path.name for path in folder.iterdir())
    shards = {path.name for path in folder.glob(SHARDS)}
    partial = {path.name for path in folder.glob(".*.partial")}
    foreign = [name for name in names if name not in {PLAN, LOCK} | shards | partial]
    if foreign or (shards and PLAN not in names):
        raise OutputError(
            f"{folder}: holds files of something else ({(foreign or sorted(shards))[0]}); "
            "move it away or choose another output"
        )
    if not shards:
        return
    try:
        old = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{folder / PLAN}: unreadable ({error}); delete the folder and start again"
        ) from error
    difference = _difference(old, json.loads(json.dumps(plan)))
    if difference:
        raise OutputError(
            f"{folder}: holds finished shards of another run, {difference}; "
            "delete that folder or choose another output"
        )


def _difference(old: Any, new: Any, place: str = "") -> str:
    """The first key whose values differ, as text; empty when there is none."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*new, *(key for key in old if key not in new)]:
            name = f"{place}.{key}" if place else str(key)
            found = _difference(old.get(key), new.get(key), name)
            if found:
                return found
        return ""
    before, now = json.dumps(old), json.dumps(new)
    return "" if before == now else f"'{place}' was {_clip(before)} and is now {_clip(now)}"


def _clip(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
