"""The routes of KServe's predict protocol, version 2."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from caloforge._version import __version__
from caloforge.serve.particles import asked
from caloforge.serve.refusals import BAD, BUSY, REFUSALS, TOO_LARGE, RefusalError
from caloforge.serve.service import Service
from caloforge.serve.tensors import (
    HEADER,
    InferRequest,
    InferResponse,
    read_request,
    whole,
    write_response,
)
from caloforge.showers import COLUMNS, Incident, Showers

SPARSE = ("offset", "cell", "deposit")
"""Showers as hits: shower k owns hits offset[k] to offset[k + 1], in cells, with MeV."""

DENSE = "image"
"""MeV in every cell (n, cells)."""

LARGEST = 2**23
"""Cells of all images in one response: 32 MiB, several times that as JSON."""

AT_ONCE = 2**15
"""Numbers of a response that are written while other requests wait."""


class Live(BaseModel):
    """Whether the process answers."""

    live: bool = True


class Ready(BaseModel):
    """Whether showers can be asked for."""

    ready: bool = True


class Server(BaseModel):
    """What answers."""

    name: str = "caloforge"
    version: str = __version__
    extensions: list[str] = ["binary_tensor_data"]


class Tensor(BaseModel):
    """Name, type and shape of a tensor; -1 is any number."""

    name: str
    datatype: str
    shape: list[int]


class Metadata(BaseModel):
    """What a model takes and gives; incident energies in MeV, angles in rad, points in mm."""

    name: str
    platform: str
    inputs: list[Tensor]
    outputs: list[Tensor]
    detector: str
    geometry: str


class ModelReady(Ready):
    """Whether a model can be asked."""

    name: str


BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": InferRequest.model_json_schema()}},
    }
}


def kserve(service: Service) -> APIRouter:
    """The routes under ``/v2``."""
    router = APIRouter(prefix="/v2", tags=["KServe v2"], responses=REFUSALS)

    @router.get("", summary="Server metadata")
    async def server() -> Server:
        return Server()

    @router.get("/health/live", summary="Server live")
    async def live() -> Live:
        return Live()

    @router.get("/health/ready", summary="Server ready")
    async def ready() -> Ready:
        _check_ready(service)
        return Ready()

    @router.get("/models/{name}", summary="Model metadata")
    async def metadata(name: str) -> Metadata:
        service.require(name)
        return _metadata(service)

    @router.get("/models/{name}/ready", summary="Model ready")
    async def model_ready(name: str) -> ModelReady:
        service.require(name)
        _check_ready(service)
        return ModelReady(name=name)

    @router.post(
        "/models/{name}/infer",
        summary="Inference",
        response_model=InferResponse,
        openapi_extra=BODY,
    )
    async def infer(name: str, request: Request) -> Response:
        """One shower per particle. Inputs are the model's columns, `energy` in MeV first.

        Parameters `seed` and `first` fix the showers; without a seed one is drawn, and is in the
        response. Outputs are `offset`, `cell` and `deposit` (hits, MeV) unless `image` (all cells)
        is asked for.
        """
        service.require(name)
        body = await service.body_of(request)
        wanted, tensors = read_request(body, request.headers.get(HEADER))
        names = _outputs(wanted)
        seed, first = whole(wanted.parameters, "seed"), whole(wanted.parameters, "first") or 0
        particles = asked(service.engine, _incident(tensors), seed, first, service.limits)
        if DENSE in names:
            _check_images(len(particles.incident), service.engine.calorimeter.n_cells)
        showers = await service.all_of(particles)
        parameters: dict[str, str | int] = {"seed": particles.seed, "first": first}
        if particles.notes:
            parameters["warning"] = "; ".join(particles.notes)

        def written() -> tuple[bytes, dict[str, str]]:
            return write_response(name, wanted, _tensors(showers, names), parameters)

        large = DENSE in names or showers.n_hits > AT_ONCE
        content, headers = await run_in_threadpool(written) if large else written()
        return Response(content, headers=headers)

    return router


def _check_ready(service: Service) -> None:
    if not service.batcher.accepting:
        raise RefusalError(BUSY, "not ready", retry=5)


def _check_images(n: int, cells: int) -> None:
    if n * cells > LARGEST:
        raise RefusalError(
            TOO_LARGE,
            f"output '{DENSE}' of {n} showers with {cells} cells each; at most "
            f"{max(1, LARGEST // cells)} showers, or ask for {', '.join(SPARSE)}",
        )


def _metadata(service: Service) -> Metadata:
    calorimeter = service.engine.calorimeter
    inputs = ["energy", *(n for n in service.engine.description["condition"] if n != "energy")]
    return Metadata(
        name=service.name,
        platform=f"caloforge_{service.engine.name}",
        inputs=[Tensor(name=name, datatype="FP64", shape=[-1]) for name in inputs],
        outputs=[
            Tensor(name="offset", datatype="INT64", shape=[-1]),
            Tensor(name="cell", datatype="UINT32", shape=[-1]),
            Tensor(name="deposit", datatype="FP32", shape=[-1]),
            Tensor(name=DENSE, datatype="FP32", shape=[-1, calorimeter.n_cells]),
        ],
        detector=calorimeter.name,
        geometry=calorimeter.hash,
    )


def _outputs(request: InferRequest) -> list[str]:
    names = list(SPARSE) if request.outputs is None else [one.name for one in request.outputs]
    unknown = [name for name in names if name not in (*SPARSE, DENSE)]
    if unknown or not names:
        word = unknown[0][:40] if unknown else ""
        raise RefusalError(BAD, f"output '{word}': choose from {', '.join(SPARSE)}, {DENSE}")
    return names


def _incident(tensors: dict[str, Any]) -> Incident:
    unknown = [name for name in tensors if name not in COLUMNS]
    if unknown:
        raise RefusalError(BAD, f"input '{unknown[0][:40]}': choose from {', '.join(COLUMNS)}")
    return Incident(tensors)


def _tensors(showers: Showers, names: list[str]) -> dict[str, Any]:
    return {name: _tensor(showers, name) for name in names}


def _tensor(showers: Showers, name: str) -> Any:
    if name == "offset":
        return showers.offset.astype(np.int64)
    if name == "cell":
        return showers.cell.astype(np.uint32)
    return (showers.energy if name == "deposit" else showers.dense()).astype(np.float32)
