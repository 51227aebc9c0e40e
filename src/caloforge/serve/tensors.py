"""KServe's tensors, as JSON and in its binary extension.

Source: Open Inference Protocol (KServe predict protocol version 2) and the binary tensor data
extension of NVIDIA Triton.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from caloforge.serve.refusals import BAD, RefusalError

HEADER = "inference-header-content-length"
"""Bytes of JSON before the tensors of a binary body."""

DATATYPES: dict[str, type[np.generic]] = {
    "FP32": np.float32,
    "FP64": np.float64,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
}

Parameters = dict[str, str | int | float | bool]
Array = NDArray[Any]


class Input(BaseModel):
    """A tensor that comes in."""

    model_config = ConfigDict(extra="ignore")

    name: str
    shape: list[int] = Field(min_length=1, max_length=2)
    datatype: str
    data: list[Any] | None = None
    parameters: Parameters = {}


class WantedOutput(BaseModel):
    """A tensor that is asked for."""

    model_config = ConfigDict(extra="ignore")

    name: str
    parameters: Parameters = {}


class InferRequest(BaseModel):
    """The body of an inference request."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [
                {
                    "inputs": [
                        {"name": "energy", "shape": [2], "datatype": "FP64", "data": [5e4, 2e4]}
                    ],
                    "parameters": {"seed": 1},
                }
            ]
        },
    )

    id: str | None = None
    inputs: list[Input] = Field(min_length=1)
    outputs: list[WantedOutput] | None = None
    parameters: Parameters = {}


class Output(BaseModel):
    """A tensor that goes out."""

    name: str
    shape: list[int]
    datatype: str
    data: list[float] | None = None
    parameters: Parameters | None = None


class InferResponse(BaseModel):
    """The body of an inference response."""

    model_name: str
    id: str | None = None
    parameters: dict[str, str | int] | None = None
    outputs: list[Output]


def read_request(body: bytes, header: str | None) -> tuple[InferRequest, dict[str, Array]]:
    """The request and its tensors, each with one value per shower.

    Args:
        body: JSON, then the bytes of tensors where the header says how long the JSON is.
        header: value of :data:`HEADER`.

    Raises:
        RefusalError: what is wrong with the body.
    """
    length = len(body) if header is None else _length(header, len(body))
    try:
        request = InferRequest.model_validate_json(body[:length])
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        raise RefusalError(BAD, f"{place}: {first['msg']}") from None
    raw, tensors = memoryview(body)[length:], {}
    for tensor in request.inputs:
        size = tensor.parameters.get("binary_data_size")
        if size is not None:
            if not isinstance(size, int) or not 0 <= size <= len(raw):
                raise RefusalError(BAD, f"input '{tensor.name}': {size} bytes are not in the body")
            own, raw = raw[:size], raw[size:]
            tensors[tensor.name] = _from_bytes(tensor, own)
        else:
            tensors[tensor.name] = _from_json(tensor)
    if len(raw):
        raise RefusalError(BAD, f"{len(raw)} bytes after the last tensor; check binary_data_size")
    return request, tensors


def _length(header: str, size: int) -> int:
    if not header.isdecimal() or len(header) > len(str(size)) or int(header) > size:
        raise RefusalError(BAD, f"{HEADER}: {header[:20]} does not fit the body of {size} bytes")
    return int(header)


def _size(tensor: Input) -> int:
    """Showers in a tensor of shape [n] or [n, 1]."""
    if tensor.datatype not in DATATYPES:
        raise RefusalError(
            BAD,
            f"input '{tensor.name}': datatype {tensor.datatype[:20]}; use {', '.join(DATATYPES)}",
        )
    n, *rest = tensor.shape
    if n < 0 or any(one != 1 for one in rest):
        raise RefusalError(BAD, f"input '{tensor.name}': shape {tensor.shape}; use [n] or [n, 1]")
    return n


def _from_bytes(tensor: Input, raw: memoryview) -> Array:
    n, kind = _size(tensor), np.dtype(DATATYPES[tensor.datatype]).newbyteorder("<")
    if len(raw) != n * kind.itemsize:
        raise RefusalError(
            BAD, f"input '{tensor.name}': {len(raw)} bytes, {n} {tensor.datatype} have "
            f"{n * kind.itemsize}"
        )  # fmt: skip
    return np.frombuffer(raw, kind).astype(np.float64)


def _from_json(tensor: Input) -> Array:
    n, data = _size(tensor), tensor.data
    if data is None:
        raise RefusalError(BAD, f"input '{tensor.name}': no data, and no binary_data_size")
    flat = [one for part in data for one in (part if isinstance(part, list) else [part])]
    right = (isinstance(one, int | float) and not isinstance(one, bool) for one in flat)
    if len(flat) != n or not all(right):
        raise RefusalError(BAD, f"input '{tensor.name}': shape {tensor.shape} needs {n} numbers")
    try:
        return np.array(flat, dtype=np.float64)
    except OverflowError:
        raise RefusalError(BAD, f"input '{tensor.name}': a number is too large") from None


def write_response(
    model: str,
    request: InferRequest,
    tensors: Mapping[str, Array],
    parameters: dict[str, str | int],
) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a response, each tensor as its request wants it."""
    wanted = {one.name: one for one in request.outputs or []}
    binary = bool(request.parameters.get("binary_data_output", False))
    outputs, parts = [], []
    for name, array in tensors.items():
        own = wanted[name].parameters if name in wanted else {}
        entry = Output(name=name, shape=[*array.shape], datatype=_datatype(array))
        if bool(own.get("binary_data", binary)):
            raw = array.astype(array.dtype.newbyteorder("<")).tobytes()
            entry.parameters = {"binary_data_size": len(raw)}
            parts.append(raw)
        else:
            entry.data = array.ravel().tolist()
        outputs.append(entry)
    response = InferResponse(
        model_name=model, id=request.id, parameters=parameters, outputs=outputs
    )
    text = response.model_dump_json(exclude_none=True).encode()
    if not parts:
        return text, {"content-type": "application/json"}
    headers = {"content-type": "application/octet-stream", HEADER: str(len(text))}
    return b"".join([text, *parts]), headers


def _datatype(array: Array) -> str:
    return next(name for name, kind in DATATYPES.items() if array.dtype == kind)


def whole(parameters: Parameters, name: str) -> int | None:
    """A whole number among parameters, None where it is not there.

    Raises:
        RefusalError: something else.
    """
    value = parameters.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise RefusalError(BAD, f"parameter '{name}': give a whole number")
    if int(value) != value:
        raise RefusalError(BAD, f"parameter '{name}': {value} is not a whole number")
    return int(value)
