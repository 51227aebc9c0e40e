"""The card of a model: ``python docs/model_card.py MODEL TITLE=metrics.json ... > README.md``.

Data, training, figures and limits, all from what the commands wrote.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from results_table import main as table

PARTICLES = {11: "electrons", 22: "photons", 111: "neutral pions", 211: "pions"}

UNITS = {"energy": (1e-3, "GeV"), "theta": (57.29578, "degrees")}

TEXT = """# {name}

A `{kind}` model of {particle} in `{detector}`: {parameters:,} parameters, {megabytes:.1f} MB.

```bash
caloforge generate {name} --energy 50 -n 1000 --seed 1 -o generated.h5
```

## Data

{generator}. {showers:,} training showers; {ranges}.{cut}

## Training

{steps:,} steps in {minutes:.0f} minutes on one CPU core (AMD EPYC), seed {seed}, caloforge
{version}{begun}. Recipe, digests of the data and geometry are in `artifact.json`.

## Limits

- Trained on the range above; `caloforge generate` warns outside it. Such showers are extrapolated.
- One kind of particle. Conditions: {condition}. Impact points that are not given are spread over
  the trained range.
- Figures below are for showers like those of training; validate your own use with
  `caloforge validate`.

## Figures
"""

BEGUN = """, the last part of a training in parts: each begins with the weights of the one before
(commands and times in docs/results.md)"""


def find(value: Any, key: str) -> Any:
    """The first value of ``key`` in a provenance and its parents."""
    if key in value.get("source", {}):
        return value["source"][key]
    for parent in value.get("parents", []):
        found = find(parent, key)
        if found is not None:
            return found
    return None


def main(folder: Path, reports: list[str]) -> None:
    """Print the card."""
    about = json.loads((folder / "artifact.json").read_text())
    provenance = about["provenance"]
    source = provenance["source"]
    threshold = about["cell_threshold_mev"]
    ranges = []
    for name, (low, high) in source["training_ranges"].items():
        factor, unit = UNITS.get(name, (1.0, "mm"))
        ranges.append(f"{name} {low * factor:.3g} to {high * factor:.3g} {unit}")
    text = TEXT.format(
        name=folder.name,
        kind=about["kind"],
        particle=", ".join(PARTICLES[abs(code)] for code in source["training_particles"]),
        detector=about["detector"],
        parameters=about["parameters"],
        megabytes=(folder / "weights.safetensors").stat().st_size / 1e6,
        generator=find(provenance, "generator") or "Geant4",
        showers=source["training_showers"],
        ranges=", ".join(ranges),
        cut=f" Cells below {threshold:g} MeV are zero." if threshold else "",
        steps=source["training_steps"],
        minutes=source["training_seconds"] / 60,
        seed=provenance["seed"],
        version=provenance.get("caloforge", provenance.get("version", "")),
        condition=", ".join(about["condition"]),
        begun=BEGUN if provenance["config"].get("start_from") else "",
    )
    print(text)
    for report in reports:
        title, file = report.split("=", 1)
        print(f"{title}\n")
        table([f"{folder.name}={file}"])
        print()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
