"""Fit a model to a sample and leave a self-describing artifact."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caloforge.artifact import DESCRIPTION, make_folder, save_artifact
from caloforge.data import BlockSource, MemoryBlocks
from caloforge.errors import OutputError, TrainingError
from caloforge.models import Fittable, Model, Trainable
from caloforge.showers import Provenance, Showers
from caloforge.train.checkpoint import FILE
from caloforge.train.config import TrainingConfig
from caloforge.train.run import FOLDER, GradientRun


def fit_model(
    model: Model,
    data: Showers | BlockSource,
    config: TrainingConfig,
    output: str | Path,
    *,
    inputs: Mapping[str, str] | None = None,
    recipe: Mapping[str, Any] | None = None,
    resume: bool = False,
    quiet: bool = False,
) -> Path:
    """Train ``model`` on ``data`` and write the artifact folder ``output``.

    Args:
        model: a fresh model for the showers' calorimeter.
        data: the training sample: in memory, or block by block from files. A model that is fitted
            in one go needs it in memory.
        config: how to train.
        output: artifact folder; its ``training/`` subfolder holds logs and checkpoints.
        inputs: digests of the training files, for the provenance.
        recipe: the whole recipe, for the provenance and to recognise the run when resuming.
        resume: continue from the last checkpoint of the same run, bit for bit.
        quiet: no progress bar.

    Raises:
        TrainingError: a loss is not finite; interrupted; nothing to resume.
        GeometryError: the showers belong to another calorimeter.
        OutputError: the folder cannot be written.
    """
    model.calorimeter.require_same(data.calorimeter, "the training sample")
    folder = Path(output)
    begin = time.monotonic()
    if isinstance(model, Trainable):
        sample = MemoryBlocks(data) if isinstance(data, Showers) else data
        run = GradientRun(model, sample, config, folder, inputs or {})
        _claim(folder, resume)
        steps, seconds = run.go(resume, quiet)
        waited, ranges = run.loader.waited, sample.ranges(model.condition_columns)
    elif isinstance(model, Fittable):
        if not isinstance(data, Showers):
            raise TrainingError(f"model '{model.kind}' is fitted in one go; load its showers first")
        _claim(folder, resume=False)
        model.fit(data)
        waited, ranges = 0.0, MemoryBlocks(data).ranges(model.condition_columns)
        steps, seconds = 0, time.monotonic() - begin
    else:
        raise TrainingError(f"model '{model.kind}' is neither Trainable nor Fittable")
    provenance = Provenance(
        step="train",
        geometry=model.calorimeter.hash,
        config=dict(recipe or {}),
        seed=config.seed,
        inputs=dict(inputs or {}),
        parents=(data.provenance.to_dict(),),
        source={
            "training_showers": len(data),
            "training_ranges": {
                name: [float(low), float(high)] for name, (low, high) in ranges.items()
            },
            "training_steps": steps,
            "training_seconds": round(seconds, 1),
            "waiting_for_data_seconds": round(waited, 3),
        },
    )
    return save_artifact(folder, model, provenance)


def _claim(folder: Path, resume: bool) -> None:
    """Make the model folder; refuse to overwrite a model or an unfinished run.

    Raises:
        OutputError: the folder already holds a model, or cannot be made.
        TrainingError: the folder holds an unfinished run.
    """
    make_folder(folder)
    if resume:
        return
    if (folder / DESCRIPTION).exists():
        raise OutputError(
            f"{folder}: already holds a model; give a new folder, or train it on with --resume"
        )
    if (folder / FOLDER / FILE).exists():
        raise TrainingError(
            f"{folder}: holds an unfinished run; continue it with --resume, or give a new folder"
        )
