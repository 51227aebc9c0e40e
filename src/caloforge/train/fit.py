"""Fit a model to a sample and leave a self-describing artifact."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caloforge.artifact import DESCRIPTION, make_folder, save_artifact
from caloforge.data import BlockSource, MemoryBlocks
from caloforge.errors import ConfigError, OutputError, TrainingError
from caloforge.models import Fittable, Model, Trainable
from caloforge.showers import Provenance, Showers
from caloforge.train.checkpoint import FILE
from caloforge.train.collectives import part_company, wait_for_all
from caloforge.train.config import TrainingConfig
from caloforge.train.precision import precision_here
from caloforge.train.processes import Processes, find_processes
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

    Under torchrun or srun every process calls this with the same arguments and gets the same model;
    the first one writes.

    Args:
        model: a fresh model for the showers' calorimeter.
        data: the training sample: in memory, or block by block from files. A model that is fitted
            in one go needs it in memory.
        config: how to train.
        output: artifact folder; its ``training/`` subfolder holds logs and checkpoints.
        inputs: digests of the training files, for the provenance.
        recipe: the whole recipe, for the provenance and to recognise the run when resuming.
        resume: continue from the last checkpoint of the same run, bit for bit, or on another number
            of processes.
        quiet: no progress bar.

    Raises:
        TrainingError: a loss is not finite; interrupted; nothing to resume; a process was lost.
        ConfigError: an option does not suit the model, the machine or the number of processes.
        GeometryError: the showers belong to another calorimeter.
        OutputError: the folder cannot be written.
    """
    model.calorimeter.require_same(data.calorimeter, "the training sample")
    folder, processes = Path(output), find_processes()
    sample = MemoryBlocks(data) if isinstance(data, Showers) else data
    if isinstance(model, Trainable):
        resume = resume or (processes.restarted and (folder / FOLDER / FILE).exists())
        run = GradientRun(model, sample, config, folder, inputs or {}, processes)
        if processes.first:
            _claim(folder, resume)
        try:
            figures = _gradient_steps(run, resume, quiet)
            if processes.first:
                provenance = _provenance(model, sample, config, inputs, recipe, figures)
                save_artifact(folder, model, provenance)
            wait_for_all()
        finally:
            part_company()
        return folder
    if isinstance(model, Fittable):
        figures = _fit_directly(model, data, folder, processes)
        return save_artifact(
            folder, model, _provenance(model, sample, config, inputs, recipe, figures)
        )
    raise TrainingError(f"model '{model.kind}' is neither Trainable nor Fittable")


def _gradient_steps(run: GradientRun, resume: bool, quiet: bool) -> dict[str, Any]:
    steps, seconds = run.go(resume, quiet)
    rate = run.showers_per_second
    return {
        "training_steps": steps,
        "training_seconds": round(seconds, 1),
        "training_processes": run.processes.world,
        "training_precision": precision_here(run.config),
        "showers_per_second": None if rate is None else round(rate, 3),
        "waiting_for_data_seconds": round(run.loader.waited, 3),
    }


def _fit_directly(
    model: Fittable, data: Showers | BlockSource, folder: Path, processes: Processes
) -> dict[str, Any]:
    if not isinstance(data, Showers):
        raise TrainingError(f"model '{model.kind}' is fitted in one go; load its showers first")
    if processes.world > 1:
        raise ConfigError(
            f"model '{model.kind}' is fitted in one go, by one process; start it without "
            f"{processes.launcher}"
        )
    begin = time.monotonic()
    _claim(folder, resume=False)
    model.fit(data)
    seconds = round(time.monotonic() - begin, 1)
    return {"training_steps": 0, "training_seconds": seconds, "waiting_for_data_seconds": 0.0}


def _provenance(
    model: Model,
    sample: BlockSource,
    config: TrainingConfig,
    inputs: Mapping[str, str] | None,
    recipe: Mapping[str, Any] | None,
    figures: Mapping[str, Any],
) -> Provenance:
    ranges = sample.ranges(model.condition_columns)
    codes = sample.different("pdg")
    source = {
        "training_showers": len(sample),
        **({} if codes is None else {"training_particles": [int(code) for code in codes]}),
        "training_ranges": {
            name: [float(low), float(high)] for name, (low, high) in ranges.items()
        },
        **figures,
    }
    return Provenance(
        step="train",
        geometry=model.calorimeter.hash,
        config=dict(recipe or {}),
        seed=config.seed,
        inputs=dict(inputs or {}),
        parents=(sample.provenance.to_dict(),),
        source=source,
    )


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
