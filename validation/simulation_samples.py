"""Simulate the samples that simulation_figures.py measures.

python validation/simulation_samples.py FOLDER [--workers N] [--reference FILE] [--only PREFIX]

Samples that are there are left alone, and an interrupted one goes on where it stopped, so the same
command completes the folder. FILE is a store file or an LCD file of electrons in lcd-ecal-25: its
particles are shot again for the two-sample tests. All of it takes about an hour on two cores.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import caloforge
from caloforge.beam import IMPACT, like
from caloforge.conversion import convert
from caloforge.geometry import Calorimeter, CartesianGrid, load_detector

CELL = (5.0, 5.0)
"""Impact points spread over a cell of lcd-ecal (mm)."""
VERTEX = 2000.0
"""mm from the decay of a pi0 to the front face."""
ELECTRONS = {10: 2000, 20: 2000, 50: 1000, 100: 600, 200: 300, 500: 160}
"""Showers by energy (GeV)."""
HCAL = {"": "lcd-hcal", "birks-": "lcd-hcal-birks"}
HADRONS = {10: 600, 20: 600, 50: 400}
LIKE = 2000
"""Particles of the reference that are shot again."""


@dataclass(frozen=True)
class Sample:
    """The file ``name.h5``: what ``caloforge.simulate`` gets."""

    name: str
    detector: str | Calorimeter
    options: dict[str, Any]

    @property
    def seed(self) -> int:
        """Of its own: samples are independent, and none changes when another is added."""
        return zlib.crc32(self.name.encode())


def wide(name: str) -> Calorimeter:
    """A calorimeter of the HCAL's kind, read out over 33x33 cells: all of its width."""
    calorimeter = load_detector(name)
    grid = CartesianGrid(nx=33, ny=33, dx=30.0, dy=30.0)
    layers = [layer.model_copy(update={"segmentation": grid}) for layer in calorimeter.layers]
    update = {"name": f"{name}-wide", "layers": tuple(layers)}
    return Calorimeter.model_validate(calorimeter.model_copy(update=update).model_dump())


def samples() -> Iterator[Sample]:
    """All samples, those of most interest first."""
    for energy, n in ELECTRONS.items():
        beam = {"particle": "e-", "energy": energy, "n": n}
        yield Sample(f"lcd-{energy}", "lcd-ecal", {**beam, "spread": CELL})
    for prefix, detector in HCAL.items():
        for energy, n in HADRONS.items():
            pion = {"particle": "pi-", "energy": energy, "n": n}
            electron = {"particle": "e-", "energy": energy, "n": n, "physics": "ftfp_bert"}
            yield Sample(f"hcal-pi-{prefix}{energy}", wide(detector), pion)
            yield Sample(f"hcal-e-{prefix}{energy}", wide(detector), electron)
    for particle in ("e+", "gamma"):
        beam = {"particle": particle, "energy": "1:100", "n": 1000}
        yield Sample(f"calogan-{particle}", "calogan-lar", beam)
    for name, detector in (("par04", "par04-siw"), ("par04-fine", "par04-siw-fine")):
        yield Sample(name, detector, {"particle": "e-", "energy": "log:1:1000", "n": 300})
    for particle in ("pi0", "gamma"):
        beam = {"particle": particle, "energy": 60, "n": 400, "vertex": VERTEX}
        yield Sample(f"{particle}-60", "lcd-ecal", beam)
        yield Sample(f"{particle}-60-spread", "lcd-ecal", {**beam, "spread": CELL})
    for prefix, detector in HCAL.items():
        for energy, n in HADRONS.items():
            pion = {"particle": "pi-", "energy": energy, "n": n // 2}
            yield Sample(f"pi-{prefix}{energy}", f"lcd-ecal+{detector}", pion)


def reference_sample(reference: Path) -> Sample:
    """The reference's particles, in the window that it holds."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "reference.h5"
        convert(reference, path, detector="lcd-ecal-25")
        incident = like(path, LIKE, IMPACT)
    return Sample("lcd-like", "lcd-ecal", {"incident": incident, "window": (25, 25)})


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the store files go")
    parser.add_argument("--workers", type=int, default=2, help="processes on this machine")
    parser.add_argument("--reference", type=Path, help="electrons whose particles are shot again")
    parser.add_argument("--only", default="", help="samples whose name begins so")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    chosen = list(samples())
    if arguments.reference:
        chosen.append(reference_sample(arguments.reference))
    for sample in chosen:
        path = arguments.folder / f"{sample.name}.h5"
        if path.exists() or not sample.name.startswith(arguments.only):
            continue
        start = time.monotonic()
        caloforge.simulate(
            sample.detector, path, **sample.options, seed=sample.seed, workers=arguments.workers
        )
        print(f"{path.name}: {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
