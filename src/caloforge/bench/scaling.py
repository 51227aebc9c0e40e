"""What training costs on many processes: a model of the all-reduce, and its two numbers from here.

A sum of n bytes over W processes takes, with latency a per message and b bytes per second per link,

    ring    2 (W - 1) a + 2 (W - 1) / W n / b      (R. Rabenseifner, ICCS 2004; Horovod, NCCL)
    tree    2 ceil(log2 W) (a + n / b)             (short messages)

and libraries take the faster one. Our sums do not overlap with the gradients' computation, so a
step takes the sum of both. Every process reads the showers of all of them (and keeps its own), in
threads beside the computation, so a step takes at least that long.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PUBLISHED = {"3DGAN, 128 Xeon nodes": 0.94, "3DGAN, 128 V100": 0.80}
"""Weak scaling as published (see docs/results.md)."""

WORLDS = (1, 2, 4, 8, 16, 32, 64, 128)


@dataclass(frozen=True)
class Network:
    """``latency`` s per message, ``bandwidth`` bytes/s of a process's link."""

    latency: float
    bandwidth: float

    def seconds(self, n: float, world: int) -> float:
        """Time of a sum of ``n`` bytes over ``world`` processes."""
        if world == 1:
            return 0.0
        ring = 2 * (world - 1) * (self.latency + n / world / self.bandwidth)
        tree = 2 * math.ceil(math.log2(world)) * (self.latency + n / self.bandwidth)
        return min(ring, tree)

    @classmethod
    def fitted(cls, sizes: Sequence[float], seconds: Sequence[float], world: int) -> Network:
        """From times of sums over ``world`` processes, each weighing the same (relative errors)."""
        n, t = np.asarray(sizes, float), np.asarray(seconds, float)
        slope, offset = np.polyfit(n, t, 1, w=1.0 / t)
        hops = 2 * (world - 1)
        slope = max(float(slope), 1e-15)
        return cls(max(float(offset), 0.0) / hops, hops / world / slope)


@dataclass(frozen=True)
class Step:
    """A training step of one process: ``seconds`` of computation; ``messages`` (bytes) summed with
    the others; ``showers`` of its own; ``read_rate`` showers/s that it can read.
    """

    seconds: float
    messages: tuple[int, ...]
    showers: int
    read_rate: float

    def on(self, network: Network, world: int) -> float:
        """Seconds of the same step as one of ``world`` processes."""
        summed = sum(network.seconds(n, world) for n in self.messages)
        return max(self.seconds + summed, world * self.showers / self.read_rate)

    def efficiency(self, network: Network, world: int) -> float:
        """Showers per second and process, over those of one process alone."""
        return self.on(network, 1) / self.on(network, world)
