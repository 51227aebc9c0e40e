"""Requests per second and latency of a service, against its batch size; and what it does when it is
asked for ten times as much as may wait.

The service is a process of its own; the clients share this one.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import numpy as np

from caloforge.errors import ConfigError, ModelError

OVERLOAD = 10
"""Times as many clients as showers may wait."""

PATIENCE = 60.0
"""s for an answer."""


@dataclass(frozen=True)
class ServiceTiming:
    """One row: requests of one shower each, by ``clients`` that ask again as soon as they have it.

    ``rate``: answered per second; ``p50``, ``p99``: ms from request to answer; ``refused``: share
    of the requests that were turned away (503), to come back when the answer says; ``failed``:
    requests without a proper answer.
    """

    batch: int
    clients: int
    rate: float
    p50: float
    p99: float
    refused: float
    failed: int


def bench_serve(
    model: str | Path,
    *,
    batches: Sequence[int] = (1, 16, 128),
    clients: Sequence[int] = (1, 32),
    seconds: float = 5.0,
    energy: float = 50.0,
    progress: Callable[[str], None] | None = None,
) -> list[ServiceTiming]:
    """Time a service at some batch sizes, with few and many clients, and overloaded.

    Args:
        model: folder, exported file or shipped name.
        batches: ``--batch`` of the service.
        clients: how many ask at the same time; the last number is also what may wait in the
            overloaded service.
        seconds: of every measurement.
        energy: GeV.
        progress: told what is measured.

    Raises:
        ConfigError: no clients or batches.
        ModelError: the service does not start.
    """
    if not batches or not clients or min(*batches, *clients) < 1:
        raise ConfigError("--batch and --clients: give positive numbers")
    tell = progress or (lambda _: None)
    rows = []
    for batch in batches:
        with _service(model, batch) as address:
            for number in clients:
                tell(f"batches of {batch}, {number} clients")
                rows.append(_measure(address, batch, number, seconds, energy))
    tell("overload")
    most = clients[-1]
    limits = ("--waiting", str(most), "--showers", str(most))
    with _service(model, batches[-1], *limits) as address:
        rows.append(_measure(address, batches[-1], OVERLOAD * most, seconds, energy))
    return rows


@contextmanager
def _service(model: str | Path, batch: int, *words: str) -> Iterator[str]:
    """The address of a running service."""
    command = [sys.executable, "-m", "caloforge", "serve", str(model), "--port", "0"]
    command += ["--name", "model", "--batch", str(batch), *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            found = re.search(r"http://[\d.]+:\d+", said)
            if found is None:
                raise ModelError(f"{model}: the service does not start: {said.strip()}")
            yield found.group()
        finally:
            process.terminate()


def _measure(
    address: str, batch: int, clients: int, seconds: float, energy: float
) -> ServiceTiming:
    spent, refused, failed = asyncio.run(_ask(address, clients, seconds, energy))
    done = np.array(spent or [np.nan])
    total = len(spent) + refused + failed
    p50, p99 = (1000 * float(value) for value in np.percentile(done, [50, 99]))
    share = refused / total if total else 0.0
    return ServiceTiming(batch, clients, len(spent) / seconds, p50, p99, share, failed)


async def _ask(
    address: str, clients: int, seconds: float, energy: float
) -> tuple[list[float], int, int]:
    """Seconds of every answer; how many were refused; how many failed."""
    import aiohttp

    tensor = {"name": "energy", "shape": [1], "datatype": "FP64", "data": [1000 * energy]}
    body = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
    spent: list[float] = []
    counts = {"refused": 0, "failed": 0}
    ways = aiohttp.TCPConnector(limit=0)
    patience = aiohttp.ClientTimeout(PATIENCE)
    async with aiohttp.ClientSession(address, connector=ways, timeout=patience) as client:

        async def one() -> tuple[int | None, float]:
            """The status of an answer, None where there is none; seconds to wait when refused."""
            try:
                async with client.post("/v2/models/model/infer", json=body) as response:
                    await response.read()
                    return response.status, float(response.headers.get("Retry-After", 0.1))
            except (aiohttp.ClientError, TimeoutError):
                return None, 0.0

        async def many() -> None:
            while time.perf_counter() < end:
                begin = time.perf_counter()
                status, wait = await one()
                if status == HTTPStatus.OK:
                    spent.append(time.perf_counter() - begin)
                elif status == HTTPStatus.SERVICE_UNAVAILABLE:
                    counts["refused"] += 1
                    await asyncio.sleep(wait)
                else:
                    counts["failed"] += 1

        await one()  # compiles
        end = time.perf_counter() + seconds
        await asyncio.gather(*(many() for _ in range(clients)))
    return spent, counts["refused"], counts["failed"]
