"""Classifier tests: can a classifier tell the two samples apart? AUC 0.5: it cannot.

scikit-learn and torch are imported inside the functions, so that importing this stays cheap.
"""

from caloforge.validate.classifier.area import auc
from caloforge.validate.classifier.calibration import (
    calibrated,
    cross_entropy,
    divergence,
    reliability,
)
from caloforge.validate.classifier.calochallenge import (
    calochallenge_classifier,
    calochallenge_network,
)
from caloforge.validate.classifier.default import classifier_tests
from caloforge.validate.classifier.features import high_level_features
from caloforge.validate.classifier.networks import score_cells, score_joined, score_network
from caloforge.validate.classifier.resnet import image_features, resnet, resnet_classifier
from caloforge.validate.classifier.transfer import feature_transfer, particle_transfer
from caloforge.validate.classifier.trees import score_trees
from caloforge.validate.classifier.voxels import calochallenge_low, calochallenge_low_normed
from caloforge.validate.classifier.zones import low_level_features, low_level_inputs

__all__ = [
    "auc",
    "calibrated",
    "calochallenge_classifier",
    "calochallenge_low",
    "calochallenge_low_normed",
    "calochallenge_network",
    "classifier_tests",
    "cross_entropy",
    "divergence",
    "feature_transfer",
    "high_level_features",
    "image_features",
    "low_level_features",
    "low_level_inputs",
    "particle_transfer",
    "reliability",
    "resnet",
    "resnet_classifier",
    "score_cells",
    "score_joined",
    "score_network",
    "score_trees",
]
