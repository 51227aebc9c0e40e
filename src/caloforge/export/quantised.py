"""Smaller graphs: weights in bfloat16 or int8.

``int8``: matrix products of 7-bit weights with scales found at run time, a scale per output channel
(ONNX Runtime's dynamic quantisation); convolutions keep 8-bit weights, a scale per output channel,
and compute in float32. ``bf16``: all large weights in bfloat16, computed with in float32. What
either costs in physics is for :mod:`.fidelity` to say.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from caloforge.artifact import Artifact, describe
from caloforge.models import ShowerModel, build_any

Precision = Literal["full", "float32", "bf16", "int8"]

PRECISIONS: tuple[Precision, ...] = ("full", "float32", "bf16", "int8")
"""``full``: as the model computes, in float64 where it does; ``float32``: nowhere more."""

LARGE = 256
"""Weights with fewer numbers stay as they are."""

LEVELS = 127
"""Of int8, symmetric."""


def in_float32(artifact: Artifact) -> Artifact:
    """The same model, computing in float32 where it can choose."""
    model = artifact.model
    if "inference" not in type(model.config).model_fields:
        return artifact
    config = {**model.config.model_dump(), "inference": "float32"}
    single = build_any(model.kind, model.calorimeter, config)
    assert isinstance(single, ShowerModel)
    single.load_state_dict(model.state_dict())
    description = {
        **artifact.description,
        "config": describe(single, artifact.provenance)["config"],
    }
    return Artifact(artifact.path, single.eval(), description, artifact.provenance)


def quantised(graph: Any, precision: Precision, folder: Path) -> Any:
    """The ``onnx.ModelProto`` with its large weights in ``precision``.

    Args:
        graph: a float32 graph; not changed.
        precision: of the weights.
        folder: for temporary files.
    """
    import onnx

    made = onnx.ModelProto()
    made.CopyFrom(graph)
    if precision == "int8":
        made = _dynamic(made, folder)
        _replace_weights(made, _int8_nodes)
    elif precision == "bf16":
        _replace_weights(made, _bf16_nodes)
    return made


def _dynamic(graph: Any, folder: Path) -> Any:
    """Matrix products in 8 bits."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    _part_weights(graph)
    source, written = folder / "float32.onnx", folder / "int8.onnx"
    onnx.save(graph, str(source))
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it recommends other steps before this one
    try:
        quantize_dynamic(
            source,
            written,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            reduce_range=True,  # in 8 bits, processors without VNNI clip sums of two products
        )
    finally:
        root.setLevel(level)
    return onnx.load(str(written))


def _part_weights(graph: Any) -> None:
    """A second weight for every further product with the same one, in place.

    ONNX Runtime's quantisation transposes the weight of a product, once for each of them.
    """
    from onnx import helper

    stored = {weight.name: weight for weight in graph.graph.initializer}
    seen, nodes = set(), []
    for node in graph.graph.node:
        name = node.input[1] if node.op_type == "Gemm" else ""
        if name in seen:
            own = f"{name}/{node.output[0]}"
            if name in stored:
                graph.graph.initializer.add().CopyFrom(stored[name])
                graph.graph.initializer[-1].name = own
            else:
                nodes.append(helper.make_node("Identity", [name], [own]))
            node.input[1] = own
        elif name:
            seen.add(name)
        nodes.append(node)
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.graph.node[:]
    graph.graph.node.extend(copies)


Nodes = Callable[[str, NDArray[np.float32]], tuple[list[Any], list[Any]]]
"""A weight's name and numbers -> initialisers, and nodes whose output has the weight's name."""


def _replace_weights(graph: Any, nodes_of: Nodes) -> None:
    """Store every large float32 weight in another way, in place."""
    import onnx

    added = []
    for weight in list(graph.graph.initializer):
        if weight.data_type != onnx.TensorProto.FLOAT or len(weight.dims) < 2:
            continue
        numbers = onnx.numpy_helper.to_array(weight)
        if numbers.size < LARGE:
            continue
        stored, nodes = nodes_of(weight.name, numbers)
        graph.graph.initializer.remove(weight)
        graph.graph.initializer.extend(stored)
        added += nodes
    for node in reversed(added):
        graph.graph.node.insert(0, node)


def _int8_nodes(name: str, numbers: NDArray[np.float32]) -> tuple[list[Any], list[Any]]:
    """A scale for every index of the first axis, a convolution's output channel."""
    from onnx import helper, numpy_helper

    flat = np.abs(numbers).reshape(len(numbers), -1).max(axis=1)
    scale = np.where(flat > 0, flat / LEVELS, 1.0).astype(np.float32)
    shape = (-1, *[1] * (numbers.ndim - 1))
    small = np.rint(numbers / scale.reshape(shape)).astype(np.int8)
    stored = [
        numpy_helper.from_array(small, f"{name}/int8"),
        numpy_helper.from_array(scale, f"{name}/scale"),
    ]
    inputs = [f"{name}/int8", f"{name}/scale"]
    return stored, [helper.make_node("DequantizeLinear", inputs, [name], axis=0)]


def _bf16_nodes(name: str, numbers: NDArray[np.float32]) -> tuple[list[Any], list[Any]]:
    from onnx import TensorProto, helper

    bits = np.ascontiguousarray(numbers).view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16  # to nearest, ties to even
    stored = helper.make_tensor(
        f"{name}/bf16",
        TensorProto.BFLOAT16,
        numbers.shape,
        rounded.astype(np.uint16).tobytes(),
        raw=True,
    )
    node = helper.make_node("Cast", [f"{name}/bf16"], [name], to=TensorProto.FLOAT)
    return [stored], [node]
