"""Runs the folder of a layered model as it is: no torch, no export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from caloforge.errors import ModelError, one_line
from caloforge.geometry import Calorimeter
from caloforge.sampling import Hits, LayeredSampler
from caloforge.showers import file_digest


class CompactEngine:
    """A layered model read from its folder.

    Args:
        path: the folder.
        threads: CPU threads; all cores when 0.

    Raises:
        ModelError: the folder is unfinished or damaged.
        GeometryError: its geometry file is damaged.
    """

    name = "compact"

    def __init__(self, path: str | Path, threads: int = 0) -> None:
        self.path = Path(path)
        weights = self.path / "weights.safetensors"
        try:
            text = (self.path / "artifact.json").read_text(encoding="utf-8")
            self.description: dict[str, Any] = json.loads(text)
            state = load_file(weights)
            self.calorimeter = Calorimeter.from_file(self.path / "geometry.yaml")
            self.sampler = LayeredSampler(
                self.calorimeter, self.description["config"], state, threads
            )
        except (OSError, ValueError, KeyError, SafetensorError, ModelError) as error:
            text = one_line(error)[:200]
            raise ModelError(
                f"{self.path}: not a whole layered model ({text}); copy or train it again"
            ) from error
        self.inputs = {self.path.name: file_digest(weights)}

    def run(
        self, condition: NDArray[np.float32], noise: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(B, C) conditions and (B, latent) noise -> (B, n_cells) MeV."""
        return self.sampler.dense(condition, noise)

    def hits(self, condition: NDArray[np.float32], noise: NDArray[np.float32]) -> Hits:
        """The same as hits."""
        return self.sampler.hits(condition, noise)
