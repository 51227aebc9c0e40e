"""Metrics of two feature arrays of shapes (n, d) and (m, d): one file for each."""

from caloforge.validate.feature_space.frechet import fpd, frechet_distance
from caloforge.validate.feature_space.kernel import kpd, mmd

__all__ = ["fpd", "frechet_distance", "kpd", "mmd"]
