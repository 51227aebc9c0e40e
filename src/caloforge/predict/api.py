"""``predict``: a trained predictor on shower samples, figures and a report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caloforge._version import __version__
from caloforge.atomic import atomic_folder, check_result_folder
from caloforge.errors import ConfigError, ShowerError
from caloforge.predict.load import BATCH, Advance, LoadedPredictor, Source, load_predictor
from caloforge.predict.metrics import figures
from caloforge.predict.table import Column, Part, Table, join, write_table
from caloforge.showers import Showers
from caloforge.store import open_showers
from caloforge.validate.metrics import plain

SCHEMA = 1
FIGURES, TABLE = "predictions.json", "predictions.parquet"
CONTENTS = frozenset({"index.html", FIGURES, TABLE, "figures"})

Sample = str | Path | Showers


@dataclass(frozen=True)
class Prediction:
    """Predictions with their figures, and the folder of the report (None when not written).

    ``metrics`` is the dictionary of ``predictions.json``, ``table`` the rows of
    ``predictions.parquet``.
    """

    metrics: dict[str, Any]
    table: Table
    path: Path | None = None

    @property
    def columns(self) -> dict[str, Column]:
        """The table's columns by name: truth, and what was predicted; MeV and rad."""
        return self.table.columns


@contextmanager
def _opened(sample: Sample) -> Iterator[tuple[Source, str | None]]:
    if isinstance(sample, Showers):
        if not len(sample):
            raise ShowerError("the sample holds no showers; give at least one")
        yield sample, None
        return
    with open_showers(sample) as reader:
        yield reader, str(sample)


def predict(
    model: str | Path | LoadedPredictor,
    showers: Sample | Sequence[Sample],
    output: str | Path | None = None,
    *,
    batch_size: int = BATCH,
    progress: Advance | None = None,
) -> Prediction:
    """Predict what made the showers, and compare with the truth where the samples have it.

    Args:
        model: folder of a trained predictor, or a loaded one.
        showers: a store or a sample, or several (one particle each, for instance); together they
            are one sample.
        output: folder of the report: a new or empty one, or that of an older report, which is
            replaced; its parent must exist.
        batch_size: showers per call of the model.
        progress: is told (showers done, showers in all).

    Raises:
        ConfigError: no sample.
        ModelError: the model cannot be read, or is a generator.
        GeometryError: a sample belongs to another calorimeter.
        FormatError: a file is missing, foreign or damaged.
        ShowerError: a sample holds no showers.
        OutputError: the report cannot be written, or its folder holds other files.
    """
    samples = [showers] if isinstance(showers, Sample) else list(showers)
    if not samples:
        raise ConfigError("no showers to predict; give at least one sample")
    if output is not None:
        check_result_folder(Path(output), CONTENTS)
    loaded = model if isinstance(model, LoadedPredictor) else load_predictor(model)
    total = _count(loaded, samples)
    parts: list[Part] = []
    entries, done = [], 0
    for number, sample in enumerate(samples):
        with _opened(sample) as (source, file):
            entries.append(dict(source.provenance.to_dict()) | {"n": len(source), "file": file})
            for batch in source.batches(batch_size):
                parts.append(Part.of(number, batch, loaded.model.predict(batch)))
                done += len(batch)
                if progress is not None:
                    progress(done, total)
    table = join(parts)
    metrics = plain(_heading(loaded, entries) | {"n": len(table)} | figures(table))
    if output is None:
        return Prediction(metrics, table)
    return Prediction(metrics, table, _write(Path(output), table, metrics))


def _count(loaded: LoadedPredictor, samples: Sequence[Sample]) -> int:
    """Showers in all; every sample is opened once, so that none is refused after hours."""
    total = 0
    for sample in samples:
        with _opened(sample) as (source, file):
            loaded.calorimeter.require_same(source.calorimeter, file or "the sample")
            total += len(source)
    return total


def _heading(loaded: LoadedPredictor, samples: list[dict[str, Any]]) -> dict[str, Any]:
    description = loaded.description
    return {
        "schema": SCHEMA,
        "caloforge": __version__,
        "geometry": {"name": loaded.calorimeter.name, "hash": loaded.calorimeter.hash},
        "model": {
            "name": loaded.path.name,
            **{key: description[key] for key in ("kind", "config", "parameters", "provenance")},
        },
        "samples": samples,
    }


def _write(output: Path, table: Table, metrics: dict[str, Any]) -> Path:
    from caloforge.predict.report import write_report

    with atomic_folder(output, replaces=CONTENTS) as folder:
        text = json.dumps(metrics, indent=1, allow_nan=False)
        (folder / FIGURES).write_text(text + "\n", encoding="utf-8")
        write_table(table, folder / TABLE)
        write_report(folder, table, metrics)
    return output
