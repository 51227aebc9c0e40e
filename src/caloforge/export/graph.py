"""Exported graphs compute with the numbers that torch computes with.

The exporter writes the number of ``1.0 - x`` as float32 and casts it to the dtype of x: in a
float64 graph it is wrong by parts in 1e8, which cancellations turn into parts in a thousand. Its
optimiser drops factors within 1e-5 of 1 and terms within 1e-8 of 0.
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
