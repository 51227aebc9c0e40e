"""Validation: two shower samples in, figures and a report out. Knows nothing of models."""

from caloforge.observables import (
    Observables,
    calogan_features,
    depth,
    depth_thirds,
    etot_over_einc,
    hit_pairs,
    hits,
    layer_centre,
    layer_energy,
    layer_width,
    measured_theta,
    moments,
    observables,
    share_within,
    sparsity,
    sparsity_curve,
    total_energy,
)
from caloforge.validate.api import Report, validate
from caloforge.validate.binning import Binning, binning
from caloforge.validate.calochallenge.data_sets import DataSet, calochallenge_data_set
from caloforge.validate.calochallenge.energies import energy_separation
from caloforge.validate.calochallenge.features import calochallenge_features
from caloforge.validate.cells import cell_errors
from caloforge.validate.classifier import (
    auc,
    calibrated,
    calochallenge_classifier,
    calochallenge_low,
    calochallenge_low_normed,
    classifier_tests,
    divergence,
    high_level_features,
    low_level_features,
    particle_transfer,
    reliability,
    resnet_classifier,
)
from caloforge.validate.condition_scan import condition_scan
from caloforge.validate.correlation import (
    correlation_difference,
    correlation_features,
    correlation_matrix,
)
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
from caloforge.validate.profiles import (
    Profiles,
    cell_spectrum,
    lateral_edges,
    profile_difference,
    profiles,
    relative_difference,
)
from caloforge.validate.response import energy_edges, response
from caloforge.validate.response_fit import fit_linearity, fit_resolution, response_fit
from caloforge.validate.separation import Separation, separation, separation_power
from caloforge.validate.ssim import ssim, structural_similarity
from caloforge.validate.summary import Summary, spectrum_edges, summarise
from caloforge.validate.tails import clopper_pearson, tails
from caloforge.validate.threedgan import threedgan_metric

__all__ = [
    "Binning",
    "DataSet",
    "Observables",
    "Profiles",
    "Report",
    "Separation",
    "Summary",
    "auc",
    "binning",
    "calibrated",
    "calochallenge_classifier",
    "calochallenge_data_set",
    "calochallenge_features",
    "calochallenge_low",
    "calochallenge_low_normed",
    "calogan_features",
    "cell_errors",
    "cell_spectrum",
    "classifier_tests",
    "clopper_pearson",
    "condition_scan",
    "correlation_difference",
    "correlation_features",
    "correlation_matrix",
    "data_copying",
    "depth",
    "depth_thirds",
    "distributions",
    "divergence",
    "diversity",
    "energy_edges",
    "energy_separation",
    "etot_over_einc",
    "fit_linearity",
    "fit_resolution",
    "fpd",
    "frechet_distance",
    "halves",
    "hellinger",
    "high_level_features",
    "hit_pairs",
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
    "measured_theta",
    "memorisation",
    "mmd",
    "mode_coverage",
    "mode_features",
    "moments",
    "nearest",
    "neighbours",
    "observables",
    "particle_transfer",
    "prdc",
    "prdc_cells",
    "prdc_high_level",
    "profile_difference",
    "profiles",
    "relative_difference",
    "reliability",
    "resnet_classifier",
    "response",
    "response_fit",
    "separation",
    "separation_power",
    "share_within",
    "sparsity",
    "sparsity_curve",
    "spectrum_edges",
    "ssim",
    "structural_similarity",
    "summarise",
    "tails",
    "threedgan_metric",
    "total_energy",
    "validate",
    "wasserstein",
]
