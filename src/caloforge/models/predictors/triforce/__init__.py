"""Triforce's networks (D. Belayneh et al.): classes, energy and angles of a shower at once."""

from caloforge.models.predictors.triforce.cnn import TriforceCNN
from caloforge.models.predictors.triforce.dnn import TriforceDNN
from caloforge.models.predictors.triforce.googlenet import TriforceGoogLeNet
from caloforge.models.predictors.triforce.resnet import TriforceResNet

__all__ = ["TriforceCNN", "TriforceDNN", "TriforceGoogLeNet", "TriforceResNet"]
