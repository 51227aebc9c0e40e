"""Moving averages of a network's weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from caloforge.models.precision import call_with


class WeightAverage(nn.Module):
    """An exponential moving average of the parameters of a network, kept in buffers."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._places = {name: name.replace(".", "__") for name, _ in network.named_parameters()}
        for name, value in network.named_parameters():
            self.register_buffer(self._places[name], value.detach().clone())

    @torch.no_grad()
    def update(self, network: nn.Module, decay: float) -> None:
        """average = decay x average + (1 - decay) x weights; with 0 it takes the weights."""
        weights = self.weights()
        for name, value in network.named_parameters():
            weights[name].lerp_(value, 1.0 - decay)

    def weights(self) -> dict[str, torch.Tensor]:
        """The averages by the names of the network's parameters."""
        return {name: self.get_buffer(place) for name, place in self._places.items()}

    def run(self, network: nn.Module, *inputs: torch.Tensor) -> Any:
        """``network(*inputs)`` with the averages as its weights."""
        return call_with(network, self.weights(), inputs)


def inverse_decay(step: int, power: float, most: float) -> float:
    """The decay after ``step`` steps, 1 - (1 + step)^-power, at most ``most``.

    Source: the warm-up of k-diffusion, as CaloClouds II uses it.
    """
    return min(most, 1.0 - float((1.0 + step) ** -power))
