"""``caloforge simulate``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from caloforge.cli.common import DASK, JSON, QUIET, WORKERS, executor, note, report, shower_progress
from caloforge.errors import ConfigError

if TYPE_CHECKING:
    from caloforge.geometry import Calorimeter
    from caloforge.showers import Incident
    from caloforge.tasks import Result


DETECTOR = typer.Argument(
    ..., help="A name from 'caloforge detectors', a YAML file, or front+back of two."
)
OUTPUT = typer.Option(
    ..., "--output", "-o", help="Store file (.h5) to write, or a folder of shards."
)
PARTICLE = typer.Option(
    None, "--particle", help="e-, e+, gamma, pi0, pi+, pi-, mu-, mu+ or a PDG code."
)
ENERGY = typer.Option(None, "--energy", help="GeV: a value, lo:hi, log:lo:hi, or a comma list.")
NUMBER = typer.Option(
    None, "-n", "--number", min=1, help="Number of showers; one, or one per listed energy."
)
THETA = typer.Option(None, "--theta", help="Degrees, as --energy; 90 is normal incidence.")
PHI = typer.Option(None, "--phi", help="Degrees around the normal, as --energy.")
SPREAD = typer.Option(
    "0", "--spread", help="Spread the impact evenly over this many mm, or over a 'cell'."
)
AIM_DEPTH = typer.Option(
    0.0, "--aim-depth", help="Depth (mm) at which the lines pass the spread points."
)
VERTEX = typer.Option(
    0.0, "--vertex", help="Start the particles this many mm before the front face."
)
LIKE = typer.Option(None, "--like", help="Copy the incident particles of this store file.")
SEED = typer.Option(0, "--seed", min=0, max=2**63 - 1, help="Same seed, same showers.")
ENGINE = typer.Option("geant4", "--engine", help="geant4 or gflash.")
PHYSICS = typer.Option(None, "--physics", help="Geant4: auto (by the particles), em or ftfp_bert.")
EM_OPTION = typer.Option(
    None, "--em-option", help="Geant4: option of G4EmStandardPhysics, 0 (default) to 4."
)
CUT = typer.Option(None, "--cut", help="Geant4: production cut in mm, 0.7 by default.")
FAST = typer.Option(
    None,
    "--fast",
    help="Geant4: a model that takes its particles over before they enter; may be repeated. "
    "PARTICLES=MODEL names them, as in e-,e+=MODEL.",
)
WINDOW = typer.Option(None, "--window", help="Keep the central cells only, as in 25x25.")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("simulate")(simulate)


def simulate(
    detector: str = DETECTOR,
    output: Path = OUTPUT,
    particle: str | None = PARTICLE,
    energy: str | None = ENERGY,
    number: int | None = NUMBER,
    theta: str | None = THETA,
    phi: str | None = PHI,
    spread: str = SPREAD,
    aim_depth: float = AIM_DEPTH,
    vertex: float = VERTEX,
    like: Path | None = LIKE,
    seed: int = SEED,
    engine: str = ENGINE,
    physics: str | None = PHYSICS,
    em_option: int | None = EM_OPTION,
    cut: float | None = CUT,
    fast: list[str] | None = FAST,
    window: str | None = WINDOW,
    workers: int = WORKERS,
    dask: str | None = DASK,
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Simulate showers with Geant4, or with the classical fast simulation gflash.

    The showers depend on the seed alone, not on the number of workers. An interrupted run goes on
    when the same command is given again.

    Examples:

      caloforge simulate lcd-ecal --particle e- --energy 10:100 --spread cell -n 1000 -o e.h5

      caloforge simulate lcd-ecal+lcd-hcal --particle pi- --energy 50 -n 100 --workers 4 -o pi.h5

      caloforge simulate lcd-ecal --engine gflash --like e.h5 -o gflash.h5

      caloforge simulate lcd-ecal --fast lcd-ecal-25-electron --like e.h5 -o hybrid.h5
    """
    from caloforge.geometry import load_detector
    from caloforge.showers import file_digest
    from caloforge.simulate import open_simulator, simulate_to_store

    calorimeter = load_detector(detector)
    asked = {
        "particle": particle,
        "energy": energy,
        "theta": theta,
        "phi": phi,
        "spread": None if spread == "0" else spread,
        "aim_depth": aim_depth or None,
        "vertex": vertex or None,
    }
    if like is not None:
        incident = _copied(like, number, asked)
    else:
        incident = _shot(calorimeter, number, seed, asked)
    options = {"physics": physics, "em_option": em_option, "cut": cut, "fast": fast or None}
    simulator = open_simulator(engine, calorimeter, incident, **options)
    with shower_progress("simulating", quiet) as show:
        done = simulate_to_store(
            simulator,
            incident,
            output,
            executor=executor(workers, dask),
            seed=seed,
            window=_window(window),
            config=asked,
            inputs={} if like is None else {f"like {like.name}": file_digest(like)},
            progress=show,
        )
    if done.resumed and not quiet:
        note(f"{done.resumed} showers were there from an interrupted run")
    report(_summary(done, engine), asdict(done), quiet, as_json)


def _summary(done: Result, engine: str) -> str:
    empty = f", {done.empty} of them empty" if done.empty else ""
    return (
        f"{done.path}: {done.showers} showers{empty} in {done.elapsed:.1f} s, "
        f"{1000 * done.seconds / done.showers:.4g} ms of CPU time per shower with {engine}"
    )


def _copied(like: Path, number: int | None, asked: dict[str, Any]) -> Incident:
    import numpy as np

    from caloforge.beam import IMPACT, pdg_code
    from caloforge.beam import like as like_file
    from caloforge.showers import Incident

    given = [name for name, value in asked.items() if value is not None]
    refusal = f"--like copies the particles; leave --{''.join(given[:1]).replace('_', '-')} out"
    if given and given != ["particle"]:
        raise ConfigError(refusal)
    incident = like_file(like, number, IMPACT)
    if not given:
        return incident
    if "pdg" in incident:
        raise ConfigError(refusal)
    pdg = np.full(len(incident), pdg_code(asked["particle"]))
    return Incident({**incident.columns, "pdg": pdg})


def _shot(
    calorimeter: Calorimeter, number: int | None, seed: int, asked: dict[str, Any]
) -> Incident:
    from caloforge.beam import shot

    if asked["energy"] is None or asked["particle"] is None:
        raise ConfigError("give --particle and --energy (with -n), or --like FILE")
    spread = _spread(asked["spread"] or "0", calorimeter)
    return shot(asked, number, spread=spread, seed=seed)


def _spread(text: str, calorimeter: Calorimeter) -> tuple[float, float]:
    """Full widths in x and y (mm)."""
    from caloforge.geometry import CartesianGrid

    if text == "cell":
        grid = calorimeter.layers[0].segmentation
        if not isinstance(grid, CartesianGrid):
            raise ConfigError(f"--spread cell: the cells of {calorimeter.name} are not square")
        return grid.dx, grid.dy
    try:
        width = float(text)
    except ValueError:
        raise ConfigError(f"--spread {text}: expected a width in mm, or 'cell'") from None
    return width, width


def _window(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    try:
        nx, ny = (int(word) for word in text.lower().split("x"))
        if nx < 1 or ny < 1:
            raise ValueError
    except ValueError:
        raise ConfigError(f"--window {text}: expected cells in x and y, as in 25x25") from None
    return nx, ny
