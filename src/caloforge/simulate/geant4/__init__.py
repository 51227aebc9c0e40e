"""Full simulation with Geant4 (the optional package ``geant4-pybind``)."""

from caloforge.simulate.geant4.simulator import Geant4
from caloforge.simulate.geant4.tables import Tables, find_tables

__all__ = ["Geant4", "Tables", "find_tables"]
