"""Which numbers a training computes with, where the recipe leaves it to the machine."""

from __future__ import annotations

from typing import Literal

import torch

from caloforge.train.config import TrainingConfig

Precision = Literal["32-true", "bf16-mixed"]

PROCESSOR_CHECKS = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
"""torch's own tests of a processor; without such instructions bfloat16 takes 30 times as long."""


def precision_here(config: TrainingConfig) -> Precision:
    """The recipe's precision; of ``auto``, bfloat16 where this machine is fast with it."""
    if config.precision != "auto":
        return config.precision
    on_gpu = config.accelerator != "cpu" and torch.cuda.is_available()
    return "bf16-mixed" if fast_bfloat16(on_gpu=on_gpu) else "32-true"


def fast_bfloat16(*, on_gpu: bool) -> bool:
    """Whether the GPU, or else the processor, has instructions for bfloat16."""
    if on_gpu:
        return bool(torch.cuda.is_bf16_supported())
    checks = [getattr(torch.cpu, name, None) for name in PROCESSOR_CHECKS]
    return any(check is not None and bool(check()) for check in checks)
