"""Inference in another precision than training's, without a second copy of the weights.

Small cell energies are differences of large numbers: in float32 two engines, or two batch sizes,
disagree there by parts in a thousand, in float64 they agree.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import nn
from torch.func import functional_call

Inference = Literal["float64", "float32"]
"""float64: every engine and batch size gives the same cells; float32: less memory and time."""


def dtype_of(inference: Inference) -> torch.dtype:
    """The dtype by its name in a configuration."""
    return torch.float64 if inference == "float64" else torch.float32


def infer(network: nn.Module, *inputs: torch.Tensor) -> Any:
    """``network(*inputs)`` with weights and buffers in the dtype of the first input."""
    dtype = inputs[0].dtype
    state = {
        name: value.to(dtype) if value.is_floating_point() else value
        for name, value in (*network.named_parameters(), *network.named_buffers())
    }
    return call_with(network, state, inputs)


def call_with(
    network: nn.Module, state: Mapping[str, torch.Tensor], inputs: tuple[torch.Tensor, ...]
) -> Any:
    """``network(*inputs)`` with other weights and buffers, by name."""
    if not torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        return functional_call(network, dict(state), inputs)
    copied = copy.deepcopy(network)  # TorchScript knows no functional_call
    for prefix, module in copied.named_modules():
        for held in (module._parameters, module._buffers):
            for key in held:
                name = f"{prefix}.{key}" if prefix else key
                held[key] = state.get(name, held[key])
    return copied(*inputs)
