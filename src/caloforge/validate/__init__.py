"""Validation: two shower samples in, figures and a report out. Knows nothing of models."""

from caloforge.validate.api import Report, validate
from caloforge.validate.binning import Binning, binning
from caloforge.validate.cells import cell_errors
from caloforge.validate.classifier import (
    auc,
    classifier_tests,
    high_level_features,
    low_level_features,
)
from caloforge.validate.correlation import correlation_difference, correlation_matrix
from caloforge.validate.distance import hellinger, nearest
from caloforge.validate.distributions import (
    distributions,
    holm,
    kolmogorov_smirnov,
    wasserstein,
)
from caloforge.validate.diversity import diversity, mean_pairwise_distance
from caloforge.validate.feature_space import (
    fpd,
    frechet_distance,
    kpd,
    log_cells,
    mmd,
    prdc,
    prdc_cells,
    prdc_high_level,
)
from caloforge.validate.floor import halves
from caloforge.validate.memorisation import data_copying, memorisation, neighbours
from caloforge.validate.mode_coverage import mode_coverage, mode_features
from caloforge.validate.observables import (
    Observables,
    depth,
    depth_thirds,
    etot_over_einc,
    hits,
    layer_centre,
    layer_energy,
    layer_width,
    moments,
    observables,
    sparsity,
    total_energy,
)
from caloforge.validate.profiles import (
    Profiles,
    cell_spectrum,
    lateral_edges,
    profile_difference,
    profiles,
    relative_difference,
)
from caloforge.validate.response import energy_edges, response
from caloforge.validate.separation import Separation, separation, separation_power
from caloforge.validate.ssim import ssim, structural_similarity
from caloforge.validate.summary import Summary, spectrum_edges, summarise
from caloforge.validate.tails import clopper_pearson, tails

__all__ = [
    "Binning",
    "Observables",
    "Profiles",
    "Report",
    "Separation",
    "Summary",
    "auc",
    "binning",
    "cell_errors",
    "cell_spectrum",
    "classifier_tests",
    "clopper_pearson",
    "correlation_difference",
    "correlation_matrix",
    "data_copying",
    "depth",
    "depth_thirds",
    "distributions",
    "diversity",
    "energy_edges",
    "etot_over_einc",
    "fpd",
    "frechet_distance",
    "halves",
    "hellinger",
    "high_level_features",
    "hits",
    "holm",
    "kolmogorov_smirnov",
    "kpd",
    "lateral_edges",
    "layer_centre",
    "layer_energy",
    "layer_width",
    "log_cells",
    "low_level_features",
    "mean_pairwise_distance",
    "memorisation",
    "mmd",
    "mode_coverage",
    "mode_features",
    "moments",
    "nearest",
    "neighbours",
    "observables",
    "prdc",
    "prdc_cells",
    "prdc_high_level",
    "profile_difference",
    "profiles",
    "relative_difference",
    "response",
    "separation",
    "separation_power",
    "sparsity",
    "spectrum_edges",
    "ssim",
    "structural_similarity",
    "summarise",
    "tails",
    "total_energy",
    "validate",
    "wasserstein",
]
