"""What happens after every step: log, checkpoint, show progress, stop when asked."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import lightning as pl
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from caloforge.train.collectives import begin_alike, mean_over_processes
from caloforge.train.metrics_csv import MetricsCsv
from caloforge.train.module import TrainingModule


class StopFlag:
    """Set by Ctrl-C, SIGTERM or the time limit; training stops after the running step."""

    def __init__(self, max_minutes: float | None) -> None:
        self.interrupted = False
        self._end = None if max_minutes is None else time.monotonic() + 60 * max_minutes
        self._ours: dict[signal.Signals, Any] = {}

    @property
    def out_of_time(self) -> bool:
        """Whether ``max_minutes`` have passed."""
        return self._end is not None and time.monotonic() > self._end

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen to Ctrl-C and SIGTERM; a second one stops at once."""

        def stop(number: int, _: FrameType | None) -> None:
            self.interrupted = True
            signal.signal(number, signal.SIG_DFL)

        if threading.current_thread() is not threading.main_thread():
            yield  # signals belong to the main thread
            return
        old = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        self._ours = {number: signal.getsignal(number) for number in old}
        try:
            yield
        finally:
            self._ours = {}
            for number, handler in old.items():
                signal.signal(number, handler)

    def take_back(self) -> None:
        """Lightning has put a handler of its own in front, which talks to the other processes while
        they are at something else; put it away.
        """
        for number, handler in self._ours.items():
            signal.signal(number, handler)


class AfterStep(pl.Callback):
    """Log to CSV and TensorBoard, checkpoint at intervals, stop when a flag says so.

    All processes stop after the same step, whichever was asked to. The first one alone has a
    ``csv`` and something to ``save``.
    """

    def __init__(
        self,
        csv: MetricsCsv | None,
        flag: StopFlag,
        save: Callable[[int], None],
        steps_per_epoch: int,
        log_every: int,
        checkpoint_every: int,
    ) -> None:
        self._csv = csv
        self._flag = flag
        self._save = save
        self._steps_per_epoch = steps_per_epoch
        self._log_every = log_every
        self._checkpoint_every = checkpoint_every
        self._first_end = self._last_end = 0.0
        self._steps = 0
        self.done = 0
        self.interrupted = False

    @property
    def seconds_per_step(self) -> float | None:
        """Mean over all steps but the first of this session, which has to warm up."""
        steps = self._steps - 1
        return (self._last_end - self._first_end) / steps if steps > 0 else None

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Before the first step."""
        self._flag.take_back()
        begin_alike(module, self.done)

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """After every step."""
        assert isinstance(module, TrainingModule)
        self.done = module.step + 1
        asked = {"interrupted": self._flag.interrupted, "out of time": self._flag.out_of_time}
        here = {**module.losses, **{name: float(value) for name, value in asked.items()}}
        everywhere = mean_over_processes(here, module.device)
        stop = [everywhere.pop(name) > 0 for name in asked]
        module.losses = everywhere
        self.interrupted = stop[0]
        if self._csv is not None and self.done % self._log_every == 0:
            self._csv.write(self.done, module.step // self._steps_per_epoch, module.losses)
            if trainer.logger is not None:
                trainer.logger.log_metrics(module.losses, step=self.done)
        self._last_end = time.monotonic()
        self._first_end = self._first_end or self._last_end
        self._steps += 1
        if any(stop) or self.done % self._checkpoint_every == 0:
            self._save(self.done)
        if any(stop):
            trainer.should_stop = True


class StepProgress(pl.Callback):
    """A progress bar over all steps of the run, on a terminal only."""

    def __init__(self, start: int, total: int, shown: tuple[str, ...]) -> None:
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[losses]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task("training", completed=start, total=total, losses="")
        self._shown = shown

    def on_train_start(self, *_: Any) -> None:
        """Show the bar."""
        self._bar.start()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """Move the bar."""
        assert isinstance(module, TrainingModule)
        parts = [f"{name} {module.losses[name]:.3g}" for name in self._shown or module.losses]
        self._bar.update(self._task, completed=module.step + 1, losses="  ".join(parts[-3:]))

    def on_train_end(self, *_: Any) -> None:
        """Remove the bar."""
        self._bar.stop()

    def on_exception(self, *_: Any) -> None:
        """Remove the bar."""
        self._bar.stop()
