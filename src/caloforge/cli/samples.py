"""``caloforge samples``."""

from __future__ import annotations

import shutil
from pathlib import Path

import typer

from caloforge.cli.common import JSON, QUIET, report


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("samples")(samples)


def samples(
    folder: Path = typer.Argument(Path(), help="Folder to copy them to; this one when not given."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Copy the Geant4 showers that come with Caloforge, in 3DGAN's formats: the tutorials' data.

    Examples:

      caloforge samples

      caloforge samples ../data
    """
    from caloforge.shipped import SAMPLES

    copied = [str(_copy(name, folder / name)) for name in SAMPLES]
    report("\n".join(copied), {"files": copied}, quiet, as_json)


def _copy(name: str, target: Path) -> Path:
    """One sample; a file of that name that is another one stays.

    Raises:
        OutputError: it is there, or the folder cannot be written.
    """
    from caloforge.atomic import atomic_file
    from caloforge.errors import OutputError
    from caloforge.shipped import sample_path

    source = sample_path(name)
    if target.exists():
        if target.is_file() and target.read_bytes() == source.read_bytes():
            return target
        raise OutputError(f"{target}: is there and is another file; choose another folder")
    with atomic_file(target) as partial:
        shutil.copyfile(source, partial)
    return target
