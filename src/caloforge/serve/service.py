"""What the routes share: the model, its batcher, its limits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from fastapi import Request

from caloforge.runtime.engine import Engine
from caloforge.serve.batcher import Batcher
from caloforge.serve.limits import Limits
from caloforge.serve.metrics import Metrics
from caloforge.serve.particles import Asked
from caloforge.serve.refusals import MISSING, TOO_LARGE, RefusalError
from caloforge.showers import Showers


@dataclass(frozen=True)
class Service:
    """One model that is served under ``name``; ``geant4`` are showers to look at beside its own."""

    name: str
    engine: Engine
    limits: Limits
    geant4: Showers | None = None

    @cached_property
    def metrics(self) -> Metrics:
        """Counters."""
        return Metrics()

    @cached_property
    def batcher(self) -> Batcher:
        """Makes the showers."""
        return Batcher(self.engine, self.limits, self.metrics)

    def require(self, name: str) -> None:
        """Refuse other models.

        Raises:
            RefusalError: naming the one that is here.
        """
        if name != self.name:
            raise RefusalError(MISSING, f"no model '{name[:80]}'; this service has '{self.name}'")

    async def all_of(self, asked: Asked) -> Showers:
        """The showers, when the last one is made."""
        parts = [part async for part in self.batcher.showers(*asked[:3])]
        return Showers.concatenate(parts)

    async def body_of(self, request: Request) -> bytes:
        """The body, as far as it is not too long.

        Raises:
            RefusalError: it is.
        """
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > self.limits.body:
                raise RefusalError(
                    TOO_LARGE, f"more than {self.limits.body} bytes; ask several times"
                )
            parts.append(part)
        return b"".join(parts)
