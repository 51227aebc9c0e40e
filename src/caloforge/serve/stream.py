"""Showers as a stream of Arrow record batches: any number, in any language, as they are made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import numpy as np
import pyarrow as pa
from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from caloforge.beam import particles
from caloforge.serve.particles import Asked, any_seed, asked, check_number
from caloforge.serve.refusals import REFUSALS
from caloforge.serve.service import Service
from caloforge.showers import Showers

ARROW = "application/vnd.apache.arrow.stream"

ENERGY = Query(examples=["50", "10:100"], description="GeV: a value, lo:hi or a comma list.")
THETA = Query(None, description="Degrees, as energy; 90 is normal incidence.")
PHI = Query(None, description="Degrees around the normal, as energy.")
PARTICLE = Query(None, description="Where the model knows several: e-, gamma, ... or a PDG code.")
NUMBER = Query(1, description="Number of showers.")
SEED = Query(None, description="Same seed, same showers as 'caloforge generate'.")


def stream(service: Service) -> APIRouter:
    """The route ``/showers``."""
    router = APIRouter(tags=["Showers"], responses=REFUSALS)

    @router.get(
        "/showers",
        summary="A stream of showers",
        response_class=StreamingResponse,
        responses={200: {"content": {ARROW: {"schema": {"type": "string", "format": "binary"}}}}},
    )
    async def showers(
        energy: str = ENERGY,
        theta: str | None = THETA,
        phi: str | None = PHI,
        particle: str | None = PARTICLE,
        n: int = NUMBER,
        seed: int | None = SEED,
    ) -> StreamingResponse:
        """Columns: the incident particle (MeV, rad, mm), `cell` and `deposit` (MeV), lists.

        The seed and what to know about the particles are in the schema's metadata.
        """
        check_number(n, service.limits)
        seed = any_seed() if seed is None else seed
        beam = particles(n, energy, theta=theta, phi=phi, particle=particle, seed=seed)
        wanted = asked(service.engine, beam, seed, 0, service.limits)
        parts = service.batcher.showers(*wanted[:3])
        first = await anext(parts)  # so that refusals still have a status
        return StreamingResponse(_bytes(wanted, first, parts), media_type=ARROW)

    return router


async def _bytes(
    wanted: Asked, first: Showers, parts: AsyncIterator[Showers]
) -> AsyncIterator[bytes]:
    schema = _schema(list(wanted.incident), wanted.seed, wanted.notes)
    yield _header(schema)
    yield _batch(schema, first)
    async for part in parts:
        yield _batch(schema, part)
    yield END


END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""The end of a stream (Arrow columnar format, IPC streaming)."""


def _schema(names: Sequence[str], seed: int, notes: Sequence[str]) -> pa.Schema:
    columns = [pa.field(name, pa.float64()) for name in names]
    hits = [pa.field("cell", pa.list_(pa.uint32())), pa.field("deposit", pa.list_(pa.float32()))]
    return pa.schema([*columns, *hits], {"seed": str(seed), "warning": "; ".join(notes)})


def _header(schema: pa.Schema) -> bytes:
    return bytes(schema.serialize().to_pybytes())


def _batch(schema: pa.Schema, showers: Showers) -> bytes:
    incident = [pa.array(showers.incident[name]) for name in schema.names[:-2]]
    offset = pa.array(showers.offset.astype(np.int32))
    hits = [
        pa.ListArray.from_arrays(offset, pa.array(values))
        for values in (showers.cell.astype(np.uint32), showers.energy.astype(np.float32))
    ]
    batch = pa.record_batch([*incident, *hits], schema=schema)
    return bytes(batch.serialize().to_pybytes())
