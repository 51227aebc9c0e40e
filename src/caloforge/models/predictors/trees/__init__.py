"""Boosted trees on shower shapes: the baseline that every network must beat."""

from caloforge.models.predictors.trees.model import Trees

__all__ = ["Trees"]
