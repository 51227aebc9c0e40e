"""The macro that runs an export in Geant4's Par04 example (11.4), nothing else changed."""

from __future__ import annotations

from pathlib import Path

from caloforge.errors import GeometryError
from caloforge.export.mesh import Mesh
from caloforge.geometry import Calorimeter

EVENTS = 100


def macro(calorimeter: Calorimeter, mesh: Mesh, model: Path, inference: list[str]) -> str:
    """Text of the macro.

    Args:
        calorimeter: with the material.
        mesh: its cells.
        model: the exported file; the macro names it without its folder.
        inference: lines that say how the model is asked.

    Raises:
        GeometryError: no such barrel can be built.
    """
    cells = [
        f"setSizeOfRhoCells {mesh.d_rho:g} mm",
        f"setSizeOfZCells {mesh.d_z:g} mm",
        f"setNbOfRhoCells {mesh.n_rho}",
        f"setNbOfPhiCells {mesh.n_phi}",
        f"setNbOfZCells {mesh.n_z}",
    ]
    lines = [
        f"# Geant4 11.4, example Par04: {model.name} instead of the showers' simulation.",
        "/process/had/verbose 0",
        *_barrel(calorimeter),
        *(f"/Par04/mesh/{line}" for line in cells),
        "/run/initialize",
        "/gun/energy 10 GeV",
        "/gun/position 0 0 0",
        "/gun/direction 0 1 0",
        *(f"/Par04/inference/{line}" for line in inference),
        *(f"/Par04/inference/{line}" for line in cells),
        f"/analysis/setFileName {model.stem}.root",
        "# The mesh along the particle must come first.",
        "/param/ActivateModel defineMesh",
        "/param/ActivateModel inferenceModel",
        f"/run/beamOn {EVENTS}",
    ]
    return "\n".join(lines) + "\n"


def inference_lines(model: Path, kind: str, latent: int | None) -> list[str]:
    """Commands below /Par04/inference for a file of this model type; ``latent`` in VAE mode."""
    sizes = [] if latent is None else [f"setSizeLatentVector {latent}", "setSizeConditionVector 4"]
    library = "TORCH" if model.suffix == ".pt" else "ONNX"
    return [
        *sizes,
        f"setModelPathName {model.name}",
        f"setModelType {kind}",
        "setProfileFlag 0",
        "setOptimizationFlag 0",
        "setCudaFlag 0",
        f"setInferenceLibrary {library}",
    ]


def _barrel(calorimeter: Calorimeter) -> list[str]:
    """Par04's detector: equal layers of two materials at most around the beam."""
    stacks, radius = calorimeter.stacks, calorimeter.inner_radius
    if len(stacks) != 1 or len(stacks[0].slabs) > 2 or radius is None:
        raise GeometryError(
            f"'{calorimeter.name}' is no barrel of equal layers of one or two materials, as Par04 "
            "builds it; give such a calorimeter"
        )
    (stack,) = stacks
    lines = [
        f"setDetectorInnerRadius {radius / 10:g} cm",
        "setDetectorLength 2 m",
        f"setNbOfLayers {stack.repeat}",
        *(
            f"setAbsorber {k} {slab.material} {slab.thickness:g} mm {str(slab.active).lower()}"
            for k, slab in enumerate(stack.slabs)
        ),
    ]
    return [f"/Par04/detector/{line}" for line in lines]
