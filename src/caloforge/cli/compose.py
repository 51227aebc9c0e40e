"""``caloforge compose`` and ``caloforge digitise``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from caloforge.cli.common import JSON, QUIET, note, progress, report

if TYPE_CHECKING:
    from caloforge.compose import Composition, Digitisation

DETECTOR = typer.Argument(..., help="A name from 'caloforge detectors' or a YAML file.")
PARTICLES = typer.Argument(..., help="Particles of events: .hepmc3, .hepmc, .lhe, .csv, .parquet.")
SHOWERS = typer.Argument(..., help="Store file with the deposits of whole events.")
OUTPUT = typer.Option(..., "--output", "-o", help="Store file (.h5) to write.")
FAST = typer.Option(..., "--fast", help="A model; repeat it for every kind of particle.")
DISTANCE = typer.Option(
    0.0, "--distance", help="mm from the origin of a generator's file to the front face."
)
SEED = typer.Option(0, "--seed", min=0, max=2**63 - 1, help="Same seed, same events.")
CROSSTALK = typer.Option(0.0, "--crosstalk", help="Share of a cell's energy in its neighbours.")
NOISE = typer.Option(0.0, "--noise", help="Standard deviation of every cell's noise, MeV.")
SATURATION = typer.Option(None, "--saturation", help="Largest energy that a cell reports, MeV.")
STEP = typer.Option(None, "--step", help="MeV per count of the converter.")
THRESHOLD = typer.Option(0.0, "--threshold", help="MeV; cells that report less are not read out.")

BATCH = 256


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("compose")(compose)
    app.command("digitise")(digitise)


def compose(
    detector: str = DETECTOR,
    particles: Path = PARTICLES,
    output: Path = OUTPUT,
    fast: list[str] = FAST,
    distance: float = DISTANCE,
    seed: int = SEED,
    crosstalk: float = CROSSTALK,
    noise: float = NOISE,
    saturation: float | None = SATURATION,
    step: float | None = STEP,
    threshold: float = THRESHOLD,
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Whole events: the showers of many particles overlaid, then digitised once.

    Examples:

      caloforge compose lcd-ecal jets.hepmc3 --fast my-model --distance 1500 -o events.h5

      caloforge compose lcd-ecal bunch.csv --fast my-model --noise 0.05 --threshold 0.2 -o events.h5
    """
    from caloforge.compose import compose as write
    from caloforge.compose import read_particles
    from caloforge.geometry import load_detector
    from caloforge.showers import file_digest
    from caloforge.simulate.fast import choices

    how = _electronics(crosstalk, noise, saturation, step, threshold)
    calorimeter = load_detector(detector)
    listed = read_particles(particles, distance=distance)
    with progress("composing", quiet) as show:
        done = write(
            calorimeter,
            choices(fast),
            listed,
            output,
            seed=seed,
            digitisation=how,
            inputs={particles.name: file_digest(particles)},
            progress=show,
        )
    if done.left_out and not quiet:
        note(_left_out(done))
    if done.empty and not quiet:
        note(f"{done.empty} events without particles are left out: rows count the others")
    report(
        f"{done.path}: {done.events} events of {done.particles} particles",
        asdict(done),
        quiet,
        as_json,
    )


def digitise(
    showers: Path = SHOWERS,
    output: Path = OUTPUT,
    seed: int = SEED,
    crosstalk: float = CROSSTALK,
    noise: float = NOISE,
    saturation: float | None = SATURATION,
    step: float | None = STEP,
    threshold: float = THRESHOLD,
    quiet: bool = QUIET,
) -> None:
    """What the electronics make of whole events: cross-talk, noise, saturation, counts, threshold.

    Example:

      caloforge digitise events.h5 --noise 0.05 --step 0.1 --threshold 0.2 -o digits.h5
    """
    from caloforge.compose import Digitisation, described
    from caloforge.compose import digitise as digitised
    from caloforge.errors import ConfigError
    from caloforge.store import StoreWriter, open_showers

    how = _electronics(crosstalk, noise, saturation, step, threshold) or Digitisation()
    if how == Digitisation():
        raise ConfigError("nothing to do: give --crosstalk, --noise, --saturation, --step or more")
    cells = 0
    with open_showers(showers) as reader, progress("digitising", quiet) as show:
        provenance = described(reader.provenance, how, seed)
        with StoreWriter(output, reader.calorimeter, provenance) as writer:
            for start in range(0, len(reader), BATCH):
                batch = reader.read(start, start + BATCH)
                made = digitised(batch, how, seed=seed, first=start)
                cells += made.n_hits
                writer.append(made)
                show(min(start + BATCH, len(reader)), len(reader))
        n = len(reader)
    report(f"{output}: {n} events, {cells / n:.1f} cells each", {}, quiet, False)


def _electronics(
    crosstalk: float,
    noise: float,
    saturation: float | None,
    step: float | None,
    threshold: float,
) -> Digitisation | None:
    from caloforge.compose import Digitisation

    how = Digitisation(
        crosstalk=crosstalk, noise=noise, saturation=saturation, step=step, threshold=threshold
    )
    return None if how == Digitisation() else how


def _left_out(done: Composition) -> str:
    most = sorted(done.left_out.items(), key=lambda item: -item[1])
    kinds = ", ".join(f"{number} x {code}" for code, number in most[:5])
    more = f" and {len(most) - 5} other kinds" if len(most) > 5 else ""
    return (
        f"left out: {sum(done.left_out.values())} particles with {done.energy_left_out / 1000:.4g} "
        f"GeV that no model knows ({kinds}{more}, PDG codes)"
    )
