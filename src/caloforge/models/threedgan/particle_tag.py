"""Which of several kinds a particle is: PDG codes, classes, and the generator's vectors of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from caloforge.errors import ConfigError
from caloforge.models import keras


class TaggedGenerator(nn.Module, ABC):
    """A generator of images that may know several kinds of particles.

    Args:
        vector_size: numbers of the vector that stands for a particle.
        classes: how many kinds of particles; with none there is no vector, and no parameter.
    """

    def __init__(self, vector_size: int, classes: int) -> None:
        super().__init__()
        self.particle: nn.Embedding | None = None
        if classes:
            self.particle = nn.Embedding(classes, vector_size)
            keras.fill(self.particle.weight, "glorot_normal", classes, vector_size)

    @abstractmethod
    def infer(self, latent: torch.Tensor) -> torch.Tensor:
        """The image (B, 1, x, y, depth) with the running means, in the dtype of ``latent``."""

    def vector_of(self, label: torch.Tensor) -> torch.Tensor:
        """(B,) numbers of classes -> (B, vector_size)."""
        assert self.particle is not None
        vector: torch.Tensor = self.particle(label)
        return vector


class ParticleTag:
    """Numbers the PDG ``codes`` in their order."""

    def __init__(self, codes: Sequence[int]) -> None:
        self.codes = tuple(codes)

    def labels(self, pdg: torch.Tensor) -> torch.Tensor:
        """(B,) PDG codes -> (B,) int64 numbers of their classes.

        Raises:
            ConfigError: a particle is of no class.
        """
        return self._one_hot(pdg).long().argmax(dim=1)

    def vectors(self, pdg: torch.Tensor, generator: TaggedGenerator, like: torch.Tensor) -> Any:
        """(B,) PDG codes -> (B, vector_size), in the dtype of ``like``.

        Raises:
            ConfigError: a particle is of no class.
        """
        assert generator.particle is not None
        return self._one_hot(pdg).to(like) @ generator.particle.weight.to(like)

    def _one_hot(self, pdg: torch.Tensor) -> torch.Tensor:
        codes = torch.tensor(self.codes, dtype=pdg.dtype, device=pdg.device)
        found = pdg[:, None] == codes
        if not torch.compiler.is_exporting() and not bool(found.any(dim=1).all()):
            self.require(pdg.cpu().numpy(), "these particles")
        return found

    def require(self, pdg: NDArray[Any], what: str) -> None:
        """Check that all codes are known.

        Raises:
            ConfigError: a particle is of no class; says which.
        """
        others = sorted({int(code) for code in np.unique(pdg)} - set(self.codes))
        if others:
            known = ", ".join(map(str, self.codes))
            raise ConfigError(
                f"{what}: PDG code {others[0]} is not one of the model's classes ({known}); leave "
                "it out, or train with it in model.classes"
            )
