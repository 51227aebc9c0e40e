"""Tuning: search a recipe's values for better showers, judged by showers it was not trained on."""

from caloforge.tune.crew import Crew, HereCrew, LocalCrew
from caloforge.tune.dask_crew import DaskCrew
from caloforge.tune.loop import Progress
from caloforge.tune.objective import Objective
from caloforge.tune.report import Tuning
from caloforge.tune.run import tune
from caloforge.tune.space import Dimension, Space

__all__ = [
    "Crew",
    "DaskCrew",
    "Dimension",
    "HereCrew",
    "LocalCrew",
    "Objective",
    "Progress",
    "Space",
    "Tuning",
    "tune",
]
