"""Files that drop into Geant4's Par04 example (11.4): only its macro changes, which comes along.

``par04``: the example's VAE mode. The graph takes one vector (1, L + 4): all the noise that the
model needs, drawn and seeded by Geant4, and the condition; it gives shares of the incident energy
as (rho, phi, z). ``par04-calodit``: its CaloDiT-2 mode, a vector (1, 8); the noise is drawn inside
the graph, which Geant4's seed does not reach.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from caloforge.artifact import Artifact, load_artifact
from caloforge.atomic import atomic_file, check_folder
from caloforge.errors import ModelError
from caloforge.export.example import HIGHEST, LOWEST
from caloforge.export.macro import inference_lines, macro
from caloforge.export.metadata import check_output, with_side_file
from caloforge.export.on_mesh import ENERGY_UNIT, CaloDiTMode, OnMesh, VaeMode
from caloforge.export.parity import EXACT, largest_difference, require_parity
from caloforge.export.program import embed, onnx_program
from caloforge.export.script import script_of
from caloforge.geometry import Calorimeter, load_detector
from caloforge.runtime.noise import normal_noise
from caloforge.runtime.onnx_engine import METADATA

RANDOM = {
    "normal": ("RandomNormal", "RandomNormalLike"),
    "uniform": ("RandomUniform", "RandomUniformLike"),
}
"""ONNX operators that draw noise."""

MODES: dict[str, type[VaeMode] | type[CaloDiTMode]] = {"VAE": VaeMode, "CaloDiT-2": CaloDiTMode}
"""By the names that the macro gives them."""


@dataclass(frozen=True)
class Par04Options:
    """How a model is put into the example.

    ``rebin``: share the showers among the cells of this mesh (a calorimeter, a name, a file).
    ``particle``: PDG code for a model that wants one.
    """

    rebin: str | Path | Calorimeter | None = None
    particle: int | None = None


def export_par04(
    model: str | Path | Artifact,
    output: str | Path,
    mode: str = "VAE",
    options: Par04Options | None = None,
) -> Path:
    """Write ``output``, and beside it the metadata (.json) and the macro (.mac).

    Args:
        model: a folder, or an artifact.
        output: .onnx; in CaloDiT-2 mode also .pt, for the example's TORCH library.
        mode: ``VAE`` or ``CaloDiT-2``.
        options: mesh and particle.

    Raises:
        ConfigError: ``output`` has another ending.
        GeometryError: the model's cells are no mesh and none was given, or no such barrel exists.
        ModelError: the model is unreadable, cannot be asked this way, or the export disagrees with
            torch.
        OutputError: the folder is missing or the disk is full.
    """
    artifact = model if isinstance(model, Artifact) else load_artifact(model)
    options = options or Par04Options()
    output = Path(output)
    check_output(artifact, output, (".onnx", ".pt") if mode == "CaloDiT-2" else (".onnx",))
    side = output.with_suffix(".mac")
    check_folder(side)
    target = _mesh(options.rebin)
    made = MODES[mode]
    on_mesh = OnMesh(artifact.model.eval().cpu(), target, options.particle, made.told)
    asked = made(on_mesh).eval()
    barrel = target or artifact.calorimeter
    latent = asked.latent.size if mode == "VAE" else None
    text = macro(barrel, on_mesh.mesh, output, inference_lines(output, mode, latent))
    metadata = {
        **artifact.description,
        "geometry": barrel.to_yaml(),
        "par04": {"model_type": mode, "input": [1, asked.length], "constants": on_mesh.constants},
        "output": f"{on_mesh.mesh.n_cells} numbers as (rho, phi, z): "
        + ("shares of the incident energy" if mode == "VAE" else "GeV"),
    }
    with with_side_file(output, metadata) as partial, atomic_file(side) as partial_macro:
        partial_macro.write_text(text, encoding="utf-8")
        if output.suffix == ".pt":
            script_of(asked, (torch.ones(asked.length),), metadata, partial)
        else:
            _write_onnx(asked, metadata, partial, f"{artifact.path}: the ONNX graph")
    return output


def _mesh(rebin: str | Path | Calorimeter | None) -> Calorimeter | None:
    return load_detector(rebin) if isinstance(rebin, str | Path) else rebin


def _write_onnx(
    asked: VaeMode | CaloDiTMode, metadata: dict[str, Any], file: Path, what: str
) -> None:
    vector = example_vector(asked, 1)
    graph = onnx_program(asked, (vector,), ("vector",), "energies", any_batch=False)
    embed(graph, METADATA, json.dumps(metadata))
    file.write_bytes(graph.SerializeToString())
    least = asked.on_mesh.model.calorimeter.cell_threshold
    for seed in range(3):
        found, expected = _both(asked, graph, example_vector(asked, seed))
        require_parity(largest_difference(found, expected, least), EXACT, what)


def example_vector(asked: VaeMode | CaloDiTMode, seed: int) -> torch.Tensor:
    """A vector (1, length) as Par04 makes it, for a particle along the normal."""
    energy = (LOWEST, (LOWEST + HIGHEST) / 2, HIGHEST)[seed % 3]
    if isinstance(asked, CaloDiTMode):
        vector = [energy / 1e3, 0.0, np.pi / 2, 1.0, 0.0, 0.0, 0.0, 0.0]
    else:
        noise = normal_noise(seed, 0, 1, asked.latent.size)[0]
        vector = [*noise, energy / ENERGY_UNIT, 1.0, 0.0, 1.0]
    return torch.tensor([vector], dtype=torch.float32)


def _both(
    asked: VaeMode | CaloDiTMode, graph: Any, vector: torch.Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """MeV per cell of the graph and of torch, at the same noise."""
    import onnxruntime

    if isinstance(asked, VaeMode):
        session = onnxruntime.InferenceSession(graph.SerializeToString())
        (found,) = session.run(None, {"vector": vector.numpy()})
        with torch.inference_mode():
            expected = asked(vector).numpy()
        scale = float(vector[0, asked.latent.size]) * ENERGY_UNIT
    else:
        session = onnxruntime.InferenceSession(_with_noise(asked, graph))
        found, noise = session.run(None, {"vector": vector.numpy()})
        with torch.inference_mode():
            expected = asked.at(vector, torch.from_numpy(noise)).numpy()
        scale = 1e3
    return found * scale, expected * scale


def _with_noise(asked: CaloDiTMode, graph: Any) -> bytes:
    """The graph with its noise as a second output."""
    import onnx

    shown = onnx.ModelProto()
    shown.CopyFrom(graph)
    kinds = RANDOM[asked.latent.distribution]
    drawn = [node.output[0] for node in shown.graph.node if node.op_type in kinds]
    if len(drawn) != 1:
        raise ModelError("torch made an ONNX graph without noise; use another torch version")
    shape = [1, asked.latent.size]
    shown.graph.output.append(
        onnx.helper.make_tensor_value_info(drawn[0], onnx.TensorProto.FLOAT, shape)
    )
    return bytes(shown.SerializeToString())
