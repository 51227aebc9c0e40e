"""Learning rates as functions of the step number: a resumed training goes on bit for bit."""

from __future__ import annotations

import math

import torch


def one_cycle(
    done: float, *, start: float = 0.04, warm_up: float = 0.3, end: float = 4e-6
) -> float:
    """Learning rate over its peak after the share ``done`` of the steps (later ones: the end).

    From ``start`` up to 1 along a cosine over the share ``warm_up``, then down to ``end``. The
    defaults are those of torch's OneCycleLR (L. N. Smith, N. Topin, arXiv:1708.07120).
    """
    if done < warm_up:
        low, part = start, 1.0 - done / warm_up
    else:
        low, part = end, min(1.0, (done - warm_up) / (1.0 - warm_up))
    return low + (1.0 - low) * 0.5 * (1.0 + math.cos(math.pi * part))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
