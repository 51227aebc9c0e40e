"""Predictors: which particle made a shower, with which energy and angles."""

from caloforge.models.predictors.base import (
    DirectPredictor,
    GradientPredictor,
    Predicted,
    Predictor,
    class_numbers,
)
from caloforge.models.predictors.trees import Trees
from caloforge.models.predictors.triforce import (
    TriforceCNN,
    TriforceDNN,
    TriforceGoogLeNet,
    TriforceResNet,
)

PREDICTORS: tuple[type[Predictor], ...] = (
    TriforceDNN,
    TriforceCNN,
    TriforceGoogLeNet,
    TriforceResNet,
    Trees,
)

__all__ = [
    "DirectPredictor",
    "GradientPredictor",
    "Predicted",
    "Predictor",
    "class_numbers",
]
