"""Models of two stages: the layers' energies first, then the shares of the cells."""

from caloforge.models.twostage.config import TwoStageConfig
from caloforge.models.twostage.model import TwoStage
from caloforge.models.twostage.stage import Stage

__all__ = ["Stage", "TwoStage", "TwoStageConfig"]
