"""The latent numbers of a variational autoencoder (D. Kingma, M. Welling, arXiv:1312.6114)."""

from __future__ import annotations

import math

import torch

from caloforge.models import draws

TINY = 2.0**-25
"""Half of the smallest step of uniform float32 numbers: keeps their logarithms finite."""


def sample(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Random latents (B, ...) of the posterior, differentiable in its parameters."""
    noise = draws.normal(*mean.shape, device=mean.device)
    return mean + torch.exp(0.5 * log_variance) * noise


def divergence(
    mean: torch.Tensor,
    log_variance: torch.Tensor,
    prior_mean: torch.Tensor | None = None,
    prior_log_variance: torch.Tensor | None = None,
) -> torch.Tensor:
    """Kullback-Leibler divergence KL(posterior || prior) of independent normal latents (...,).

    The prior is standard normal unless given. The last axis is summed.
    """
    if prior_mean is None or prior_log_variance is None:
        terms = mean**2 + log_variance.exp() - 1.0 - log_variance
    else:
        apart = log_variance - prior_log_variance
        pull = (mean - prior_mean) ** 2 * torch.exp(-prior_log_variance)
        terms = pull + apart.exp() - 1.0 - apart
    return 0.5 * terms.sum(-1)


def normal_from_uniform(uniform: torch.Tensor) -> torch.Tensor:
    """Standard normal numbers (B, n) from as many uniform ones in [0, 1], n even.

    G. Box, M. Muller, Ann. Math. Stat. 29 (1958) 610. In a graph it takes only logarithms, roots
    and cosines, which runtimes have in double precision, unlike the inverse error function.
    """
    first, second = uniform.clamp(TINY, 1.0 - TINY).chunk(2, dim=-1)
    radius = torch.sqrt(-2.0 * torch.log(first))
    angle = second * torch.tensor(2.0 * math.pi, dtype=uniform.dtype, device=uniform.device)
    return torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], dim=-1)
