"""Batch normalisation over the batch of all processes, on any device.

torch's SyncBatchNorm needs GPUs. Here means and variances of all processes are combined in float64
(T. Chan, G. Golub, R. LeVeque, 1979), so that two processes with half a batch each normalise as one
with the whole batch. Alone, and in eval mode, torch's own layers do the work, bit for bit.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from caloforge.models import together
from caloforge.models.draws import share


def share_statistics(network: nn.Module) -> None:
    """From now on the batch normalisations of ``network`` see the batch of all processes.

    Parameters, buffers and their names stay as they are.
    """
    for layer in network.modules():
        if isinstance(layer, _BatchNorm) and not isinstance(layer, _Shared):
            kind = type(layer)
            layer.__class__ = type(f"Shared{kind.__name__}", (_Shared, kind), {})


class _Shared(_BatchNorm):
    """Mixed in before a batch normalisation of torch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, ...) -> normalised."""
        if not self.training or share()[1] == 1:
            normalised: torch.Tensor = super().forward(x)
            return normalised
        self._check_input_dim(x)  # type: ignore[no-untyped-call]
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        mean, variance, count = _statistics(wide)
        self._remember(mean.detach(), variance.detach() * count / (count - 1.0))
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            scale = scale * self.weight
        shift = -mean * scale
        if self.affine:
            shift = shift + self.bias
        shape = [1, -1, *[1] * (x.dim() - 2)]
        scale, shift = (part.to(wide.dtype).view(shape) for part in (scale, shift))
        return (wide * scale + shift).to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        share = 1.0 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(variance.to(self.running_var.dtype), share)


def _statistics(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean and variance (C,) over all processes, and the number of values per channel; float64."""
    over = [axis for axis in range(x.dim()) if axis != 1]
    variance, mean = torch.var_mean(x, over, correction=0)
    mean, variance = mean.double(), variance.double()
    count = torch.full_like(mean[:1], x.numel() / x.shape[1])
    moments = together.total(torch.cat([count, count * mean, count * (variance + mean**2)]))
    count, rest = moments[0].detach(), moments[1:].view(2, -1) / moments[0].detach()
    return rest[0], (rest[1] - rest[0] ** 2).clamp(min=0.0), count
