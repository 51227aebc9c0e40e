"""Generators of showers behind one contract, see :class:`ShowerModel`."""

from caloforge.models.base import (
    DirectModel,
    GradientModel,
    Latent,
    ModelConfig,
    ShowerModel,
    TrainingBatch,
    TrainingSample,
    Update,
)
from caloforge.models.registry import build_model, model_kinds, published_networks

__all__ = [
    "DirectModel",
    "GradientModel",
    "Latent",
    "ModelConfig",
    "ShowerModel",
    "TrainingBatch",
    "TrainingSample",
    "Update",
    "build_model",
    "model_kinds",
    "published_networks",
]
