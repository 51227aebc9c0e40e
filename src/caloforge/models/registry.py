"""All model kinds by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import ValidationError

from caloforge.errors import ConfigError
from caloforge.geometry import Calorimeter, load_detector
from caloforge.models.base import Model, ShowerModel
from caloforge.models.calogan import CaloGAN
from caloforge.models.diffusion import Diffusion
from caloforge.models.flows import CouplingFlow, FlowMatching
from caloforge.models.lagan import LAGAN
from caloforge.models.layered import Layered
from caloforge.models.library import Library
from caloforge.models.predictors import PREDICTORS, Predictor
from caloforge.models.recurrent import Recurrent
from caloforge.models.threedgan import ThreeDGAN, ThreeDGANAngle
from caloforge.models.triforce import TriforceGAN
from caloforge.models.twodgan import TwoDGAN
from caloforge.models.vae import ConvVAE, DenseVAE

_GENERATORS: tuple[type[ShowerModel], ...] = (
    Layered,
    Library,
    ThreeDGAN,
    ThreeDGANAngle,
    TwoDGAN,
    TriforceGAN,
    CaloGAN,
    LAGAN,
    DenseVAE,
    ConvVAE,
    Recurrent,
    CouplingFlow,
    FlowMatching,
    Diffusion,
)

_KINDS: dict[str, type[ShowerModel]] = {kind.kind: kind for kind in _GENERATORS}
_PREDICTORS: dict[str, type[Predictor]] = {kind.kind: kind for kind in PREDICTORS}


def model_kinds() -> dict[str, type[ShowerModel]]:
    """The generators by name."""
    return dict(_KINDS)


def predictor_kinds() -> dict[str, type[Predictor]]:
    """The predictors by name."""
    return dict(_PREDICTORS)


def all_kinds() -> dict[str, type[Model]]:
    """Generators and predictors by name."""
    return {**_KINDS, **_PREDICTORS}


def build_any(
    kind: str, calorimeter: Calorimeter, config: Mapping[str, Any] | None = None
) -> Model:
    """A fresh model of any kind.

    Raises:
        ConfigError: unknown kind or configuration key, or a wrong value.
        GeometryError: the model cannot describe this calorimeter.
    """
    known = all_kinds()
    if kind not in known:
        raise ConfigError(f"unknown model '{kind}'; choose one of {', '.join(known)}")
    model = known[kind]
    try:
        parsed = model.config_class.model_validate(dict(config or {}))
    except ValidationError as error:
        raise ConfigError(
            explain(error, f"config of model '{kind}'", model.config_class)
        ) from error
    return model(calorimeter, parsed)


def build_model(
    kind: str, calorimeter: Calorimeter, config: Mapping[str, Any] | None = None
) -> ShowerModel:
    """A fresh generator, as :func:`build_any`.

    Raises:
        ConfigError: also when the kind is a predictor.
        GeometryError: the model cannot describe this calorimeter.
    """
    model = build_any(kind, calorimeter, config)
    if not isinstance(model, ShowerModel):
        raise ConfigError(f"'{kind}' predicts; generators are {', '.join(_KINDS)}")
    return model


def published_networks(kind: str) -> dict[str, int]:
    """The networks of a kind and their trainable parameters, with its defaults and at home."""
    with torch.device("meta"):  # counted, not made
        model = build_any(kind, load_detector(all_kinds()[kind].home))
    return model.networks()


def explain(error: ValidationError, where: str, schema: type) -> str:
    """One line from a pydantic error: the key, what is wrong, what would be right."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or "the whole"
    known = ", ".join(getattr(schema, "model_fields", {}))
    if first["type"] == "extra_forbidden":
        return f"{where}: unknown key '{key}'; known keys are {known}"
    return f"{where}: '{key}': {first['msg']} (got {first['input']!r}); fix this value"
