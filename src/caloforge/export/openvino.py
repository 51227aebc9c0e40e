"""OpenVINO IR: the native contract for Intel's engine, from the ONNX graph.

Source: https://docs.openvino.ai (``convert_model``, ``save_model``). The engine computes in float32
also where the graph says float64.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from caloforge.artifact import Artifact, load_artifact
from caloforge.atomic import atomic_file, check_folder
from caloforge.errors import ConfigError
from caloforge.export.metadata import check_output, native_metadata, with_side_file
from caloforge.export.onnx import native_graph
from caloforge.export.parity import require_same
from caloforge.runtime.agreement import SINGLE
from caloforge.runtime.openvino_engine import METADATA, OpenVinoEngine

SUFFIXES = (".xml",)


def export_openvino(model: str | Path | Artifact, output: str | Path) -> Path:
    """Write ``output`` (.xml), its weights (.bin) and the JSON metadata; check them against torch.

    Raises:
        ConfigError: ``output`` does not end in .xml, or OpenVINO is not installed.
        ModelError: the model is unreadable or has no network, or the export disagrees with torch.
        OutputError: the folder is missing or the disk is full.
    """
    try:
        import openvino
    except ImportError as error:
        raise ConfigError(
            "--target openvino needs OpenVINO; pip install 'caloforge[openvino]'"
        ) from error
    artifact = model if isinstance(model, Artifact) else load_artifact(model)
    output = Path(output)
    check_output(artifact, output, SUFFIXES)
    weights = output.with_suffix(".bin")
    check_folder(weights)
    metadata = native_metadata(artifact)
    graph = native_graph(artifact)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".openvino-") as folder:
        source = Path(folder) / "model.onnx"
        source.write_bytes(graph.SerializeToString())
        made = openvino.convert_model(str(source))
        made.set_rt_info(json.dumps(metadata), [METADATA])
        written = Path(folder) / "made.xml"
        openvino.save_model(made, str(written), compress_to_fp16=False)
        require_same(
            OpenVinoEngine(written).run,
            artifact.model,
            artifact.calorimeter.cell_threshold,
            SINGLE,
            f"{artifact.path}: the OpenVINO model",
        )
        with atomic_file(weights) as partial_weights, with_side_file(output, metadata) as partial:
            written.with_suffix(".bin").replace(partial_weights)
            written.replace(partial)
    return output
