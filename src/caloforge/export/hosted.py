"""Graphs for programs that ask a model in their own way, on the model's own cells."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from caloforge.artifact import Artifact
from caloforge.export.metadata import check_output, with_side_file
from caloforge.export.on_mesh import Known, constants_of
from caloforge.export.parity import EXACT, largest_difference, require_parity
from caloforge.export.program import embed, onnx_program
from caloforge.models import ShowerModel
from caloforge.runtime.onnx_engine import METADATA

Inputs = tuple[torch.Tensor, ...]


class Hosted(nn.Module):
    """A model that a host asks: what it tells becomes condition and noise.

    Args:
        model: the generator.
        particle: PDG code for a model that wants one; its only one when None.
        told: what the host tells: some of energy, theta, phi.
        host: its name, for messages.

    Raises:
        ModelError: the model needs to know more than it is told.
    """

    def __init__(
        self, model: ShowerModel, particle: int | None, told: tuple[str, ...], host: str
    ) -> None:
        super().__init__()
        self.model = model
        straight = not {"theta", "phi"} & set(told)
        self.constants = constants_of(model, particle, told, turned=straight, host=host)

    def showers(self, known: Known, noise: torch.Tensor) -> torch.Tensor:
        """``known``, (B, 1) each, and noise (B, latent) -> (B, cells) MeV."""
        energy = known["energy"]
        columns = [
            torch.full_like(energy, self.constants[name]) if name in self.constants else known[name]
            for name in self.model.condition_columns
        ]
        made: torch.Tensor = self.model(torch.cat(columns, dim=-1), noise)
        return made


def write_hosted(
    artifact: Artifact,
    asked: Hosted,
    names: Sequence[str],
    examples: Sequence[Inputs],
    about: dict[str, Any],
    output: Path,
) -> None:
    """Write the graph (.onnx) and its metadata, when it agrees with torch on the examples.

    Raises:
        ConfigError, ModelError, OutputError: see :func:`.metadata.check_output` and the parity.
    """
    import onnxruntime

    check_output(artifact, output, (".onnx",))
    asked = asked.eval()
    graph = onnx_program(asked, examples[0], names, "energies", any_batch=False)
    metadata = {**artifact.description, "geometry": artifact.calorimeter.to_yaml(), **about}
    embed(graph, METADATA, json.dumps(metadata))
    with with_side_file(output, metadata) as partial:
        partial.write_bytes(graph.SerializeToString())
        session = onnxruntime.InferenceSession(partial.read_bytes())
        for example in examples:
            told = {name: value.numpy() for name, value in zip(names, example, strict=True)}
            (found,) = session.run(None, told)
            with torch.inference_mode():
                expected = asked(*example).numpy()
            least = artifact.calorimeter.cell_threshold
            difference = largest_difference(found, expected, least)
            require_parity(difference, EXACT, f"{artifact.path}: the ONNX graph")


_NEAR = (2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
         -0.00125372503, -0.00417768164, 0.246640727, 1.50140941)  # fmt: skip
_FAR = (-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
        -0.0076224613, 0.00943887047, 1.00167406, 2.83297682)  # fmt: skip


def normal_of(even: torch.Tensor) -> torch.Tensor:
    """Uniform numbers in (-1, 1) -> standard normal ones, by their quantiles.

    Source: M. Giles, "Approximating the erfinv function", GPU Computing Gems Jade (2012), in single
    precision: graphs have no inverse error function.
    """
    even = even.clamp(-1.0 + 2.0**-23, 1.0 - 2.0**-23)
    w = -torch.log((1.0 - even) * (1.0 + even))
    near, far = w - 2.5, torch.sqrt(w.clamp(min=5.0)) - 3.0
    inverse = torch.where(w < 5.0, _polynomial(_NEAR, near), _polynomial(_FAR, far))
    return math.sqrt(2.0) * inverse * even


def _polynomial(coefficients: tuple[float, ...], x: torch.Tensor) -> torch.Tensor:
    """Highest power first."""
    value = torch.full_like(x, coefficients[0])
    for one in coefficients[1:]:
        value = one + value * x
    return value
