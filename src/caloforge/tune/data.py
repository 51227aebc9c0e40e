"""The showers of a study: a part to train on and a part to judge by, with none in common.

DIR/data/showers-train.h5        to train on
DIR/data/showers-validation.h5   to judge by
DIR/data/split.json              where they come from, written last
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.artifact import make_folder
from caloforge.atomic import atomic_file
from caloforge.config import Recipe
from caloforge.conversion import convert
from caloforge.errors import OutputError, ShowerError
from caloforge.geometry import load_detector
from caloforge.showers import input_digests
from caloforge.store import open_showers
from caloforge.transform import Split, fingerprint

FOLDER = "data"
FACTS = "split.json"

SHARE = 0.2
"""Of the showers, judged by; but not more than MOST, which cost minutes a trial."""
MOST = 5000


@dataclass(frozen=True)
class TuningData:
    """The two parts, and what is known of them (JSON-ready)."""

    train: tuple[Path, ...]
    validation: Path
    facts: Mapping[str, Any]

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the trials: the content of the parts, wherever they are stored."""
        return {part: self.facts[part]["digest"] for part in ("train", "validation")}


def prepare_data(
    folder: Path,
    data: Sequence[str | Path],
    validation: str | Path | None,
    *,
    recipe: Recipe,
    seed: int,
) -> TuningData:
    """Divide the showers by their content, or take the two parts as given.

    Args:
        folder: of the study; the parts go to its subfolder ``data``, and are found there again.
        data: stores of training showers.
        validation: a store of showers to judge by, instead of a share of ``data``.
        recipe: says which detector is expected.
        seed: fixes the division.

    Raises:
        ShowerError: the parts have showers in common, one is empty, or a file is the test part of
            a split.
        GeometryError: the showers belong to another detector than the recipe or to several.
        FormatError, OutputError: see their messages.
    """
    given = [Path(path) for path in data]
    judges = [] if validation is None else [Path(validation)]
    for path in (*given, *judges):
        _check(path, recipe, given[0])
    facts: dict[str, Any]
    sources = input_digests(given)
    if judges:
        facts = {"sources": sources, "validation_file": input_digests(judges)}
        return _finish(folder, tuple(given), judges[0], facts)
    total = sum(_count(path) for path in given)
    share = min(SHARE, MOST / total)
    facts = {"sources": sources, "share": share, "seed": seed}
    train, judge = (folder / FOLDER / f"showers-{part}.h5" for part in ("train", "validation"))
    if _known(folder, facts) is None:
        make_folder(folder / FOLDER)
        split = Split({"train": 1.0 - share, "validation": share}, seed)
        convert(given, folder / FOLDER / "showers.h5", from_="caloforge", split=split)
    return _finish(folder, (train,), judge, facts)


def _count(path: Path) -> int:
    with open_showers(path) as reader:
        return len(reader)


def _check(path: Path, recipe: Recipe, first: Path) -> None:
    """One geometry, and no test showers."""
    with open_showers(path) as reader, open_showers(first) as other:
        other.calorimeter.require_same(reader.calorimeter, str(path))
        if recipe.detector is not None:
            load_detector(recipe.detector).require_same(reader.calorimeter, str(path))
        part = str(reader.provenance.config.get("part", ""))
    if part.startswith("test"):
        raise ShowerError(
            f"{path}: is the part '{part}' of a split; a study that sees the test showers tunes "
            "on them; give the training part"
        )


def _known(folder: Path, facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """What an earlier run wrote down of the same data; None when it did not get so far.

    Raises:
        OutputError: it was other data.
    """
    try:
        known = json.loads((folder / FOLDER / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    for key, value in facts.items():
        if known.get(key) != value:
            raise OutputError(
                f"{folder}: holds a study of other showers ({key} was {known.get(key)}, is now "
                f"{value}); give a new folder, or the same --data, --validation and --seed"
            )
    return dict(known)


def _finish(
    folder: Path, train: tuple[Path, ...], validation: Path, facts: Mapping[str, Any]
) -> TuningData:
    known = _known(folder, facts)
    if known is None:
        parts = {"train": _prints(train), "validation": _prints([validation])}
        common = len(np.intersect1d(parts["train"], parts["validation"]))
        if common:
            raise ShowerError(
                f"{validation}: {common} of its showers are in the training data, too; a study "
                "would choose the recipe that repeats them; give other showers, or leave "
                "--validation out"
            )
        known = dict(facts) | {"common": common}
        known |= {
            part: {"showers": len(prints), "digest": _digest(prints)}
            for part, prints in parts.items()
        }
        make_folder(folder / FOLDER)
        with atomic_file(folder / FOLDER / FACTS) as partial:
            partial.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    return TuningData(train, validation, known)


def _prints(paths: Sequence[Path]) -> NDArray[np.uint64]:
    """The fingerprints of all showers, sorted."""
    found = []
    for path in paths:
        with open_showers(path) as reader:
            found += [fingerprint(batch) for batch in reader.batches(1000)]
    return np.sort(np.concatenate(found))


def _digest(prints: NDArray[np.uint64]) -> str:
    return hashlib.sha256(prints.astype("<u8").tobytes()).hexdigest()
