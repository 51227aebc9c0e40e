"""The gradient steps of one training run: plan, Lightning, logs, checkpoints."""

from __future__ import annotations

import logging
import shutil
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

import lightning as pl
import torch
from lightning.pytorch.loggers import TensorBoardLogger

from caloforge.artifact import make_folder
from caloforge.data import BatchPlan, BlockSource, ShowerLoader
from caloforge.errors import ConfigError, TrainingError
from caloforge.models import Trainable, TrainingSample
from caloforge.train.callbacks import AfterStep, StepProgress, StopFlag
from caloforge.train.checkpoint import FILE, load_checkpoint, save_checkpoint
from caloforge.train.config import TrainingConfig
from caloforge.train.metrics_csv import MetricsCsv
from caloforge.train.module import Batches, TrainingModule

FOLDER = "training"
TENSORBOARD = "tensorboard"

LOOK = 10_000
"""About so many showers a model sees before its first step."""


class GradientRun:
    """The gradient steps of one model: plan, logs, checkpoints.

    Raises:
        ConfigError: a batch would be larger than the sample.
    """

    def __init__(
        self,
        model: Trainable,
        sample: BlockSource,
        config: TrainingConfig,
        folder: Path,
        inputs: Mapping[str, str],
    ) -> None:
        self.model, self.sample, self.config = model, sample, config
        self.folder, self.logs = folder, folder / FOLDER
        self.plan = BatchPlan(sample.blocks, config.batch_size, config.seed)
        columns = model.condition_columns
        self.loader = ShowerLoader(sample, self.plan, columns, reuse=True)
        self.total = min(config.epochs * self.plan.steps_per_epoch, config.max_steps or 10**12)
        look = sample.sample(LOOK, config.seed)
        model.prepare(TrainingSample(len(sample), sample.ranges(columns), look))
        model.train()
        self.module = TrainingModule(model, config.seed)
        self.seconds = 0.0
        self.identity = {
            "kind": model.kind,
            "geometry": model.calorimeter.hash,
            "config": model.config.model_dump(mode="json"),
            "seed": config.seed,
            "batch_size": config.batch_size,
            "precision": config.precision,
            "inputs": dict(inputs),
        }

    def go(self, resume: bool, quiet: bool) -> tuple[int, float]:
        """Train to the end of the plan; return the steps and the seconds of the whole run."""
        config = self.config
        make_folder(self.logs)
        first = self._resume() if resume else 0
        if first == 0:
            shutil.rmtree(self.logs / TENSORBOARD, ignore_errors=True)
        self._started = time.monotonic()
        flag = StopFlag(config.max_minutes)
        csv = MetricsCsv(self.logs / "metrics.csv", first)
        every = self.plan.steps_per_epoch, config.log_every, config.checkpoint_every
        after = AfterStep(csv, flag, self._save, *every)
        after.done = first
        callbacks: list[pl.Callback] = [after]
        if not quiet:
            callbacks.append(StepProgress(first, self.total, ()))
        if first < self.total:
            batches = Batches(self.loader, first, self.total)
            with flag.listening(), _calm_lightning():
                _trainer(config, self.logs, callbacks).fit(self.module, batches)
        if flag.interrupted:
            raise TrainingError(
                f"{self.folder}: interrupted after step {after.done} of {self.total}; nothing is "
                "lost, continue with the same command and --resume"
            )
        self._save(after.done)
        self.model.to("cpu")
        return after.done, self._elapsed()

    def _elapsed(self) -> float:
        return self.seconds + time.monotonic() - self._started

    def _save(self, step: int) -> None:
        optimizers = self.module.by_name
        file = self.logs / FILE
        save_checkpoint(file, self.model, optimizers, step, self._elapsed(), self.identity)

    def _resume(self) -> int:
        file = self.logs / FILE
        step, self.seconds = load_checkpoint(file, self.model, self.module.by_name, self.identity)
        if step > self.total:
            raise TrainingError(
                f"{file}: {step} steps are done, the recipe asks for {self.total}; "
                "raise training.epochs or training.max_steps"
            )
        return step


def _trainer(config: TrainingConfig, logs: Path, callbacks: list[pl.Callback]) -> pl.Trainer:
    if config.accelerator == "gpu" and not torch.cuda.is_available():
        raise ConfigError(
            "training.accelerator=gpu: torch sees no GPU here; use --set training.accelerator=cpu"
        )
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
