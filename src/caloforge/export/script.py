"""TorchScript: the model as libtorch loads it."""

from __future__ import annotations

import copy
import json
import warnings
from pathlib import Path
from typing import Any

import torch

from caloforge.artifact import Artifact, load_artifact
from caloforge.errors import ModelError
from caloforge.export.example import example
from caloforge.export.metadata import check_output, native_metadata, with_side_file
from caloforge.export.parity import EXACT, largest_difference, require_parity

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
        condition, noise = example(net, 3)
        with torch.inference_mode():
            expected = net(condition, noise).numpy()
            found = load_script(partial)(condition, noise).numpy()
        difference = largest_difference(found, expected, artifact.calorimeter.cell_threshold)
        require_parity(difference, EXACT, f"{artifact.path}: the TorchScript module")
    return output


def load_script(file: Path) -> Any:
    """The module in a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.load(str(file))  # type: ignore[no-untyped-call]


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
            text = " ".join(str(error).split())[:160]
            raise ModelError(f"torch cannot write this model as TorchScript ({text})") from error
