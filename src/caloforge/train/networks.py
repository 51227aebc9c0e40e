"""What the recipe asks of the networks before the first step: memory order, compilation."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import torch
from torch import nn

from caloforge.errors import ConfigError, TrainingError, one_line

_COMPILERS = ("g++", "clang++", "c++")


def channels_last(model: nn.Module) -> None:
    """Keep the weights of convolutions channels-last; the images follow."""
    orders = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in model.parameters():
        if parameter.dim() in orders:
            parameter.data = parameter.data.contiguous(memory_format=orders[parameter.dim()])


def compile_networks(model: nn.Module, device: torch.device) -> None:
    """Compile every network of the model, at its first use; names of weights stay as they are.

    Raises:
        ConfigError: there is no compiler for this device.
    """
    if device.type == "cuda" and find_spec("triton") is None:
        raise ConfigError(
            "training.compile=true needs triton for GPUs; pip install triton, or leave it out"
        )
    compilers = [os.environ.get("CXX", ""), *_COMPILERS]
    if device.type == "cpu" and not any(map(shutil.which, compilers)):
        raise ConfigError(
            f"training.compile=true needs a C++ compiler ({', '.join(_COMPILERS)} or CXX); install "
            "one, or leave it out"
        )
    for network in model.children():
        network.compile()


@contextmanager
def explained() -> Iterator[None]:
    """Turn what torch raises when it cannot compile, or be deterministic, into one clear error.

    Raises:
        TrainingError: names the option to change.
    """
    try:
        yield
    except RuntimeError as error:
        text = one_line(error)
        if "deterministic" in text:
            raise TrainingError(
                f"training.deterministic=true: {text[:150]}; set it to false, or train on CPUs"
            ) from error
        if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise TrainingError(
                f"training.compile=true: {type(error).__name__}: {text[:150]}; leave it out"
            ) from error
        raise
