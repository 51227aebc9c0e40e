"""What one stage of a two-stage model can do."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn


class Stage(nn.Module, ABC):
    """Generates standardised numbers (B, n) from as many normal ones, given a context (B, C)."""

    @abstractmethod
    def forward(self, noise: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Numbers (B, n) from ``noise`` (B, n); the same in, the same out."""

    @abstractmethod
    def loss(self, value: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """The loss of real numbers (B, n), a scalar."""
