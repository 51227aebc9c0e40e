"""TorchScript: the model as libtorch loads it."""

from __future__ import annotations

import copy
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from caloforge.artifact import Artifact, load_artifact
from caloforge.errors import ModelError, one_line
from caloforge.export.example import example
from caloforge.export.metadata import check_output, native_metadata, with_side_file
from caloforge.export.parity import EXACT, Run, require_same

SUFFIXES = (".pt",)

EXTRA = "caloforge.json"
"""Name of the metadata inside the file."""


def export_torchscript(model: str | Path | Artifact, output: str | Path) -> Path:
    """Write ``output`` (.pt) and the JSON metadata, also inside as :data:`EXTRA`; check it.

    The module takes ``condition`` (B, C) and ``noise`` (B, latent) and gives MeV (B, cells).

    Raises:
        ConfigError: ``output`` does not end in .pt.
        ModelError: the model is unreadable or has no network, or the export disagrees with torch.
        OutputError: the folder is missing or the disk is full.
    """
    artifact = model if isinstance(model, Artifact) else load_artifact(model)
    output = Path(output)
    check_output(artifact, output, SUFFIXES)
    net = artifact.model.eval().cpu()
    metadata = native_metadata(artifact)
    with with_side_file(output, metadata) as partial:
        script_of(net, example(net, 2), metadata, partial)
        require_same(
            _runner(load_script(partial)),
            net,
            artifact.calorimeter.cell_threshold,
            EXACT,
            f"{artifact.path}: the TorchScript module",
        )
    return output


def load_script(file: Path) -> Any:
    """The module in a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.load(str(file))  # type: ignore[no-untyped-call]


def _runner(module: Any) -> Run:
    """The module as engines run: of numpy's arrays."""

    def run(condition: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            made: NDArray[np.float32] = module(
                torch.from_numpy(condition), torch.from_numpy(noise)
            ).numpy()
        return made

    return run


class _Held(torch.nn.Module):
    """A module whose weights become constants: tracing would change the module itself."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self._hidden = [copy.deepcopy(module).requires_grad_(False)]

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """What the module makes."""
        made: torch.Tensor = self._hidden[0](*inputs)
        return made


def script_of(
    module: torch.nn.Module,
    inputs: tuple[torch.Tensor, ...],
    metadata: dict[str, Any],
    file: Path,
) -> None:
    """Trace the module and write it.

    Raises:
        ModelError: it cannot be traced.
    """
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        try:
            traced = torch.jit.trace(  # type: ignore[no-untyped-call]
                _Held(module), inputs, check_trace=False
            )
            extra = {EXTRA: json.dumps(metadata).encode()}
            torch.jit.save(traced, str(file), _extra_files=extra)
        except RuntimeError as error:
            text = one_line(error)[:160]
            raise ModelError(f"torch cannot write this model as TorchScript ({text})") from error
