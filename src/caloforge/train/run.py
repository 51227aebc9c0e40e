"""The gradient steps of one training run: plan, Lightning, logs, checkpoints."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as pl

from caloforge.artifact import make_folder
from caloforge.data import BatchPlan, BlockSource, ShowerLoader
from caloforge.errors import ConfigError, TrainingError
from caloforge.models import Trainable, TrainingSample
from caloforge.models.shared_norm import share_statistics
from caloforge.train.averages import MovingAverage
from caloforge.train.callbacks import AfterStep, StepProgress, StopFlag
from caloforge.train.checkpoint import FILE, load_checkpoint, save_checkpoint
from caloforge.train.collectives import lost_processes_named
from caloforge.train.config import TrainingConfig
from caloforge.train.metrics_csv import MetricsCsv
from caloforge.train.module import Batches, TrainingModule
from caloforge.train.networks import channels_last, compile_networks, explained
from caloforge.train.processes import Processes
from caloforge.train.trainer import TENSORBOARD, calm, make_trainer, repeatable

FOLDER = "training"

LOOK = 10_000
"""About so many showers a model sees before its first step."""


class GradientRun:
    """The gradient steps of one model: plan, logs, checkpoints.

    Raises:
        ConfigError: a batch would be larger than the sample, or cannot be shared out.
    """

    def __init__(
        self,
        model: Trainable,
        sample: BlockSource,
        config: TrainingConfig,
        folder: Path,
        inputs: Mapping[str, str],
        processes: Processes,
    ) -> None:
        self.model, self.sample, self.config = model, sample, config
        self.folder, self.logs = folder, folder / FOLDER
        self.processes = processes
        part = processes.rank, processes.world
        self.plan = BatchPlan(sample.blocks, config.batch_size, config.seed, part=part)
        self._check_parts()
        columns = model.condition_columns
        self.loader = ShowerLoader(sample, self.plan, columns, reuse=True)
        self.total = min(config.epochs * self.plan.steps_per_epoch, config.max_steps or 10**12)
        look = sample.sample(LOOK, config.seed)
        model.prepare(TrainingSample(len(sample), sample.ranges(columns), look))
        model.train()
        if processes.world > 1:
            share_statistics(model)
        if config.channels_last:
            channels_last(model)
        self.module = TrainingModule(model, config.seed, config.accumulate)
        self.average: MovingAverage | None = None
        if config.ema is not None and processes.first:
            self.average = MovingAverage(model, config.ema)
        self.seconds = 0.0
        self.showers_per_second: float | None = None
        self.identity = _identity(model, config, inputs)

    def _check_parts(self) -> None:
        parts = self.config.accumulate
        if parts > 1 and not self.model.in_parts:
            raise ConfigError(
                f"training.accumulate={parts}: model '{self.model.kind}' sees a batch as a whole; "
                "leave it out, or use a smaller training.batch_size"
            )
        if self.plan.size % parts:
            raise ConfigError(
                f"training.accumulate={parts}: the {self.plan.size} showers of a batch that a "
                f"process gets have no {parts} equal parts; choose another number"
            )

    def go(self, resume: bool, quiet: bool) -> tuple[int, float]:
        """Train to the end of the plan; return the steps and the seconds of the whole run.

        The first process's model is then on the CPU, with the averaged weights if there are any.
        """
        if self.processes.first:
            make_folder(self.logs)
        first = self._resume() if resume else 0
        if first == 0 and self.processes.first:
            shutil.rmtree(self.logs / TENSORBOARD, ignore_errors=True)
        self._started = time.monotonic()
        flag = StopFlag(self.config.max_minutes)
        after = self._after_step(flag, first)
        if first < self.total:
            with flag.listening():
                self._fit(after, first, quiet or not self.processes.first)
        if after.interrupted:
            raise TrainingError(
                f"{self.folder}: interrupted after step {after.done} of {self.total}; nothing is "
                "lost, continue with the same command and --resume"
            )
        self._save(after.done)
        if after.seconds_per_step:
            self.showers_per_second = self.config.batch_size / after.seconds_per_step
        self.model.to("cpu")
        if self.average is not None:
            self.model.load_state_dict(self.average.state)
        return after.done, self._elapsed()

    def _after_step(self, flag: StopFlag, first: int) -> AfterStep:
        config = self.config
        every = self.plan.steps_per_epoch, config.log_every, config.checkpoint_every
        csv = MetricsCsv(self.logs / "metrics.csv", first) if self.processes.first else None
        after = AfterStep(csv, flag, self._save, *every)
        after.done = first
        return after

    def _fit(self, after: AfterStep, first: int, quiet: bool) -> None:
        callbacks: list[pl.Callback] = [after]
        if self.average is not None:
            callbacks.insert(0, self.average)
        if not quiet:
            callbacks.append(StepProgress(first, self.total, ()))
        batches = Batches(self.loader, first, self.total)
        with calm(), repeatable(self.config.deterministic):
            trainer = make_trainer(self.config, self.processes, self.logs, callbacks)
            if self.config.compile:
                compile_networks(self.model, trainer.strategy.root_device)
            with explained(), lost_processes_named():
                trainer.fit(self.module, batches)

    def _elapsed(self) -> float:
        return self.seconds + time.monotonic() - self._started

    def _save(self, step: int) -> None:
        if self.processes.first:
            file, optimizers = self.logs / FILE, self.module.by_name
            state = self.model, optimizers, step, self._elapsed(), self.identity, self.average
            save_checkpoint(file, *state)

    def _resume(self) -> int:
        file = self.logs / FILE
        state = self.model, self.module.by_name, self.identity, self.average
        step, self.seconds = load_checkpoint(file, *state)
        if step > self.total:
            raise TrainingError(
                f"{file}: {step} steps are done, the recipe asks for {self.total}; "
                "raise training.epochs or training.max_steps"
            )
        return step


def _identity(
    model: Trainable, config: TrainingConfig, inputs: Mapping[str, str]
) -> dict[str, Any]:
    """What makes a run this one: not where it runs, nor on how many processes."""
    identity = {
        "kind": model.kind,
        "geometry": model.calorimeter.hash,
        "config": model.config.model_dump(mode="json"),
        "seed": config.seed,
        "batch_size": config.batch_size,
        "precision": config.precision,
        "inputs": dict(inputs),
    }
    if config.accumulate > 1:
        identity["accumulate"] = config.accumulate
    if config.ema is not None:
        identity["ema"] = config.ema
    return identity
