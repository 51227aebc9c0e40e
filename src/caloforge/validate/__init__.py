"""Validation: two shower samples in, figures and a report out. Knows nothing of models."""

from caloforge.validate.api import Report, validate
from caloforge.validate.binning import Binning, binning
from caloforge.validate.calochallenge.data_sets import DataSet, calochallenge_data_set
from caloforge.validate.calochallenge.energies import energy_separation
from caloforge.validate.calochallenge.features import calochallenge_features
from caloforge.validate.cells import cell_errors
from caloforge.validate.classifier import (
    auc,
    classifier_tests,
    high_level_features,
    low_level_features,
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
    "DataSet",
    "Observables",
    "Profiles",
    "Report",
    "Separation",
    "Summary",
    "auc",
    "binning",
    "calochallenge_data_set",
    "calochallenge_features",
    "cell_errors",
    "cell_spectrum",
    "classifier_tests",
    "correlation_difference",
    "correlation_matrix",
    "data_copying",
    "depth",
    "depth_thirds",
    "diversity",
    "energy_edges",
    "energy_separation",
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
    "profile_difference",
    "profiles",
    "relative_difference",
    "response",
    "separation",
    "separation_power",
    "sparsity",
    "spectrum_edges",
    "summarise",
    "total_energy",
    "validate",
]
