"""The diffusion of Karras et al.: preconditioned denoiser, noise levels, loss, Heun's method.

Source: T. Karras et al., Elucidating the design space of diffusion-based generative models,
arXiv:2206.00364 (equations by their numbers there).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn

from caloforge.models.twostage.resnet import ResNet

Denoise = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Denoiser(nn.Module):
    """D(x, sigma) = c_skip x + c_out F(c_in x, ln(sigma) / 4), equation 7.

    Args:
        network: F.
        sigma_data: standard deviation of the data.
        least: noise level at which D(x) = x: 0 for diffusion, the smallest one for consistency
            models (Y. Song et al., arXiv:2303.01469, appendix C).
    """

    def __init__(self, network: ResNet, sigma_data: float, least: float = 0.0) -> None:
        super().__init__()
        self.network = network
        self.sigma_data, self.least = sigma_data, least

    def forward(self, x: torch.Tensor, sigma: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Data (B, n) without the noise of size ``sigma`` (B, 1)."""
        variance = self.sigma_data**2
        above = sigma - self.least
        scale = (sigma**2 + variance).rsqrt()
        skip = variance / (above**2 + variance)
        inner: torch.Tensor = self.network(x * scale, sigma.log() / 4.0, context)
        clean: torch.Tensor = skip * x + above * self.sigma_data * scale * inner
        return clean

    def loss(
        self, value: torch.Tensor, noise: torch.Tensor, sigma: torch.Tensor, context: torch.Tensor
    ) -> torch.Tensor:
        """Squared error of the network's target, equation 8 with the weights of table 1.

        Args:
            value: data (B, n); ``noise``, normal, likewise.
            sigma: (B, 1).
            context: (B, C).
        """
        weight = (sigma**2 + self.sigma_data**2) / (sigma * self.sigma_data) ** 2
        error = self(value + sigma * noise, sigma, context) - value
        mean: torch.Tensor = (weight * error.square()).mean()
        return mean


def noise_levels(steps: int, low: float, high: float, rho: float) -> list[float]:
    """``steps`` noise levels from ``high`` down to ``low``, equation 5."""
    first, last = high ** (1.0 / rho), low ** (1.0 / rho)
    return [(first + k / max(steps - 1, 1) * (last - first)) ** rho for k in range(steps)]


def heun_step(
    denoise: Denoise, x: torch.Tensor, sigma: torch.Tensor, lower: torch.Tensor
) -> torch.Tensor:
    """From noise level ``sigma`` to ``lower`` (both (B, 1)), algorithm 1 without churn."""
    slope = (x - denoise(x, sigma)) / sigma
    guess = x + (lower - sigma) * slope
    again = (guess - denoise(guess, lower)) / lower
    return x + (lower - sigma) * 0.5 * (slope + again)


def draw(denoise: Denoise, noise: torch.Tensor, levels: list[float]) -> torch.Tensor:
    """Data (B, n) from normal ``noise`` along the levels; the last step, to none, is Euler's."""

    def at(level: float) -> torch.Tensor:
        return torch.full_like(noise[:, :1], level)

    x = noise * levels[0]
    for level, lower in pairwise(levels):
        x = heun_step(denoise, x, at(level), at(lower))
    return denoise(x, at(levels[-1]))
