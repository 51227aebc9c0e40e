"""Metrics of two feature arrays of shapes (n, d) and (m, d): one file for each."""

from caloforge.validate.feature_space.frechet import fpd, frechet_distance
from caloforge.validate.feature_space.kernel import kpd, mmd
from caloforge.validate.feature_space.neighbourhoods import (
    expected_coverage,
    log_cells,
    prdc,
    prdc_cells,
    prdc_high_level,
)

__all__ = [
    "expected_coverage",
    "fpd",
    "frechet_distance",
    "kpd",
    "log_cells",
    "mmd",
    "prdc",
    "prdc_cells",
    "prdc_high_level",
]
