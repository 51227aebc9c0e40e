"""What an exported file says about itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from caloforge.artifact import Artifact
from caloforge.atomic import atomic_file, check_folder
from caloforge.errors import ConfigError, ModelError

UNITS = {"energy": "MeV", "pdg": "PDG code", "theta": "rad", "phi": "rad"} | dict.fromkeys(
    "xyz", "mm"
)


def native_metadata(artifact: Artifact) -> dict[str, Any]:
    """Of a file with the native contract: condition and noise in, MeV per cell out."""
    latent = artifact.model.latent
    return {
        **artifact.description,
        "geometry": artifact.calorimeter.to_yaml(),
        "inputs": {
            "condition": [f"{name} [{UNITS[name]}]" for name in artifact.model.condition_columns],
            "noise": f"{latent.size} numbers, {latent.distribution}",
        },
        "output": "energy [MeV] per cell, layer by layer; cells below the threshold are zero",
    }


def check_output(artifact: Artifact, output: Path, suffixes: tuple[str, ...]) -> None:
    """Before any work: can this model become such a file?

    Raises:
        ModelError: the model has no graph.
        ConfigError: the file has another ending.
        OutputError: the folder is missing.
    """
    if not artifact.model.exportable:
        raise ModelError(
            f"{artifact.path}: model '{artifact.model.kind}' cannot be exported to ONNX; "
            "run its folder with 'caloforge generate'"
        )
    if output.suffix not in suffixes:
        raise ConfigError(
            f"{output}: such an export ends in {' or '.join(suffixes)}; "
            f"write to {output.stem}{suffixes[0]}"
        )
    check_folder(output)


@contextmanager
def with_side_file(output: Path, metadata: dict[str, Any]) -> Iterator[Path]:
    """Write ``output`` under a temporary name, and the metadata as JSON beside it.

    Both appear when the block ends without an error. Yields the temporary name.
    """
    side = output.with_suffix(".json")
    check_folder(side)
    with atomic_file(output) as partial, atomic_file(side) as partial_side:
        yield partial
        partial_side.write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
