"""Generators of showers, and predictors of what made them, see :mod:`caloforge.models.base`."""

from caloforge.models.base import (
    DirectModel,
    Fittable,
    GradientModel,
    Latent,
    Model,
    ModelConfig,
    ShowerModel,
    Trainable,
    TrainingBatch,
    TrainingSample,
    Update,
)
from caloforge.models.predictors import Predicted, Predictor
from caloforge.models.registry import (
    all_kinds,
    build_any,
    build_model,
    model_kinds,
    predictor_kinds,
    published_networks,
)

__all__ = [
    "DirectModel",
    "Fittable",
    "GradientModel",
    "Latent",
    "Model",
    "ModelConfig",
    "Predicted",
    "Predictor",
    "ShowerModel",
    "Trainable",
    "TrainingBatch",
    "TrainingSample",
    "Update",
    "all_kinds",
    "build_any",
    "build_model",
    "model_kinds",
    "predictor_kinds",
    "published_networks",
]
