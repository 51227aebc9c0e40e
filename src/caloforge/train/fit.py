"""Fit a model to a sample and leave a self-describing artifact."""

from __future__ import annotations

import logging
import shutil
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as pl
from lightning.pytorch.loggers import TensorBoardLogger

from caloforge.artifact import make_folder, save_artifact
from caloforge.data import BatchPlan
from caloforge.errors import TrainingError
from caloforge.models import DirectModel, GradientModel, ShowerModel
from caloforge.showers import Provenance, Showers
from caloforge.train.callbacks import AfterStep, StepProgress, StopFlag
from caloforge.train.checkpoint import FILE, load_checkpoint, save_checkpoint
from caloforge.train.config import TrainingConfig
from caloforge.train.metrics_csv import MetricsCsv
from caloforge.train.module import Batches, TrainingModule

FOLDER = "training"
TENSORBOARD = "tensorboard"


def fit_model(
    model: ShowerModel,
    showers: Showers,
    config: TrainingConfig,
    output: str | Path,
    *,
    inputs: Mapping[str, str] | None = None,
    recipe: Mapping[str, Any] | None = None,
    resume: bool = False,
    quiet: bool = False,
) -> Path:
    """Train ``model`` on ``showers`` and write the artifact folder ``output``.

    Args:
        model: a fresh model for the showers' calorimeter.
        showers: the training sample.
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
    model.calorimeter.require_same(showers.calorimeter, "the training sample")
    folder = Path(output)
    make_folder(folder)
    start = time.monotonic()
    if isinstance(model, GradientModel):
        steps = _fit_steps(model, showers, config, folder, inputs, recipe, resume, quiet)
    elif isinstance(model, DirectModel):
        model.fit(showers)
        steps = 0
    else:
        raise TrainingError(f"model '{model.kind}' is neither a GradientModel nor a DirectModel")
    provenance = Provenance(
        step="train",
        geometry=model.calorimeter.hash,
        config=dict(recipe or {}),
        seed=config.seed,
        inputs=dict(inputs or {}),
        parents=(showers.provenance.to_dict(),),
        source={
            "training_showers": len(showers),
            "training_steps": steps,
            "training_seconds": round(time.monotonic() - start, 1),
        },
    )
    return save_artifact(folder, model, provenance)


def _fit_steps(
    model: GradientModel,
    showers: Showers,
    config: TrainingConfig,
    folder: Path,
    inputs: Mapping[str, str] | None,
    recipe: Mapping[str, Any] | None,
    resume: bool,
    quiet: bool,
) -> int:
    """Run the gradient steps; return how many were done in all."""
    plan = BatchPlan(len(showers), config.batch_size, config.seed)
    total = min(config.epochs * plan.steps_per_epoch, config.max_steps or 10**12)
    logs = folder / FOLDER
    make_folder(logs)
    model.prepare(showers)
    model.train()
    module = TrainingModule(model, config.seed)
    identity = {
        "kind": model.kind,
        "geometry": model.calorimeter.hash,
        "config": model.config.model_dump(mode="json"),
        "seed": config.seed,
        "batch_size": config.batch_size,
        "precision": config.precision,
        "inputs": dict(inputs or {}),
    }
    checkpoint = logs / FILE

    def save(step: int) -> None:
        save_checkpoint(checkpoint, model, module.by_name, step, identity)

    begin = load_checkpoint(checkpoint, model, module.by_name, identity) if resume else 0
    if begin == 0:
        shutil.rmtree(logs / TENSORBOARD, ignore_errors=True)
    flag = StopFlag(config.max_minutes)
    after = AfterStep(
        MetricsCsv(logs / "metrics.csv", begin),
        flag,
        save,
        plan.steps_per_epoch,
        config.log_every,
        config.checkpoint_every,
    )
    after.done = begin
    callbacks: list[pl.Callback] = [after]
    if not quiet:
        callbacks.append(StepProgress(begin, total, ()))
    if begin < total:
        batches = Batches(showers, model.condition_columns, plan, begin, total)
        with flag.listening(), _calm_lightning():
            _trainer(config, logs, callbacks).fit(module, batches)
    if flag.interrupted:
        raise TrainingError(
            f"{folder}: interrupted after step {after.done} of {total}; nothing is lost, "
            "continue with the same command and --resume"
        )
    save(after.done)
    model.to("cpu")
    return after.done


def _trainer(config: TrainingConfig, logs: Path, callbacks: list[pl.Callback]) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=1,  # one pass over the planned steps; epochs are the plan's business
        accelerator=config.accelerator,
        devices=1,
        precision=config.precision,
        logger=TensorBoardLogger(str(logs), name="", version=TENSORBOARD),
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=str(logs),
        num_sanity_val_steps=0,
    )


class _calm_lightning:  # noqa: N801  (used like a function)
    """Keep Lightning's banners and tips off the terminal; errors still come through."""

    def __enter__(self) -> None:
        self._loggers = [
            logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")
        ]
        self._levels = [logger.level for logger in self._loggers]
        for logger in self._loggers:
            logger.setLevel(logging.ERROR)
        self._caught = warnings.catch_warnings()
        self._caught.__enter__()
        warnings.filterwarnings("ignore", module="lightning")

    def __exit__(self, *details: object) -> None:
        self._caught.__exit__(None, None, None)
        for logger, level in zip(self._loggers, self._levels, strict=True):
            logger.setLevel(level)
