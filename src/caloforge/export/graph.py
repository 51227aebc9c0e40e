"""Exported graphs compute with the numbers that torch computes with.

The exporter writes the number of ``1.0 - x`` as float32 and casts it to the dtype of x: in a
float64 graph it is wrong by parts in 1e8, which cancellations turn into parts in a thousand. Its
optimiser drops factors within 1e-5 of 1 and terms within 1e-8 of 0.

OpenVINO (2026.4) counts wrongly in whole numbers: arithmetic after a sum over the last of three
axes, fused with it, is wrong in the rows of a batch beyond the length of the second axis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def scalar_tensor(
    s: Any, dtype: int = 1, layout: str = "", device: str = "", pin_memory: bool = False
) -> Any:
    """``aten.scalar_tensor``: a constant in ``dtype`` (ONNX's number of it; -1: float32)."""
    from onnxscript import ir, opset18

    kind = ir.DataType(1 if dtype == -1 else dtype)
    if isinstance(s, bool | int | float):
        return opset18.Constant(value=ir.tensor(s, dtype=kind))  # type: ignore[arg-type]
    return opset18.Cast(s, to=int(kind))


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """For ``custom_translation_table`` of :func:`torch.onnx.export`."""
    return {torch.ops.aten.scalar_tensor.default: scalar_tensor}


def tidy(model: Any) -> None:
    """What the exporter's optimiser does to an ``onnx_ir.Model``, but for its approximate rules."""
    from onnx_ir.passes import Sequential, common
    from onnxscript.optimizer import fold_constants

    fold_constants(model)
    clean = Sequential(
        common.RemoveUnusedNodesPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.DeduplicateInitializersPass(),
        common.CommonSubexpressionEliminationPass(),
        common.RemoveUnusedNodesPass(),
    )
    clean(model)


def count_in_floats(model: Any) -> None:
    """Sums of an ``onnx_ir.Model`` that count what is true do so in float32: exact up to 2^24."""
    from onnxscript import ir

    for node in list(model.graph):
        if node.op_type == "ReduceSum" and _counts(node):
            whole = node.inputs[0]
            number = ir.node("Cast", [whole], {"to": int(ir.DataType.FLOAT)})
            model.graph.insert_before(node, number)
            node.replace_input_with(0, number.outputs[0])
            count = node.outputs[0]
            back = ir.node("Cast", [count], {"to": int(whole.dtype)})
            ir.convenience.replace_all_uses_with(count, back.outputs[0])
            back.replace_input_with(0, count)
            model.graph.insert_after(node, back)
            number.outputs[0].dtype = count.dtype = ir.DataType.FLOAT
            back.outputs[0].dtype = whole.dtype


def _counts(node: Any) -> bool:
    """Whether what a node sums is a whole number that was true or false before."""
    from onnxscript import ir

    made_by = node.inputs[0].producer()
    if made_by is None or made_by.op_type != "Cast":
        return False
    kinds = (ir.DataType.INT32, ir.DataType.INT64)
    return made_by.inputs[0].dtype == ir.DataType.BOOL and node.inputs[0].dtype in kinds
