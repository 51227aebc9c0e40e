"""EDM4hep files: read from any DD4hep or Key4hep simulation, written for the same analyses."""

from caloforge.sources.edm4hep.options import Edm4hepOptions
from caloforge.sources.edm4hep.source import Edm4hep

__all__ = ["Edm4hep", "Edm4hepOptions"]
