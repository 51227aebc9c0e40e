"""A page that draws a generated shower in 3-D, beside one of Geant4's."""

from __future__ import annotations

from importlib import resources

import numpy as np
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from caloforge.beam import particles
from caloforge.geometry import Calorimeter
from caloforge.serve.particles import any_seed, asked
from caloforge.serve.refusals import MISSING, REFUSALS, RefusalError
from caloforge.serve.service import Service
from caloforge.showers import Incident, Showers

SHOWN = 4000
"""Hits that are drawn at most, the most energetic ones."""


class Drawn(BaseModel):
    """A shower to draw: incident energy (GeV), theta (degrees), hits in mm and MeV."""

    energy: float
    theta: float
    deposited: float
    x: list[float]
    y: list[float]
    z: list[float]
    deposit: list[float]


class About(BaseModel):
    """What the page needs to know of the model: ranges in GeV and degrees.

    ``box``: the ranges (mm) of depth, x and y that the cells' centres have; ``threshold`` in MeV.
    """

    name: str
    detector: str
    energy: list[float]
    theta: list[float] | None
    geant4: bool
    box: list[list[float]]
    threshold: float


def view(service: Service) -> APIRouter:
    """The page and what it asks for."""
    router = APIRouter(tags=["Page"], responses=REFUSALS)

    @router.get("/", include_in_schema=False)
    async def page() -> Response:
        return Response(_file("page.html"), media_type="text/html; charset=utf-8")

    @router.get("/plotly.js", include_in_schema=False)
    async def plotly() -> Response:
        from plotly.offline import get_plotlyjs

        headers = {"Cache-Control": "max-age=86400"}
        return Response(get_plotlyjs(), headers=headers, media_type="text/javascript")

    @router.get("/view/about", summary="The model")
    async def about() -> About:
        return _about(service)

    @router.get("/view/generated", summary="A generated shower")
    async def generated(
        energy: float = Query(50.0, description="GeV"),
        theta: float = Query(90.0, description="Degrees"),
        seed: int | None = None,
    ) -> Drawn:
        seed = any_seed() if seed is None else seed
        beam = _beam(service, energy, theta, seed)
        return _drawn(await service.all_of(asked(service.engine, beam, seed, 0, service.limits)))

    @router.get("/view/geant4", summary="Geant4's shower with the nearest energy and angle")
    async def geant4(
        energy: float = Query(50.0, description="GeV"),
        theta: float = Query(90.0, description="Degrees"),
    ) -> Drawn:
        if service.geant4 is None:
            raise RefusalError(MISSING, "no showers of Geant4 here; start with --reference FILE")
        return _drawn(_nearest(service.geant4, energy, theta))

    return router


def _file(name: str) -> str:
    return resources.files("caloforge.serve").joinpath(name).read_text(encoding="utf-8")


def _about(service: Service) -> About:
    source = service.engine.description["provenance"].get("source", {})
    ranges = source.get("training_ranges", {})
    low, high = ranges.get("energy", (10e3, 100e3))
    angles = ranges.get("theta")
    return About(
        name=service.name,
        detector=service.engine.calorimeter.name,
        energy=[low / 1000, high / 1000],
        theta=None if angles is None else np.rad2deg(angles).tolist(),
        geant4=service.geant4 is not None,
        box=_box(service.engine.calorimeter),
        threshold=service.engine.calorimeter.cell_threshold,
    )


def _beam(service: Service, energy: float, theta: float, seed: int) -> Incident:
    """One particle (GeV, degrees) with the columns of the model, of the first kind it knows."""
    description = service.engine.description
    names = description["condition"]
    kinds = description.get("particles") or [11]
    return particles(
        1,
        energy,
        theta=theta if "theta" in names else None,
        phi=0.0 if "phi" in names else None,
        particle=str(kinds[0]) if "pdg" in names else None,
        seed=seed,
    )


def _box(calorimeter: Calorimeter) -> list[list[float]]:
    centres = calorimeter.cell_positions[:, [2, 0, 1]]
    return [[float(axis.min()), float(axis.max())] for axis in centres.T]


def _nearest(showers: Showers, energy: float, theta: float) -> Showers:
    """One shower: the distance is relative in energy, and in units of 10 degrees."""
    away = np.abs(showers.incident.energy / (1000 * max(energy, 1e-6)) - 1)
    away = away + np.abs(_theta(showers) - theta) / 10
    return showers[[int(np.argmin(away))]]


def _theta(showers: Showers) -> np.ndarray:
    """Degrees."""
    if "theta" not in showers.incident:
        return np.full(len(showers), 90.0)
    return np.asarray(np.rad2deg(showers.incident["theta"]))


def _drawn(showers: Showers) -> Drawn:
    showers = showers.above_threshold()
    order = np.argsort(showers.energy)[::-1][:SHOWN]
    x, y, z = showers.calorimeter.cell_positions[showers.cell[order]].T.round(2).tolist()
    return Drawn(
        energy=float(showers.incident.energy[0]) / 1000,
        theta=float(_theta(showers)[0]),
        deposited=float(showers.total_energy[0]),
        x=x,
        y=y,
        z=z,
        deposit=[float(f"{value:.4g}") for value in showers.energy[order]],
    )
