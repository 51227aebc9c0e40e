"""The entry point: commands, errors as one line, exit codes 0, 1 (failed), 2 (usage)."""

from __future__ import annotations

import os
import sys

import typer

from caloforge._version import __version__
from caloforge.cli import (
    bench,
    compose,
    convert,
    doctor,
    export,
    generate,
    info,
    lists,
    predict,
    quickstart,
    samples,
    serve,
    simulate,
    train,
    tune,
    validate,
)
from caloforge.cli.interrupts import heard
from caloforge.errors import CaloforgeError, one_line

app = typer.Typer(
    name="caloforge",
    help="From detailed calorimeter simulation to a trusted, deployable surrogate.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"caloforge {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """From detailed calorimeter simulation to a trusted, deployable surrogate.

    Energies are in GeV, angles in degrees (90 is normal incidence).
    """


for module in (
    quickstart,
    samples,
    simulate,
    convert,
    info,
    train,
    tune,
    generate,
    validate,
    predict,
    export,
    serve,
    compose,
    bench,
    lists,
    doctor,
):
    module.register(app)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


_SIGINT = 130  # what typer makes of a KeyboardInterrupt


def _interrupted() -> int:
    typer.echo(
        "caloforge: interrupted; no half-written file is left, and the same command of a long "
        "simulation or study (training: with --resume) goes on from here",
        err=True,
    )
    return 1


def _exit_code(code: int) -> int:
    return _interrupted() if code == _SIGINT else code


def _unexpected(error: Exception) -> int:
    """One line for a mistake of ours; the trace when CALOFORGE_DEBUG is set."""
    if os.environ.get("CALOFORGE_DEBUG"):
        raise error
    typer.echo(
        f"caloforge: internal error: {type(error).__name__}: {one_line(error)}; "
        "set CALOFORGE_DEBUG=1 to see where, and report it",
        err=True,
    )
    return 1


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    try:
        with heard():
            result = app(arguments, prog_name="caloforge", standalone_mode=False)
    except CaloforgeError as error:
        typer.echo(f"caloforge: error: {one_line(error)}", err=True)
        return error.exit_code
    except typer.Exit as stop:
        return _exit_code(stop.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except OSError as error:
        typer.echo(f"caloforge: error: {one_line(error)}; check the path and the disk", err=True)
        return 1
    except Exception as error:
        show = getattr(error, "show", None)  # typer's usage errors print themselves
        if show is not None and hasattr(error, "exit_code"):
            show()
            return int(error.exit_code)
        return _unexpected(error)
    return _exit_code(result if isinstance(result, int) else 0)
