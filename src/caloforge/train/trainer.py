"""Lightning's part: devices, the group of processes, precision, the loop."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning as pl
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy

from caloforge.errors import ConfigError
from caloforge.train.config import TrainingConfig
from caloforge.train.precision import precision_here
from caloforge.train.processes import Processes

TENSORBOARD = "tensorboard"

PATIENCE = timedelta(minutes=30)
"""So long a process waits for another one that has not died."""


class EqualProcesses(DDPStrategy):
    """Lightning's data parallelism without torch's wrapper around the model.

    The wrapper averages gradients during the backward pass and needs to know which of them are due:
    a GAN goes backward several times a step, through different networks. The training module
    averages an optimizer's gradients when it steps.
    """

    def configure_ddp(self) -> None:
        """Leave the model as it is."""


def make_trainer(
    config: TrainingConfig, processes: Processes, logs: Path, callbacks: list[pl.Callback]
) -> pl.Trainer:
    """A trainer for one pass over the planned steps; epochs are the plan's business.

    Raises:
        ConfigError: there are not so many GPUs, or another number of processes was started.
    """
    _check_devices(config, processes)
    several: dict[str, Any] = {}
    if processes.world > 1:
        environment = processes.environment()
        several["strategy"] = EqualProcesses(cluster_environment=environment, timeout=PATIENCE)
    logger = TensorBoardLogger(str(logs), name="", version=TENSORBOARD)
    return pl.Trainer(
        max_epochs=1,
        accelerator=config.accelerator,
        devices=processes.local,
        num_nodes=processes.nodes,
        precision=precision_here(config),
        logger=logger if processes.first else False,
        callbacks=callbacks,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=str(logs),
        num_sanity_val_steps=0,
        **several,
    )


def _check_devices(config: TrainingConfig, processes: Processes) -> None:
    if (config.devices or 1) > 1 and processes.launcher == "none":
        raise ConfigError(
            f"training.devices={config.devices}: this is one process; start the others with "
            "caloforge.train, 'caloforge train --devices', torchrun or srun"
        )
    if config.devices not in (None, processes.local):
        raise ConfigError(
            f"training.devices={config.devices}, but {processes.launcher} started "
            f"{processes.local} processes on this machine; leave training.devices out"
        )
    if config.accelerator == "cpu":
        return
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if config.accelerator == "gpu" and not found:
        raise ConfigError(
            "training.accelerator=gpu: torch sees no GPU here; use --set training.accelerator=cpu"
        )
    if found and processes.local > found:
        raise ConfigError(
            f"training.devices: {processes.local} processes, but {found} GPUs; start as many "
            "processes as GPUs, or use --set training.accelerator=cpu"
        )


@contextmanager
def repeatable(wanted: bool) -> Iterator[None]:
    """Inside, only deterministic algorithms, if ``wanted``."""
    before = torch.are_deterministic_algorithms_enabled()
    benchmark = torch.backends.cudnn.benchmark
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS asks for
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        torch.backends.cudnn.benchmark = benchmark


@contextmanager
def calm() -> Iterator[None]:
    """Keep Lightning's banners and tips off the terminal; errors still come through."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
