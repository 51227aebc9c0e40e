"""How far engines agree per cell, a row each: ``python docs/engine_parity.py MODEL ...``.

MODEL is a model folder or a shipped name. Every engine makes the same showers from the same noise
as torch: 64 particles spread over what the model was trained on.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from caloforge.engines import open_engine
from caloforge.errors import CaloforgeError
from caloforge.export.parity import largest_difference
from caloforge.runtime import Engine
from caloforge.runtime.noise import shower_noise
from caloforge.runtime.trained import accepted_ranges

SHOWERS = 64
ENGINES = ("onnx", "openvino", "compact")
HEAD = ("model", "engine", "cells", "largest", "mean", "more than 1e-4 apart, %")


def particles(engine: Engine) -> np.ndarray:
    """(SHOWERS, C) conditions: each column evenly over its trained range, in its own order."""
    ranges, shuffle = accepted_ranges(engine), np.random.default_rng(1)
    columns = [
        shuffle.permutation(np.linspace(*ranges.get(name, (0.0, 0.0)), SHOWERS))
        for name in engine.description["condition"]
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def row(model: str, name: str, torch: Engine) -> tuple[str, ...]:
    """One engine against torch."""
    latent = torch.description["latent"]
    noise = shower_noise(1, 0, SHOWERS, latent["size"], latent["distribution"])
    condition, least = particles(torch), torch.calorimeter.cell_threshold
    expected = torch.run(condition, noise)
    found = open_engine(model, name).run(condition, noise)
    both = (expected > least) & (found > least)
    apart = np.abs(found[both] / expected[both] - 1)
    largest = largest_difference(found, expected, least)
    figures = f"{largest:.1e}", f"{apart.mean():.1e}", f"{100 * (apart > 1e-4).mean():.2g}"
    return Path(model).name, name, f"{int(both.sum()):,}", *figures


def main() -> None:
    """Print the table."""
    print("| " + " | ".join(HEAD) + " |")
    print("|" + "---|" * len(HEAD))
    for model in sys.argv[1:]:
        torch = open_engine(model, "torch")
        for name in ENGINES:
            try:
                print("| " + " | ".join(row(model, name, torch)) + " |", flush=True)
            except CaloforgeError as error:
                print(f"{model}: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
