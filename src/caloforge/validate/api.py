"""``validate``: judge a generated sample against a reference, write the report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from caloforge._version import __version__
from caloforge.atomic import atomic_folder, check_result_folder
from caloforge.errors import ShowerError
from caloforge.showers import Showers
from caloforge.store import open_showers
from caloforge.validate.binning import binning
from caloforge.validate.comparison import Comparison
from caloforge.validate.floor import halves
from caloforge.validate.memorisation import Neighbours, neighbours
from caloforge.validate.metrics import (
    SCHEMA,
    SEEDS,
    SEEDS_QUICK,
    Progress,
    Setting,
    compare,
    plain,
    spectra_note,
)
from caloforge.validate.summary import (
    Source,
    Summary,
    collect,
    join,
    spectrum_edges,
    summarise,
)

Sample = str | Path | Showers
CONTENTS = frozenset({"index.html", "metrics.json", "figures"})


@dataclass(frozen=True)
class Report:
    """The figures of a validation, and the folder of its report (None when not written)."""

    metrics: dict[str, Any]
    path: Path | None = None


@contextmanager
def _opened(sample: Sample, what: str) -> Iterator[tuple[Source, str | None]]:
    if isinstance(sample, Showers):
        if not len(sample):
            raise ShowerError(f"{what}: holds no showers; give at least one")
        yield sample, None
        return
    with open_showers(sample) as reader:
        yield reader, str(sample)


def _describe(source: Source, summary: Summary, file: str | None) -> dict[str, Any]:
    entry = dict(source.provenance.to_dict())
    entry |= {"n": len(summary), "empty": summary.empty, "file": file}
    seconds = source.provenance.find_source("seconds_per_shower")
    if seconds is not None:
        entry["seconds_per_shower"] = seconds
    return entry


def _silent(_: str) -> None:
    """No progress wanted."""


def validate(
    reference: Sample,
    generated: Sample,
    output: str | Path | None = None,
    *,
    training: Sample | None = None,
    name: str | None = None,
    seed: int = 0,
    quick: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Judge generated showers against reference showers of the same calorimeter.

    Args:
        reference: full-simulation showers that the model has not seen: a store or a sample.
        generated: the showers to judge, with the same incident spectrum.
        output: folder of the report: a new or empty one, or that of an older report, which is
            replaced; its parent must exist.
        training: the training showers, for the memorisation test.
        name: what the report calls the generated sample.
        seed: fixes every random choice.
        quick: classifiers with 2 seeds instead of 5; all definitions stay the same.
        progress: is told the name of each stage.

    Returns:
        The figures (see ``docs/metrics.md``) and the folder.

    Raises:
        GeometryError: the samples belong to different calorimeters.
        ShowerError: a sample holds no showers.
        FormatError: a file is missing, foreign or damaged.
        OutputError: the report cannot be written, or its folder holds other files.
    """
    tell: Progress = progress or _silent
    if output is not None:
        check_result_folder(Path(output), CONTENTS)
    with (
        _opened(reference, "reference") as (ref, ref_file),
        _opened(generated, "generated") as (
            gen,
            gen_file,
        ),
    ):
        ref.calorimeter.require_same(gen.calorimeter, gen_file or "the generated sample")
        train = _training(training, ref, seed, tell)
        comparison = _judge(ref, gen, train, seed, quick, tell)
        metrics = comparison.metrics
        metrics["reference"] = _describe(ref, comparison.reference, ref_file)
        metrics["generated"] = _describe(gen, comparison.generated, gen_file)
        metrics["generation_ms"] = gen.provenance.find_source("generation_ms")
    metrics = plain(metrics)
    if output is None:
        return Report(metrics)
    tell("report")
    shown = replace(
        comparison,
        metrics=metrics,
        name=name or (Path(gen_file).stem if gen_file else "generated"),
        reference_name="Geant4" if _from_geant4(metrics["reference"]) else "Reference",
    )
    return Report(metrics, _write(Path(output), shown))


def _from_geant4(provenance: Mapping[str, Any]) -> bool:
    """Whether the showers' source says Geant4, or that of a parent; generated showers are not."""
    if provenance.get("step") == "generate":
        return False  # its parents tell of the training showers
    words = " ".join(map(str, provenance.get("source", {}).values()))
    return "geant4" in words.lower() or any(map(_from_geant4, provenance.get("parents", ())))


def _training(
    training: Sample | None, reference: Source, seed: int, tell: Progress
) -> Showers | None:
    if training is None:
        return None
    tell("training sample")
    with _opened(training, "training") as (source, file):
        reference.calorimeter.require_same(source.calorimeter, file or "the training sample")
        showers = collect(source, seed=seed)
    showers = showers[showers.hits_per_shower > 0]
    return showers if len(showers) else None


def _judge(
    ref: Source, gen: Source, train: Showers | None, seed: int, quick: bool, tell: Progress
) -> Comparison:
    """Both comparisons: the generated sample against the reference, and the floor."""
    tell("reading the reference")
    edges = spectrum_edges(ref)
    split = halves(len(ref), seed)
    parts = summarise(ref, edges, group=split, seed=seed)
    reference = join(parts)
    tell("reading the generated sample")
    generated = summarise(gen, edges, seed=seed + 1)[0]
    near_ref, near_gen = None, None
    if train is not None:
        tell("nearest training showers")
        near_ref = [neighbours(part.kept, train, seed=seed) for part in parts]
        near_gen = neighbours(generated.kept, train, seed=seed)
    setting = Setting(binning(reference), SEEDS_QUICK if quick else SEEDS, seed)
    both = None if near_ref is None else _both(near_ref)
    metrics: dict[str, Any] = {"schema": SCHEMA, "caloforge": __version__}
    metrics["geometry"] = {"name": ref.calorimeter.name, "hash": ref.calorimeter.hash}
    metrics["settings"] = {"seed": seed, "quick": quick, "classifier_seeds": setting.seeds}
    metrics |= compare(reference, generated, (both, near_gen), setting, tell)
    different = spectra_note(reference, generated)
    if different:
        metrics["notes"]["spectra"] = different
    for what, sample in (("reference", reference), ("generated", generated)):
        if sample.empty:
            metrics["notes"][f"{what}.empty"] = (
                f"{sample.empty} of {len(sample)} showers are empty; they are left out of centres, "
                "widths, depth and correlations"
            )
    if len(parts) < 2:
        metrics["floor"] = None
        metrics["notes"]["floor"] = "fewer than 4 reference showers: no halves to compare"
    else:
        near = (near_ref[0], near_ref[1]) if near_ref else (None, None)
        metrics["floor"] = compare(parts[0], parts[1], near, setting, lambda s: tell(f"floor: {s}"))
    return Comparison(reference, generated, train, near_gen, metrics)


def _both(parts: list[Neighbours]) -> Neighbours:
    return Neighbours(
        Showers.concatenate([part.showers for part in parts]),
        np.concatenate([part.distance for part in parts]),
        np.concatenate([part.index for part in parts]),
    )


def _write(output: Path, comparison: Comparison) -> Path:
    from caloforge.validate.report import write_report

    with atomic_folder(output, replaces=CONTENTS) as folder:
        text = json.dumps(comparison.metrics, indent=1, allow_nan=False)
        (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
        write_report(folder, comparison)
    return output
