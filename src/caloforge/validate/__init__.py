"""Validation: two shower samples in, figures and a report out. Knows nothing of models."""

from caloforge.validate.api import Report, validate
from caloforge.validate.binning import Binning, binning
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
from caloforge.validate.correlation import correlation_difference, correlation_matrix
from caloforge.validate.distance import hellinger, nearest
from caloforge.validate.diversity import diversity, mean_pairwise_distance
from caloforge.validate.floor import halves
from caloforge.validate.memorisation import data_copying, memorisation, neighbours
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
from caloforge.validate.summary import Summary, spectrum_edges, summarise

__all__ = [
    "Binning",
    "Observables",
    "Profiles",
    "Report",
    "Separation",
    "Summary",
    "auc",
    "binning",
    "calibrated",
    "calochallenge_classifier",
    "calochallenge_low",
    "calochallenge_low_normed",
    "cell_errors",
    "cell_spectrum",
    "classifier_tests",
    "correlation_difference",
    "correlation_matrix",
    "data_copying",
    "depth",
    "depth_thirds",
    "divergence",
    "diversity",
    "energy_edges",
    "etot_over_einc",
    "halves",
    "hellinger",
    "high_level_features",
    "hits",
    "lateral_edges",
    "layer_centre",
    "layer_energy",
    "layer_width",
    "low_level_features",
    "mean_pairwise_distance",
    "memorisation",
    "moments",
    "nearest",
    "neighbours",
    "observables",
    "particle_transfer",
    "profile_difference",
    "profiles",
    "relative_difference",
    "reliability",
    "resnet_classifier",
    "response",
    "separation",
    "separation_power",
    "sparsity",
    "spectrum_edges",
    "summarise",
    "total_energy",
    "validate",
]
