"""Showers of many requests made together: an engine is fastest with many at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import CaloforgeError
from caloforge.runtime.engine import Engine
from caloforge.runtime.generate import showers_of
from caloforge.runtime.noise import shower_noise
from caloforge.serve.limits import Limits
from caloforge.serve.metrics import Metrics
from caloforge.serve.refusals import BUSY, RefusalError
from caloforge.showers import Incident, Showers


@dataclass
class _Piece:
    """A part of a request, at most a batch."""

    incident: Incident
    noise: NDArray[np.float32]
    made: asyncio.Future[Showers] = field(repr=False)


class Batcher:
    """Collects what is asked for and hands it to the engine, one batch after the other.

    Args:
        engine: runs the model, in a thread of its own.
        limits: how large a batch is, how long it waits for company, how much may wait.
        metrics: told of batches.
    """

    def __init__(self, engine: Engine, limits: Limits, metrics: Metrics) -> None:
        self.engine, self.limits, self.metrics = engine, limits, metrics
        self.accepting = False
        self._waiting = 0

    async def start(self) -> None:
        """Begin to work, in the event loop that runs."""
        self._pieces: asyncio.Queue[_Piece] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, "engine")
        self._task = asyncio.create_task(self._work())
        self.accepting = True

    async def stop(self) -> None:
        """Finish what waits, refuse what is new."""
        self.accepting = False
        await self._pieces.join()
        self._task.cancel()
        self._thread.shutdown()

    async def showers(
        self, incident: Incident, seed: int, first: int = 0
    ) -> AsyncIterator[Showers]:
        """Showers for particles that have all columns that the model needs, batch by batch.

        Shower ``first`` + k of a seed is the one that ``caloforge generate`` makes.

        Raises:
            RefusalError: too many wait already, or the service is about to stop.
            ModelError: the model made something that is not a shower.
        """
        n = len(incident)
        if not self.accepting:
            raise RefusalError(BUSY, "this service is stopping; ask another one", retry=5)
        if self._waiting + n > self.limits.waiting:
            raise RefusalError(
                BUSY, f"{self._waiting} showers wait already; try again later", retry=1
            )
        latent = self.engine.description["latent"]
        loop = asyncio.get_running_loop()
        pieces = []
        for start in range(0, n, self.limits.batch):
            stop = min(start + self.limits.batch, n)
            noise = shower_noise(
                seed, first + start, first + stop, latent["size"], latent["distribution"]
            )
            made: asyncio.Future[Showers] = loop.create_future()
            pieces.append(_Piece(incident.take(slice(start, stop)), noise, made))
        self._wait_for(n)
        for piece in pieces:
            self._pieces.put_nowait(piece)
        try:
            for piece in pieces:
                yield await piece.made
        finally:
            for piece in pieces:
                piece.made.cancel()  # of a client that went away: not made any more

    def _wait_for(self, showers: int) -> None:
        self._waiting += showers
        self.metrics.waiting.set(self._waiting)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        held: _Piece | None = None
        while True:
            first = held or await self._pieces.get()
            pieces, held = await self._company(first)
            wanted = [piece for piece in pieces if not piece.made.cancelled()]
            if wanted:
                begin = perf_counter()
                made = await loop.run_in_executor(self._thread, _surely, self.engine, wanted)
                self.metrics.batch(sum(len(piece.incident) for piece in wanted), begin)
                for piece, result in zip(wanted, made, strict=True):
                    _tell(piece, result)
            self._wait_for(-sum(len(piece.incident) for piece in pieces))
            for _ in pieces:
                self._pieces.task_done()

    async def _company(self, first: _Piece) -> tuple[list[_Piece], _Piece | None]:
        """The pieces of the next batch, and one that did not fit any more."""
        pieces, size = [first], len(first.incident)
        loop = asyncio.get_running_loop()
        end = loop.time() + self.limits.wait
        while size < self.limits.batch:
            try:
                left = end - loop.time()
                next_one = (
                    self._pieces.get_nowait()
                    if left <= 0
                    else await asyncio.wait_for(self._pieces.get(), left)
                )
            except (TimeoutError, asyncio.QueueEmpty):
                break
            size += len(next_one.incident)
            if size > self.limits.batch:
                return pieces, next_one
            pieces.append(next_one)
        return pieces, None


def _tell(piece: _Piece, result: Showers | Exception) -> None:
    if piece.made.cancelled():
        return
    if isinstance(result, Showers):
        piece.made.set_result(result)
    else:
        piece.made.set_exception(result)


def _surely(engine: Engine, pieces: list[_Piece]) -> Sequence[Showers | Exception]:
    """As :func:`_made`; what nobody expected is told to the requests, and the work goes on."""
    try:
        return _made(engine, pieces)
    except Exception as error:
        logging.getLogger("uvicorn.error").exception("the engine failed")
        return [error] * len(pieces)


def _made(engine: Engine, pieces: list[_Piece]) -> list[Showers | CaloforgeError]:
    """The showers of every piece, from one call; a piece that the model fails at fails alone."""
    incident = Incident.concatenate([piece.incident for piece in pieces])
    noise = np.concatenate([piece.noise for piece in pieces])
    try:
        showers = showers_of(engine, incident, noise)
    except CaloforgeError as error:
        if len(pieces) == 1:
            return [error]
        return [_made(engine, [piece])[0] for piece in pieces]
    ends = np.cumsum([0, *(len(piece.incident) for piece in pieces)]).tolist()
    return [showers[a:b] for a, b in pairwise(ends)]
