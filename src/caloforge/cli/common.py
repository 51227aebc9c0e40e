"""What several commands share: options, progress on a terminal, JSON results, warnings."""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

import typer

from caloforge.errors import CaloforgeWarning, ConfigError

if TYPE_CHECKING:
    from caloforge.tasks import Executor

QUIET = typer.Option(False, "--quiet", "-q", help="No progress, no summary.")
WORKERS = typer.Option(1, "--workers", min=1, help="Processes on this machine.")
DASK = typer.Option(None, "--dask", help="Address of a dask scheduler, as in tcp://host:8786.")
JSON = typer.Option(False, "--json", help="Print the result as JSON.")


class ShowersDone(Protocol):
    """How far a run is: see :class:`caloforge.tasks.Progress`."""

    @property
    def done(self) -> int:
        """Showers done, those of an earlier run included."""

    @property
    def total(self) -> int:
        """Showers in all."""

    @property
    def resumed(self) -> int:
        """Showers that an earlier run had made."""


Advance = Callable[[int, int], None]


@contextmanager
def progress(title: str, quiet: bool) -> Iterator[Advance]:
    """A progress bar on a terminal, nothing elsewhere; yields ``advance(done, total)``."""
    from rich.console import Console
    from rich.progress import Progress

    hidden = quiet or not sys.stderr.isatty()
    with Progress(console=Console(stderr=True), disable=hidden, transient=True) as bar:
        task = bar.add_task(title, total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield advance


@contextmanager
def shower_progress(title: str, quiet: bool) -> Iterator[Callable[[ShowersDone], None]]:
    """Like :func:`progress`, with showers per second and the time left, for long runs."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    hidden = quiet or not sys.stderr.isatty()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}  {task.fields[rate]}"),
        TimeElapsedColumn(),
    )
    begin = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), disable=hidden, transient=True) as bar:
        task = bar.add_task(title, total=1, rate="")

        def show(now: ShowersDone) -> None:
            made = now.done - now.resumed
            rate = made / max(time.monotonic() - begin, 1e-3)
            left = (now.total - now.done) / rate if made else 0.0
            text = f"{rate:.3g}/s, {timedelta(seconds=round(left))} left" if made else "starting"
            bar.update(task, completed=now.done, total=now.total, rate=text)

        yield show


def report(summary: str, result: Mapping[str, Any], quiet: bool, as_json: bool) -> None:
    """Print the result: JSON when asked for, else the summary unless quiet."""
    if as_json:
        typer.echo(json.dumps(result, indent=1, default=str))
    elif not quiet:
        typer.echo(summary)


def executor(workers: int, dask: str | None) -> Executor:
    """Where the work of a command is done.

    Raises:
        ConfigError: both are given.
    """
    from caloforge.tasks import DaskCluster, LocalWorkers

    if dask is None:
        return LocalWorkers(workers)
    if workers != 1:
        raise ConfigError("--workers are processes here, --dask has its own; give one of them")
    return DaskCluster(dask)


def note(text: str) -> None:
    """A remark on stderr that does not disturb the output."""
    typer.echo(f"caloforge: note: {text}", err=True)


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """Show Caloforge's warnings as notes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", CaloforgeWarning)
        yield
    for warning in caught:
        note(str(warning.message))
