"""Steps of ordinary differential equations, unrolled: so many evaluations, whatever the values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch

Velocity = Callable[[torch.Tensor, float], torch.Tensor]
Solver = Literal["euler", "midpoint", "rk4"]


def integrate(velocity: Velocity, x: torch.Tensor, solver: Solver, steps: int) -> torch.Tensor:
    """``x`` (B, n) moved along dx/dt = velocity(x, t) from t = 0 to 1 in equal steps.

    An Euler step evaluates the velocity once, one of the midpoint rule twice, Runge-Kutta's four
    times.
    """
    width = 1.0 / steps
    advance = {"euler": _euler, "midpoint": _midpoint, "rk4": _rk4}[solver]
    for number in range(steps):
        x = x + width * advance(velocity, x, number * width, width)
    return x


def _euler(velocity: Velocity, x: torch.Tensor, t: float, width: float) -> torch.Tensor:
    return velocity(x, t)


def _midpoint(velocity: Velocity, x: torch.Tensor, t: float, width: float) -> torch.Tensor:
    half = 0.5 * width
    return velocity(x + half * velocity(x, t), t + half)


def _rk4(velocity: Velocity, x: torch.Tensor, t: float, width: float) -> torch.Tensor:
    half = 0.5 * width
    first = velocity(x, t)
    second = velocity(x + half * first, t + half)
    third = velocity(x + half * second, t + half)
    fourth = velocity(x + width * third, t + width)
    return (first + 2.0 * second + 2.0 * third + fourth) / 6.0
