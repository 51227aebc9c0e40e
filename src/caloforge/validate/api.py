"""``validate``: judge generated samples against a reference, write the report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge._version import __version__
from caloforge.atomic import atomic_folder, check_result_folder
from caloforge.errors import ConfigError, ShowerError
from caloforge.showers import Showers
from caloforge.store import open_showers
from caloforge.validate.binning import binning
from caloforge.validate.comparison import Comparison, Judged
from caloforge.validate.expectation import expectation
from caloforge.validate.floor import folds, halves, paired
from caloforge.validate.histograms import histograms
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
from caloforge.validate.requirements import Requirement, requirement, shown
from caloforge.validate.response import energy_edges
from caloforge.validate.summary import (
    Source,
    Summary,
    collect,
    incident_energy,
    join,
    spectrum_edges,
    summarise,
)
from caloforge.validate.threedgan import metric_energies

Sample = str | Path | Showers
CONTENTS = frozenset({"index.html", "metrics.json", "metrics.tex", "figures"})


@dataclass(frozen=True)
class Report:
    """The figures of a validation, and the folder of its report (None when not written).

    ``metrics`` is the dictionary of ``metrics.json``; of several generated samples it has one such
    dictionary for each under ``comparisons``.
    """

    metrics: dict[str, Any]
    path: Path | None = None

    @property
    def comparisons(self) -> list[dict[str, Any]]:
        """One dictionary of figures per generated sample."""
        return list(self.metrics.get("comparisons", [self.metrics]))

    @property
    def missed(self) -> list[str]:
        """The requirements that are not met, in words."""
        return [
            f"{entry['name']}: {rule['text']} is missed: {shown(rule['value'])}"
            for entry in self.comparisons
            for rule in entry["requirements"]
            if not rule["met"]
        ]

    @property
    def passed(self) -> bool:
        """Whether every requirement is met (also when there is none)."""
        return not self.missed


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
    generated: Sample | Sequence[Sample],
    output: str | Path | None = None,
    *,
    training: Sample | None = None,
    name: str | Sequence[str] | None = None,
    require: Sequence[str] = (),
    seed: int = 0,
    quick: bool = False,
    classifiers: bool = True,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Judge generated showers against reference showers of the same calorimeter.

    Args:
        reference: full-simulation showers that the model has not seen: a store or a sample.
        generated: the showers to judge, with the same incident spectrum; several samples are
            judged one after the other and shown in one report.
        output: folder of the report: a new or empty one, or that of an older report, which is
            replaced; its parent must exist.
        training: the training showers, for the memorisation test.
        name: what the report calls the generated sample, or each of them.
        require: thresholds, as ``auc.low<0.6`` or ``separation.hits<2*floor``.
        seed: fixes every random choice.
        quick: classifiers with 2 seeds instead of 5; all definitions stay the same.
        classifiers: whether to train classifiers, which takes most of the time.
        progress: is told the name of each stage.

    Returns:
        The figures (see ``docs/metrics.md``), whether they meet ``require``, and the folder.

    Raises:
        ConfigError: a requirement that cannot be read or names no figure; names that do not fit.
        GeometryError: the samples belong to different calorimeters.
        ShowerError: a sample holds no showers.
        FormatError: a file is missing, foreign or damaged.
        OutputError: the report cannot be written, or its folder holds other files.
    """
    tell: Progress = progress or _silent
    rules = [requirement(text) for text in require]
    several = [generated] if isinstance(generated, Sample) else list(generated)
    labels = _names(several, name)
    if output is not None:
        check_result_folder(Path(output), CONTENTS)
    with ExitStack() as stack:
        ref, ref_file = stack.enter_context(_opened(reference, "reference"))
        opened = [stack.enter_context(_opened(each, "generated")) for each in several]
        for (gen, gen_file), label in zip(opened, labels, strict=True):
            ref.calorimeter.require_same(gen.calorimeter, gen_file or label)
        energy = incident_energy(ref)
        alike = all(paired(energy, incident_energy(gen)) for gen, _ in opened)
        judge = _Judge(ref, ref_file, alike, training, seed, quick, classifiers, rules, tell)
        judged = [
            judge.judge(gen, gen_file, label)
            for (gen, gen_file), label in zip(opened, labels, strict=True)
        ]
    metrics = judged[0].metrics
    if len(judged) > 1:
        metrics = {"schema": SCHEMA, "comparisons": [each.metrics for each in judged]}
    if output is None:
        return Report(metrics)
    tell("report")
    origin = "Geant4" if _from_geant4(judged[0].metrics["reference"]) else "Reference"
    comparison = Comparison(judge.reference, judged, judge.training, origin)
    return Report(metrics, _write(Path(output), comparison, metrics))


def _names(samples: Sequence[Sample], name: str | Sequence[str] | None) -> list[str]:
    """What to call the samples: as told, else by their files; never the same twice."""
    if name is not None:
        given = [name] if isinstance(name, str) else list(name)
        if len(given) != len(samples):
            raise ConfigError(
                f"{len(given)} names for {len(samples)} generated samples; give one for each"
            )
    else:
        given = ["generated" if isinstance(each, Showers) else Path(each).stem for each in samples]
    if not samples:
        raise ConfigError("no generated sample; give at least one")
    for number, label in enumerate(given):
        if label in given[:number]:
            given[number] = f"{label} ({given[:number].count(label) + 1})"
    return given


def _from_geant4(provenance: Mapping[str, Any]) -> bool:
    """Whether the showers' source says Geant4, or that of a parent; generated showers are not."""
    if provenance.get("step") == "generate":
        return False  # its parents tell of the training showers
    words = " ".join(map(str, provenance.get("source", {}).values()))
    return "geant4" in words.lower() or any(map(_from_geant4, provenance.get("parents", ())))


def _training(
    training: Sample, reference: Source, threshold: float, seed: int, tell: Progress
) -> Showers | None:
    tell("training sample")
    with _opened(training, "training") as (source, file):
        reference.calorimeter.require_same(source.calorimeter, file or "the training sample")
        showers = collect(source, threshold, seed=seed)
    showers = showers[showers.hits_per_shower > 0]
    return showers if len(showers) else None


class _Judge:
    """The reference, read once: its halves, its floor, and what every comparison shares."""

    def __init__(
        self,
        ref: Source,
        ref_file: str | None,
        alike: bool,
        training: Sample | None,
        seed: int,
        quick: bool,
        classifiers: bool,
        rules: Sequence[Requirement],
        tell: Progress,
    ) -> None:
        self._seed, self._alike, self._rules, self._tell = seed, alike, rules, tell
        tell("reading the reference")
        self._edges = spectrum_edges(ref)
        split = halves(incident_energy(ref), seed, pairs=alike)
        parts = summarise(ref, self._edges, group=split, fold=self._folds(ref), seed=seed)
        self.reference = join(parts)
        self.training: Showers | None = None
        self._near: list[Neighbours] | None = None
        if training is not None:
            self.training = _training(training, ref, self.reference.threshold, seed, tell)
        if self.training is not None:
            tell("nearest training showers")
            near = [neighbours(part.kept, self.training, seed=seed) for part in parts]
            self._near = near
        energy = self.reference.observables.energy
        self._setting = Setting(
            calorimeter=ref.calorimeter,
            bins=binning(self.reference),
            edges=energy_edges(energy),
            energies=metric_energies(energy),
            half=max(1, len(self.reference) // 2),
            seeds=SEEDS_QUICK if quick else SEEDS,
            seed=seed,
            classifiers=classifiers,
        )
        self._common: dict[str, Any] = {
            "schema": SCHEMA,
            "caloforge": __version__,
            "geometry": {"name": ref.calorimeter.name, "hash": ref.calorimeter.hash},
            "settings": {
                "seed": seed,
                "quick": quick,
                "classifier_seeds": self._setting.seeds if classifiers else 0,
                "binning": self._setting.bins.name,
            },
            "reference": _describe(ref, self.reference, ref_file),
        }
        self._counts = histograms(self.reference, self._setting.bins)
        self._floor = self._judge_halves(parts)

    def _judge_halves(self, parts: list[Summary]) -> dict[str, Any] | None:
        if len(parts) < 2:
            return None
        first, second = parts
        near = (self._near[0], self._near[1]) if self._near else (None, None)

        def tell(text: str) -> None:
            self._tell(f"floor: {text}")

        return compare(first, second, near, self._setting, tell, floor=True)

    def _folds(self, source: Source) -> NDArray[np.int64]:
        return folds(incident_energy(source), self._seed, pairs=self._alike)

    def judge(self, gen: Source, file: str | None, name: str) -> Judged:
        """Every figure of one generated sample."""
        self._tell(f"reading {name}")
        fold = self._folds(gen)
        summary = summarise(gen, self._edges, fold=fold, seed=self._seed + 1)[0]
        near = None
        if self.training is not None:
            near = neighbours(summary.kept, self.training, seed=self._seed)
        both = None if self._near is None else _both(self._near)
        metrics = self._common | {"name": name, "generated": _describe(gen, summary, file)}
        metrics["generation_ms"] = gen.provenance.find_source("generation_ms")
        metrics |= compare(self.reference, summary, (both, near), self._setting, self._tell)
        metrics["floor"] = None
        if self._floor is not None:
            metrics["floor"] = expectation(
                self._floor, self._counts, len(self.reference), len(summary)
            )
        self._note(metrics, summary)
        metrics = plain(metrics)
        metrics["requirements"] = [rule.judge(metrics) for rule in self._rules]
        return Judged(name, summary, metrics, near)

    def _note(self, metrics: dict[str, Any], generated: Summary) -> None:
        notes = metrics["notes"]
        different = spectra_note(self.reference, generated)
        if different:
            notes["spectra"] = different
        for what, sample in (("reference", self.reference), ("generated", generated)):
            if sample.empty:
                centres = "" if self._setting.bins.empty_layers else "centres, widths, "
                notes[f"{what}.empty"] = (
                    f"{sample.empty} of {len(sample)} showers are empty; they are left out of "
                    f"{centres}depth and correlations"
                )
        if self._floor is None:
            notes["floor"] = "fewer than 4 reference showers: no halves to compare"


def _both(parts: list[Neighbours]) -> Neighbours:
    return Neighbours(
        Showers.concatenate([part.showers for part in parts]),
        np.concatenate([part.distance for part in parts]),
        np.concatenate([part.index for part in parts]),
    )


def _write(output: Path, comparison: Comparison, metrics: dict[str, Any]) -> Path:
    from caloforge.validate.report import write_report

    with atomic_folder(output, replaces=CONTENTS) as folder:
        text = json.dumps(metrics, indent=1, allow_nan=False)
        (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
        write_report(folder, comparison)
    return output
