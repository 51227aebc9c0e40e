"""``caloforge tune``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from caloforge.cli.common import DASK, JSON, QUIET, WORKERS, progress, report, warnings_as_notes
from caloforge.errors import ConfigError

if TYPE_CHECKING:
    from caloforge.tune import Crew, Progress


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tune")(tune)


def tune(
    recipe: str = typer.Argument(..., help="Name (see 'caloforge models') or YAML file."),
    data: list[Path] = typer.Option(..., "--data", help="Training showers; repeat for more."),
    trials: int = typer.Option(..., "--trials", min=1, help="Trials in all, the first included."),
    output: Path = typer.Option(..., "--output", "-o", help="Folder of the study."),
    search: list[str] = typer.Option(
        [], "--search", help="What may change: KEY=log:1e-5:1e-2, KEY=int:2:8, KEY=a|b|c."
    ),
    objective: list[str] = typer.Option(
        [], "--objective", help="Figure of metrics.json; NAME:max raises it. Several: Pareto front."
    ),
    overrides: list[str] = typer.Option([], "--set", help="Change the recipe, as in train."),
    validation: Path | None = typer.Option(
        None, "--validation", help="Showers to judge by; else a fifth of --data is kept for that."
    ),
    storage: str | None = typer.Option(
        None, "--storage", help="sqlite:///FILE, journal:FILE, postgresql://USER@HOST/DATABASE."
    ),
    study: str | None = typer.Option(None, "--study", help="Name of the study in the storage."),
    workers: int = WORKERS,
    dask: str | None = DASK,
    max_steps: int | None = typer.Option(
        None, "--max-steps", min=1, help="Training steps of a trial at most."
    ),
    max_minutes: float | None = typer.Option(
        None, "--max-minutes", min=0.0, help="Training minutes of a trial at most."
    ),
    pruning: bool = typer.Option(
        True, "--pruning/--no-pruning", help="Give up trials worse than half of the others."
    ),
    keep: str = typer.Option("best", "--keep", help="Models to keep: best, all, none."),
    seed: int = typer.Option(0, "--seed", min=0, help="Fixes division, choices and judgement."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Search a recipe's values for better showers; the same command resumes the study.

    Trial 0 is the recipe as it is. Trials are judged by showers they are not trained on; keep the
    test showers away from this command.

    Examples:

      caloforge tune library --data train.h5 --trials 8 --search model.neighbours=int:1:20 -o study

      caloforge tune 3dgan --data train.h5 --trials 30 --max-minutes 20 -o study
      --search model.learning_rate=log:1e-5:1e-2 --objective auc.low --objective generation_ms
    """
    from typing import cast

    from caloforge.tune import tune as run
    from caloforge.tune.loop import Keep

    if keep not in ("best", "all", "none"):
        raise ConfigError(f"--keep {keep}: choose best, all or none")
    with warnings_as_notes(), _shown(quiet) as show:
        done = run(
            recipe,
            data,
            output,
            trials=trials,
            search=search,
            objective=objective,
            validation=validation,
            overrides=overrides,
            storage=storage,
            study=study,
            max_steps=max_steps,
            max_minutes=max_minutes,
            pruning=pruning,
            keep=cast(Keep, keep),
            seed=seed,
            crew=_crew(workers, dask),
            progress=show,
        )
    report(f"{done.path}/index.html: {done.summary}", done.to_dict(), quiet, as_json)


def _crew(workers: int, dask: str | None) -> Crew:
    from caloforge.tune import DaskCrew, LocalCrew

    if dask is None:
        return LocalCrew(workers)
    if workers != 1:
        raise ConfigError("--workers are processes here, --dask has its own; give one of them")
    return DaskCrew(dask)


@contextmanager
def _shown(quiet: bool) -> Iterator[Callable[[Progress], None]]:
    with progress("trials", quiet) as advance:

        def show(now: Progress) -> None:
            advance(now.done, now.total)

        yield show
