"""Predictions of a trained predictor for showers, judged against their truth."""

from caloforge.predict.api import Prediction, predict
from caloforge.predict.load import LoadedPredictor, load_predictor

__all__ = ["LoadedPredictor", "Prediction", "load_predictor", "predict"]
