"""ONNX export with the inverse preprocessing and the cell threshold inside the graph.

Inputs ``condition`` (B, C) in MeV, rad, mm and ``noise`` (B, latent); output ``energy``
(B, n_cells) in MeV. The metadata (geometry, units, provenance) is inside the file, and beside it
as JSON.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from caloforge.artifact import Artifact, load_artifact
from caloforge.errors import ConfigError
from caloforge.export.example import example
from caloforge.export.fidelity import ALLOWED, measure, require_fidelity
from caloforge.export.metadata import check_output, native_metadata, with_side_file
from caloforge.export.parity import EXACT, require_same
from caloforge.export.program import embed, onnx_program
from caloforge.export.quantised import Precision, in_float32, quantised
from caloforge.runtime.agreement import SINGLE
from caloforge.runtime.onnx_engine import METADATA, OnnxEngine

SUFFIXES = (".onnx",)


def export_onnx(
    model: str | Path | Artifact,
    output: str | Path,
    precision: Precision = "full",
    *,
    reference: str | Path | None = None,
    max_loss: float = ALLOWED,
) -> Path:
    """Write ``output`` (.onnx) and the JSON metadata beside it, when it is good enough.

    Graphs with the model's own weights are checked against torch, cell by cell; those with smaller
    ones (``bf16``, ``int8``) by what they cost in physics, which stands in the metadata.

    Args:
        model: a folder, or an artifact.
        output: file to write.
        precision: of the graph, see :mod:`caloforge.export.quantised`.
        reference: store file of Geant4 showers to judge ``bf16`` and ``int8`` by.
        max_loss: by how much their mean separation power may grow, as a share of it.

    Raises:
        ConfigError: ``output`` does not end in .onnx, or a smaller graph without a reference.
        ModelError: the model is unreadable or has no network, or the export disagrees with torch,
            or loses too much.
        OutputError: the folder is missing or the disk is full.
    """
    artifact = model if isinstance(model, Artifact) else load_artifact(model)
    output = Path(output)
    check_output(artifact, output, SUFFIXES)
    if precision == "full":
        _write_like_torch(artifact, output, EXACT)
    elif precision == "float32":
        _write_like_torch(in_float32(artifact), output, SINGLE)
    elif reference is None:
        raise ConfigError(
            f"--precision {precision} changes the showers: give Geant4 showers to judge it by with "
            "--reference FILE"
        )
    else:
        _write_smaller(artifact, output, precision, Path(reference), max_loss)
    return output


def native_graph(artifact: Artifact) -> Any:
    """The ``onnx.ModelProto`` of the model's forward, for any batch."""
    model = artifact.model.eval().cpu()
    names = ("condition", "noise")
    return onnx_program(model, example(model, 2), names, "energy", any_batch=True)


def _write_like_torch(artifact: Artifact, output: Path, allowed: float) -> None:
    """Write the graph of the model's own weights; every cell must agree with torch."""
    metadata = native_metadata(artifact)
    graph = native_graph(artifact)
    embed(graph, METADATA, json.dumps(metadata))
    with with_side_file(output, metadata) as partial:
        partial.write_bytes(graph.SerializeToString())
        require_same(
            OnnxEngine(partial).run,
            artifact.model,
            artifact.calorimeter.cell_threshold,
            allowed,
            f"{artifact.path}: the ONNX graph",
        )


def _write_smaller(
    artifact: Artifact, output: Path, precision: Precision, reference: Path, max_loss: float
) -> None:
    """Write a graph with smaller weights; its showers must be as good as those of the full one."""
    single = in_float32(artifact)
    metadata = {**native_metadata(single), "precision": precision}
    full = native_graph(single)
    with tempfile.TemporaryDirectory() as folder:
        engines: dict[str, OnnxEngine] = {}
        for name, graph in (("full", full), ("smaller", quantised(full, precision, Path(folder)))):
            embed(graph, METADATA, json.dumps(metadata))
            file = Path(folder) / f"{name}.onnx"
            file.write_bytes(graph.SerializeToString())
            engines[name] = OnnxEngine(file)
        found = measure(engines["full"], engines["smaller"], reference)
    require_fidelity(found, max_loss, f"{artifact.path} in {precision}")
    metadata["fidelity"] = found.to_dict()
    del graph.metadata_props[:]
    embed(graph, METADATA, json.dumps(metadata))
    with with_side_file(output, metadata) as partial:
        partial.write_bytes(graph.SerializeToString())
