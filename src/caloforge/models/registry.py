"""All model kinds by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import ValidationError

from caloforge.errors import ConfigError
from caloforge.geometry import Calorimeter, load_detector
from caloforge.models.base import ShowerModel
from caloforge.models.layered import Layered
from caloforge.models.library import Library
from caloforge.models.threedgan import ThreeDGAN, ThreeDGANAngle
from caloforge.models.triforce import TriforceGAN
from caloforge.models.twodgan import TwoDGAN

_KINDS: dict[str, type[ShowerModel]] = {
    kind.kind: kind for kind in (ThreeDGAN, ThreeDGANAngle, TwoDGAN, TriforceGAN, Library, Layered)
}


def model_kinds() -> dict[str, type[ShowerModel]]:
    """The model classes by name."""
    return dict(_KINDS)


def build_model(
    kind: str, calorimeter: Calorimeter, config: Mapping[str, Any] | None = None
) -> ShowerModel:
    """A fresh model.

    Raises:
        ConfigError: unknown kind or configuration key, or a wrong value.
        GeometryError: the model cannot describe this calorimeter.
    """
    if kind not in _KINDS:
        raise ConfigError(f"unknown model '{kind}'; choose one of {', '.join(_KINDS)}")
    model = _KINDS[kind]
    try:
        parsed = model.config_class.model_validate(dict(config or {}))
    except ValidationError as error:
        raise ConfigError(
            explain(error, f"config of model '{kind}'", model.config_class)
        ) from error
    return model(calorimeter, parsed)


def published_networks(kind: str) -> dict[str, int]:
    """The networks of a kind and their trainable parameters, with its defaults and at home."""
    with torch.device("meta"):  # counted, not made
        model = build_model(kind, load_detector(_KINDS[kind].home))
    return model.networks()


def explain(error: ValidationError, where: str, schema: type) -> str:
    """One line from a pydantic error: the key, what is wrong, what would be right."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or "the whole"
    known = ", ".join(getattr(schema, "model_fields", {}))
    if first["type"] == "extra_forbidden":
        return f"{where}: unknown key '{key}'; known keys are {known}"
    return f"{where}: '{key}': {first['msg']} (got {first['input']!r}); fix this value"
