"""Models that draw the layers' energies first, and then cells that are hit or not."""

from caloforge.models.sparse.config import SparseConfig
from caloforge.models.sparse.hurdle import Hurdle
from caloforge.models.sparse.layer_flow import LayerFlow
from caloforge.models.sparse.layer_table import LayerTable
from caloforge.models.sparse.model import Drawn, Sparse

__all__ = ["Drawn", "Hurdle", "LayerFlow", "LayerTable", "Sparse", "SparseConfig"]
