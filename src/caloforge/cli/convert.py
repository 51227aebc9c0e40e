"""``caloforge convert``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from caloforge.cli.common import (
    DASK,
    JSON,
    QUIET,
    WORKERS,
    executor,
    note,
    progress,
    report,
)
from caloforge.errors import ConfigError

if TYPE_CHECKING:
    from caloforge.conversion import Conversion


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("convert")(convert)


INPUTS = typer.Argument(..., help="Shower files or folders, of one geometry.")
OUTPUT = typer.Option(..., "--output", "-o", help="File or (--shard-size) folder.")
FROM = typer.Option(None, "--from", help="Input format; found from the content when absent.")
TO = typer.Option(
    None, "--to", help="Output format, see 'caloforge formats'; by the name when absent."
)
DETECTOR = typer.Option(
    None, "--detector", help="Calorimeter of the input: a name, a YAML file, a binning XML."
)
OPTION = typer.Option([], "--option", help="KEY=VALUE: how to read the input; repeat it.")
CUT = typer.Option([], "--cut", help="Keep QUANTITY=LOW:HIGH, as energy=10:100 (GeV); repeat it.")
SCALE = typer.Option(None, "--scale", help="Multiply all cells, or per layer as 1,1,0.5.")
THRESHOLD = typer.Option(None, "--threshold", help="Zero cells below, MeV.")
RECENTRE = typer.Option(False, "--recentre", help="Move the barycentre into the middle cell.")
WINDOW = typer.Option(None, "--window", help="Keep the central cells, as 25x25.")
REBIN = typer.Option(None, "--rebin", help="Share among other cells: a detector or a file.")
SPLIT = typer.Option(None, "--split", help="As train=0.8,test=0.2; by content, so always the same.")
SHUFFLE = typer.Option(False, "--shuffle", help="Random order over all inputs.")
SEED = typer.Option(0, "--seed", min=0, help="Of --split and --shuffle.")
SHARD_SIZE = typer.Option(
    None, "--shard-size", min=1, help="Write a folder of files of so many showers."
)
DROP_EMPTY = typer.Option(
    False, "--drop-empty", help="Leave out showers without energy instead of failing."
)
KEEP_EMPTY = typer.Option(
    False, "--keep-empty", help="Write showers without energy, which a validation counts."
)
SALVAGE = typer.Option(
    False, "--salvage", help="Leave out what is damaged instead of failing; say what."
)
LIMIT = typer.Option(None, "--limit", min=1, help="Stop after this many showers.")


def convert(
    inputs: list[Path] = INPUTS,
    output: Path = OUTPUT,
    from_: str | None = FROM,
    to: str | None = TO,
    detector: str | None = DETECTOR,
    option: list[str] = OPTION,
    cut: list[str] = CUT,
    scale: str | None = SCALE,
    threshold: float | None = THRESHOLD,
    recentre: bool = RECENTRE,
    window: str | None = WINDOW,
    rebin: str | None = REBIN,
    split: str | None = SPLIT,
    shuffle: bool = SHUFFLE,
    seed: int = SEED,
    shard_size: int | None = SHARD_SIZE,
    drop_empty: bool = DROP_EMPTY,
    keep_empty: bool = KEEP_EMPTY,
    salvage: bool = SALVAGE,
    limit: int | None = LIMIT,
    workers: int = WORKERS,
    dask: str | None = DASK,
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Convert shower files between formats; cut, move, re-bin, split and shuffle on the way.

    The steps come in this order: --cut on incident particles, --scale, --threshold, --recentre,
    --window, --rebin, --cut on showers (total_energy, hits, h_over_e).

    Examples:

      caloforge convert lcd_electrons.h5 -o showers.h5

      caloforge convert showers.h5 --to lcd -o lcd_electrons.h5

      caloforge convert run*.root --detector lcd-ecal --drop-empty --workers 4 -o showers.h5

      caloforge convert a.h5 b.h5 --shuffle --split train=0.9,test=0.1 --shard-size 2000 -o data
    """
    from caloforge.conversion import convert as run
    from caloforge.transform import Split, steps_from_options

    steps = steps_from_options(
        cuts=cut, scale=scale, threshold=threshold, recentre=recentre, window=window, rebin=rebin
    )
    with progress("converting", quiet) as advance:
        done = run(
            inputs,
            output,
            from_=from_,
            to=to,
            detector=detector,
            options=_options(option),
            steps=steps,
            split=None if split is None else Split.parse(split, seed),
            shuffle=seed if shuffle else None,
            shard_size=shard_size,
            drop_empty=drop_empty,
            keep_empty=keep_empty,
            salvage=salvage,
            limit=limit,
            executor=None if workers == 1 and dask is None else executor(workers, dask),
            progress=advance,
        )
    _tell(done, quiet, as_json)


def _tell(done: Conversion, quiet: bool, as_json: bool) -> None:
    """Notes on stderr, the result on stdout."""
    for text in (*done.notes, *(f"lost: {text}" for text in done.damage)):
        note(text)
    left_out = {"empty": done.dropped, "cut": done.cut, "lost": done.lost}
    summary = "".join(f", {n} {why} left out" for why, n in left_out.items() if n)
    parts = "".join(f"\n  {name}: {count}" for name, count in done.parts.items())
    result = {**asdict(done), "path": str(done.path)}
    report(f"{done.path}: {done.showers} showers{summary}{parts}", result, quiet, as_json)


def _options(words: list[str]) -> dict[str, Any]:
    """``KEY=VALUE`` words; values are YAML, so numbers, lists and true are what they look like.

    Raises:
        ConfigError: no ``=``, or no YAML.
    """
    import yaml

    result: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise ConfigError(f"--option {word}: expected KEY=VALUE, as in axis=particle")
        try:
            result[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"--option {word}: the value is not valid YAML; quote it") from error
    return result
