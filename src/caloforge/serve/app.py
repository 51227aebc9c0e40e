"""The application: routes, limits, metrics, start and end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from caloforge._version import __version__
from caloforge.errors import CaloforgeError
from caloforge.runtime.engine import Engine
from caloforge.serve.guard import Guard
from caloforge.serve.kserve import kserve
from caloforge.serve.limits import Limits
from caloforge.serve.refusals import BAD, answer
from caloforge.serve.service import Service
from caloforge.serve.stream import stream
from caloforge.serve.view import view
from caloforge.showers import Showers

DESCRIPTION = """
Showers of a trained model. Incident energies are in GeV and angles in degrees in addresses, in MeV
and rad in tensors; deposits are in MeV.
"""


def create_app(
    engine: Engine, name: str, limits: Limits | None = None, geant4: Showers | None = None
) -> FastAPI:
    """The ASGI application that serves one model.

    Args:
        engine: runs the model.
        name: of the model, in addresses.
        limits: what a client may ask for.
        geant4: showers to draw beside the model's.
    """
    service = Service(name, engine, limits or Limits(), geant4)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await service.batcher.start()
        yield
        await service.batcher.stop()

    app = FastAPI(title="Caloforge", version=__version__, description=DESCRIPTION, lifespan=life)
    app.state.service = service
    app.add_middleware(Guard, service=service)
    app.add_exception_handler(CaloforgeError, answer)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _missing)
    for router in (kserve(service), stream(service), view(service)):
        app.include_router(router)

    @app.get("/metrics", tags=["Monitoring"], response_class=Response, summary="For Prometheus")
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    return app


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """A parameter of the wrong type."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][1:]) or "request"
    return JSONResponse({"error": f"{place}: {first['msg']}"}, BAD)


async def _missing(_: Request, error: Exception) -> JSONResponse:
    """No such address or method."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)
