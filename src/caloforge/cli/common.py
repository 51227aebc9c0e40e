"""What several commands share: options, progress on a terminal, JSON results, warnings."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer

from caloforge.errors import CaloforgeWarning

QUIET = typer.Option(False, "--quiet", "-q", help="No progress, no summary.")
JSON = typer.Option(False, "--json", help="Print the result as JSON.")

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


def report(summary: str, result: Mapping[str, Any], quiet: bool, as_json: bool) -> None:
    """Print the result: JSON when asked for, else the summary unless quiet."""
    if as_json:
        typer.echo(json.dumps(result, indent=1, default=str))
    elif not quiet:
        typer.echo(summary)


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
