"""A torch module as an ONNX graph that computes with the module's own numbers."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Sequence
from typing import Any

import torch

from caloforge.errors import ModelError
from caloforge.export.graph import count_in_floats, tidy, translations

OPSET = 18

MOST = 1 << 16
"""Showers in a batch at most, where the batch may vary."""


def onnx_program(
    module: torch.nn.Module,
    example: tuple[torch.Tensor, ...],
    names: Sequence[str],
    output: str,
    *,
    any_batch: bool,
) -> Any:
    """The ``onnx.ModelProto`` of ``module``.

    Args:
        module: to be exported, in eval mode.
        example: inputs to follow it with.
        names: of the inputs.
        output: name of the output.
        any_batch: the first axis of the inputs may have any length; else that of the example.

    Raises:
        ModelError: torch cannot do it.
    """
    batch = torch.export.Dim("batch", min=1, max=MOST)
    shapes = {name: {0: batch} for name in names} if any_batch else None
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            example,
            input_names=list(names),
            output_names=[output],
            dynamic_shapes=shapes,
            opset_version=OPSET,
            custom_translation_table=translations(),
            optimize=False,  # it takes every number within 1e-5 of 1 for 1
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise ModelError("torch made no ONNX program; use another torch version")
    tidy(program.model)
    count_in_floats(program.model)
    proto = program.model_proto
    del proto.graph.value_info[:]  # shapes in between, some of them wrong; engines find them
    return proto


def embed(proto: Any, key: str, text: str) -> None:
    """Put a text into the metadata of an ``onnx.ModelProto``."""
    entry = proto.metadata_props.add()
    entry.key, entry.value = key, text
