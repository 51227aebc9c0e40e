"""Figures of simulated samples against published and textbook values.

python validation/simulation_figures.py FOLDER [--json FILE] [--figures DIR] [--reference FILE]

FOLDER holds store files that ``caloforge simulate`` wrote, named as in the sections below
(``lcd-10.h5``: electrons of 10 GeV in lcd-ecal); a section whose files are absent is left out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from caloforge import __version__
from simulated.calogan import calogan
from simulated.classical import classical
from simulated.electrons import electrons
from simulated.figures import draw_figures
from simulated.par04 import par04
from simulated.photons import photons
from simulated.pions import pions
from simulated.tables import MissingSampleError, Samples, Table
from simulated.two_samples import two_samples

Make = Callable[[Samples], list[Table]]
SECTIONS: dict[str, tuple[str, Make]] = {
    "electrons": ("Electrons in lcd-ecal", electrons),
    "gflash": ("gflash in lcd-ecal", classical),
    "calogan": ("CaloGAN's calorimeter", calogan),
    "par04": ("Par04 barrel", par04),
    "photons": ("Photons and pi0 in lcd-ecal", photons),
    "pions": ("Pions in the HCAL, alone and behind the ECAL", pions),
}


def run(folder: Samples, sections: dict[str, tuple[str, Make]]) -> dict[str, Any]:
    """Print the tables of every section; returns them for the JSON file."""
    print("# Simulated samples against published and textbook values")
    result: dict[str, Any] = {}
    for key, (title, make) in sections.items():
        print(f"\n## {title}\n")
        try:
            tables = [table for table in make(folder) if table.rows]
        except MissingSampleError as missing:
            print(f"Left out: {missing}.")
            continue
        print("\n\n".join(table.markdown() for table in tables))
        result[key] = [table.to_dict() for table in tables]
    return result


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="folder of simulated store files")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--figures", type=Path, help="draw the figures into this folder")
    parser.add_argument("--reference", type=Path, help="electrons to test lcd-like.h5 against")
    arguments = parser.parse_args()
    folder = Samples(arguments.folder)
    chosen = dict(SECTIONS)
    if arguments.reference:
        made = partial(two_samples, reference=arguments.reference)
        chosen["two samples"] = ("Electrons against another simulation", made)
    sections = run(folder, chosen)
    if arguments.json:
        content = {
            "schema": 1,
            "caloforge": __version__,
            "samples": folder.origins(),
            "sections": sections,
        }
        arguments.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if arguments.figures:
        draw_figures(folder, arguments.figures)


if __name__ == "__main__":
    main()
