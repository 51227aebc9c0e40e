"""Training: from a sample of showers to a model artifact."""

from caloforge.train.config import TrainingConfig
from caloforge.train.fit import fit_model

__all__ = ["TrainingConfig", "fit_model"]
